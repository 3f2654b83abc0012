"""Reads columns of a table in bounded memory.

Owns the error of a missing column. Does not know what a column means.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import datasets
import pyarrow as pa

from mtl_transformers.errors import DataError, nearest

NUMBER = "mtl_transformers: number of the row"
"""A column of ours that tells where rows come from while a table is split, shuffled and filtered."""

_BATCH_ROWS = 10_000


def require_columns(table: datasets.Dataset, columns: Sequence[str], *, where: str) -> None:
    """Raise DataError for a column that a table does not have; ``where`` names dataset and split."""
    names = [name for name in table.column_names if name != NUMBER]
    for column in columns:
        if column not in names:
            raise DataError(
                f"{where} has the columns {', '.join(names)} "
                f"and no {column!r}{nearest(column, names)}{delimiter_hint(names)}{_names_hint(names)}"
            )


def _names_hint(names: Sequence[str]) -> str:
    """Return what to set where the columns of a file without header are numbers."""
    is_numbered = list(names) == [str(number) for number in range(len(names))]
    return "; the file has no header, so name them: options: {column_names: […]}" if is_numbered else ""


def delimiter_hint(names: Sequence[str]) -> str:
    """Return what to set where a whole header was read as one column."""
    found = [mark for mark in (";", "\t", "|") if any(mark in name for name in names)]
    return f"; if the cells are cut at {found[0]!r}, set options: {{delimiter: {found[0]!r}}}" if found else ""


def holds_lists(table: datasets.Dataset, column: str) -> bool:
    """Tell whether the cells of a column are lists."""
    stored = table.data.schema.field(column).type
    return bool(pa.types.is_list(stored) or pa.types.is_large_list(stored))


def column_batches(table: datasets.Dataset, columns: Sequence[str]) -> Iterator[pa.Table]:
    """Yield some columns of a table in order, in Arrow, some thousand rows at a time."""
    yield from table.select_columns(list(columns)).with_format("arrow").iter(batch_size=_BATCH_ROWS)
