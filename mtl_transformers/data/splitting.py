"""Splits, shuffles and limits tables.

Owns which row lands in which split and in which order. Rows are taken by their numbers and stay in Arrow.
The order of a dataset's preparation is: split, shuffle, limit, filter.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from hashlib import blake2b

import datasets
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from mtl_transformers.data.columns import column_batches, require_columns
from mtl_transformers.data.filtering import check_type
from mtl_transformers.data.fingerprints import normalized_texts, places
from mtl_transformers.data.label_codes import strata_of
from mtl_transformers.data.spec import SPLITS
from mtl_transformers.data.stratifying import stratified_sides
from mtl_transformers.data.times import sides_by_time, times_of
from mtl_transformers.errors import ConfigError, DataError, nearest

_LOG = logging.getLogger(__name__)


def split_by_column(
    splits: Mapping[str, datasets.Dataset], *, dataset: str, column: str, values: Mapping[str, str]
) -> dict[str, datasets.Dataset]:
    """Split a table by one of its columns, which is dropped.

    Args:
        splits: one table, under any of our split names.
        dataset: its name, for messages.
        column: the column that names each row's split.
        values: value → our split; ``train``, ``validation`` and ``test`` name themselves.

    Raises:
        ConfigError: several tables, or a value that maps to no split of ours.
        DataError: no such column, or rows with other values.
    """
    if len(splits) != 1:
        raise ConfigError(
            f"data.{dataset}.split.column: the dataset has the splits {', '.join(splits)} already; "
            "a column can only split a single table. Remove the key, or give one file"
        )
    for value, split in values.items():
        if split not in SPLITS:
            raise ConfigError(f"data.{dataset}.split.values.{value}: our splits are {', '.join(SPLITS)}, not {split!r}")
    (table,) = splits.values()
    require_columns(table, [column], where=f"data.{dataset}.split.column: dataset {dataset!r}")
    ours = {**{split: split for split in SPLITS}, **values}
    written = np.concatenate([_as_text(batch.column(0)) for batch in column_batches(table, [column])])
    others = Counter(written[~np.isin(written, list(ours))])
    if others:
        listed = ", ".join(f"{value!r} ({count} rows)" for value, count in sorted(others.items()))
        raise DataError(
            f"dataset {dataset!r}, column {column!r}: {listed} is no split; known are {', '.join(ours)}. "
            f"Map each in data.{dataset}.split.values, as {{dev: validation}}"
        )
    rest = table.remove_columns(column)
    rows = {
        split: np.flatnonzero(np.isin(written, [value for value in ours if ours[value] == split])) for split in SPLITS
    }
    return {split: rest.select(indices) for split, indices in rows.items() if len(indices)}


def split_by_hash(
    splits: Mapping[str, datasets.Dataset],
    *,
    dataset: str,
    ratios: Mapping[str, float],
    text: Sequence[str],
    seed: int,
) -> dict[str, datasets.Dataset]:
    """Make the splits that are lacking from ``train``, by a seeded hash of the normalised text.

    A text's place in [0, 1) depends on its normalised text columns and the seed only. Validation is the lower
    end, test the upper end: so equal texts fall on the same side in every dataset of equal ratios, in any
    order, and a dataset that makes only a test split makes the same one.

    Args:
        splits: the tables; one of them is ``train``.
        dataset: its name, for messages.
        ratios: share of the train texts for ``validation`` and ``test``.
        text: the text columns (text or lists of words).
        seed: of the config.

    Raises:
        ConfigError: a split that exists, ratios outside (0, 1).
        DataError: no train split, no such column, a split that would get no row.
    """
    train = _train_of(splits, dataset=dataset, ratios=ratios)
    at = places(_texts(train, text, dataset=dataset), seed=seed)
    return _divided(splits, _sides_by_place(at, ratios), dataset=dataset, ratios=ratios)


def split_by_group(
    splits: Mapping[str, datasets.Dataset],
    *,
    dataset: str,
    ratios: Mapping[str, float],
    column: str,
    text: Sequence[str],
    seed: int,
) -> dict[str, datasets.Dataset]:
    """Make the splits that are lacking from ``train``, by a seeded hash of a group: no group is on two sides.

    As `split_by_hash`, with groups in the place of texts; ``ratios`` are shares of the groups. Rows whose group is null
    are grouped by their text.

    Raises:
        ConfigError, DataError: as `split_by_hash`; a group column of lists or objects.
    """
    train = _train_of(splits, dataset=dataset, ratios=ratios)
    where = _column_of(train, column, key="group", dataset=dataset)
    stored = train.data.schema.field(column).type
    if pa.types.is_nested(stored):
        raise DataError(f"{where} holds {stored}; a group is a name, a number or a date")
    groups = (group for batch in column_batches(train, [column]) for group in _names(batch.column(0)))
    texts = _texts(train, text, dataset=dataset)
    named = (
        f"text {of_row}" if group is None else f"group {group}" for group, of_row in zip(groups, texts, strict=True)
    )
    return _divided(splits, _sides_by_place(places(named, seed=seed), ratios), dataset=dataset, ratios=ratios)


def split_by_time(
    splits: Mapping[str, datasets.Dataset], *, dataset: str, ratios: Mapping[str, float], column: str
) -> dict[str, datasets.Dataset]:
    """Make the splits that are lacking from ``train``, by time: test is the newest rows, validation those before.

    Rows of equal time are on one side; so the shares are as near as that allows.

    Raises:
        ConfigError, DataError: as `split_by_hash`; a column that holds no times, a row without one.
    """
    train = _train_of(splits, dataset=dataset, ratios=ratios)
    where = _column_of(train, column, key="time", dataset=dataset)
    times = times_of(
        pa.chunked_array([c for b in column_batches(train, [column]) for c in b.column(0).chunks]), where=where
    )
    return _divided(splits, sides_by_time(times, _shares(ratios)), dataset=dataset, ratios=ratios)


def split_by_strata(
    splits: Mapping[str, datasets.Dataset],
    *,
    dataset: str,
    ratios: Mapping[str, float],
    column: str,
    text: Sequence[str],
    seed: int,
) -> dict[str, datasets.Dataset]:
    """Make the splits that are lacking from ``train``, so that every label has its shares (`stratifying`).

    Rows of equal text stay together, and the seed decides which texts go where.

    Raises:
        ConfigError, DataError: as `split_by_hash`; a column of objects.
    """
    train = _train_of(splits, dataset=dataset, ratios=ratios)
    where = _column_of(train, column, key="stratify", dataset=dataset)
    texts = list(_texts(train, text, dataset=dataset))
    rows_of: dict[str, Counter[str]] = {of_row: Counter() for of_row in texts}
    for of_row, labels in zip(texts, strata_of(train, column, where=where), strict=True):
        rows_of[of_row].update(labels)
    distinct = list(rows_of)
    at = dict(zip(distinct, places(distinct, seed=seed), strict=True))
    in_order = sorted(distinct, key=lambda of_row: (at[of_row], of_row))
    found = stratified_sides([rows_of[of_row] for of_row in in_order], _shares(ratios))
    side_of = dict(zip(in_order, found, strict=True))
    sides = np.array([side_of[of_row] for of_row in texts], dtype=np.int64)
    return _divided(splits, sides, dataset=dataset, ratios=ratios)


def _train_of(splits: Mapping[str, datasets.Dataset], *, dataset: str, ratios: Mapping[str, float]) -> datasets.Dataset:
    where = f"data.{dataset}.split"
    if "train" not in splits:
        raise DataError(f"dataset {dataset!r} has no train split, so {where} has nothing to split")
    for split, ratio in ratios.items():
        if split not in SPLITS[1:]:
            raise ConfigError(f"{where}.{split}: ratios are for validation and test{nearest(split, SPLITS[1:])}")
        if split in splits:
            raise ConfigError(f"{where}.{split}: the dataset has a {split} split already; remove the key")
        if not 0 < ratio < 1:
            raise ConfigError(f"{where}.{split}: {ratio} is not between 0 and 1")
    if not 0 < sum(ratios.values()) < 1:
        raise ConfigError(f"{where}: the ratios add up to {sum(ratios.values())}; they must leave rows to train on")
    return splits["train"]


def _column_of(train: datasets.Dataset, column: str, *, key: str, dataset: str) -> str:
    """Return the words for a column that a way of splitting names; refuse one that is not there."""
    where = f"data.{dataset}.split.{key}: dataset {dataset!r}, split 'train'"
    require_columns(train, [column], where=where)
    return f"{where}, column {column!r}"


def _texts(train: datasets.Dataset, text: Sequence[str], *, dataset: str) -> Iterator[str]:
    require_columns(train, text, where=f"data.{dataset}.text: dataset {dataset!r}, split 'train'")
    for column in text:
        check_type(train, column, dataset=dataset, split="train")
    return normalized_texts(train, text)


def _names(column: pa.ChunkedArray) -> list[str | None]:
    names: list[str | None] = pc.cast(column, pa.string()).to_pylist()
    return names


def _shares(ratios: Mapping[str, float]) -> list[float]:
    """Return the share of each of `SPLITS`."""
    return [1.0 - sum(ratios.values()), *(ratios.get(split, 0.0) for split in SPLITS[1:])]


def _sides_by_place(at: NDArray[np.float64], ratios: Mapping[str, float]) -> NDArray[np.int64]:
    """``[N]`` the place in `SPLITS` of each row: validation is the lower end, test the upper one."""
    sides: NDArray[np.int64] = np.where(at < ratios.get("validation", 0.0), 1, 0)
    sides[at >= 1.0 - ratios.get("test", 0.0)] = 2
    return sides


def _divided(
    splits: Mapping[str, datasets.Dataset], sides: NDArray[np.int64], *, dataset: str, ratios: Mapping[str, float]
) -> dict[str, datasets.Dataset]:
    """Put the rows of train where their side (a place in `SPLITS`) is."""
    made = dict(splits)
    for side, split in enumerate(SPLITS):
        if split != "train" and split not in ratios:
            continue
        rows = np.flatnonzero(sides == side)
        if not len(rows):
            raise DataError(
                f"dataset {dataset!r}: data.{dataset}.split leaves the split {split!r} without a row "
                f"({len(sides)} rows in all); change the ratios or give more rows"
            )
        made[split] = splits["train"].select(rows)
    _LOG.info(
        "data.%s.split: %s rows", dataset, ", ".join(f"{split} {len(made[split])}" for split in ("train", *ratios))
    )
    return {split: made[split] for split in SPLITS if split in made}


def shuffle_rows(table: datasets.Dataset, *, dataset: str, split: str, seed: int) -> datasets.Dataset:
    """Put the rows of a split in a seeded order, which depends on the names and the number of rows only."""
    key = blake2b(f"{seed}/shuffle/{dataset}/{split}".encode(), digest_size=16).digest()
    draws = np.random.Philox(key=int.from_bytes(key, "big")).random_raw(len(table))
    return table.select(np.argsort(draws, kind="stable"))


def limit_rows(table: datasets.Dataset, limit: int | None) -> datasets.Dataset:
    """Keep the first ``limit`` rows; all of them where there are fewer or the limit is ``None``."""
    return table if limit is None or limit >= len(table) else table.select(range(limit))


def _as_text(column: pa.ChunkedArray) -> np.ndarray:
    """``[N]`` the values as they are written; a null is ``null``."""
    return np.asarray(pc.fill_null(pc.cast(column, pa.string()), "null").to_pylist(), dtype=object)
