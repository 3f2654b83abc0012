"""Rows as a user gives them: texts or mappings of columns, and what a task reads of each."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal

from mtl_transformers.errors import DataError
from mtl_transformers.text.encoding import Form
from mtl_transformers.text.inputs import Input
from mtl_transformers.text.rows import RowOf, excerpt_of, row_of

GivenRow = str | Mapping[str, Any]


def check_rows(rows: Sequence[GivenRow], *, errors: Literal["raise", "keep"] = "raise") -> None:
    """Refuse what is no sequence of texts or of mappings.

    Args:
        rows: what was given.
        errors: ``keep``: a row that is neither is no reason; it has an error of its own when it is read.

    Raises:
        DataError: with what was expected.
    """
    if isinstance(rows, str | Mapping):
        raise DataError(f"rows are a list; got one {'text' if isinstance(rows, str) else 'row'}: put it into a list")
    texts, mappings = 0, 0
    for number, row in enumerate(rows, start=1):
        texts += isinstance(row, str)
        mappings += isinstance(row, Mapping)
        if errors == "raise" and texts + mappings < number:
            raise DataError(f"row {number} is a {type(row).__name__}; expected a text or a mapping of columns")
    if texts and mappings:
        raise DataError(f"{texts} of {len(rows)} rows are texts, the others mappings; give all in one form")


def columns_of(rows: Sequence[GivenRow]) -> list[str] | None:
    """Return the columns that any of some checked rows has; ``None`` where they are texts."""
    if any(isinstance(row, str) for row in rows):
        return None
    return list(dict.fromkeys(column for row in rows if isinstance(row, Mapping) for column in row))


def lacking(given: Input, columns: Sequence[str] | None) -> str | None:
    """Return what some rows lack for an input; a text has the one column that an input reads, but not two."""
    if columns is None:
        return None if len(given.required) == 1 else "a plain text stands for one column; give mappings"
    return None if set(given.required) <= set(columns) else f"the rows have {listed(columns)}"


def read_row(row: GivenRow, given: Input) -> tuple[RowOf, Form]:
    """Return what is encoded of a row, and the form that it was given in.

    A task that was trained on words reads raw text too, and the other way round; one that was trained on a list of
    candidates reads a single one, which makes a pair.

    Raises:
        DataError: a column is missing, null, empty, of another type or no valid Unicode.
    """
    cells: tuple[Any, ...]
    if isinstance(row, str):
        cells = (row,)
    elif not isinstance(row, Mapping):
        raise DataError(f"the row is a {type(row).__name__}; expected a text or a mapping of columns")
    elif missing := [column for column in given.required if column not in row]:
        raise DataError(f"no column {missing[0]!r}; it has {listed(row)}")
    else:
        cells = tuple(row.get(column) for column in given.columns)
    form = given.form
    if form == "options" and given.num_context == 1 and len(cells) == 2 and isinstance(cells[1], str):
        form = "pair"
    elif form in ("text", "words"):
        form = "words" if isinstance(cells[0], list | tuple) else "text"
    found = row_of(cells, form=form, num_context=given.num_context)
    try:
        excerpt_of(found).encode()
    except UnicodeEncodeError as error:
        raise DataError(f"{listed(given.columns)} is no valid Unicode: {error}") from error
    return found, form


def made_row(given: Input, num_words: int) -> GivenRow:
    """Return a row that an input can read, with a number of words in each text."""
    text = " ".join(["word"] * num_words)
    row: dict[str, Any] = dict.fromkeys(given.columns, text)
    if given.form == "options" and len(given.columns) == given.num_context + 1:
        row[given.columns[-1]] = [text, text]
    return row


def listed(names: Iterable[str]) -> str:
    """Return names for a message."""
    return ", ".join(map(repr, names))
