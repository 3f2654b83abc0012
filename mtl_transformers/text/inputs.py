"""What of a row goes into the encoder. Tasks with an equal `Input` share an encoder pass.

Owns the way from a row's columns to what is encoded; encoding itself is ``encoding.py``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from mtl_transformers.errors import DataError
from mtl_transformers.text.encoding import Features, Form, Row, TextEncoder


@dataclass(frozen=True, slots=True)
class Input:
    """The columns that are read, in which form, and how many tokens are kept.

    Attributes:
        columns: one column of text or words, or two of a pair.
        form: how they are written.
        max_length: tokens of a sequence, special tokens included.
        aligned: whether words are aligned with tokens, as token classification needs.
    """

    columns: tuple[str, ...]
    form: Form
    max_length: int
    aligned: bool = False

    def to_json(self) -> dict[str, Any]:
        """Return the input as plain JSON."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Input:
        """Rebuild an input from `to_json`."""
        return cls(**{**values, "columns": tuple(values["columns"])})


def row_of(cells: Sequence[Any], *, form: Form) -> Row:
    """Return what is encoded of a row's text columns.

    Raises:
        DataError: a cell is null or not of the form.
    """
    if form == "pair":
        first, second = (_text(cell) for cell in cells)
        return first, second
    if form == "text":
        return _text(cells[0])
    words = cells[0]
    if not isinstance(words, list | tuple) or not words or not all(isinstance(word, str) for word in words):
        raise DataError(f"{_shown(words)}: expected a list of words")
    return list(words)


def _text(cell: Any) -> str:
    if not isinstance(cell, str) or not cell.strip():
        raise DataError(f"{_shown(cell)}: expected a text that is not empty")
    return cell


def _shown(value: Any) -> str:
    shown = repr(value)
    return shown if len(shown) <= 60 else f"{shown[:60]}…"


def text_of(row: Row) -> str:
    """Return the text that character offsets count in: the raw text, or the words joined by one space."""
    return row if isinstance(row, str) else " ".join(row)


def encode(encoder: TextEncoder, rows: Sequence[Row], *, form: Form, aligned: bool) -> list[Features]:
    """Encode rows, with their words where a task reads them."""
    if aligned and form != "pair":
        return encoder.encode_words(rows, form=form)
    return encoder.encode(rows, form=form)
