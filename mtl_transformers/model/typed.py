"""Whether the fields of a dataclass that was built from JSON hold what they declare.

JSON from others can put anything anywhere; Python does not look. Does not check ranges: their owners do.
"""

from __future__ import annotations

import math
from dataclasses import fields
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

_LARGEST = 2**63  # of a whole number


def check_fields(instance: Any) -> None:
    """Refuse a field with a value of another type than it declares.

    A number is finite, a whole number also stands for a fraction, and a text can be written as UTF-8.

    Args:
        instance: of a dataclass; fields that are declared as ``Any`` are not looked at.

    Raises:
        TypeError: naming the field, the value and what was expected.
    """
    declared = get_type_hints(type(instance), include_extras=True)
    for field in fields(instance):
        value = getattr(instance, field.name)
        if not _fits(value, declared[field.name]):
            expected = str(declared[field.name]).replace("typing.", "")
            shown = repr(value) if isinstance(value, str | float | None) else f"a {type(value).__name__}"
            raise TypeError(f"{field.name}: {shown[:60]} is not of the type {expected}")


def _fits(value: Any, declared: Any) -> bool:
    origin, arguments = get_origin(declared), get_args(declared)
    if declared is Any:
        return True
    if origin is Annotated:
        return _fits(value, arguments[0])
    if origin is Literal:
        return any(value == choice and type(value) is type(choice) for choice in arguments)
    if origin in (Union, UnionType):
        return any(_fits(value, choice) for choice in arguments)
    if origin is tuple:  # of any length
        return isinstance(value, tuple) and all(_fits(item, arguments[0]) for item in value)
    if origin is dict:
        return isinstance(value, dict) and all(
            _fits(key, arguments[0]) and _fits(item, arguments[1]) for key, item in value.items()
        )
    return _is_plain(value, declared)


def _is_plain(value: Any, declared: Any) -> bool:
    if declared is float:
        return _is_plain(value, int) or (type(value) is float and math.isfinite(value))
    if declared is int:
        return type(value) is int and abs(value) < _LARGEST
    if declared is str:
        return type(value) is str and not any("\ud800" <= character <= "\udfff" for character in value)
    return isinstance(value, declared)
