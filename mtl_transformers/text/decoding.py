"""Logits to predictions: the JSON objects that a user reads.

Owns what a prediction of each kind looks like. Numpy only, so that training, prediction and a runtime
without torch give the same answers. Does not run a model, choose thresholds or know where the logits come
from.

Shapes: ``N`` rows, ``C`` labels, ``T`` targets, ``W`` words of a row that kept their first piece.
Probabilities are computed in float64; every number in a prediction is a Python float. Names in a prediction's
``scores`` and ``values`` are strings, best first in ``scores``.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain
from typing import Literal, NotRequired, TypedDict

import numpy as np
from numpy.typing import NDArray

from mtl_transformers.text.encoding import Features
from mtl_transformers.text.tags import OUTSIDE, Span, TagScheme, tags_to_spans
from mtl_transformers.text.viterbi import best_legal_tags

Array = NDArray[np.floating]
Indices = NDArray[np.int64]

Decoding = Literal["independent", "valid"]
"""How tags are chosen: each word's most probable one, or the most probable of the legal sequences."""

_ROWS_AT_ONCE = 256  # whose legal tags are searched together


class ClassPrediction(TypedDict):
    """The most probable label, or null where it is not probable enough; ``score`` is its probability in both cases.

    ``scores`` holds the best few where they were asked for.
    """

    label: str | int | None
    score: float
    scores: NotRequired[dict[str, float]]


class MultiLabelPrediction(TypedDict):
    """The labels at or above their thresholds, and every label's probability; both best first."""

    labels: list[str | int]
    scores: dict[str, float]


class ValuePrediction(TypedDict):
    """The value of a single target."""

    value: float


class ValuesPrediction(TypedDict):
    """The values of several targets by name."""

    values: dict[str, float]


class TagsPrediction(TypedDict):
    """One tag per word; ``None`` for a word that truncation lost or that yields no token."""

    tags: list[str | int | None]


class SpanPrediction(TypedDict):
    """A labelled span; ``text`` is the characters ``[start, end)`` of the row's text.

    ``word_start`` and ``word_end`` (exclusive) are there where the input was given as words.
    """

    label: str
    text: str
    start: int
    end: int
    score: float
    word_start: NotRequired[int]
    word_end: NotRequired[int]


def decode_classification(
    logits: Array,
    labels: Sequence[str | int],
    *,
    top_k: int | None = None,
    temperature: float = 1.0,
    min_score: float | None = None,
) -> list[ClassPrediction]:
    """Choose each row's most probable label by softmax.

    Args:
        logits: ``[N, C]``.
        labels: ``C`` names in order; of equal probabilities the earlier label is chosen.
        top_k: also give the probabilities of this many labels.
        temperature: what the logits are divided by (Guo et al. 2017, arXiv:1706.04599, section 4.2).
        min_score: probability below which there is no label.
    """
    return _best_labels(softmax(logits.astype(np.float64) / temperature), labels, top_k=top_k, min_score=min_score)


def decode_ordinal(
    logits: Array,
    labels: Sequence[str | int],
    *,
    top_k: int | None = None,
    temperature: float = 1.0,
    min_score: float | None = None,
) -> list[ClassPrediction]:
    """Choose each row's most probable step of a scale, in a cumulative link model (McCullagh 1980, section 2).

    Args:
        logits: ``[N, C - 1]`` logits of lying above each cut, descending.
        labels: ``C`` names in the order of the scale.
        top_k: as of `decode_classification`, and so the others.
        temperature: likewise.
        min_score: likewise.
    """
    above = sigmoid(logits.astype(np.float64) / temperature)
    bounds = np.pad(above, ((0, 0), (1, 0)), constant_values=1.0)
    return _best_labels(bounds - np.pad(above, ((0, 0), (0, 1))), labels, top_k=top_k, min_score=min_score)


