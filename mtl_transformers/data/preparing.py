"""From a dataset's spec to encoded splits: what training, evaluation and `check` read.

Owns the order (load, split, shuffle, limit, filter), the columns that tasks need, fitting tasks on train, and the
cache of encoded rows and labels. Rows stay in Arrow on disk; what is cached is named by a hash of the content it was made from.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from mtl_transformers.data.filtering import check_texts, drop_empty
from mtl_transformers.data.loading import load_splits, quiet_datasets
from mtl_transformers.data.spec import SPLITS, ColumnSplit, DatasetSpec, HashSplit
from mtl_transformers.data.splitting import limit_rows, shuffle_rows, split_by_column, split_by_hash
from mtl_transformers.errors import DataError, nearest
from mtl_transformers.tasks.task import Cells, EncodedLabel, Task
from mtl_transformers.text.encoding import Features, Form, TextEncoder
from mtl_transformers.text.inputs import Input, encode, row_of, text_of

BATCH_ROWS = 1000  # rows that are in memory at once
FORMAT = "1"  # of the cached tables; a change makes old ones unread
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
_LABELS = {"int": _INTS, "ints": datasets.List(_INTS), "floats": datasets.List(datasets.Value("float32"))}


@dataclass(frozen=True, slots=True)
class Tables:
    """The splits of a dataset as rows of text and labels.

    Attributes:
        spec: how they were made.
        splits: by split name; ``train`` first.
        form: how the text column is written.
        num_dropped: rows without text that were left out, by split.
    """

    spec: DatasetSpec
    splits: Mapping[str, datasets.Dataset]
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
        num_truncated: rows that lost tokens.
        num_labelled: labelled rows by task.
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
    num_truncated: int
    num_labelled: Mapping[str, int]
    num_unlabelled: int
    id_column: str | None = None

    def __len__(self) -> int:
        return len(self.lengths)

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
        columns = self.table.select_columns(list(self.input.columns))[list(rows)]
        cells = zip(*(columns[name] for name in self.input.columns), strict=True)
        return [text_of(row_of(row, form=self.input.form)) for row in cells]

    def ids_of(self, rows: Sequence[int]) -> list[Any]:
        """Return the names of some rows; their numbers where the dataset has no id column."""
        if self.id_column is None:
            return list(rows)
        ids: list[Any] = self.table.select_columns([self.id_column])[list(rows)][self.id_column]
        return ids


def load_tables(spec: DatasetSpec, *, seed: int) -> Tables:
    """Load, split, shuffle, limit and filter a dataset.

    Raises:
        ConfigError, DataError: with dataset, split and column.
    """
    splits = load_splits(spec.source)
    if isinstance(spec.split, ColumnSplit):
        splits = split_by_column(splits, dataset=spec.name, column=spec.split.column, values=spec.split.values)
    hashed = spec.split
    if hashed is None and "train" in splits and "validation" not in splits:
        hashed = DEFAULT_SPLIT
        _LOG.info("data.%s: no validation split: a tenth of train by a hash of the text", spec.name)
    if isinstance(hashed, HashSplit):
        splits = split_by_hash(splits, dataset=spec.name, ratios=hashed.ratios, text=spec.text, seed=seed)
    ready: dict[str, datasets.Dataset] = {}
    dropped: dict[str, int] = {}
    for split, table in splits.items():
        if spec.shuffle:
            table = shuffle_rows(table, dataset=spec.name, split=split, seed=seed)
        table = limit_rows(table, spec.limit.get(split))
        if spec.drop_empty:
            table, dropped[split] = drop_empty(table, dataset=spec.name, split=split, text=spec.text)
        check_texts(table, dataset=spec.name, split=split, text=spec.text)
        ready[split] = table
    for split in spec.limit:
        if split not in ready:
            raise DataError(f"data.{spec.name}.limit.{split}: the dataset has no {split} split")
    return Tables(spec, ready, form=_form(spec, ready), num_dropped=dropped)


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
        raise DataError(f"data.{spec.name}.text: a pair needs two columns of text; {spec.text} hold words")
    return "pair"


def _holds_words(table: datasets.Dataset, column: str) -> bool:
    stored = table.data.schema.field(column).type
    return bool(pa.types.is_list(stored) or pa.types.is_large_list(stored))


def class_names(table: datasets.Dataset, column: str) -> list[str] | None:
    """Return the names of a ClassLabel column, or of a column of lists of them."""
    feature = table.features[column]
    while hasattr(feature, "feature"):  # lists hold their items' type
        feature = feature.feature
    return list(feature.names) if isinstance(feature, datasets.ClassLabel) else None


def check_columns(tables: Tables, columns: Sequence[str], *, needed_by: str) -> None:
    """Refuse a dataset that lacks a column in one of its splits.

    Raises:
        DataError: with the columns that there are and the nearest one.
    """
    for split, table in tables.splits.items():
        for column in columns:
            if column not in table.column_names:
                raise DataError(
                    f"{needed_by}: dataset {tables.spec.name!r}, split {split!r} has no column {column!r}; it has "
                    f"{', '.join(table.column_names)}{nearest(column, table.column_names)}"
                )


def cells_of(table: datasets.Dataset, columns: Sequence[str]) -> Iterator[Cells]:
    """Yield the cells of some columns, row by row, a batch in memory at once."""
    for batch in table.select_columns(list(columns)).with_format(None).iter(batch_size=BATCH_ROWS):
        yield from zip(*(batch[column] for column in columns), strict=True)


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
    try:
        return kind.fit(
            name,
            options,
            metrics=metrics,
            cells=cells_of(train, columns),
            class_names=class_names(train, columns[0]),
        )
    except DataError as error:
        raise DataError(f"task {name!r}, dataset {tables.spec.name!r}, split 'train': {error}") from error


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
    key = _digest(FORMAT, json.dumps(given.to_json()), encoder_key, _content(table, tables.spec.text))
    with quiet_datasets():
        features = _encode_texts(table, given, encoder, key=key)
        labels = _encode_labels(table, features, tasks, key=key, place=f"dataset {tables.spec.name!r}, split {split!r}")
    lengths = features.data.column("length").to_numpy()
    labelled = {name: _is_labelled(labels, name) for name in tasks}
    any_label = np.logical_or.reduce(list(labelled.values()))
    kept = np.flatnonzero(any_label)
    if len(kept) < len(table):
        table, features, labels = (part.select(kept) for part in (table, features, labels))
    return EncodedSplit(
        dataset=tables.spec.name,
        split=split,
        input=given,
        table=table,
        features=features,
        labels=labels,
        lengths=lengths[kept],
        num_truncated=int(np.sum(features.with_format("numpy")["truncated"][:])) if len(kept) else 0,
        num_labelled={name: int(mask.sum()) for name, mask in labelled.items()},
        num_unlabelled=len(any_label) - len(kept),
        id_column=tables.spec.id,
    )


def _is_labelled(labels: datasets.Dataset, task: str) -> NDArray[np.bool_]:
    valid: NDArray[np.bool_] = labels.data.column(task).is_valid().to_numpy()
    return valid


def _encode_texts(table: datasets.Dataset, given: Input, encoder: TextEncoder, *, key: str) -> datasets.Dataset:
    def encoded(batch: Mapping[str, list[Any]]) -> dict[str, list[Any]]:
        cells = zip(*(batch[column] for column in given.columns), strict=True)
        rows = [row_of(row, form=given.form) for row in cells]
        found = encode(encoder, rows, form=given.form, aligned=given.aligned)
        return {name: [getattr(features, name) for features in found] for name in _FEATURES}

    return _mapped(table.select_columns(list(given.columns)), encoded, features=_FEATURES, key=_digest(key, "texts"))


def _encode_labels(
    table: datasets.Dataset, features: datasets.Dataset, tasks: Mapping[str, Task], *, key: str, place: str
) -> datasets.Dataset:
    """Encode the labels of all tasks; a row's words are read only where a task needs them."""
    columns = sorted({column for task in tasks.values() for column in task.label_columns(task.options)})
    source = table.select_columns(columns)
    words = features.select_columns(["word_spans"])

    def encoded(batch: Mapping[str, list[Any]], numbers: list[int]) -> dict[str, list[EncodedLabel]]:
        spans = words[numbers]["word_spans"]
        rows = [Features((), (), word_spans=[(start, end) for start, end in row]) for row in spans]
        found: dict[str, list[EncodedLabel]] = {name: [] for name in tasks}
        for name, task in tasks.items():
            names = task.label_columns(task.options)
            for n, cells in enumerate(zip(*(batch[column] for column in names), strict=True)):
                try:
                    found[name].append(task.encode(cells, rows[n]))
                except DataError as error:
                    raise DataError(f"task {name!r}, {place}, row {numbers[n]}: {error}") from error
        return found

    described = json.dumps({name: task.to_json() for name, task in tasks.items()}, sort_keys=True)
    return _mapped(
        source,
        encoded,
        features={name: _LABELS[task.label_type] for name, task in tasks.items()},
        key=_digest(key, "labels", described, _content(table, columns)),
        with_indices=True,
    )


