"""From a dataset's spec to encoded splits: what training, evaluation and `check` read.

Owns the order (load, split, shuffle, limit, filter), the columns that tasks need, fitting tasks on train, and encoding
texts and labels. Rows stay in Arrow on disk; what was encoded before is read from the cache (``caching.py``).
"""

from __future__ import annotations

import itertools
import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import datasets
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from mtl_transformers.data.caching import cached_map, content_key, contiguous, digest, values_key
from mtl_transformers.data.cells import cells_of, class_names
from mtl_transformers.data.columns import require_columns
from mtl_transformers.data.filtering import check_texts, drop_empty
from mtl_transformers.data.labelling import LabelledRows, encode_labels, shown_row, texts_of
from mtl_transformers.data.loading import load_splits
from mtl_transformers.data.origins import Places, numbered, origin_of, without_numbers
from mtl_transformers.data.spec import ColumnSplit, DatasetSpec, HashSplit
from mtl_transformers.data.splitting import limit_rows, shuffle_rows, split_by_column, split_by_hash
from mtl_transformers.data.unicode import check_unicode
from mtl_transformers.errors import DataError
from mtl_transformers.tasks.task import EncodedLabel, Task
from mtl_transformers.text.encoding import Features, Form, TextEncoder
from mtl_transformers.text.inputs import Input, encode, row_of

FORMAT = "2"  # of the cached tables; a change makes old ones unread
DEFAULT_SPLIT = HashSplit({"validation": 0.1})

_LOG = logging.getLogger(__name__)
_INTS = datasets.Value("int32")
_FEATURES = {
    "input_ids": datasets.List(datasets.List(_INTS)),
    "token_type_ids": datasets.List(datasets.List(datasets.Value("int8"))),
    "word_indices": datasets.List(datasets.List(_INTS)),
    "word_positions": datasets.List(datasets.List(_INTS)),
    "word_spans": datasets.List(datasets.List(_INTS)),
    "truncated": datasets.Value("bool"),
    "length": _INTS,
}


@dataclass(frozen=True, slots=True)
class Tables:
    """The splits of a dataset as rows of text and labels.

    Attributes:
        spec: how they were made.
        splits: by split name; ``train`` first.
        places: where the rows come from, by split.
        form: how the text column is written.
        num_dropped: rows without text that were left out, by split.
    """

    spec: DatasetSpec
    splits: Mapping[str, datasets.Dataset]
    places: Mapping[str, Places]
    form: Form
    num_dropped: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class EncodedSplit:
    """One split, encoded, with the labels of its tasks.

    Attributes:
        dataset: name of the dataset.
        split: name of the split.
        input: what of a row was encoded.
        table: the rows of text and labels.
        features: the encoded rows, as many.
        labels: one column of encoded labels for each task, as many rows.
        lengths: ``[n]`` tokens of each row's longest sequence.
        numbers: ``[n]`` number of each row among all rows of the split.
        places: where each row comes from.
        outputs: by task, what the numbers of encoded labels mean.
        labelled: ``[n]`` by task, which rows have its label.
        num_truncated: rows that lost tokens.
        num_unlabelled: rows without any label, which are left out.
        id_column: the column that names rows.
    """

    dataset: str
    split: str
    input: Input
    table: datasets.Dataset
    features: datasets.Dataset
    labels: datasets.Dataset
    lengths: NDArray[np.int32]
    numbers: NDArray[np.int64]
    places: Places
    outputs: Mapping[str, Sequence[str]]
    labelled: Mapping[str, NDArray[np.bool_]]
    num_truncated: int
    num_unlabelled: int
    id_column: str | None = None

    def __len__(self) -> int:
        return len(self.lengths)

    @property
    def num_labelled(self) -> dict[str, int]:
        """Labelled rows by task."""
        return {name: int(mask.sum()) for name, mask in self.labelled.items()}

    def features_of(self, rows: Sequence[int]) -> list[Features]:
        """Return some encoded rows."""
        columns = self.features[list(rows)]
        return [
            Features(
                input_ids=columns["input_ids"][n],
                token_type_ids=columns["token_type_ids"][n],
                word_indices=columns["word_indices"][n],
                word_positions=columns["word_positions"][n],
                word_spans=[(start, end) for start, end in columns["word_spans"][n]],
                truncated=columns["truncated"][n],
            )
            for n in range(len(rows))
        ]

    def labels_of(self, rows: Sequence[int]) -> dict[str, list[EncodedLabel]]:
        """Return the encoded labels of some rows, by task."""
        columns: dict[str, list[EncodedLabel]] = self.labels[list(rows)]
        return columns

    def texts_of(self, rows: Sequence[int]) -> list[str]:
        """Return the texts that character offsets count in."""
        return texts_of(self.table, list(rows), columns=self.input.columns, form=self.input.form)

    def ids_of(self, rows: Sequence[int]) -> list[Any]:
        """Return the names of some rows; their numbers in the split where the dataset has no id column."""
        if self.id_column is None:
            numbers: list[Any] = self.numbers[list(rows)].tolist()
            return numbers
        ids: list[Any] = self.table.select_columns([self.id_column])[list(rows)][self.id_column]
        return ids

    def places_of(self, rows: Sequence[int]) -> list[str]:
        """Name some rows for people: ``t17 (train.csv, row 12)``, or without an id ``train.csv, row 12``."""
        places = self.places.of(rows)
        if self.id_column is None:
            return places
        return [f"{name} ({place})" for name, place in zip(self.ids_of(rows), places, strict=True)]

    def select(self, rows: NDArray[np.int64]) -> EncodedSplit:
        """Return the split with some of its rows, in this order."""
        return replace(
            self,
            table=self.table.select(rows),
            features=self.features.select(rows),
            labels=self.labels.select(rows),
            lengths=self.lengths[rows],
            numbers=self.numbers[rows],
            places=self.places.select(rows),
            labelled={name: mask[rows] for name, mask in self.labelled.items()},
            num_truncated=sum(self.features.select_columns("truncated")[rows]["truncated"]),
            num_unlabelled=0,
        )

    @property
    def fingerprint(self) -> str:
        """A hash of encoded texts and labels in their order; reads all of them.

        Equal in every process and every run, wherever the rows were stored, and different where one of them differs.
        """
        outputs = json.dumps({name: list(names) for name, names in self.outputs.items()}, sort_keys=True)
        parts = [values_key(self.features), values_key(self.labels)]
        return digest(FORMAT, self.input.form, outputs, *parts)


