"""Leaves rows out: those without text, too short or too long ones, repeats and contradictions.

Owns the filters of one split, their order, and what an empty text is: null, nothing but whitespace, or a list without
a word that has a character. A null label is masked, never a reason to leave a row out. Leaks are in `leaks`.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence

import datasets
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from mtl_transformers.data.columns import column_batches, require_columns
from mtl_transformers.data.emptied import emptied_rows
from mtl_transformers.data.fingerprints import fingerprints, normalized_texts, written_texts
from mtl_transformers.data.label_codes import label_codes
from mtl_transformers.data.near import near_duplicates_of
from mtl_transformers.data.origins import Places
from mtl_transformers.data.repeats import conflicts_of, duplicates_of, row_codes
from mtl_transformers.data.spec import DatasetSpec
from mtl_transformers.errors import DataError

_LOG = logging.getLogger(__name__)

_Rows = npt.NDArray[np.int64]


def filter_rows(table: datasets.Dataset, spec: DatasetSpec, *, split: str) -> tuple[_Rows, dict[str, int]]:
    """Apply the filters of a dataset to a split, one after the other.

    Conflicts come before duplicates, because of two nearly equal texts the one that stays might be the one that agrees.

    Args:
        table: the rows of the split.
        spec: which filters, and which columns are text and labels.
        split: its name; conflicts are left out of train only, since evaluation is to stay what it is.

    Returns:
        ``[n]`` the rows that stay, and how many each filter left out, by its key in the config.

    Raises:
        DataError: a column that is missing or holds no text, or a filter that leaves no row.
    """
    kept = np.arange(len(table))
    counts: dict[str, int] = {}
    for key, dropped_rows in _asked_for(spec, split=split).items():
        dropped = dropped_rows(table.select(kept) if len(kept) < len(table) else table, spec, split)
        counts[key] = len(dropped)
        if len(kept) and len(dropped) == len(kept):
            raise DataError(
                f"dataset {spec.name!r}, split {split!r}: data.{spec.name}.filter.{key} leaves no row of {len(kept)}; "
                f"check data.{spec.name}.text ({', '.join(spec.text)}), or change the filter"
            )
        kept = np.delete(kept, dropped)
    if counts:
        listed = ", ".join(f"{key} {rows}" for key, rows in counts.items())
        _LOG.info("data.%s, %s: rows left out: %s", spec.name, split, listed)
    return kept, counts


def _asked_for(spec: DatasetSpec, *, split: str) -> Mapping[str, Callable[[datasets.Dataset, DatasetSpec, str], _Rows]]:
    asked = spec.filters
    every = {
        "drop_empty": (asked.drop_empty, rows_without_text),
        "min_words": (asked.min_words is not None, _too_short),
        "max_words": (asked.max_words is not None, _too_long),
        "drop_conflicts": (asked.drop_conflicts and split == "train", _conflicts),
        "drop_duplicates": (asked.drop_duplicates, _duplicates if asked.near is None else _near_duplicates),
    }
    return {key: dropped for key, (is_asked_for, dropped) in every.items() if is_asked_for}


def rows_without_text(table: datasets.Dataset, spec: DatasetSpec, split: str) -> _Rows:
    """Return the rows that have no text in one of the text columns, or none that cleaning leaves.

    Raises:
        DataError: a text column that is missing or holds no text.
    """
    empty = [_empty_rows(table, column, dataset=spec.name, split=split) for column in spec.text]
    return np.flatnonzero(np.logical_or.reduce([*empty, emptied_rows(table, spec.text, spec.clean)]))


def _too_short(table: datasets.Dataset, spec: DatasetSpec, split: str) -> _Rows:
    return np.flatnonzero(_num_words(table, spec, split) < (spec.filters.min_words or 0))


def _too_long(table: datasets.Dataset, spec: DatasetSpec, split: str) -> _Rows:
    return np.flatnonzero(_num_words(table, spec, split) > (spec.filters.max_words or 0))


def _num_words(table: datasets.Dataset, spec: DatasetSpec, split: str) -> _Rows:
    """``[N]`` words of the text columns together: what stands between whitespace, or in the list."""
    _require_text(table, spec, split)
    return np.fromiter((len(text.split()) for text in written_texts(table, spec.text)), np.int64, count=len(table))


def _conflicts(table: datasets.Dataset, spec: DatasetSpec, split: str) -> _Rows:
    labels = _label_codes(table, spec, split)
    texts = fingerprints(normalized_texts(table, spec.text))
    written = fingerprints(written_texts(table, spec.text)) if spec.word_labels else texts
    found = [
        conflicts_of(written if column in spec.word_labels else texts, codes).rows for column, codes in labels.items()
    ]
    return np.unique(np.concatenate(found)) if found else np.array([], dtype=np.int64)


def _duplicates(table: datasets.Dataset, spec: DatasetSpec, split: str) -> _Rows:
    labels = _label_codes(table, spec, split)
    return duplicates_of(fingerprints(normalized_texts(table, spec.text)), list(labels.values())).rows


def _near_duplicates(table: datasets.Dataset, spec: DatasetSpec, split: str) -> _Rows:
    labels = _label_codes(table, spec, split)
    codes = row_codes(np.zeros(len(table), dtype=np.uint64), list(labels.values()))
    texts = list(normalized_texts(table, spec.text))
    return near_duplicates_of(texts, codes, threshold=spec.filters.near or 1.0).rows


def _label_codes(table: datasets.Dataset, spec: DatasetSpec, split: str) -> dict[str, _Rows]:
    _require_text(table, spec, split)
    where = f"data.{spec.name}.filter compares labels: dataset {spec.name!r}, split {split!r}"
    require_columns(table, spec.labels, where=where)
    return {column: label_codes(table, column) for column in spec.labels}


def _require_text(table: datasets.Dataset, spec: DatasetSpec, split: str) -> None:
    require_columns(table, spec.text, where=f"data.{spec.name}.text: dataset {spec.name!r}, split {split!r}")
    for column in spec.text:
        check_type(table, column, dataset=spec.name, split=split)


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
