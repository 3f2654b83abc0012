"""When a classification declines to answer: the least probability of an answer, for a rule.

Owns the rules and the choice, exact over all values that differ on the given rows (`thresholds.between`). The accuracy
and coverage of each are ``metrics/calibration.py``'s.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from mtl_transformers.errors import ConfigError
from mtl_transformers.lifecycle.thresholds import between, share_of
from mtl_transformers.metrics.calibration import selection


@dataclass(frozen=True, slots=True)
class Rule:
    """How the least probability of an answer is found.

    Attributes:
        measure: ``score``: it is given; ``coverage``: the highest one under which this share of the rows is answered;
            ``accuracy``: the lowest one under which this share of the answers is right; ``none``: all is answered.
        value: as said; 0 of ``none``.
    """

    measure: Literal["score", "coverage", "accuracy", "none"]
    value: float

    def __str__(self) -> str:
        match self.measure:
            case "none":
                return "none"
            case "score":
                return f"{self.value:g}"
        return f"{self.measure}={self.value:g}"


def rule_of(text: str) -> Rule:
    """Return the rule that is written as ``0.6``, ``coverage=0.9``, ``accuracy=0.95`` or ``none``.

    Raises:
        ConfigError: it is none of these.
    """
    name, equals, value = (part.strip() for part in text.partition("="))
    if name == "none" and not equals:
        return Rule("none", 0.0)
    share = share_of(value if equals else name)
    if share is not None:
        if not equals:
            return Rule("score", share)
        if name == "coverage":
            return Rule("coverage", share)
        if name == "accuracy":
            return Rule("accuracy", share)
    raise ConfigError(
        f"--min-score {text!r}: expected a probability, coverage=SHARE, accuracy=SHARE or none, with a number above 0 "
        "and at most 1"
    )


@dataclass(frozen=True, slots=True)
class MinScore:
    """The least probability of an answer.

    Attributes:
        value: ``None``: all is answered.
        note: why it is the one that the task had, where the rule could not be followed.
    """

    value: float | None
    note: str | None = None


def fit_min_score(confidences: ArrayLike, right: ArrayLike, *, current: float | None, rule: Rule | None) -> MinScore:
    """Choose the least probability of an answer.

    Args:
        confidences: ``[N]`` probability of each answer.
        right: ``[N]`` whether it is right.
        current: what the task has.
        rule: how; ``None``: what the task has stays.
    """
    if rule is None:
        return MinScore(current)
    if rule.measure == "none":
        return MinScore(None)
    if rule.measure == "score":
        return MinScore(rule.value)
    found = selection(confidences, right)
    reached = np.flatnonzero((found.coverage if rule.measure == "coverage" else found.accuracy) >= rule.value)
    if not len(reached):
        return MinScore(current, f"accuracy {rule.value:g} is out of reach; the best is {found.accuracy.max():.3f}")
    place = int(reached[0] if rule.measure == "coverage" else reached[-1])
    if place + 1 == len(found.confidences):
        return MinScore(None)
    return MinScore(between(found.confidences[place + 1], found.confidences[place]))