def load_tables(spec: DatasetSpec, *, seed: int) -> Tables:
    """Load, split, shuffle, limit and filter a dataset.

    Raises:
        ConfigError, DataError: with dataset, split and column.
    """
    tables = load_splits(spec.source)
    origin = origin_of(spec.source, tables)
    check_unicode(tables, origin)
    loaded = numbered(tables)
    splits = _split(spec, loaded, seed=seed)
    for split in spec.limit:
        if split not in splits:
            raise DataError(f"data.{spec.name}.limit.{split}: the dataset has no {split} split; remove the limit")
    ready: dict[str, datasets.Dataset] = {}
    places: dict[str, Places] = {}
    dropped: dict[str, int] = {}
    for split, table in splits.items():
        if spec.shuffle:
            table = shuffle_rows(table, dataset=spec.name, split=split, seed=seed)
        table = limit_rows(table, spec.limit.get(split))
        is_as_loaded = split in loaded and table is loaded[split]
        table, places[split] = without_numbers(table, origin)
        if not is_as_loaded:
            table = contiguous(table)
        if spec.drop_empty:
            kept, rows = drop_empty(table, dataset=spec.name, split=split, text=spec.text)
            places[split], dropped[split] = places[split].select(rows), len(table) - len(kept)
            table = contiguous(kept) if dropped[split] else table
        check_texts(table, places[split], dataset=spec.name, split=split, text=spec.text)
        ready[split] = table.with_format(None)
    return Tables(spec, ready, places, form=_form(spec, ready), num_dropped=dropped)


def _split(spec: DatasetSpec, splits: Mapping[str, datasets.Dataset], *, seed: int) -> Mapping[str, datasets.Dataset]:
    """Make the splits that the spec asks for, and a validation split by hash where nothing gives one."""
    ratios = spec.split.ratios if isinstance(spec.split, HashSplit) else None
    if isinstance(spec.split, ColumnSplit):
        splits = split_by_column(splits, dataset=spec.name, column=spec.split.column, values=spec.split.values)
    if ratios is None and "train" in splits and "validation" not in splits:
        ratios = DEFAULT_SPLIT.ratios
        _LOG.info("data.%s: no validation split: a tenth of train by a hash of the text", spec.name)
    if ratios is None:
        return splits
    return split_by_hash(splits, dataset=spec.name, ratios=ratios, text=spec.text, seed=seed)


