"""What every section of the config is made of: the frozen base, and values that are exactly what they say.

Text is text, a number is a number (numeric text such as ``3e-4``, which YAML reads as text, is one too), and a
boolean is neither. Owns no section.
"""

from __future__ import annotations

import re
from contextlib import suppress
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, StrictBool

_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")


class Section(BaseModel):
    """A frozen part of the config that refuses unknown keys."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


def _not_bool(value: object) -> object:
    if isinstance(value, bool):
        raise ValueError(f"expected a number; got {str(value).lower()}")
    return value


def _from_text(value: object) -> object:
    """Return the number that a text such as 1e3 stands for, which pydantic does not read as a whole one."""
    if isinstance(value, str):
        for read in (int, float):
            with suppress(ValueError):
                return read(value)
    return value


def _safe_name(name: str) -> str:
    if not _NAME.fullmatch(name):
        raise ValueError(
            f"{name!r} is no safe name; use lower-case letters, digits, _ and -, a letter or digit first, "
            "at most 64 characters"
        )
    return name


Bool = StrictBool
Text = Annotated[str, Field(min_length=1)]
Name = Annotated[str, AfterValidator(_safe_name)]
"""Of a dataset or a task: it becomes part of file names and of metric names."""
Number = Annotated[float, BeforeValidator(_not_bool), Field(allow_inf_nan=False)]
Whole = Annotated[int, BeforeValidator(_from_text), BeforeValidator(_not_bool)]
Count = Annotated[Whole, Field(ge=1)]
Share = Annotated[Number, Field(gt=0, lt=1)]
Probability = Annotated[Number, Field(ge=0, le=1)]
Positive = Annotated[Number, Field(gt=0)]
NotNegative = Annotated[Number, Field(ge=0)]


def exact(hint: Any) -> Any:
    """Return a type hint of plain types (a kind's options) with the strict values of this file in their places."""
    arguments = tuple(exact(argument) for argument in get_args(hint))
    match get_origin(hint):
        case None:
            return {str: Text, float: Number, int: Whole, bool: Bool}.get(hint, hint)
        case origin if origin is Annotated:
            return Annotated[arguments[0], *hint.__metadata__]
        case origin if origin in (UnionType, Union):
            return Union[arguments]  # noqa: UP007  made of a tuple
        case origin if origin in (tuple, list, dict):
            return origin[arguments]
        case _:
            return hint
