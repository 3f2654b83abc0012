"""Rows as they are encoded: what is read from the cells of a row's text columns.

Owns the shapes of a row and the errors of cells that are not of the form. Encoding is ``inputs.py``'s.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from mtl_transformers.errors import DataError
from mtl_transformers.text.encoding import Form, Row


@dataclass(frozen=True, slots=True)
class Options:
    """A row of several sequences: each option behind the row's context, if it has one.

    Attributes:
        context: no text, one, or two, of which the second one opens the second text of each pair.
        options: the options' texts, at least one.
    """

    context: tuple[str, ...]
    options: tuple[str, ...]


RowOf = Row | Options


def row_of(cells: Sequence[Any], *, form: Form, num_context: int = 0) -> RowOf:
    """Return what is encoded of a row's text columns.

    Raises:
        DataError: a cell is null or not of the form.
    """
    if form == "pair":
        first, second = (_text(cell) for cell in cells)
        return first, second
    if form == "text":
        return _text(cells[0])
    if form == "options":
        return Options(tuple(map(_text, cells[:num_context])), tuple(_options(cells[num_context:])))
    words = cells[0]
    if not isinstance(words, list | tuple) or not words or not all(isinstance(word, str) for word in words):
        raise DataError(f"{_shown(words)}: expected a list of words")
    return list(words)


def _options(cells: Sequence[Any]) -> list[str]:
    """Return the options of a row: those of a list, or of several columns, of which empty ones have none."""
    found: list[str] = []
    for cell in cells:
        if isinstance(cell, list | tuple):
            found += map(_option, cell)
        elif cell is not None:
            found.append(_text(cell))
    if not any(map(str.strip, found)):
        raise DataError(f"{_shown(cells[0] if len(cells) == 1 else list(cells))}: expected at least one text")
    return found


def _option(cell: Any) -> str:
    """Return an option of a list; it may be empty, since its place in the list counts."""
    if not isinstance(cell, str):
        raise DataError(f"{_shown(cell)}: expected a text")
    return cell


def _text(cell: Any) -> str:
    if not isinstance(cell, str) or not cell.strip():
        raise DataError(f"{_shown(cell)}: expected a text that is not empty")
    return cell


def _shown(value: Any) -> str:
    shown = repr(value)
    return shown if len(shown) <= 60 else f"{shown[:60]}…"


def text_of(row: RowOf) -> str:
    """Return the text that character offsets count in: the raw text, of a pair the second one, or the words joined."""
    match row:
        case str():
            return row
        case (_, second) if isinstance(row, tuple):
            return second
        case Options():
            return ""
    return " ".join(row)


def excerpt_of(row: RowOf) -> str:
    """Return a row's texts in one, for people."""
    if isinstance(row, Options):
        return " ".join([*row.context, *row.options])
    return row if isinstance(row, str) else " ".join(row)
