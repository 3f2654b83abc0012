"""Encodes the labels of a split, row by row, and says which row has a label that cannot be.

Owns the errors of label cells and what is read beside them: the words and texts that tags and spans are matched with.
What a label means is the task's.
"""

from __future__ import annotations

import itertools
import json
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import datasets

from mtl_transformers.data.caching import BATCH_ROWS, cached_map, content_key, digest
from mtl_transformers.data.cells import cells_of, reader_of
from mtl_transformers.data.origins import Places
from mtl_transformers.errors import DataError
from mtl_transformers.tasks.answer_cells import AnswerCounts
from mtl_transformers.tasks.labels import UnknownLabelError, listed
from mtl_transformers.tasks.question_answering import QuestionAnswering
from mtl_transformers.tasks.task import EncodedLabel, LabelType, Task
from mtl_transformers.text.encoding import Features
from mtl_transformers.text.inputs import Input
from mtl_transformers.text.rows import RowOf, row_of, text_of

SHOWN = 60  # characters of a text that a message shows

_INTS = datasets.Value("int32")
_TYPES: Mapping[LabelType, Any] = {
    "int": _INTS,
    "ints": datasets.List(_INTS),
    "floats": datasets.List(datasets.Value("float64")),
    "answers": datasets.List({"text": datasets.Value("string"), "start": _INTS}),
}
_NO_WORDS = Features((), ())


def rows_of(table: datasets.Dataset, rows: Sequence[int] | slice, given: Input) -> list[RowOf]:
    """Return what an input reads of some rows."""
    batch = table.select_columns(list(given.columns))[rows]
    cells = zip(*(batch[name] for name in given.columns), strict=True)
    return [row_of(of_row, form=given.form, num_context=given.num_context) for of_row in cells]


def texts_of(table: datasets.Dataset, rows: Sequence[int] | slice, given: Input) -> list[str]:
    """Return the texts that character offsets count in."""
    return [text_of(row) for row in rows_of(table, rows, given)]


def words_in(features: datasets.Dataset, start: int, stop: int) -> list[Features]:
    """Return where the words of some consecutive encoded rows stand, and nothing else of them."""
    column = features.select_columns(["word_spans"]).with_format("arrow")[start:stop].column(0).combine_chunks()
    ends = column.value_lengths().to_numpy().cumsum().tolist()
    bounds = column.flatten().flatten().to_numpy().tolist()
    spans = list(zip(bounds[::2], bounds[1::2], strict=True))
    return [Features((), (), word_spans=spans[begin:end]) for begin, end in zip([0, *ends], ends, strict=False)]


def shown_row(table: datasets.Dataset, row: int, places: Places, *, columns: Sequence[str]) -> str:
    """Name a row by its place and the beginning of its text."""
    cells, (place,) = table.select_columns(list(columns))[row], places.of([row])
    text = " ".join(cell if isinstance(cell, str) else " ".join(map(str, cell or ())) for cell in cells.values())
    return f"{place} ({text if len(text) <= SHOWN else text[:SHOWN] + '…'!r})"


def answer_counts(table: datasets.Dataset, task: QuestionAnswering, given: Input) -> AnswerCounts:
    """Count the answers of a table that are not trained as they were given."""
    counts = AnswerCounts()
    cells = cells_of(table, task.label_columns(task.options))
    for start in range(0, len(table), BATCH_ROWS):
        contexts = texts_of(table, slice(start, start + BATCH_ROWS), given)
        for text, of_row in zip(contexts, cells, strict=False):
            counts += task.answer_counts(of_row, text=text)
    return counts


