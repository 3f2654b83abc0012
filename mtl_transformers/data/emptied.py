"""Finds the rows of which cleaning leaves no text. What an empty text is before cleaning is ``filtering.py``'s."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import datasets
import numpy as np
from numpy.typing import NDArray

from mtl_transformers.data.columns import column_batches
from mtl_transformers.data.origins import Places
from mtl_transformers.errors import DataError
from mtl_transformers.text.cleaning import clean, clean_words


def emptied_rows(table: datasets.Dataset, text: Sequence[str], steps: Sequence[str]) -> NDArray[np.bool_]:
    """``[N]`` where cleaning leaves nothing of a text column, or of all words of one."""
    empty = np.zeros(len(table), dtype=bool)
    if steps:
        for column in text:
            batches = column_batches(table, [column])
            empty |= [_is_emptied(cell, steps) for batch in batches for cell in batch.column(0).to_pylist()]
    return empty


def check_cleaned(
    table: datasets.Dataset, places: Places, *, dataset: str, split: str, text: Sequence[str], steps: Sequence[str]
) -> None:
    """Refuse rows of which cleaning leaves no text.

    Raises:
        DataError: with the first of them and their number.
    """
    emptied = np.flatnonzero(emptied_rows(table, text, steps))
    if len(emptied):
        (place,) = places.of([int(emptied[0])])
        raise DataError(
            f"dataset {dataset!r}, split {split!r}, {place}: data.{dataset}.clean leaves nothing of the text "
            f"({len(emptied)} rows). Remove a step, or set data.{dataset}.filter.drop_empty: true"
        )


def _is_emptied(cell: Any, steps: Sequence[str]) -> bool:
    if isinstance(cell, str):
        return not clean(cell, steps).text.strip()
    return not any(word.strip() for word in clean_words([word for word in cell or () if word], steps))
