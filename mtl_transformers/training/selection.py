"""Which model is the best one: the chosen score, floors below which no task may fall, and early stopping."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from mtl_transformers.metrics.named import averageable, metric

Scores = Mapping[str, Mapping[str, float]]
"""Metrics by task."""


@dataclass(frozen=True, slots=True)
class Standing:
    """How a model stands in an evaluation.

    Attributes:
        step: after how many steps.
        score: the chosen score, larger is better.
        shortfall: sum of what lacks to the floors; 0 where all are met.
    """

    step: int
    score: float
    shortfall: float

    def beats(self, other: Standing | None) -> bool:
        """Tell whether it is better: less shortfall first, then the score; a tie keeps the earlier model."""
        return other is None or self._rank > other._rank

    @property
    def _rank(self) -> tuple[float, float]:
        """What is compared; a score that is undefined is below all others."""
        return -self.shortfall, -math.inf if math.isnan(self.score) else self.score


def mean_score(scores: Scores, first_metrics: Mapping[str, str]) -> float:
    """Return the mean over tasks of each one's first metric; NaN where one of them has no place in a mean."""
    if not all(averageable(metric(name)) for name in first_metrics.values()):
        return math.nan
    return sum(scores[task][name] for task, name in first_metrics.items()) / len(first_metrics)


def chosen_score(scores: Scores, *, chosen: str, first_metrics: Mapping[str, str]) -> float:
    """Return the score that the config chose, turned so that larger is better.

    Args:
        scores: metrics by task.
        chosen: ``mean`` or ``task/metric``.
        first_metrics: the metric of each task that counts in the mean.
    """
    if chosen == "mean":
        return mean_score(scores, first_metrics)
    task, name = chosen.split("/", 1)
    return scores[task][name] if metric(name).higher_is_better else -scores[task][name]


def shortfall(scores: Scores, floors: Mapping[str, float]) -> float:
    """Return the sum of what each ``task/metric`` lacks to its floor (a ceiling where lower is better)."""
    total = 0.0
    for key, floor in floors.items():
        task, name = key.split("/", 1)
        lack = floor - scores[task][name]
        lack = lack if metric(name).higher_is_better else -lack
        total += math.inf if math.isnan(lack) else max(0.0, lack)
    return total
