"""Finds training texts that stand in a validation or test split of any dataset, and leaves them out.

Owns what a leak is. Works on all datasets at once, when each is split, limited and filtered by itself.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from mtl_transformers.data.caching import contiguous
from mtl_transformers.data.fingerprints import fingerprints, normalized_texts
from mtl_transformers.data.preparing import Tables
from mtl_transformers.data.repeats import Found
from mtl_transformers.errors import DataError

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Leak:
    """Rows of a train split whose text stands in an evaluated split.

    Attributes:
        dataset: whose train split it is.
        other: the dataset of the evaluated split; often the same.
        split: its name: validation or test.
        found: rows of train, and the first row of that split that each equals.
    """

    dataset: str
    other: str
    split: str
    found: Found


def leaks_of(tables: Mapping[str, Tables]) -> list[Leak]:
    """Find the train rows of every dataset whose normalised text stands in validation or test of any dataset.

    The text is that of all text columns: pairs equal pairs; of queries and candidates it is the query. What the rows
    are labelled with does not matter.
    """
    prints = {
        name: {split: fingerprints(normalized_texts(table, of.spec.telling)) for split, table in of.splits.items()}
        for name, of in tables.items()
    }
    return [
        Leak(dataset, other, split, found)
        for dataset, splits in prints.items()
        for other, evaluated in prints.items()
        for split in evaluated
        if split != "train" and "train" in splits
        for found in [rows_within(splits["train"], evaluated[split])]
        if len(found)
    ]


def rows_within(texts: NDArray[np.uint64], others: NDArray[np.uint64]) -> Found:
    """Find the rows whose text is among others, and the first of the others that each equals."""
    distinct, first = np.unique(others, return_index=True)
    at = np.searchsorted(distinct, texts)
    rows = np.flatnonzero(np.append(distinct, np.uint64(0))[at] == texts) if len(distinct) else at[:0]
    rows = rows[at[rows] < len(distinct)]
    return Found(rows, first[at[rows]])


def without_leaks(tables: Mapping[str, Tables]) -> dict[str, Tables]:
    """Leave out the leaked train rows of the datasets that ask for it (``filter.drop_leaks``), and count them.

    Raises:
        DataError: no row would be left.
    """
    if not any(of.spec.filters.drop_leaks for of in tables.values()):
        return dict(tables)
    leaked: dict[str, list[NDArray[np.int64]]] = {name: [] for name in tables}
    for leak in leaks_of(tables):
        leaked[leak.dataset].append(leak.found.rows)
    return {
        name: _without(of, leaked[name]) if of.spec.filters.drop_leaks and "train" in of.splits else of
        for name, of in tables.items()
    }


def _without(tables: Tables, leaked: list[NDArray[np.int64]]) -> Tables:
    train = tables.splits["train"]
    kept = np.setdiff1d(np.arange(len(train)), np.concatenate([np.array([], dtype=np.int64), *leaked]))
    num_dropped = len(train) - len(kept)
    name = tables.spec.name
    _LOG.info("data.%s, train: left out by drop_leaks: %d rows", name, num_dropped)
    if not len(kept):
        raise DataError(
            f"data.{name}.filter.drop_leaks leaves no row: all {len(train)} texts of train stand in a validation or "
            "test split. Give each split files of its own"
        )
    counts = {**tables.num_dropped, "train": {**tables.num_dropped.get("train", {}), "drop_leaks": num_dropped}}
    if not num_dropped:
        return replace(tables, num_dropped=counts)
    return replace(
        tables,
        splits={**tables.splits, "train": contiguous(train.select(kept)).with_format(None)},
        places={**tables.places, "train": tables.places["train"].select(kept)},
        num_dropped=counts,
    )
