"""Rows as a user gives them: texts or mappings of columns, and what a task reads of each."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from mtl_transformers.errors import DataError
from mtl_transformers.text.encoding import Form
from mtl_transformers.text.inputs import Input
from mtl_transformers.text.rows import RowOf, excerpt_of, row_of

GivenRow = str | Mapping[str, Any]


def check_rows(rows: Sequence[GivenRow]) -> None:
    """Refuse what is no sequence of texts or of mappings.

    Raises:
        DataError: with what was expected.
    """
    if isinstance(rows, str | Mapping):
        raise DataError(f"rows are a list; got one {'text' if isinstance(rows, str) else 'row'}: put it into a list")
    texts = 0
    for number, row in enumerate(rows, start=1):
        if not isinstance(row, str | Mapping):
            raise DataError(f"row {number} is a {type(row).__name__}; expected a text or a mapping of columns")
        texts += isinstance(row, str)
    if texts not in (0, len(rows)):
        raise DataError(f"{texts} of {len(rows)} rows are texts, the others mappings; give all in one form")


def columns_of(rows: Sequence[GivenRow]) -> list[str] | None:
    """Return the columns that any of some checked rows has; ``None`` where they are texts."""
    if rows and isinstance(rows[0], str):
        return None
    return list(dict.fromkeys(column for row in rows for column in row))


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
    if isinstance(row, str):
        cells: tuple[Any, ...] = (row,)
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


def listed(names: Iterable[str]) -> str:
    """Return names for a message."""
    return ", ".join(map(repr, names))
