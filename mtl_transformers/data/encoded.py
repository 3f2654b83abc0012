"""Encoded splits: what training, evaluation and `check` read of a dataset.

Owns the encoding of a split's texts, once for each input that its tasks read, and of their labels; what was encoded
before is read from the cache (``caching.py``). Rows stay in Arrow on disk. ``preparing.py`` loads and filters them.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import datasets
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from mtl_transformers.data.augmented import Augmentation
from mtl_transformers.data.caching import cached_map, content_key, digest, values_key
from mtl_transformers.data.columns import require_columns
from mtl_transformers.data.labelling import LabelledRows, encode_labels, texts_of
from mtl_transformers.data.origins import Places
from mtl_transformers.data.preparing import Tables
from mtl_transformers.data.review import Review, reviewed_weights
from mtl_transformers.errors import DataError
from mtl_transformers.tasks.task import EncodedLabel, Task
from mtl_transformers.text.encoding import Features
from mtl_transformers.text.inputs import Encoding, Input, encode, shared
from mtl_transformers.text.rows import RowOf, row_of

FORMAT = "3"  # of the cached tables; a change makes old ones unread

_INTS = datasets.Value("int32")
_FEATURES = {
    "input_ids": datasets.List(datasets.List(_INTS)),
    "token_type_ids": datasets.List(datasets.List(datasets.Value("int8"))),
    "word_indices": datasets.List(datasets.List(_INTS)),
    "word_positions": datasets.List(datasets.List(_INTS)),
    "word_spans": datasets.List(datasets.List(_INTS)),
    "truncated": datasets.Value("bool"),
    "length": _INTS,
    "num_sequences": _INTS,
}


@dataclass(frozen=True, slots=True)
class EncodedInput:
    """The rows of a split as one input reads them.

    Attributes:
        given: the input.
        tasks: those that read it.
        features: the encoded rows.
        lengths: ``[n]`` tokens of each row's longest sequence.
        num_sequences: ``[n]`` sequences of each row.
        num_truncated: rows that lost tokens.
    """

    given: Input
    tasks: tuple[str, ...]
    features: datasets.Dataset
    lengths: NDArray[np.int32]
    num_sequences: NDArray[np.int32]
    num_truncated: int

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

    def select(self, rows: NDArray[np.int64]) -> EncodedInput:
        """Return some of the rows, in this order."""
        return replace(
            self,
            features=self.features.select(rows),
            lengths=self.lengths[rows],
            num_sequences=self.num_sequences[rows],
            num_truncated=sum(self.features.select_columns(["truncated"])[rows]["truncated"]),
        )


@dataclass(frozen=True, slots=True)
class EncodedSplit:
    """One split, encoded, with the labels of its tasks.

    Attributes:
        dataset: name of the dataset.
        split: name of the split.
        inputs: the rows as each input reads them.
        table: the rows of text and labels.
        labels: one column of encoded labels for each task, as many rows.
        numbers: ``[n]`` number of each row among all rows of the split.
        places: where each row comes from.
        outputs: by task, what the numbers of encoded labels mean.
        labelled: ``[n]`` by task, which rows have its label.
        weights: ``[n]`` by task, factors of the rows' losses; without the tasks whose rows all weigh 1.
        num_unlabelled: rows without any label, which are left out.
        id_column: the column that names rows.
        augmentation: how the rows are augmented in training; ``None``: not at all.
    """

    dataset: str
    split: str
    inputs: tuple[EncodedInput, ...]
    table: datasets.Dataset
    labels: datasets.Dataset
    numbers: NDArray[np.int64]
    places: Places
    outputs: Mapping[str, Sequence[str]]
    labelled: Mapping[str, NDArray[np.bool_]]
    weights: Mapping[str, NDArray[np.float32]]
    num_unlabelled: int
    id_column: str | None = None
    augmentation: Augmentation | None = None

    def __len__(self) -> int:
        return len(self.numbers)

    @property
    def num_labelled(self) -> dict[str, int]:
        """Labelled rows by task."""
        return {name: int(mask.sum()) for name, mask in self.labelled.items()}

    @property
    def lengths(self) -> NDArray[np.int32]:
        """``[n]`` tokens of each row's longest sequence, over all inputs."""
        return _over_inputs(np.maximum, [given.lengths for given in self.inputs])

    @property
    def num_sequences(self) -> NDArray[np.int32]:
        """``[n]`` sequences of each row, over all inputs."""
        return _over_inputs(np.add, [given.num_sequences for given in self.inputs])

    @property
    def costs(self) -> NDArray[np.int32]:
        """``[n]`` padded tokens of each row, over all inputs: its length, where it is one sequence."""
        return _over_inputs(np.add, [given.lengths * given.num_sequences for given in self.inputs])

    @property
    def num_truncated(self) -> int:
        """Rows that lost tokens in the input that lost most."""
        return max(given.num_truncated for given in self.inputs)

    def input_of(self, task: str) -> EncodedInput:
        """Return the rows as a task reads them."""
        return next(given for given in self.inputs if task in given.tasks)

    def labels_of(self, rows: Sequence[int]) -> dict[str, list[EncodedLabel]]:
        """Return the encoded labels of some rows, by task."""
        columns: dict[str, list[EncodedLabel]] = self.labels[list(rows)]
        return columns

    def texts_of(self, rows: Sequence[int], given: Input) -> list[str]:
        """Return the texts that character offsets of an input count in."""
        return texts_of(self.table, list(rows), given)

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
            inputs=tuple(given.select(rows) for given in self.inputs),
            table=self.table.select(rows),
            labels=self.labels.select(rows),
            numbers=self.numbers[rows],
            places=self.places.select(rows),
            labelled={name: mask[rows] for name, mask in self.labelled.items()},
            weights={name: weights[rows] for name, weights in self.weights.items()},
            num_unlabelled=0,
        )

    @property
    def fingerprint(self) -> str:
        """A hash of encoded texts and labels in their order; reads all of them.

        Equal in every process and every run, wherever the rows were stored, and different where one of them differs.
        """
        outputs = json.dumps({name: list(names) for name, names in self.outputs.items()}, sort_keys=True)
        inputs = json.dumps([given.given.to_json() for given in self.inputs], sort_keys=True)
        parts = [values_key(given.features) for given in self.inputs]
        weights = [f"{name} {digest(self.weights[name].tobytes().hex())}" for name in sorted(self.weights)]
        noise = "" if self.augmentation is None else self.augmentation.key
        return digest(FORMAT, inputs, outputs, *parts, values_key(self.labels), *weights, noise)


