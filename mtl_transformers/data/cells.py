"""Reads label cells: the ids of a ClassLabel become its names, and its −1 null (the convention of GLUE).

So a task knows names only, and a table that numbers its classes otherwise is mapped by name. Does not know tasks.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import datasets

from mtl_transformers.data.caching import BATCH_ROWS
from mtl_transformers.errors import DataError

Reader = Callable[[Any], Any]
_LISTS = (datasets.List, datasets.LargeList)


def class_names(table: datasets.Dataset, column: str) -> list[str] | None:
    """Return the names of a ClassLabel column, or of a column of lists of them."""
    feature = table.features[column]
    while isinstance(feature, _LISTS):
        feature = feature.feature
    return list(feature.names) if isinstance(feature, datasets.ClassLabel) else None


def reader_of(feature: Any) -> Reader:
    """Return what reads a cell of a column by the column's type, also inside of lists and objects.

    The reader raises DataError for an id that is no class.
    """
    if isinstance(feature, datasets.ClassLabel):
        return _class_reader(feature.names)
    if isinstance(feature, _LISTS):
        item = reader_of(feature.feature)
        return _unchanged if item is _unchanged else lambda cell: cell and [item(value) for value in cell]
    if isinstance(feature, dict):
        readers = {name: reader_of(value) for name, value in feature.items()}
        if any(reader is not _unchanged for reader in readers.values()):
            return lambda cell: cell and {name: readers[name](value) for name, value in cell.items()}
    return _unchanged


def cells_of(table: datasets.Dataset, columns: Sequence[str]) -> Iterator[tuple[Any, ...]]:
    """Yield the cells of some columns, row by row, a batch in memory at once.

    Raises:
        DataError: an id that is no class.
    """
    if not columns:
        yield from itertools.repeat((), len(table))
        return
    readers = [reader_of(table.features[column]) for column in columns]
    for batch in table.select_columns(list(columns)).with_format(None).iter(batch_size=BATCH_ROWS):
        for row in zip(*(batch[column] for column in columns), strict=True):
            yield tuple(read(cell) for read, cell in zip(readers, row, strict=True))


def _unchanged(cell: Any) -> Any:
    return cell


def _class_reader(names: Sequence[str]) -> Reader:
    def read(cell: int | None) -> str | None:
        if cell is None or cell == -1:
            return None
        if not 0 <= cell < len(names):
            raise DataError(
                f"label id {cell} is outside 0 to {len(names) - 1}, the classes of the column "
                f"({', '.join(map(repr, names[:10]))}{', …' if len(names) > 10 else ''}); −1 is null. Fix the data"
            )
        return names[cell]

    return read
