"""Parity: how far the logits and the answers of two models of the same tasks lie apart.

Owns the comparison of questions; which questions, and what is too far, is the caller's.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from mtl_transformers.runtime.answering import Answering
from mtl_transformers.runtime.questions import Question
from mtl_transformers.text.decoders import Logits, Prediction


@dataclass(frozen=True, slots=True)
class TaskParity:
    """How two models differ in a task.

    Attributes:
        num_rows: that were compared.
        largest_difference: between two logits; infinite where one is no number.
        num_equal: rows whose answers are equal, scores aside; ``None`` where an answer is nothing but numbers.
    """

    num_rows: int
    largest_difference: float
    num_equal: int | None

    @property
    def equal_answers(self) -> float | None:
        """The share of equal answers."""
        return None if self.num_equal is None else self.num_equal / self.num_rows

    def __add__(self, other: TaskParity) -> TaskParity:
        equal = None if self.num_equal is None or other.num_equal is None else self.num_equal + other.num_equal
        furthest = max(self.largest_difference, other.largest_difference)
        return TaskParity(self.num_rows + other.num_rows, furthest, equal)


@dataclass(frozen=True, slots=True)
class Comparison:
    """What two models say to the same questions.

    Attributes:
        tasks: how they differ, by name.
        reference: the logits of the one, question by question.
        compared: those of the other.
    """

    tasks: Mapping[str, TaskParity]
    reference: Sequence[Mapping[str, Logits]]
    compared: Sequence[Mapping[str, Logits]]


def compare(reference: Answering, compared: Answering, questions: Sequence[Question]) -> Comparison:
    """Ask two models the same."""
    one, other = reference.logits(questions), compared.logits(questions)
    by_one, by_other = reference.decode(questions, one), compared.decode(questions, other)
    by_row = (
        {
            name: TaskParity(1, _distance(logits, other[n][name]), _equal(by_one[n][name], by_other[n][name]))
            for name, logits in of_one.items()
        }
        for n, of_one in enumerate(one)
    )
    return Comparison(joined(by_row), one, other)


def joined(comparisons: Iterable[Mapping[str, TaskParity]]) -> dict[str, TaskParity]:
    """Return the parity over the rows of several comparisons."""
    tasks: dict[str, TaskParity] = {}
    for comparison in comparisons:
        for name, found in comparison.items():
            tasks[name] = tasks[name] + found if name in tasks else found
    return tasks


def _distance(one: Logits, other: Logits) -> float:
    distance = float(np.abs(one - other).max(initial=0.0))
    return float("inf") if np.isnan(distance) else distance


def _equal(one: Prediction, other: Prediction) -> int | None:
    if _is_measure(one) and _is_measure(other):
        return None
    return int(_stated(one) == _stated(other))


def _stated(value: object) -> object:
    """Return an answer without its scores and other fractions."""
    if isinstance(value, Mapping):
        return {key: _stated(of) for key, of in value.items() if not _is_measure(of)}
    if isinstance(value, list):
        return [_stated(of) for of in value if not _is_measure(of)]
    return value


def _is_measure(value: object) -> bool:
    """Tell whether an answer, or a part of one, is nothing but fractions; no spans and no label are an answer."""
    if isinstance(value, Mapping):
        return all(map(_is_measure, value.values()))
    if isinstance(value, list):
        return bool(value) and all(map(_is_measure, value))
    return isinstance(value, float)