def _best_labels(
    probabilities: NDArray[np.float64], labels: Sequence[str | int], *, top_k: int | None, min_score: float | None
) -> list[ClassPrediction]:
    ranked = np.argsort(-probabilities, axis=1, kind="stable")
    predictions = []
    for row, order in zip(probabilities.tolist(), ranked.tolist(), strict=True):
        score = row[order[0]]
        is_sure = min_score is None or score >= min_score
        prediction = ClassPrediction(label=labels[order[0]] if is_sure else None, score=score)
        if top_k is not None:
            prediction["scores"] = {str(labels[index]): row[index] for index in order[:top_k]}
        predictions.append(prediction)
    return predictions


def decode_multi_label(
    logits: Array, labels: Sequence[str | int], *, thresholds: Sequence[float]
) -> list[MultiLabelPrediction]:
    """Choose each row's labels whose sigmoid reaches the label's threshold.

    Args:
        logits: ``[N, C]``.
        labels: ``C`` names in order.
        thresholds: ``C`` probabilities.
    """
    probabilities = sigmoid(logits)
    ranked = np.argsort(-probabilities, axis=1, kind="stable")
    return [
        MultiLabelPrediction(
            labels=[labels[index] for index in order if row[index] >= thresholds[index]],
            scores={str(labels[index]): row[index] for index in order},
        )
        for row, order in zip(probabilities.tolist(), ranked.tolist(), strict=True)
    ]


def decode_regression(
    values: Array, targets: Sequence[str], *, mean: Sequence[float], scale: Sequence[float]
) -> list[ValuePrediction] | list[ValuesPrediction]:
    """Bring standardised outputs back to the targets' own units.

    Args:
        values: ``[N, T]`` in units of ``scale`` around ``mean``.
        targets: ``T`` names in order; a single one gives ``value``, several give ``values``.
        mean: ``T`` means of train.
        scale: ``T`` standard deviations of train.
    """
    restored = (values.astype(np.float64) * np.asarray(scale) + np.asarray(mean)).tolist()
    if len(targets) == 1:
        return [ValuePrediction(value=value) for (value,) in restored]
    return [ValuesPrediction(values=dict(zip(targets, row, strict=True))) for row in restored]


def decode_tags(logits: Sequence[Array], labels: Sequence[str | int], rows: Sequence[Features]) -> list[TagsPrediction]:
    """Choose the most probable tag of each word.

    Args:
        logits: of each row, ``[W, C]`` in the order of its ``word_indices``.
        labels: ``C`` tags in order.
        rows: the rows' features, encoded with words.
    """
    found = []
    for row, of_row in zip(rows, logits, strict=True):
        choices, _ = _by_word(row, of_row, of_row.argmax(axis=1))
        found.append(TagsPrediction(tags=[None if choice is None else labels[choice] for choice in choices]))
    return found


def decode_spans(
    logits: Sequence[Array],
    tags: Sequence[str],
    rows: Sequence[Features],
    texts: Sequence[str],
    *,
    scheme: TagScheme = "bio",
    decoding: Decoding = "independent",
) -> list[list[SpanPrediction]]:
    """Read each row's spans off the tags that are chosen for its words.

    A word that truncation lost or that yields no token counts as ``O``, and its neighbours are chosen accordingly. A
    span's score is the mean, over its words, of the chosen tag's probability.

    Args:
        logits: of each row, ``[W, C]`` in the order of its ``word_indices``.
        tags: ``C`` tags in order.
        rows: the rows' features, encoded with words.
        texts: the rows' texts, in which ``word_spans`` count; of words, the words joined by one space.
        scheme: of the tags.
        decoding: how the tags are chosen.
    """
    return [
        [prediction for _, prediction in _spans(*of_row, tags, scheme)]
        for of_row in zip(logits, _chosen(logits, tags, rows, scheme, decoding), rows, texts, strict=True)
    ]


