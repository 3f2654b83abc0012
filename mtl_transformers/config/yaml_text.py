"""YAML in and out: plain values only, each key once. Knows no section."""

from __future__ import annotations

from typing import Any

import yaml

from mtl_transformers.errors import ConfigError


class _StrictLoader(yaml.SafeLoader):
    """A SafeLoader that refuses a key that stands twice; of two, YAML readers keep one in silence."""

    def compose_mapping_node(self, anchor: Any) -> yaml.MappingNode:  # Any: its stub is wrong
        node = super().compose_mapping_node(anchor)
        seen = set()
        for key, _ in node.value:
            if (key.tag, str(key.value)) in seen:
                raise yaml.MarkedYAMLError(problem=f"key {key.value!r} stands twice", problem_mark=key.start_mark)
            seen.add((key.tag, str(key.value)))
        return node


def read_yaml(text: str, *, where: str) -> object:
    """Parse YAML into plain values: no tag makes an object or runs anything.

    Args:
        text: one document.
        where: what a message says of the place.

    Raises:
        ConfigError: no YAML, a key that stands twice, or a tag such as ``!!python/object``.
    """
    try:
        return yaml.load(text, Loader=_StrictLoader)
    except yaml.YAMLError as error:
        raise ConfigError(f"{where}: not plain YAML: {_described(error)}") from error


def _described(error: yaml.YAMLError) -> str:
    """Return what is wrong and in which line."""
    if not isinstance(error, yaml.MarkedYAMLError):
        return " ".join(str(error).split())
    place = "" if error.problem_mark is None else f" (line {error.problem_mark.line + 1})"
    return f"{error.problem}{place}"


def write_yaml(values: object) -> str:
    """Return plain values as YAML, keys in their order."""
    text = yaml.safe_dump(values, sort_keys=False, allow_unicode=True)
    if "\x85" in text:  # PyYAML would read this line break back as a space; escaped it stays
        return yaml.safe_dump(values, sort_keys=False)
    return text
