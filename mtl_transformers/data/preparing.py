"""From a dataset's spec to its tables, and to the tasks that are fitted on them.

Owns the order (load, group, split, shuffle, limit, filter), the columns that tasks need, and fitting tasks on train.
Rows stay in Arrow on disk; texts and labels are encoded by ``encoded.py``.
"""

from __future__ import annotations

import itertools
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import datasets

from mtl_transformers.data.caching import contiguous
from mtl_transformers.data.cells import cells_of, class_names
from mtl_transformers.data.columns import holds_lists, require_columns
from mtl_transformers.data.emptied import check_cleaned
from mtl_transformers.data.filtering import check_texts, filter_rows
from mtl_transformers.data.grouping import group_rows
from mtl_transformers.data.labelling import shown_row
from mtl_transformers.data.loading import load_splits
from mtl_transformers.data.origins import Places, numbered, origin_of, without_numbers
from mtl_transformers.data.spec import ColumnSplit, DatasetSpec, GroupSplit, HashSplit, StratifiedSplit, TimeSplit
from mtl_transformers.data.splitting import (
    limit_rows,
    shuffle_rows,
    split_by_column,
    split_by_group,
    split_by_hash,
    split_by_strata,
    split_by_time,
)
from mtl_transformers.data.unicode import check_unicode
from mtl_transformers.errors import DataError
from mtl_transformers.tasks.task import Task
from mtl_transformers.text.encoding import Form

DEFAULT_SPLIT = HashSplit({"validation": 0.1})

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Tables:
    """The splits of a dataset as rows of text and labels.

    Attributes:
        spec: how they were made.
        splits: by split name; ``train`` first.
        places: where the rows come from, by split.
        form: how the text column is written.
        num_dropped: rows that filters left out, by split and filter; of the filters that the spec asks for.
    """

    spec: DatasetSpec
    splits: Mapping[str, datasets.Dataset]
    places: Mapping[str, Places]
    form: Form
    num_dropped: Mapping[str, Mapping[str, int]] = field(default_factory=dict)


def load_tables(spec: DatasetSpec, *, seed: int) -> Tables:
    """Load, group, split, shuffle, limit and filter a dataset.

    Raises:
        ConfigError, DataError: with dataset, split and column.
    """
    tables = load_splits(spec.source)
    origin = origin_of(spec.source, tables)
    check_unicode(tables, origin)
    loaded = group_rows(numbered(tables), spec, origin)
    splits = _split(spec, loaded, seed=seed)
    for split in spec.limit:
        if split not in splits:
            raise DataError(f"data.{spec.name}.limit.{split}: the dataset has no {split} split; remove the limit")
    ready: dict[str, datasets.Dataset] = {}
    places: dict[str, Places] = {}
    dropped: dict[str, Mapping[str, int]] = {}
    for split, table in splits.items():
        if spec.shuffle:
            table = shuffle_rows(table, dataset=spec.name, split=split, seed=seed)
        table = limit_rows(table, spec.limit.get(split))
        is_as_loaded = split in loaded and table is loaded[split]
        table, places[split] = without_numbers(table, origin)
        if not is_as_loaded:
            table = contiguous(table)
        kept, dropped[split] = filter_rows(table, spec, split=split)
        if len(kept) < len(table):
            table, places[split] = contiguous(table.select(kept)), places[split].select(kept)
        check_texts(table, places[split], dataset=spec.name, split=split, text=spec.text)
        check_cleaned(table, places[split], dataset=spec.name, split=split, text=spec.text, steps=spec.clean)
        ready[split] = table.with_format(None)
    return Tables(spec, ready, places, form=_form(spec, ready), num_dropped=dropped)


def _split(spec: DatasetSpec, splits: Mapping[str, datasets.Dataset], *, seed: int) -> Mapping[str, datasets.Dataset]:
    """Make the splits that the spec asks for, and a validation split by hash where nothing gives one."""
    name, text = spec.name, spec.telling
    match spec.split:
        case HashSplit(ratios):
            return split_by_hash(splits, dataset=name, ratios=ratios, text=text, seed=seed)
        case StratifiedSplit(ratios, column):
            return split_by_strata(splits, dataset=name, ratios=ratios, column=column, text=text, seed=seed)
        case GroupSplit(ratios, column):
            return split_by_group(splits, dataset=name, ratios=ratios, column=column, text=text, seed=seed)
        case TimeSplit(ratios, column):
            return split_by_time(splits, dataset=name, ratios=ratios, column=column)
        case ColumnSplit(column, values):
            splits = split_by_column(splits, dataset=name, column=column, values=values)
    if "train" not in splits or "validation" in splits:
        return splits
    _LOG.info("data.%s: no validation split: a tenth of train by a hash of the text", name)
    return split_by_hash(splits, dataset=name, ratios=DEFAULT_SPLIT.ratios, text=text, seed=seed)


def _form(spec: DatasetSpec, splits: Mapping[str, datasets.Dataset]) -> Form:
    """Tell text from words by the column's type; every split has the same."""
    forms = {_form_of(table, spec) for table in splits.values()}
    if len(forms) > 1:
        raise DataError(f"data.{spec.name}.text: the splits disagree: {' and '.join(sorted(forms))}")
    return forms.pop()


def _form_of(table: datasets.Dataset, spec: DatasetSpec) -> Form:
    match [holds_lists(table, column) for column in spec.text]:
        case [lists]:
            return "words" if lists else "text"
        case [False, lists]:
            return "options" if lists else "pair"
    raise DataError(
        f"data.{spec.name}.text: a pair needs two columns of text, or a text and a list of texts; "
        f"{spec.text[0]!r} holds lists"
    )


def check_columns(tables: Tables, columns: Sequence[str], *, needed_by: str) -> None:
    """Refuse a dataset that lacks a column in one of its splits.

    Raises:
        DataError: with the columns that there are and the nearest one.
    """
    for split, table in tables.splits.items():
        require_columns(table, columns, where=f"{needed_by}: dataset {tables.spec.name!r}, split {split!r}")


def fit_task(tables: Tables, kind: type[Task], *, name: str, options: Any, metrics: Sequence[str]) -> Task:
    """Fit a task on the train split.

    Raises:
        DataError: no train split, no such column, no labelled row, labels of another kind.
    """
    columns = kind.label_columns(options)
    check_columns(tables, columns, needed_by=f"tasks.{name}")
    check_form(tables.form, kind, task=name, dataset=tables.spec.name)
    if "train" not in tables.splits:
        raise DataError(f"data.{tables.spec.name}: no train split; the dataset has {', '.join(tables.splits)}")
    train = tables.splits["train"]
    numbers = itertools.count()  # has moved behind the last row that was read
    try:
        return kind.fit(
            name,
            options,
            metrics=metrics,
            cells=(cells for _, cells in zip(numbers, cells_of(train, columns), strict=False)),
            class_names=class_names(train, columns[0]) if columns else None,
        )
    except DataError as error:
        row = next(numbers) - 1
        where = f"task {name!r}, dataset {tables.spec.name!r}, split 'train'"
        if 0 <= row < len(train):
            places = tables.places["train"]
            where = f"{where}, {shown_row(train, row, places, columns=tables.spec.text)}"
        raise DataError(f"{where}: {error}") from error


def check_form(form: Form, kind: type[Task], *, task: str, dataset: str) -> None:
    """Refuse a task whose kind cannot read the form of the dataset's text.

    Raises:
        DataError: with the forms that it can read.
    """
    if form not in kind.forms:
        raise DataError(
            f"tasks.{task}: kind {kind.kind} reads {' or '.join(kind.forms)}; data.{dataset}.text is a {form}"
        )
