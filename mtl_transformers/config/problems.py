"""Pydantic's problems as lines ``path: what is wrong, what was expected, what to do``.

Owns the words. Decides nothing: what is wrong was found by the sections.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from pydantic import BaseModel
from pydantic_core import ErrorDetails

from mtl_transformers.config.data_section import (
    AugmentConfig,
    DataConfig,
    FilterConfig,
    NearDuplicates,
    SynonymsConfig,
    split_section,
)
from mtl_transformers.config.sections import Config
from mtl_transformers.config.tasks import task_section
from mtl_transformers.errors import nearest

_LONGEST_SHOWN = 60

_EXPECTED = {
    "string_type": "text",
    "string_too_short": "text that is not empty",
    "bool_type": "true or false",
    "int_type": "a whole number",
    "int_parsing": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "float_parsing": "a number",
    "finite_number": "a finite number",
    "tuple_type": "a list",
    "too_short": "a list that is not empty",
    "dict_type": "a mapping",
    "mapping_type": "a mapping",
    "model_type": "a mapping",
    "invalid_key": "a key of text",
    "invalid-json-value": "text, a number, true, false, null, or a list or mapping of these",
    "literal_error": "{expected}",
    "greater_than": "a number above {gt}",
    "greater_than_equal": "a number of at least {ge}",
    "less_than": "a number below {lt}",
    "less_than_equal": "a number of at most {le}",
}


@dataclass(frozen=True, slots=True)
class _Problem:
    """A problem at a place of the raw config.

    Attributes:
        path: keys of the raw config.
        detail: pydantic's words on it.
        union: path of the value that may be of several types, if it was found while trying one of them.
    """

    path: tuple[str, ...]
    detail: ErrorDetails
    union: tuple[str, ...] | None

    def is_outdone_by(self, other: _Problem) -> bool:
        """Tell whether another type of the same value got further: that one was meant."""
        above = self.path == other.path[: len(self.path)] and self.path != other.path
        return above and self.union is not None and self.union == other.union


def problem_lines(details: Sequence[ErrorDetails], raw: Mapping[str, object]) -> list[str]:
    """Return one line for each place; what was tried there in vain is told together."""
    found = [_placed(detail, raw) for detail in details]
    by_path: dict[tuple[str, ...], list[ErrorDetails]] = {}
    for problem in found:
        if not any(problem.is_outdone_by(other) for other in found):
            by_path.setdefault(problem.path, []).append(problem.detail)
    return [f"{'.'.join(path)}: {_described(path, details, raw)}" for path, details in by_path.items()]


def _placed(detail: ErrorDetails, raw: Mapping[str, object]) -> _Problem:
    """Tell the keys in a problem's location from the types that pydantic tried."""
    path: list[str] = []
    union = None
    given: object = raw
    for place, part in enumerate(detail["loc"]):
        missing = detail["type"] == "missing" and place == len(detail["loc"]) - 1
        if isinstance(given, Mapping | list | tuple) and part in _keys(given):
            given = given[part]  # type: ignore[index]  # part is one of its keys
        elif not missing:
            union = tuple(path) if union is None else union
            continue
        path.append(str(part))
    return _Problem(tuple(path), detail, union)


def _keys(given: Mapping[Any, object] | Sequence[object]) -> Collection[object]:
    return given.keys() if isinstance(given, Mapping) else range(len(given))


def _described(path: tuple[str, ...], details: Sequence[ErrorDetails], raw: Mapping[str, object]) -> str:
    first = details[0]
    if first["type"] == "extra_forbidden":
        known = _known_keys(path[:-1], raw)
        return f"unknown key{nearest(path[-1], known)} (known: {', '.join(known)})"
    if first["type"] == "missing":
        return "missing; this key is required"
    if first["type"] == "too_short":
        return "is empty; expected at least one"
    said = [detail["msg"].removeprefix("Value error, ") for detail in details if _is_ours(detail)]
    expected = [_expected(detail) for detail in details if not _is_ours(detail)]
    if expected:
        given = first["input"]
        wanted = ", or ".join(dict.fromkeys(expected))
        said.append(f"expected {wanted}; got {_shown(given)}{_advice(given, expected)}")
    return "; ".join(dict.fromkeys(said))


def _is_ours(detail: ErrorDetails) -> bool:
    return detail["type"] == "value_error"


def _expected(detail: ErrorDetails) -> str:
    words = _EXPECTED.get(detail["type"])
    return words.format(**detail.get("ctx", {})) if words else detail["msg"].removeprefix("Input should be ")


def _shown(given: object) -> str:
    """Return a value as YAML writes it, or nearly so."""
    shown = "null" if given is None else str(given).lower() if isinstance(given, bool | date) else repr(given)
    return shown if len(shown) <= _LONGEST_SHOWN else shown[: _LONGEST_SHOWN - 1] + "…"


def _advice(given: object, expected: Collection[str]) -> str:
    """Return what to do about a value, where that is known."""
    if "text" in expected and isinstance(given, bool):
        return ". Quote it: without quotes YAML reads yes, no, on and off as true and false"
    if isinstance(given, date):
        return f". Quote it: '{given}'"
    if "text" in expected and given is not None and not isinstance(given, str | list | tuple | Mapping):
        return f". Quote it: '{given}'"
    if "a list" in expected and isinstance(given, str):
        return f". Write [{given}]"
    if "a mapping" in expected and given is None:
        return ". Remove the key, or give it keys"
    choices = [choice for words in expected for choice in re.findall(r"'([^']*)'", words)]
    return nearest(given, choices) if isinstance(given, str) else ""


def _known_keys(path: tuple[str, ...], raw: Mapping[str, object]) -> list[str]:
    """Return the keys of the section at a path."""
    return [field.alias or name for name, field in _section_at(path, raw).model_fields.items()]


def _section_at(path: tuple[str, ...], raw: Mapping[str, object]) -> type[BaseModel]:
    given: object = raw
    for part in path:
        given = given.get(part) if isinstance(given, Mapping) else None
    entry = given if isinstance(given, Mapping) else {}
    match path:
        case ("data", _):
            return DataConfig
        case ("data", _, "split"):
            return split_section(entry)
        case ("data", _, "filter"):
            return FilterConfig
        case ("data", _, "augment"):
            return AugmentConfig
        case ("data", _, "augment", "synonyms"):
            return SynonymsConfig
        case ("data", _, "filter", "drop_duplicates"):
            return NearDuplicates
        case ("tasks", _):
            return task_section(entry)
        case (name,):
            section = Config.model_fields[name].annotation
            assert isinstance(section, type)  # a plain section: the others stand above
            return section
        case _:
            return Config