def decode_word_spans(
    logits: Sequence[Array],
    tags: Sequence[str],
    rows: Sequence[Features],
    texts: Sequence[str],
    *,
    scheme: TagScheme = "bio",
    decoding: Decoding = "independent",
) -> list[list[SpanPrediction]]:
    """Do as `decode_spans` for input given as words, and name the words of each span too."""
    return [
        [
            SpanPrediction(**prediction, word_start=span.start_word, word_end=span.end_word)
            for span, prediction in _spans(*of_row, tags, scheme)
        ]
        for of_row in zip(logits, _chosen(logits, tags, rows, scheme, decoding), rows, texts, strict=True)
    ]


def softmax(logits: Array) -> NDArray[np.float64]:
    """Return probabilities over the last axis, in float64."""
    shifted = logits.astype(np.float64) - logits.max(axis=-1, keepdims=True)
    exponentials = np.exp(shifted)
    return np.asarray(exponentials / exponentials.sum(axis=-1, keepdims=True))


def sigmoid(logits: Array) -> NDArray[np.float64]:
    """Return each logit's probability, in float64, without overflow."""
    wide = logits.astype(np.float64)
    small = np.exp(-np.abs(wide))
    return np.where(wide >= 0, 1.0, small) / (1.0 + small)


def _chosen(
    logits: Sequence[Array], tags: Sequence[str], rows: Sequence[Features], scheme: TagScheme, decoding: Decoding
) -> list[Indices]:
    """Return the tag ``[W]`` that is chosen for each word of each row that kept its first piece."""
    if decoding == "independent":
        return [of_row.argmax(axis=1) for of_row in logits]
    starts = range(0, len(rows), _ROWS_AT_ONCE)
    parts = [slice(start, start + _ROWS_AT_ONCE) for start in starts]
    return [of_row for part in parts for of_row in _legal(logits[part], tags, rows[part], scheme)]


def _legal(
    logits: Sequence[Array], tags: Sequence[str], rows: Sequence[Features], scheme: TagScheme
) -> Sequence[Indices]:
    """Choose legal tags: what stands next to a word that has no logits, or to none, stands next to ``O``."""
    places: list[int] = []  # of the words in all rows, with a gap between two rows
    first = 0
    for row in rows:
        places += (first + word for word in chain.from_iterable(row.word_indices))
        first += len(row.word_spans) + 1
    if not places:
        return [np.empty(0, dtype=np.int64)] * len(rows)
    starts = np.flatnonzero(np.diff(places, prepend=places[0]) != 1)
    choices = best_legal_tags(np.concatenate(logits), starts, tags, scheme)
    return np.split(choices, np.cumsum([len(of_row) for of_row in logits])[:-1])


def _by_word(row: Features, logits: Array, chosen: Indices) -> tuple[list[int | None], list[float]]:
    """Return the label chosen for each word and its probability; ``None`` and 1 without a position."""
    choices: list[int | None] = [None] * len(row.word_spans)
    scores = [1.0] * len(row.word_spans)
    probabilities = np.take_along_axis(softmax(logits), chosen[:, None], axis=1)[:, 0]
    words = chain.from_iterable(row.word_indices)
    for word, choice, score in zip(words, chosen.tolist(), probabilities.tolist(), strict=True):
        choices[word] = choice
        scores[word] = score
    return choices, scores


def _spans(
    logits: Array, chosen: Indices, row: Features, text: str, tags: Sequence[str], scheme: TagScheme
) -> Iterator[tuple[Span, SpanPrediction]]:
    choices, scores = _by_word(row, logits, chosen)
    for span in tags_to_spans([OUTSIDE if choice is None else tags[choice] for choice in choices], scheme):
        start = row.word_spans[span.start_word][0]
        end = row.word_spans[span.end_word - 1][1]
        of_words = scores[span.start_word : span.end_word]
        score = sum(of_words) / len(of_words)
        yield span, SpanPrediction(label=span.label, text=text[start:end], start=start, end=end, score=score)
