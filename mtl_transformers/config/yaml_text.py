"""YAML in and out: plain values only, each key once, of a size that a config has. Knows no section."""

from __future__ import annotations

import json
from typing import Any

import yaml

from mtl_transformers.errors import ConfigError

MAX_VALUES = 100_000
"""Values of a document with its aliases written out. A few lines of aliases of aliases stand for billions."""
MAX_DEPTH = 50

_PLAIN = "a config holds text, numbers, true, false, null, lists and mappings"


class _StrictLoader(yaml.SafeLoader):
    """A SafeLoader that refuses what is no plain value, or has two meanings.

    A key that stands twice, of which YAML readers keep one in silence; a tag that makes an object; a value that its tag
    cannot read, for which PyYAML raises whatever Python raises; and aliases that hold themselves or too much.
    """

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self._depth = 0
        self._sizes: dict[int, int] = {}  # values below each finished node, aliases written out

    def compose_node(self, parent: Any, index: Any) -> Any:  # Any: its stub is wrong
        event: Any = self.peek_event()  # type: ignore[no-untyped-call]
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise _error(f"nested more than {MAX_DEPTH} deep; write it flatter", event)
        node: Any = super().compose_node(parent, index)
        self._depth -= 1
        if id(node) not in self._sizes:
            if isinstance(event, yaml.AliasEvent):
                raise _error(f"the alias {event.anchor!r} stands for a value that holds it; write it out", event)
            self._sizes[id(node)] = 1 + sum(self._sizes[id(child)] for child in _children(node))
            if self._sizes[id(node)] > MAX_VALUES:
                raise _error(f"its aliases stand for more than {MAX_VALUES:,} values; write them out", node)
        return node

    def compose_mapping_node(self, anchor: Any) -> yaml.MappingNode:  # Any: its stub is wrong
        node = super().compose_mapping_node(anchor)
        seen = set()
        for key, _ in node.value:
            if (key.tag, str(key.value)) in seen:
                raise _error(f"key {key.value!r} stands twice; remove one", key)
            seen.add((key.tag, str(key.value)))
        return node

    def construct_object(self, node: Any, deep: bool = False) -> Any:  # noqa: FBT001, FBT002  PyYAML's own
        if node.tag not in self.yaml_constructors:
            raise _error(f"the tag {_written(node.tag)} is refused; {_PLAIN}", node)
        try:
            return super().construct_object(node, deep=deep)
        except (ValueError, LookupError, AttributeError, TypeError) as error:
            given = str(node.value)[:40]
            raise _error(f"{given!r} is no {_written(node.tag)}; quote it if it is text", node) from error


def _children(node: yaml.Node) -> list[yaml.Node]:
    if isinstance(node, yaml.MappingNode):
        return [part for pair in node.value for part in pair]
    return list(node.value) if isinstance(node, yaml.SequenceNode) else []


def _written(tag: str) -> str:
    """Return a tag as it is written in a file."""
    return tag.replace("tag:yaml.org,2002:", "!!")


def _error(problem: str, at: Any) -> yaml.MarkedYAMLError:
    """Return an error at a node or an event."""
    return yaml.MarkedYAMLError(problem=problem, problem_mark=at.start_mark)


def read_yaml(text: str, *, where: str) -> object:
    """Parse YAML into plain values: no tag makes an object or runs anything.

    Args:
        text: one document.
        where: what a message says of the place.

    Raises:
        ConfigError: no YAML, a key that stands twice, a tag such as ``!!python/object``, or more than `MAX_VALUES`.
    """
    try:
        return yaml.load(text, Loader=_StrictLoader)
    except yaml.YAMLError as error:
        raise ConfigError(f"{where}: not plain YAML: {_described(error, text)}") from error


def _described(error: yaml.YAMLError, text: str) -> str:
    """Return what is wrong and in which line."""
    if isinstance(error, yaml.reader.ReaderError):
        line = text.count("\n", 0, error.position) + 1
        return f"the character {chr(int(error.character))!r} is not allowed (line {line}). Remove it"
    if not isinstance(error, yaml.MarkedYAMLError):
        return " ".join(str(error).split())
    place = "" if error.problem_mark is None else f" (line {error.problem_mark.line + 1})"
    advice = _ADVICE.get(type(error), "")
    return f"{error.problem}{place}{advice}"


_ADVICE = {
    yaml.scanner.ScannerError: ". Indent with spaces, quote text that holds : # [ ] { } or @, and close each quote",
    yaml.parser.ParserError: ". Close each bracket and quote, and indent the keys of a section equally",
    yaml.composer.ComposerError: ". Write one document, and each alias after its anchor",
    yaml.constructor.ConstructorError: f". Keys are text, and {_PLAIN}",
}


def write_yaml(values: object) -> str:
    """Return plain values as YAML, keys in their order."""
    text = yaml.safe_dump(values, sort_keys=False, allow_unicode=True)
    if "\x85" in text:  # PyYAML would read this line break back as a space; escaped it stays
        return yaml.safe_dump(values, sort_keys=False)
    return text


def write_flow(value: object) -> str:
    """Return a plain value as YAML in one line, as ``{data: tickets, label: [V, A]}``."""
    dumped = yaml.safe_dump(value, sort_keys=False, allow_unicode=True, default_flow_style=True, width=float("inf"))
    text = dumped.removesuffix("...\n").strip()
    if text.isprintable():
        return text
    quoted = json.dumps(value, ensure_ascii=False)  # JSON, which YAML reads, keeps line breaks as escapes
    return "".join(sign if sign.isprintable() else f"\\U{ord(sign):08x}" for sign in quoted)
