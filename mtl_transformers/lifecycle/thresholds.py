"""Per-label thresholds of a multi-label task: from which probability on a label is predicted, for a target.

Owns the search, exact over all thresholds that differ on the given rows: they lie between two neighbours of the sorted
scores. Of equally good ones the nearest to the usual threshold is taken, which is that one itself where it is among
them.

Shapes: ``N`` rows, ``C`` labels, ``n`` rows whose label is known, ``K`` different scores of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from mtl_transformers.errors import ConfigError

Measure = Literal["f1", "precision", "recall"]
Floats = NDArray[np.float64]

NO_POSITIVE = "no row has it"


@dataclass(frozen=True, slots=True)
class Target:
    """What thresholds are chosen for.

    Attributes:
        measure: ``f1``: the highest; ``precision``: the highest recall of those whose precision is reached; ``recall``:
            the highest precision of those whose recall is reached.
        at_least: what precision or recall has to reach; ``None`` of ``f1``.
    """

    measure: Measure
    at_least: float | None = None

    def __str__(self) -> str:
        return self.measure if self.at_least is None else f"{self.measure}={self.at_least:g}"


F1 = Target("f1")


def target_of(text: str) -> Target:
    """Return the target that is written as ``f1``, ``precision=0.9`` or ``recall=0.8``.

    Raises:
        ConfigError: it is none of these.
    """
    name, equals, value = (part.strip() for part in text.partition("="))
    if name == "f1" and not equals:
        return F1
    at_least = share_of(value)
    if at_least is not None:
        if name == "precision":
            return Target("precision", at_least)
        if name == "recall":
            return Target("recall", at_least)
    raise ConfigError(f"--target {text!r}: expected f1, precision=P or recall=R, with a number above 0 and at most 1")


def share_of(text: str) -> float | None:
    """Return the number in a text, where it lies above 0 and is at most 1."""
    try:
        value = float(text)
    except ValueError:
        return None
    return value if 0 < value <= 1 else None


@dataclass(frozen=True, slots=True)
class Threshold:
    """The threshold of a label.

    Attributes:
        value: the label is predicted from this probability on.
        note: why it is the one that the label had, where the target could not be met.
    """

    value: float
    note: str | None = None


def fit_thresholds(
    scores: Floats, gold: Floats, *, current: Sequence[float], usual: float, target: Target
) -> list[Threshold]:
    """Choose each label's threshold by itself.

    Args:
        scores: ``[N, C]`` probabilities.
        gold: ``[N, C]`` 1 or 0, NaN where it is not known.
        current: ``C`` thresholds that the labels have.
        usual: as of `fit_threshold`.
        target: what for.
    """
    found = []
    for place, has in enumerate(current):
        known = ~np.isnan(gold[:, place])
        found.append(
            fit_threshold(scores[known, place], gold[known, place] == 1, current=has, usual=usual, target=target)
        )
    return found


def fit_threshold(
    scores: Floats, gold: NDArray[np.bool_], *, current: float, usual: float, target: Target
) -> Threshold:
    """Choose the threshold of one label.

    Args:
        scores: ``[n]`` probabilities.
        gold: ``[n]`` which rows have the label.
        current: the threshold that it has, and keeps where nothing can be said.
        usual: of equally good ones the nearest to it is taken.
        target: what for.
    """
    num_positive = int(gold.sum())
    if not num_positive:
        return Threshold(current, NO_POSITIVE)
    falling, num_predicted, num_found = _counts(scores, gold)
    precision, recall = num_found / num_predicted, num_found / num_positive
    at_least = 0.0 if target.at_least is None else target.at_least
    match target.measure:
        case "f1":
            goals = [2 * num_found / (num_predicted + num_positive)]
        case "precision":
            if not (precision >= at_least).any():
                return Threshold(current, f"precision {at_least:g} is out of reach; the best is {precision.max():.3f}")
            goals = [np.where(precision >= at_least, recall, -1.0), precision]
        case "recall":
            goals = [np.where(recall >= at_least, precision, -1.0), recall]
    return Threshold(_nearest(_best(goals), falling, usual))


def _counts(scores: Floats, gold: NDArray[np.bool_]) -> tuple[Floats, NDArray[np.int64], NDArray[np.int64]]:
    """Return the different scores ``[K]``, falling, and how many rows reach each: all, and those with the label."""
    order = np.argsort(-scores, kind="stable")
    falling = scores[order]
    last = np.append(np.flatnonzero(np.diff(falling)), len(falling) - 1)
    return falling[last], last + 1, np.cumsum(gold[order])[last]


def _best(goals: Sequence[Floats]) -> NDArray[np.int64]:
    """Return the places that are best by the first goal, of those by the second, and so on."""
    best = np.arange(len(goals[0]))
    for goal in goals:
        best = best[goal[best] == goal[best].max()]
    return best


def _nearest(best: NDArray[np.int64], falling: Floats, usual: float) -> float:
    """Return the threshold that lets through all scores up to one of some places, the nearest to the usual one."""
    if np.count_nonzero(falling >= usual) - 1 in best:
        return usual
    values = [between(falling[place + 1] if place + 1 < len(falling) else 0.0, falling[place]) for place in best]
    return min(values, key=lambda value: abs(value - usual))


def between(lower: float, upper: float) -> float:
    """Return the number in the middle of two scores: above the lower one, and not above the upper one."""
    middle = float(lower) + (float(upper) - float(lower)) / 2
    return middle if middle > lower else float(upper)