def encode_split(
    tables: Tables,
    split: str,
    tasks: Mapping[str, Task],
    inputs: Mapping[str, Input],
    *,
    encoding: Callable[[Input], Encoding],
    row_weights: Mapping[str, str] | None = None,
    reviews: Mapping[str, Review] | None = None,
) -> EncodedSplit:
    """Encode the texts of a split and the labels of its tasks; from the cache where the content is known.

    Args:
        tables: the dataset.
        split: one of its splits.
        tasks: the fitted tasks on it.
        inputs: what each of them reads.
        encoding: how an input's texts become features.
        row_weights: the column, by task, with the weight of each row in its loss.
        reviews: by task, the file that lists labels in doubt, and what these weigh; what weighs nothing is null.

    Raises:
        DataError: an unknown label, tags that do not fit their words, a weight that is none: with task, split and row;
            a review that fits no row.
    """
    table = tables.splits[split]
    doubted = {
        name: reviewed_weights(
            review,
            table,
            dataset=tables.spec.name,
            task=name,
            text=tables.spec.text,
            label=tasks[name].label_columns(tasks[name].options),
        )
        for name, review in (reviews or {}).items()
    }
    left_out = {name: [row for row, weight in of.items() if not weight] for name, of in doubted.items()}
    groups: dict[Input, list[str]] = {}
    for name in tasks:
        groups.setdefault(inputs[name].sequences, []).append(name)
    where = f"dataset {tables.spec.name!r}, split {split!r}"
    encoded: list[tuple[Input, tuple[str, ...], datasets.Dataset]] = []
    labels: dict[str, datasets.Dataset] = {}
    for names in groups.values():
        given = shared([inputs[name] for name in names])
        require_columns(table, given.columns, where=f"tasks.{names[0]}: {where}")
        features, key = _encode_texts(table, given, encoding(given), tables.places[split], where=where)
        rows = LabelledRows(table, tables.places[split], features, given, where)
        found = encode_labels(rows, {name: tasks[name] for name in names}, texts_key=key, left_out=left_out)
        labels |= {name: found.select_columns([name]) for name in names}
        encoded.append((given, tuple(names), features))
    labelled = {name: _column(labels[name], name).is_valid().to_numpy() for name in tasks}
    kept = np.flatnonzero(np.logical_or.reduce(list(labelled.values())))
    whole = len(kept) == len(table)
    beside = _side_by_side([labels[name] for name in tasks])  # before rows are left out, after which it would be copied
    return EncodedSplit(
        dataset=tables.spec.name,
        split=split,
        inputs=tuple(_input(*of, kept=kept) for of in encoded),
        table=table if whole else table.select(kept),
        labels=beside if whole else beside.select(kept),
        numbers=kept,
        places=tables.places[split].select(kept),
        outputs={name: task.output_names for name, task in tasks.items()},
        labelled={name: mask[kept] for name, mask in labelled.items()},
        weights=_all_weights(tables, split, row_weights or {}, doubted, kept=kept),
        num_unlabelled=len(table) - len(kept),
        id_column=tables.spec.id,
    )


