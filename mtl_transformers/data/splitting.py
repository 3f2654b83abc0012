"""Splits, shuffles and limits tables.

Owns which row lands in which split and in which order. Rows are taken by their numbers and stay in Arrow.
The order of a dataset's preparation is: split, shuffle, limit, filter.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from hashlib import blake2b

import datasets
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mtl_transformers.data.columns import column_batches, require_columns
from mtl_transformers.data.filtering import check_type
from mtl_transformers.data.spec import SPLITS
from mtl_transformers.errors import ConfigError, DataError, nearest


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
    _check_ratios(splits, dataset=dataset, ratios=ratios)
    train = splits["train"]
    require_columns(train, text, where=f"data.{dataset}.text: dataset {dataset!r}, split 'train'")
    for column in text:
        check_type(train, column, dataset=dataset, split="train")
    places = np.fromiter(_places(train, text, seed=seed), dtype=np.float64, count=len(train))
    sides = {
        "validation": places < ratios.get("validation", 0.0),
        "test": places >= 1.0 - ratios.get("test", 0.0),
    }
    taken = {split: sides[split] for split in ratios}
    parts = {"train": ~np.logical_or.reduce(list(taken.values())), **taken}
    for split, mask in parts.items():
        if not mask.any():
            raise DataError(
                f"dataset {dataset!r}: data.{dataset}.split leaves the split {split!r} without a row "
                f"({len(train)} rows in all); change the ratios or give more rows"
            )
    made = {**splits, **{split: train.select(np.flatnonzero(mask)) for split, mask in parts.items()}}
    return {split: made[split] for split in SPLITS if split in made}


def _check_ratios(splits: Mapping[str, datasets.Dataset], *, dataset: str, ratios: Mapping[str, float]) -> None:
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


def _places(table: datasets.Dataset, text: Sequence[str], *, seed: int) -> Iterator[float]:
    """Yield each row's place in [0, 1)."""
    key = seed.to_bytes(16, "big", signed=True)
    for joined in normalized_texts(table, text):
        digest = blake2b(joined.encode("utf-8", "surrogatepass"), digest_size=6, key=key).digest()
        yield int.from_bytes(digest, "big") / 2**48


def normalized_texts(table: datasets.Dataset, text: Sequence[str]) -> Iterator[str]:
    """Yield the normalised text of each row; of several columns joined by a character that no text holds."""
    for batch in column_batches(table, text):
        columns = [batch.column(name).to_pylist() for name in text]
        for row in zip(*columns, strict=True):
            yield "\x1f".join(map(normalize, row))


def normalize(text: str | Sequence[str | None] | None) -> str:
    """Return a text as the hash sees it: NFKC, casefolded, whitespace collapsed, words joined by a space."""
    if not isinstance(text, str):
        text = " ".join(word for word in text or () if word)
    return re.sub(r"\s+", " ", unicodedata.normalize("NFKC", text).casefold()).strip()


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
