"""What makes two labels equal, and the strata of a label column.

Owns labels as far as columns alone tell: no task is asked. Reading labels for a task is in `cells`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import datasets
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from mtl_transformers.data.caching import BATCH_ROWS
from mtl_transformers.errors import DataError

NULL = -1
_BINS = 10


def label_codes(table: datasets.Dataset, column: str) -> NDArray[np.int64]:
    """``[N]`` numbers that are equal where the labels are; `NULL` for null, NaN and the −1 of a ClassLabel.

    The order of names in a list does not count; that of numbers does, because they may be 0/1 or probabilities.
    """
    codes: dict[str, int] = {}
    found = (_written(cell) for cell in _cells(table, column))
    numbers = (NULL if label is None else codes.setdefault(label, len(codes)) for label in found)
    return np.fromiter(numbers, dtype=np.int64, count=len(table))


def strata_of(table: datasets.Dataset, column: str, *, where: str) -> list[tuple[str, ...]]:
    """Return the strata of each row, at least one: its label, or the labels of its list.

    Null is a stratum, and so is an empty list. Fractions are told apart by tenths of their number only.

    Raises:
        DataError: a column of objects.
    """
    stored = table.data.schema.field(column).type
    inner = stored.value_type if pa.types.is_list(stored) or pa.types.is_large_list(stored) else stored
    if pa.types.is_nested(inner):
        raise DataError(f"{where} holds {stored}; strata are names, numbers or lists of these")
    cells = list(_cells(table, column))
    if pa.types.is_floating(stored):
        return [(stratum,) for stratum in _tenths(np.array(cells, dtype=np.float64))]
    return [_strata(cell) for cell in cells]


def _strata(cell: Any) -> tuple[str, ...]:
    if isinstance(cell, list):
        return tuple(sorted({repr(label) for label in cell})) or ("[]",)
    return (repr(cell),)


def _tenths(values: NDArray[np.float64]) -> list[str]:
    """Name each number by itself where all are whole, else by the tenth of the numbers that it is in."""
    known = values[~np.isnan(values)]
    if np.all(known == np.round(known)):
        return [str(value) for value in values]
    edges = np.quantile(known, np.arange(1, _BINS) / _BINS)
    bins = np.searchsorted(edges, values, side="right")
    return ["nan" if np.isnan(value) else str(tenth) for value, tenth in zip(values, bins, strict=True)]


def _written(cell: Any) -> str | None:
    if cell is None or cell != cell:
        return None
    if isinstance(cell, list) and all(isinstance(label, str) for label in cell):
        return repr(sorted(cell))
    return repr(cell)


def _cells(table: datasets.Dataset, column: str) -> Iterator[Any]:
    numbered = isinstance(table.features[column], datasets.ClassLabel)
    for batch in table.select_columns([column]).with_format(None).iter(batch_size=BATCH_ROWS):
        yield from (None if numbered and cell == NULL else cell for cell in batch[column])