def _form(spec: DatasetSpec, splits: Mapping[str, datasets.Dataset]) -> Form:
    """Tell text from words by the column's type; every split has the same."""
    forms = {_form_of(table, spec) for table in splits.values()}
    if len(forms) > 1:
        raise DataError(f"data.{spec.name}.text: the splits disagree: {' and '.join(sorted(forms))}")
    return forms.pop()


def _form_of(table: datasets.Dataset, spec: DatasetSpec) -> Form:
    words = [_holds_words(table, column) for column in spec.text]
    if len(words) == 1:
        return "words" if words[0] else "text"
    if any(words):
        raise DataError(f"data.{spec.name}.text: a pair needs two columns of text; {', '.join(spec.text)} hold words")
    return "pair"


def _holds_words(table: datasets.Dataset, column: str) -> bool:
    stored = table.data.schema.field(column).type
    return bool(pa.types.is_list(stored) or pa.types.is_large_list(stored))


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
            class_names=class_names(train, columns[0]),
        )
    except DataError as error:
        row = next(numbers) - 1
        where = f"task {name!r}, dataset {tables.spec.name!r}, split 'train'"
        if 0 <= row < len(train):
            places = tables.places["train"]
            where = f"{where}, {shown_row(train, row, places, columns=tables.spec.text, form=tables.form)}"
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


def encode_split(
    tables: Tables,
    split: str,
    tasks: Mapping[str, Task],
    *,
    encoder: TextEncoder,
    encoder_key: str,
    max_length: int,
) -> EncodedSplit:
    """Encode the texts of a split and the labels of its tasks; from the cache where the content is known.

    Args:
        tables: the dataset.
        split: one of its splits.
        tasks: the fitted tasks on it.
        encoder: tokenizer for the dataset's form and length.
        encoder_key: what identifies that tokenizer's behaviour (its serialised form).
        max_length: of `encoder`.

    Raises:
        DataError: an unknown label, tags that do not fit their words: with task, split, row and the text.
    """
    table = tables.splits[split]
    given = Input(
        columns=tables.spec.text,
        form=tables.form,
        max_length=max_length,
        aligned=any(task.vectors == "token" for task in tasks.values()),
    )
    read = json.dumps([given.form, given.max_length, given.aligned])
    key = digest(FORMAT, read, encoder_key, content_key(table, given.columns))
    features = _encode_texts(table, given, encoder, key=digest(key, "texts"))
    where = f"dataset {tables.spec.name!r}, split {split!r}"
    labels = encode_labels(LabelledRows(table, tables.places[split], features, given, where), tasks, texts_key=key)
    labelled = {name: _column(labels, name).is_valid().to_numpy() for name in tasks}
    kept = np.flatnonzero(np.logical_or.reduce(list(labelled.values())))
    lengths, truncated = (_column(features, name).to_numpy() for name in ("length", "truncated"))
    num_unlabelled = len(table) - len(kept)
    if num_unlabelled:
        table, features, labels = (part.select(kept) for part in (table, features, labels))
    return EncodedSplit(
        dataset=tables.spec.name,
        split=split,
        input=given,
        table=table,
        features=features,
        labels=labels,
        lengths=lengths[kept],
        numbers=kept,
        places=tables.places[split].select(kept),
        outputs={name: task.output_names for name, task in tasks.items()},
        labelled={name: mask[kept] for name, mask in labelled.items()},
        num_truncated=int(truncated[kept].sum()),
        num_unlabelled=num_unlabelled,
        id_column=tables.spec.id,
    )


def _column(table: datasets.Dataset, name: str) -> pa.ChunkedArray:
    """Return a column of a table whose rows stand as they are stored."""
    return table.data.column(name)


def _encode_texts(table: datasets.Dataset, given: Input, encoder: TextEncoder, *, key: str) -> datasets.Dataset:
    def encoded(batch: Mapping[str, list[Any]], numbers: list[int]) -> dict[str, list[Any]]:
        cells = zip(*(batch[column] for column in given.columns), strict=True)
        rows = [row_of(row, form=given.form) for row in cells]
        found = encode(encoder, rows, form=given.form, aligned=given.aligned)
        return {name: [getattr(features, name) for features in found] for name in _FEATURES}

    return cached_map(table.select_columns(list(given.columns)), encoded, features=_FEATURES, key=key)
