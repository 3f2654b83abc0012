"""Puts the rows of a query together: one row for each query, with a list of its candidates and of their labels.

So a split, a limit or a step never separates the candidates of a query. Owns which rows are one query and what may
differ between them; what the labels mean is the task's.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from typing import Any

import datasets
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from mtl_transformers.data.caching import cached_map, digest
from mtl_transformers.data.columns import column_batches, holds_lists, require_columns
from mtl_transformers.data.emptied import check_cleaned
from mtl_transformers.data.filtering import check_texts, rows_without_text
from mtl_transformers.data.origins import Origin, Places, without_numbers
from mtl_transformers.data.spec import DatasetSpec, Grouping
from mtl_transformers.errors import DataError

_LOG = logging.getLogger(__name__)

_Numbers = NDArray[np.int64]


def group_rows(
    splits: Mapping[str, datasets.Dataset], spec: DatasetSpec, origin: Origin
) -> dict[str, datasets.Dataset]:
    """Group the numbered tables of a dataset as its spec says; without grouping they stay what they are.

    A query stands where its first row stood, and has that row's number and other cells.

    Raises:
        DataError: a column is missing, a group is null or has two texts of the query, a candidate is empty, or
            lists of candidates and labels differ in their lengths.
    """
    if spec.group is None:
        return dict(splits)
    return {split: _grouped(table, spec, spec.group, split, origin) for split, table in splits.items()}


def _grouped(
    table: datasets.Dataset, spec: DatasetSpec, group: Grouping, split: str, origin: Origin
) -> datasets.Dataset:
    where = f"dataset {spec.name!r}, split {split!r}"
    query, candidates = spec.text
    require_columns(table, [*spec.text, *group.labels, *([group.column] if group.column else [])], where=where)
    if holds_lists(table, candidates):
        _check_lists(table, group, candidates, without_numbers(table, origin)[1], where=where)
        return table
    if spec.filters.drop_empty:
        empty = rows_without_text(table, spec, split)
        _LOG.info("data.%s, %s: rows without text, left out before they are grouped: %d", spec.name, split, len(empty))
        table = table.select(np.delete(np.arange(len(table)), empty))
    places = without_numbers(table, origin)[1]
    check_texts(table, places, dataset=spec.name, split=split, text=spec.text)
    check_cleaned(table, places, dataset=spec.name, split=split, text=spec.text, steps=spec.clean)
    by = group.column or query
    groups = _codes(table, by, places, where=where)
    if by != query:
        _check_queries(_codes(table, query, places, where=where), groups, places, where=f"{where}, column {query!r}")
    key = digest("groups", table._fingerprint, json.dumps([by, candidates, *group.labels]))
    return _with_lists(table, groups, (candidates, *group.labels), key=key)


def _codes(table: datasets.Dataset, column: str, places: Places, *, where: str) -> _Numbers:
    """``[N]`` a number for each value of a column, in the order in which they first appear."""
    if holds_lists(table, column):
        raise DataError(f"{where}, column {column!r} holds lists; expected one value in each row")
    cells = pa.chunked_array([chunk for of in column_batches(table, [column]) for chunk in of.column(0).chunks])
    if cells.null_count:
        (place,) = places.of([pc.index(cells.is_null(), True).as_py()])
        raise DataError(f"{where}, {place}, column {column!r}: the group is null. Fix the data")
    encoded = cells.dictionary_encode().unify_dictionaries()
    return np.concatenate([chunk.indices.to_numpy() for chunk in encoded.chunks]).astype(np.int64)


def _check_queries(texts: _Numbers, groups: _Numbers, places: Places, *, where: str) -> None:
    """Refuse a group whose rows have different texts of the query."""
    _, first = np.unique(groups, return_index=True)
    others = np.flatnonzero(texts != texts[first[groups]])
    if len(others):
        one, other = places.of([int(first[groups[others[0]]]), int(others[0])])
        raise DataError(
            f"{where}: {one} and {other} are of one group, and their texts differ; the candidates of a group "
            "have the same query. Fix the data, or name another group"
        )


def _check_lists(table: datasets.Dataset, group: Grouping, candidates: str, places: Places, *, where: str) -> None:
    """Refuse rows whose labels are not as many as their candidates, and a group where each row is one."""
    if group.column is not None:
        raise DataError(
            f"{where}: column {candidates!r} holds lists, so each row is a query already; "
            f"remove group: {group.column} from its tasks"
        )
    start = 0
    for batch in column_batches(table, [candidates, *group.labels]):
        for label in group.labels:
            if not holds_lists(table, label):
                raise DataError(f"{where}: column {candidates!r} holds lists, so {label!r} needs lists too")
            lengths = [pc.list_value_length(batch.column(column)) for column in (candidates, label)]
            wrong = np.flatnonzero(pc.fill_null(pc.not_equal(*lengths), False).to_numpy())  # noqa: FBT003
            if len(wrong):
                (place,) = places.of([start + int(wrong[0])])
                counts = [length[int(wrong[0])].as_py() for length in lengths]
                raise DataError(
                    f"{where}, {place}: {counts[0]} cells in {candidates!r}, {counts[1]} in {label!r}; expected as many"
                )
        start += len(batch)


def _with_lists(table: datasets.Dataset, groups: _Numbers, columns: Sequence[str], *, key: str) -> datasets.Dataset:
    """Return the first row of each group, in which some columns hold the cells of all rows of the group."""
    order = np.argsort(groups, kind="stable")
    ends = np.bincount(groups).cumsum()
    starts = np.concatenate([[0], ends[:-1]])
    cells = table.select_columns(list(columns)).with_format(None)

    def gathered(batch: Mapping[str, list[Any]], numbers: list[int]) -> dict[str, list[Any]]:
        begin, end = int(starts[numbers[0]]), int(ends[numbers[-1]])
        found = cells[order[begin:end]]
        spans = [(starts[n] - begin, ends[n] - begin) for n in numbers]
        return {**batch, **{column: [found[column][a:b] for a, b in spans] for column in columns}}

    features = {**table.features, **{column: datasets.List(table.features[column]) for column in columns}}
    return cached_map(table.select(order[starts]), gathered, features=features, key=key)
