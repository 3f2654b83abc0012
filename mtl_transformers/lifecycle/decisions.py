"""What a task decides, before and after: fitted on some rows, measured on them, and on rows that it was not fitted on.

Owns the order for one task of either kind, and cross-fitting: each row is decided by what was fitted without its fold.
Which decisions a kind has is ``class_decisions.py``'s and ``label_decisions.py``'s.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from mtl_transformers.lifecycle.abstaining import Rule
from mtl_transformers.lifecycle.class_decisions import Curves, class_curves, class_figures, fit_class_decisions
from mtl_transformers.lifecycle.label_decisions import fit_label_decisions, label_figures
from mtl_transformers.lifecycle.scored_rows import ScoredRows, predictions_of
from mtl_transformers.lifecycle.thresholds import Target
from mtl_transformers.metrics.named import LabelScore
from mtl_transformers.tasks.classification import Classification
from mtl_transformers.tasks.multi_label import MultiLabel
from mtl_transformers.tasks.task import EncodedLabel
from mtl_transformers.text.encoding import Features

FEW_ROWS = 100  # below which a user is told

Decidable = Classification | MultiLabel


@dataclass(frozen=True, slots=True)
class Wanted:
    """What decisions are fitted for.

    Attributes:
        target: of the thresholds of a multi-label task.
        rule: of the least probability of a classification's answer; ``None``: it stays.
    """

    target: Target
    rule: Rule | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a task decides some rows.

    Attributes:
        num_rows: of them.
        figures: by name.
        metrics: the task's own.
        baseline: the same of a prediction that ignores the text.
        labels: precision, recall, F1 and support of each label.
        curves: of a classification.
    """

    num_rows: int
    figures: Mapping[str, float]
    metrics: Mapping[str, float]
    baseline: Mapping[str, float]
    labels: Sequence[LabelScore]
    curves: Curves | None


@dataclass(frozen=True, slots=True)
class Change:
    """The same rows under the decisions that were there, and the new ones."""

    before: Outcome
    after: Outcome


@dataclass(frozen=True, slots=True)
class Decided:
    """A task with its new decisions.

    Attributes:
        before: the task as it was.
        after: the task as it is now.
        notes: what a user should know.
        fitted: measured on the rows that were fitted on, which flatters.
        held_out: measured on rows that were not: a split of its own, or each by what was fitted without its fold;
            ``None``: all rows lie in one fold.
    """

    before: Decidable
    after: Decidable
    notes: tuple[str, ...]
    fitted: Change
    held_out: Change | None


def decide(task: Decidable, rows: ScoredRows, wanted: Wanted, *, report: ScoredRows | None = None) -> Decided:
    """Fit a task's decisions.

    Args:
        task: as it is.
        rows: what is fitted on.
        wanted: what for.
        report: rows of another split to measure on; ``None``: cross-fit.
    """
    after, notes = _fit(task, rows, wanted)
    if len(rows) < FEW_ROWS:
        notes = (*notes, f"fitted on {len(rows)} rows only")
    fitted = _change(task, rows, predictions_of(after, rows))
    held_out = None
    if report is not None:
        held_out = _change(task, report, predictions_of(after, report))
    elif (crossed := _cross_fitted(task, rows, wanted)) is not None:
        held_out = Change(fitted.before, _outcome(task, rows.labels, crossed))
    return Decided(task, after, notes, fitted, held_out)


def _cross_fitted(task: Decidable, rows: ScoredRows, wanted: Wanted) -> list[Any] | None:
    """Return the prediction of each row under decisions that were fitted without its fold."""
    folds = np.unique(rows.folds)
    if len(folds) < 2:
        return None
    found: list[Any] = [None] * len(rows)
    for fold in folds:
        inside = np.flatnonzero(rows.folds == fold)
        without, _ = _fit(_undecided(task, wanted), rows.select(np.flatnonzero(rows.folds != fold)), wanted)
        for row, prediction in zip(inside.tolist(), predictions_of(without, rows.select(inside)), strict=True):
            found[row] = prediction
    return found


def _change(task: Decidable, rows: ScoredRows, after: Sequence[Any]) -> Change:
    return Change(_outcome(task, rows.labels, predictions_of(task, rows)), _outcome(task, rows.labels, after))


def _fit(task: Decidable, rows: ScoredRows, wanted: Wanted) -> tuple[Decidable, tuple[str, ...]]:
    if isinstance(task, Classification):
        return fit_class_decisions(task, rows, rule=wanted.rule)
    return fit_label_decisions(task, rows, target=wanted.target)


def _undecided(task: Decidable, wanted: Wanted) -> Decidable:
    """Return the task as training left it: what was fitted before may know the rows that are now held out."""
    if isinstance(task, MultiLabel):
        return replace(task, thresholds=(task.options.threshold,) * len(task.labels))
    return task if wanted.rule is None else replace(task, min_score=None)


def _outcome(task: Decidable, labels: Sequence[EncodedLabel], predictions: Sequence[Any]) -> Outcome:
    if isinstance(task, Classification):
        figures, curves = class_figures(task, labels, predictions), class_curves(task, labels, predictions)
    else:
        figures, curves = label_figures(task, labels, predictions), None
    return Outcome(
        num_rows=len(labels),
        figures=figures,
        metrics=task.score(labels, predictions, []),
        baseline=task.score(labels, [task.majority(Features((), ()))] * len(labels), []),
        labels=task.score_per_label(labels, predictions, []),
        curves=curves,
    )
