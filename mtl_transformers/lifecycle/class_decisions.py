"""What a classification decides, and how well: its temperature and the least probability of an answer.

Owns fitting the two on some rows, and the figures of some predictions. The arithmetic is ``temperature.py``'s,
``abstaining.py``'s and ``metrics/calibration.py``'s.

Shapes: ``N`` rows, ``C`` labels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mtl_transformers.lifecycle.abstaining import Rule, fit_min_score
from mtl_transformers.lifecycle.scored_rows import ScoredRows, predictions_of
from mtl_transformers.lifecycle.temperature import fit_temperature
from mtl_transformers.metrics.calibration import (
    Reliability,
    Selection,
    brier_score,
    negative_log_likelihood,
    reliability,
    selection,
)
from mtl_transformers.tasks.classification import Classification
from mtl_transformers.tasks.task import EncodedLabel


@dataclass(frozen=True, slots=True)
class Curves:
    """What a plot of a classification shows.

    Attributes:
        reliability: rows by the confidence of their answer.
        selection: accuracy of the most confident rows, had the others no answer.
    """

    reliability: Reliability
    selection: Selection


def fit_class_decisions(
    task: Classification, rows: ScoredRows, *, rule: Rule | None
) -> tuple[Classification, tuple[str, ...]]:
    """Return the task with a new temperature and least probability, and what a user should know of them."""
    targets = _targets(task, rows.labels)
    temperature = fit_temperature(rows.logits, targets, ordinal=task.options.ordinal)
    calibrated = replace(task, temperature=temperature.value, min_score=None)
    given = _probabilities(task, predictions_of(calibrated, rows))
    min_score = fit_min_score(given.max(axis=1), _right(given, targets), current=task.min_score, rule=rule)
    notes = tuple(note for note in (temperature.note, min_score.note) if note is not None)
    return replace(calibrated, min_score=min_score.value), notes


def class_figures(task: Classification, labels: Sequence[EncodedLabel], predictions: Sequence[Any]) -> dict[str, float]:
    """Return likelihood, calibration error and Brier score; and how many rows are answered, and how many of them right.

    Args:
        task: whose labels they are.
        labels: ``N`` encoded labels.
        predictions: of the same rows, with the probability of every label. A row without an answer counts by its
            probabilities in the first three.
    """
    given, targets = _probabilities(task, predictions), _targets(task, labels)
    answered = np.asarray([prediction["label"] is not None for prediction in predictions])
    right = _right(given, targets)
    return {
        "nll": negative_log_likelihood(given, targets),
        "ece": _reliability(given, targets).error,
        "brier": brier_score(given, targets),
        "coverage": float(answered.mean()),
        "accuracy_answered": float(right[answered].mean()) if answered.any() else float("nan"),
    }


def class_curves(task: Classification, labels: Sequence[EncodedLabel], predictions: Sequence[Any]) -> Curves:
    """Return what is drawn of the same."""
    given, targets = _probabilities(task, predictions), _targets(task, labels)
    return Curves(_reliability(given, targets), selection(given.max(axis=1), _right(given, targets)))


def _reliability(given: NDArray[np.float64], targets: NDArray[np.float64]) -> Reliability:
    """Compare each answer's probability with that of its being right: 0 or 1, or what a soft label says."""
    return reliability(given.max(axis=1), targets[np.arange(len(given)), given.argmax(axis=1)])


def _right(given: NDArray[np.float64], targets: NDArray[np.float64]) -> NDArray[np.bool_]:
    return np.asarray(given.argmax(axis=1) == targets.argmax(axis=1))


def _targets(task: Classification, labels: Sequence[EncodedLabel]) -> NDArray[np.float64]:
    """Return labels as probabilities ``[N, C]``."""
    values = np.asarray(labels)
    return values.astype(np.float64) if task.options.soft else np.eye(len(task.labels))[values]


def _probabilities(task: Classification, predictions: Sequence[Any]) -> NDArray[np.float64]:
    """Return the probability ``[N, C]`` of each label."""
    names = task.output_names
    return np.asarray([[prediction["scores"][name] for name in names] for prediction in predictions])
