"""What of a row is judged: its label, each of its labels, or the tag of each of its words.

Owns the way from a model's logits to probabilities of single labels, by kind, and how a judged item is shown to a
person. Judges nothing.

Shapes: ``n`` items, ``C`` labels that an item may have.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mtl_transformers.data.encoded import EncodedInput, EncodedSplit
from mtl_transformers.tasks.classification import Classification, ClassificationOptions
from mtl_transformers.tasks.multi_label import MultiLabel
from mtl_transformers.tasks.task import EncodedLabel, Task
from mtl_transformers.tasks.token_classification import NO_LABEL, TokenClassification
from mtl_transformers.text.decoders import Logits
from mtl_transformers.text.decoding import softmax
from mtl_transformers.text.encoding import Features, Form


@dataclass(frozen=True, slots=True)
class Read:
    """Some rows as a model read them.

    Attributes:
        features: the rows, encoded.
        texts: what character offsets count in.
        form: how the rows are written.
    """

    features: Sequence[Features]
    texts: Sequence[str]
    form: Form


def read_rows(split: EncodedSplit, given: EncodedInput, rows: Sequence[int]) -> Read:
    """Return some rows of a split as one of its inputs reads them."""
    return Read(given.features_of(rows), split.texts_of(rows, given.given), given.given.form)


@dataclass(frozen=True, slots=True)
class Items:
    """Labelled items with the probabilities of the labels that each may have.

    Attributes:
        rows: ``[n]`` the row that each belongs to.
        places: ``[n]`` its place there: the word, the label of a multi-label task, else 0.
        groups: ``[n]`` items of one group have the same ``C`` labels and are judged together.
        labels: ``[n]`` the given label.
        probabilities: ``[n, C]``.
    """

    rows: NDArray[np.int64]
    places: NDArray[np.int64]
    groups: NDArray[np.int64]
    labels: NDArray[np.int64]
    probabilities: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.rows)


def joined(parts: Sequence[Items]) -> Items:
    """Return the items of all parts, row by row."""
    rows = np.concatenate([part.rows for part in parts])
    order = np.argsort(rows, kind="stable")
    return Items(
        rows=rows[order],
        places=np.concatenate([part.places for part in parts])[order],
        groups=np.concatenate([part.groups for part in parts])[order],
        labels=np.concatenate([part.labels for part in parts])[order],
        probabilities=np.concatenate([part.probabilities for part in parts])[order],
    )


def can_be_judged(kind: str, options: Any) -> bool:
    """Tell whether the labels of a task are names that can be confused; probabilities are none."""
    return kind in _ITEMS and not (isinstance(options, ClassificationOptions) and options.soft)


def items_of(
    task: Task, rows: Sequence[int], labels: Sequence[EncodedLabel], logits: Sequence[Logits], read: Read
) -> Items:
    """Return the labelled items of some rows.

    Args:
        task: one that can be judged.
        rows: their numbers.
        labels: the encoded labels; rows whose label is null have no item.
        logits: of each row.
        read: the rows.
    """
    kept = [n for n, label in enumerate(labels) if label is not None]
    shown = Read([read.features[n] for n in kept], [read.texts[n] for n in kept], read.form)
    make = _ITEMS[task.kind]
    numbers = np.asarray([rows[n] for n in kept], dtype=np.int64)
    return make(task, numbers, [labels[n] for n in kept], [logits[n] for n in kept], shown)


def shown_items(
    task: Task,
    label: EncodedLabel,
    places: Sequence[int],
    given: Sequence[int],
    best: Sequence[int],
    read: Read,
) -> tuple[Any, Any]:
    """Return what a row's label is at some of its items, and what it would be, by name.

    Args:
        task: as above.
        label: the row's encoded label.
        places: of the items.
        given: the label of each.
        best: the most probable label of each.
        read: the one row.
    """
    return _SHOWN[task.kind](task, label, places, given, best, read)


def _scores(task: Any, logits: Sequence[Logits], read: Read) -> NDArray[np.float32]:
    """Return the probability of every label, ``[N, C]``, as the task decodes it."""
    if not logits:
        return np.empty((0, len(task.labels)), dtype=np.float32)
    answers: Any = task.decode(logits, read.features, texts=read.texts, form=read.form, top_k=len(task.labels))
    names = [str(label) for label in task.labels]
    return np.asarray([[answer["scores"][name] for name in names] for answer in answers], dtype=np.float32)


def _classes(task: Task, rows: NDArray[np.int64], labels: Sequence[Any], logits: Sequence[Logits], read: Read) -> Items:
    """One item for each row."""
    nothing = np.zeros_like(rows)
    return Items(rows, nothing, nothing, np.asarray(labels, dtype=np.int64), _scores(task, logits, read))


def _cells(task: Task, rows: NDArray[np.int64], labels: Sequence[Any], logits: Sequence[Logits], read: Read) -> Items:
    """One item for each row and label that is known to be there or not: label 1 or 0."""
    scores = _scores(task, logits, read)
    given = np.asarray(labels, dtype=np.float64).reshape(scores.shape)
    at, places = np.nonzero(~np.isnan(given))
    there = scores[at, places]
    return Items(rows[at], places, places, given[at, places].astype(np.int64), np.stack([1 - there, there], axis=1))


def _words(task: Task, rows: NDArray[np.int64], labels: Sequence[Any], logits: Sequence[Logits], read: Read) -> Items:
    """One item for each word that has a tag and was read."""
    words = [np.fromiter(chain.from_iterable(row.word_indices), dtype=np.int64) for row in read.features]
    tags = [np.asarray(label, dtype=np.int64)[of_row] for label, of_row in zip(labels, words, strict=True)]
    places, given = (np.concatenate([np.empty(0, dtype=np.int64), *of]) for of in (words, tags))
    scores = np.concatenate([np.empty((0, task.num_outputs)), *map(softmax, logits)]).astype(np.float32)
    known = given != NO_LABEL
    numbers = np.repeat(rows, [len(of_row) for of_row in words])[known]
    return Items(numbers, places[known], np.zeros_like(numbers), given[known], scores[known])


def _shown_class(task: Any, label: Any, places: Any, given: Sequence[int], best: Sequence[int], read: Read) -> Any:
    return task.labels[given[0]], task.labels[best[0]]


def _shown_cells(task: Any, label: Any, places: Sequence[int], given: Any, best: Sequence[int], read: Read) -> Any:
    """Return the labels of the row, and the same with the judged ones as they would be."""
    wanted = {**dict(enumerate(label)), **dict(zip(places, best, strict=True))}
    return tuple([name for place, name in enumerate(task.labels) if of[place] == 1] for of in (label, wanted))


def _shown_words(
    task: Any, label: Any, places: Sequence[int], given: Sequence[int], best: Sequence[int], read: Read
) -> Any:
    """Return the judged words with their tags."""
    spans = [read.features[0].word_spans[word] for word in places]
    return tuple(
        [
            {"text": read.texts[0][start:end], "start": start, "end": end, "tag": task.labels[tag]}
            for (start, end), tag in zip(spans, tags, strict=True)
        ]
        for tags in (given, best)
    )


_ITEMS: Mapping[str, Callable[[Task, NDArray[np.int64], Sequence[Any], Sequence[Logits], Read], Items]] = {
    Classification.kind: _classes,
    MultiLabel.kind: _cells,
    TokenClassification.kind: _words,
}
_SHOWN: Mapping[str, Callable[[Any, Any, Sequence[int], Sequence[int], Sequence[int], Read], tuple[Any, Any]]] = {
    Classification.kind: _shown_class,
    MultiLabel.kind: _shown_cells,
    TokenClassification.kind: _shown_words,
}
JUDGED = tuple(_ITEMS)
"""The kinds whose labels are judged."""