def encode_labels(
    rows: LabelledRows,
    tasks: Mapping[str, Task],
    *,
    texts_key: str,
    left_out: Mapping[str, Collection[int]] | None = None,
) -> datasets.Dataset:
    """Encode the labels of all tasks, a column each; from the cache where the content is known.

    Args:
        rows: of a split.
        tasks: the fitted tasks on it.
        texts_key: what the encoded rows were made from.
        left_out: by task, rows whose label is taken as null.

    Raises:
        DataError: as `LabelledRows.encode`.
    """
    table = rows.table
    columns = sorted({column for task in tasks.values() for column in task.label_columns(task.options)})
    types = {column: repr(table.features[column]) for column in columns}
    fitted = {name: task.to_json() for name, task in tasks.items()}
    null = {name: set(left_out[name]) for name in tasks if left_out and left_out.get(name)}
    described = json.dumps([types, fitted, {name: sorted(of) for name, of in null.items()}], sort_keys=True)

    def encoded(_: object, numbers: list[int]) -> dict[str, list[EncodedLabel]]:
        return {
            name: [
                None if number in null.get(name, ()) else label
                for number, label in zip(numbers, rows.encode(name, task, numbers), strict=True)
            ]
            for name, task in tasks.items()
        }

    return cached_map(
        table.select_columns(columns or [rows.given.columns[0]]),  # a table without columns has no rows
        encoded,
        features={name: _TYPES[task.stored_type] for name, task in tasks.items()},
        key=digest(texts_key, "labels", described, content_key(table, columns)),
    )


@dataclass(frozen=True, slots=True)
class LabelledRows:
    """The rows of a split as labels are read from them.

    Attributes:
        table: the rows.
        places: where they come from.
        features: the rows, encoded.
        given: what of a row is encoded; words and text are read only where it is aligned.
        where: names the dataset and the split.
    """

    table: datasets.Dataset
    places: Places
    features: datasets.Dataset
    given: Input
    where: str

    def encode(self, name: str, task: Task, numbers: Sequence[int]) -> list[EncodedLabel]:
        """Return the labels of some consecutive rows.

        Raises:
            DataError: with task, dataset, split, row and text; of unknown labels also the others of the split.
        """
        encoded: list[EncodedLabel] = []
        for number, label in zip(numbers, self._each(task, numbers), strict=True):
            if isinstance(label, DataError):
                others = self._unknown(task) if isinstance(label, UnknownLabelError) else ""
                row = shown_row(self.table, number, self.places, columns=self.given.columns)
                raise DataError(f"task {name!r}, {self.where}, {row}: {label}{others}") from label
            encoded.append(label)
        return encoded

    def _each(self, task: Task, numbers: Sequence[int]) -> Iterator[EncodedLabel | DataError]:
        """Yield the label of each of some consecutive rows, or what is wrong with it."""
        columns = task.label_columns(task.options)
        readers = [reader_of(self.table.features[column]) for column in columns]
        start, stop = numbers[0], numbers[-1] + 1
        batch = self.table.select_columns(list(columns))[start:stop]
        cells = zip(*(batch[column] for column in columns), strict=True) if columns else itertools.repeat(())
        for row, (features, text) in zip(cells, self._words(task, start, stop), strict=False):
            try:
                label = task.encode(
                    tuple(read(cell) for read, cell in zip(readers, row, strict=True)), features, text=text
                )
            except DataError as error:
                yield error
            else:
                yield label

    def _words(self, task: Task, start: int, stop: int) -> list[tuple[Features, str]]:
        """Return words and text of some rows, for a task that reads tokens."""
        if task.vectors != "token" or self.given.aligned not in ("words", "pieces"):
            return [(_NO_WORDS, "")] * (stop - start)
        words = words_in(self.features, start, stop)
        texts = texts_of(self.table, slice(start, stop), self.given)
        return list(zip(words, texts, strict=True))

    def _unknown(self, task: Task) -> str:
        """List the labels of the whole split that training never had."""
        starts = range(0, len(self.table), BATCH_ROWS)
        batches = [range(start, min(start + BATCH_ROWS, len(self.table))) for start in starts]
        found = Counter(
            label.label
            for numbers in batches
            for label in self._each(task, numbers)
            if isinstance(label, UnknownLabelError)
        )
        return f" (unknown labels of this split: {listed(sorted(found))}; {found.total()} rows)"