def _mapped(
    table: datasets.Dataset,
    function: Any,
    *,
    features: Mapping[str, Any],
    key: str,
    with_indices: bool = False,
) -> datasets.Dataset:
    """Map a table into the cache under our own fingerprint; `datasets` writes it whole or not at all."""
    place = Path(datasets.config.HF_DATASETS_CACHE) / "mtl_transformers"
    place.mkdir(parents=True, exist_ok=True)
    return table.with_format(None).map(
        function,
        batched=True,
        batch_size=BATCH_ROWS,
        with_indices=with_indices,
        remove_columns=table.column_names,
        features=datasets.Features(dict(features)),
        cache_file_name=str(place / f"{key}.arrow"),
        new_fingerprint=key,
    )


class _Hash:
    """A file that hashes what is written to it."""

    closed = False

    def __init__(self) -> None:
        self.digest = blake2b(digest_size=16)

    def write(self, data: Any) -> int:
        self.digest.update(data)
        return len(data)

    def flush(self) -> None:
        """Do nothing: there is no buffer."""

    def close(self) -> None:
        """Do nothing: there is no file."""


def _content(table: datasets.Dataset, columns: Sequence[str]) -> str:
    """Hash the content of some columns, row by row, whatever file they came from."""
    sink = _Hash()
    for batch in table.select_columns(list(columns)).with_format("arrow").iter(batch_size=BATCH_ROWS):
        plain = batch.combine_chunks().replace_schema_metadata()
        with pa.ipc.new_stream(sink, plain.schema) as stream:
            stream.write_table(plain)
    return sink.digest.hexdigest()


def _digest(*parts: str) -> str:
    digest = blake2b(digest_size=16)
    for part in parts:
        digest.update(len(part).to_bytes(8, "big") + part.encode())
    return digest.hexdigest()


__all__ = ["SPLITS", "EncodedSplit", "Tables", "encode_split", "fit_task", "load_tables"]
