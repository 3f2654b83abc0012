"""Drops rows without text, or refuses them.

Owns what an empty text is: null, nothing but whitespace, or a list without a word that has a character.
Labels are none of its business: a null label is masked, never filtered.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import datasets
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from mtl_transformers.data.columns import column_batches, require_columns
from mtl_transformers.data.origins import Places
from mtl_transformers.errors import DataError


def drop_empty(
    table: datasets.Dataset, *, dataset: str, split: str, text: Sequence[str]
) -> tuple[datasets.Dataset, npt.NDArray[np.int64]]:
    """Drop the rows whose text is empty in any of the text columns.

    Returns:
        The other rows in their order, and ``[n]`` their numbers in the table.

    Raises:
        DataError: a text column that is missing or holds no text, or no row left.
    """
    empty = np.zeros(len(table), dtype=bool)
    for column in text:
        empty |= _empty_rows(table, column, dataset=dataset, split=split)
    kept = np.flatnonzero(~empty)
    if len(table) and not len(kept):
        raise DataError(
            f"dataset {dataset!r}, split {split!r}: every text of {', '.join(text)} is empty; check data.{dataset}.text"
        )
    return table if len(kept) == len(table) else table.select(kept), kept


def check_texts(table: datasets.Dataset, places: Places, *, dataset: str, split: str, text: Sequence[str]) -> None:
    """Refuse empty texts.

    Args:
        table: the rows of a split.
        places: where they come from.
        dataset: its name, for messages.
        split: likewise.
        text: the text columns.

    Raises:
        DataError: a text column that is missing or holds no text, an empty text, a null among words.
    """
    for column in text:
        empty = np.flatnonzero(_empty_rows(table, column, dataset=dataset, split=split))
        if len(empty):
            where = f"dataset {dataset!r}, split {split!r}, {places.of([int(empty[0])])[0]}, column {column!r}"
            raise DataError(
                f"{where}: the text is null or empty ({len(empty)} rows are). "
                f"Fix the data, or set data.{dataset}.filter.drop_empty: true"
            )
        _check_words(table, column, places, where=f"dataset {dataset!r}, split {split!r}")


def _check_words(table: datasets.Dataset, column: str, places: Places, *, where: str) -> None:
    start = 0
    for texts in _chunks(table, column):
        if _is_words(texts.type) and texts.flatten().null_count:
            nulls = pc.list_parent_indices(texts).filter(pc.is_null(texts.flatten()))
            (place,) = places.of([start + nulls[0].as_py()])
            raise DataError(f"{where}, {place}, column {column!r}: one of the words is null. Fix the data")
        start += len(texts)


def _empty_rows(table: datasets.Dataset, column: str, *, dataset: str, split: str) -> npt.NDArray[np.bool_]:
    """``[N]`` where a text column is empty."""
    require_columns(table, [column], where=f"data.{dataset}.text: dataset {dataset!r}, split {split!r}")
    check_type(table, column, dataset=dataset, split=split)
    return np.concatenate([~_has_text(texts) for texts in _chunks(table, column)] or [np.zeros(0, dtype=bool)])


def check_type(table: datasets.Dataset, column: str, *, dataset: str, split: str) -> None:
    """Refuse a text column that holds no text.

    Raises:
        DataError: with its type.
    """
    stored = table.data.schema.field(column).type
    if not (_is_text(stored) or _is_words(stored) or pa.types.is_null(stored)):
        raise DataError(
            f"dataset {dataset!r}, split {split!r}, column {column!r} holds {stored}; "
            f"data.{dataset}.text needs text or lists of words"
        )


def _has_text(texts: pa.Array) -> npt.NDArray[np.bool_]:
    """``[N]`` where a text, or one of its words, has a character that is no whitespace."""
    if pa.types.is_null(texts.type):
        return np.zeros(len(texts), dtype=bool)
    if _is_words(texts.type):
        found = np.zeros(len(texts), dtype=bool)
        parents = pc.list_parent_indices(texts).to_numpy()
        found[parents[_has_text(texts.flatten())]] = True
        return found
    filled = pc.not_equal(pc.utf8_trim_whitespace(texts), "")
    flags: npt.NDArray[np.bool_] = pc.fill_null(filled, False).to_numpy(zero_copy_only=False)  # noqa: FBT003
    return flags


def _chunks(table: datasets.Dataset, column: str) -> Iterator[pa.Array]:
    for batch in column_batches(table, [column]):
        yield from batch.column(0).chunks


def _is_text(stored: pa.DataType) -> bool:
    return bool(pa.types.is_string(stored) or pa.types.is_large_string(stored))


def _is_words(stored: pa.DataType) -> bool:
    is_list = pa.types.is_list(stored) or pa.types.is_large_list(stored)
    return bool(is_list and (_is_text(stored.value_type) or pa.types.is_null(stored.value_type)))
