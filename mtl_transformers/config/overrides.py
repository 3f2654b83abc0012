"""Overrides, ``--set a.b=c``: from text to a value, and into the raw config before it is checked.

What stands at the path afterwards is checked like the rest of the config; here only the path itself is.
"""

from __future__ import annotations

from collections.abc import Mapping

from mtl_transformers.config.yaml_text import read_yaml
from mtl_transformers.errors import ConfigError, nearest

Raw = dict[str, object]
"""The config as YAML gives it."""

_NAMED = ("data", "tasks")  # sections whose keys are the user's names


def parse_override(text: str) -> tuple[str, object]:
    """Split ``a.b=c`` into a path and a YAML value.

    Raises:
        ConfigError: when there is no ``=`` or the value is no YAML.
    """
    path, equals, value = text.partition("=")
    if not equals or not path.strip():
        raise ConfigError(f"--set {text}: expected path=value, as in training.epochs=1")
    return path.strip(), read_yaml(value, where=f"--set {text}")


def apply_override(raw: Raw, path: str, value: object) -> list[str]:
    """Set a value by its dotted path; sections on the way are made where they are absent.

    Returns:
        What is wrong with the path; nothing is set then.
    """
    parts = path.split(".")
    if not all(parts):
        return [f"--set {path}: the path has an empty part; expected one as in training.epochs"]
    place = raw
    for depth, part in enumerate(parts[:-1]):
        at = ".".join(parts[: depth + 1])
        if depth == 1 and parts[0] in _NAMED and part not in place:
            known = [str(name) for name in place]
            return [f"--set {path}: there is no {at}; known: {', '.join(known)}{nearest(part, known)}"]
        inner = place.get(part)
        if inner is None:
            inner = place[part] = {}
        if not isinstance(inner, dict):
            return [f"--set {path}: {at} is no section but {inner!r}; set {at} as a whole"]
        place = inner
    place[parts[-1]] = value
    return []


def copied(source: Mapping[str, object]) -> Raw:
    """Return a copy whose sections can be changed without changing the source."""
    return {key: copied(value) if isinstance(value, Mapping) else value for key, value in source.items()}