def _input(
    given: Input, tasks: tuple[str, ...], features: datasets.Dataset, *, kept: NDArray[np.int64]
) -> EncodedInput:
    lengths, counts, truncated = (
        _column(features, name).to_numpy()[kept] for name in ("length", "num_sequences", "truncated")
    )
    return EncodedInput(
        given=given,
        tasks=tasks,
        features=features if len(kept) == len(features) else features.select(kept),
        lengths=lengths,
        num_sequences=counts,
        num_truncated=int(truncated.sum()),
    )


def _all_weights(
    tables: Tables,
    split: str,
    columns: Mapping[str, str],
    doubted: Mapping[str, Mapping[int, float]],
    *,
    kept: NDArray[np.int64],
) -> dict[str, NDArray[np.float32]]:
    """Return the weights of some rows by task: what their column says, times what a review leaves of it."""
    weights = {name: _weights(tables, split, name, column) for name, column in columns.items()}
    for name, of_rows in doubted.items():
        if any(of_rows.values()):
            weights.setdefault(name, np.ones(len(tables.splits[split]), dtype=np.float32))
            weights[name][list(of_rows)] *= np.fromiter(of_rows.values(), dtype=np.float32)
    return {name: of[kept] for name, of in weights.items()}


def _weights(tables: Tables, split: str, task: str, column: str) -> NDArray[np.float32]:
    """Return the weights of a split's rows, those of null cells 1."""
    table = tables.splits[split]
    where = f"tasks.{task}.row_weight: dataset {tables.spec.name!r}, split {split!r}"
    require_columns(table, [column], where=where)
    cells = [1.0 if cell is None else cell for cell in table.select_columns([column])[:][column]]
    for row, cell in enumerate(cells):
        if not isinstance(cell, int | float) or isinstance(cell, bool) or not 0 <= cell < math.inf:
            (place,) = tables.places[split].of([row])
            raise DataError(f"{where}, {place}: weight {cell!r}; expected a number from 0 on, or null for 1")
    return np.asarray(cells, dtype=np.float32)


def _over_inputs(combine: np.ufunc, arrays: Sequence[NDArray[np.int32]]) -> NDArray[np.int32]:
    return arrays[0] if len(arrays) == 1 else combine.reduce(arrays)


def _side_by_side(tables: Sequence[datasets.Dataset]) -> datasets.Dataset:
    return tables[0] if len(tables) == 1 else datasets.concatenate_datasets(list(tables), axis=1)


def _column(table: datasets.Dataset, name: str) -> pa.ChunkedArray:
    """Return a column of a table whose rows stand as they are stored."""
    return table.data.column(name)


def _encode_texts(
    table: datasets.Dataset, given: Input, encoding: Encoding, places: Places, *, where: str
) -> tuple[datasets.Dataset, str]:
    """Return the encoded rows, and what they were made from."""

    def read(number: int, cells: Sequence[Any]) -> RowOf:
        try:
            return row_of(cells, form=given.form, num_context=given.num_context)
        except DataError as error:
            (place,) = places.of([number])
            raise DataError(f"{where}, {place}, column {' or '.join(map(repr, given.columns))}: {error}") from error

    def encoded(batch: Mapping[str, list[Any]], numbers: list[int]) -> dict[str, list[Any]]:
        cells = zip(*(batch[column] for column in given.columns), strict=True)
        rows = [read(number, row) for number, row in zip(numbers, cells, strict=True)]
        found = encode(encoding.encoder, rows, given)
        return {name: [getattr(features, name) for features in found] for name in _FEATURES}

    described = json.dumps({**given.to_json(), "columns": None}, sort_keys=True)
    key = digest(FORMAT, described, encoding.key, content_key(table, given.columns))
    rows = table.select_columns(list(given.columns))
    return cached_map(rows, encoded, features=_FEATURES, key=digest(key, "texts")), key
