"""What a task decides, on made logits: by hand, cross-fitted on rows that the fit did not see, null cells masked."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from mtl_transformers.lifecycle.abstaining import rule_of
from mtl_transformers.lifecycle.calibrate import LEFT_ALONE
from mtl_transformers.lifecycle.class_decisions import class_curves, class_figures, fit_class_decisions
from mtl_transformers.lifecycle.decisions import FEW_ROWS, Wanted, decide
from mtl_transformers.lifecycle.label_decisions import fit_label_decisions, label_figures
from mtl_transformers.lifecycle.scored_rows import ScoredRows, predictions_of
from mtl_transformers.lifecycle.thresholds import F1
from mtl_transformers.tasks.classification import Classification, ClassificationOptions
from mtl_transformers.tasks.kinds import KINDS
from mtl_transformers.tasks.multi_label import MultiLabel, MultiLabelOptions
from mtl_transformers.text.decoding import softmax


def classification(labels: Sequence[str] = ("a", "b"), **options: Any) -> Classification:
    return Classification(
        name="intent",
        metrics=("accuracy",),
        options=ClassificationOptions(label="y", **options),
        labels=tuple(labels),
        counts=(1,) * len(labels),
        named=False,
    )


def multi_label(labels: Sequence[str] = ("x", "y")) -> MultiLabel:
    return MultiLabel(
        name="topics",
        metrics=("f1_micro",),
        options=MultiLabelOptions(label="y"),
        labels=tuple(labels),
        counts=(1,) * len(labels),
        num_rows=2,
        named=False,
        thresholds=(0.5,) * len(labels),
    )


def rows(logits: Any, labels: Sequence[Any], folds: Sequence[int] | None = None) -> ScoredRows:
    given = np.asarray(logits, dtype=np.float32)
    return ScoredRows(given, list(labels), np.asarray(folds if folds is not None else np.arange(len(given)) % 5))


def drawn(num_rows: int, *, factor: float, seed: int = 0) -> ScoredRows:
    """Logits of three labels, and labels drawn from their probabilities; the logits are then too large by a factor."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(scale=1.5, size=(num_rows, 3))
    return rows(factor * logits, [int(rng.choice(3, p=row)) for row in softmax(logits)])


LOGIT = {p: float(np.log(p / (1 - p))) for p in (0.1, 0.3, 0.4, 0.6, 0.8, 0.9)}


def test_figures_by_hand():
    # answers: a with 0.8 (right), b with 0.9 (wrong)
    task = classification()
    given = rows([[LOGIT[0.8], 0.0], [0.0, LOGIT[0.9]]], [0, 0])
    found = class_figures(task, given.labels, predictions_of(task, given))
    assert found == pytest.approx(
        {
            "nll": -(np.log(0.8) + np.log(0.1)) / 2,
            "ece": (0.2 + 0.9) / 2,
            "brier": ((0.2**2 + 0.2**2) + (0.9**2 + 0.9**2)) / 2,
            "coverage": 1.0,
            "accuracy_answered": 0.5,
        }
    )


def test_a_row_without_an_answer_counts_by_its_probabilities_and_not_among_the_answers():
    task = classification()
    given = rows([[LOGIT[0.8], 0.0], [0.0, LOGIT[0.9]]], [1, 1])
    plain = class_figures(task, given.labels, predictions_of(task, given))
    careful = class_figures(task, given.labels, predictions_of(replace(task, min_score=0.85), given))
    assert {name for name in plain if plain[name] != careful[name]} == {"coverage", "accuracy_answered"}
    assert (careful["coverage"], careful["accuracy_answered"]) == (0.5, 1.0)
    nothing = class_figures(task, given.labels, predictions_of(replace(task, min_score=0.95), given))
    assert nothing["coverage"] == 0
    assert np.isnan(nothing["accuracy_answered"])


def test_of_soft_labels_an_answer_is_as_right_as_its_label_says():
    task = classification(soft=True, label_names=("a", "b"))
    given = rows([[LOGIT[0.8], 0.0]], [[0.8, 0.2]])
    found = class_figures(task, given.labels, predictions_of(task, given))
    assert found["ece"] == pytest.approx(0, abs=1e-6)
    assert found["brier"] == pytest.approx(0, abs=1e-6)
    assert found["accuracy_answered"] == 1.0


def test_logits_that_are_too_large_are_brought_back_and_the_calibration_error_with_them():
    given = drawn(4000, factor=3.0)
    found = decide(classification("abc"), given, Wanted(F1))
    assert isinstance(found.after, Classification)
    assert found.after.temperature == pytest.approx(3.0, rel=0.05)
    assert found.held_out is not None
    before, after, held_out = found.fitted.before, found.fitted.after, found.held_out.after
    assert before.figures["ece"] > 0.1
    for better in (after, held_out):
        assert better.figures["ece"] < 0.03
        assert better.figures["nll"] < before.figures["nll"]
        assert better.figures["brier"] < before.figures["brier"]
        assert better.metrics == before.metrics  # no label moved
    assert held_out.figures["nll"] >= after.figures["nll"]


def test_a_temperature_that_was_stored_does_not_change_the_one_that_is_found():
    given = drawn(300, factor=2.0)
    fresh, _ = fit_class_decisions(classification("abc"), given, rule=None)
    again, _ = fit_class_decisions(replace(classification("abc"), temperature=7.0, min_score=0.4), given, rule=None)
    assert again.temperature == fresh.temperature
    assert (fresh.min_score, again.min_score) == (None, 0.4)


def test_the_least_score_is_of_calibrated_probabilities():
    given = drawn(2000, factor=3.0)
    found = decide(classification("abc"), given, Wanted(F1, rule_of("accuracy=0.8")))
    assert isinstance(found.after, Classification)
    assert 0.5 < (found.after.min_score or 0.0) < 0.9
    answered = found.fitted.after.figures
    assert answered["accuracy_answered"] >= 0.8
    assert 0.2 < answered["coverage"] < 0.95
    assert found.fitted.after.metrics["accuracy"] == pytest.approx(answered["coverage"] * answered["accuracy_answered"])
    assert found.held_out is not None
    assert found.held_out.after.figures["accuracy_answered"] == pytest.approx(0.8, abs=0.04)


def test_every_row_is_decided_by_what_was_fitted_without_its_fold():
    """One fold has two rows that alone would ask for another threshold: only its own rows are spared from it."""
    task = multi_label(["x"])
    values = [0.9, 0.8, 0.3, 0.4]
    given = rows([[LOGIT[p]] for p in values], [[1.0], [0.0], [1.0], [0.0]], folds=[0, 0, 1, 1])
    found = decide(task, given, Wanted(F1))
    # without fold 0 (0.3 right, 0.4 wrong) the best F1 takes all: both rows of fold 0 get the label, as at 0.5;
    # without fold 1 (0.9 right, 0.8 wrong) 0.85 is best: no row of fold 1 gets it
    assert found.held_out is not None
    (label,) = found.held_out.after.labels
    assert (label.precision, label.recall) == (0.5, 0.5)
    assert found.fitted.after.labels[0].recall == 1.0


def test_what_was_fitted_before_on_the_rows_does_not_reach_the_cross_fitted_figures():
    rng = np.random.default_rng(0)
    given = rows(rng.normal(size=(30, 2)), rng.integers(0, 2, size=(30, 2)).astype(float).tolist())
    fresh = decide(multi_label(), given, Wanted(F1))
    again = decide(fresh.after, given, Wanted(F1))
    assert fresh.held_out is not None
    assert again.held_out is not None
    assert again.after == fresh.after
    assert again.held_out.after == fresh.held_out.after
    assert again.held_out.before == fresh.fitted.after


def test_rows_of_one_fold_cannot_be_cross_fitted():
    assert decide(multi_label(["x"]), rows([[1.0], [0.0]], [[1.0], [0.0]], folds=[2, 2]), Wanted(F1)).held_out is None


def test_another_split_is_measured_before_and_after():
    given, other = drawn(1000, factor=3.0), drawn(500, factor=3.0, seed=1)
    found = decide(classification("abc"), given, Wanted(F1), report=other)
    assert found.held_out is not None
    assert found.held_out.before.num_rows == found.held_out.after.num_rows == 500
    assert found.held_out.after.figures["ece"] < found.held_out.before.figures["ece"]


def test_null_cells_are_neither_fitted_on_nor_scored():
    task = multi_label()
    null = float("nan")
    full = rows([[LOGIT[0.9], LOGIT[0.4]], [LOGIT[0.1], LOGIT[0.3]]], [[1.0, 1.0], [0.0, 0.0]])
    holes = rows([*full.logits.tolist(), [LOGIT[0.9], LOGIT[0.6]]], [*full.labels, [null, null]])
    of_full, of_holes = (fit_label_decisions(task, given, target=F1)[0] for given in (full, holes))
    assert of_full.thresholds == of_holes.thresholds == pytest.approx((0.5, 0.35), abs=1e-6)
    scores = [label_figures(of_full, given.labels, predictions_of(of_full, given)) for given in (full, holes)]
    assert scores[0] == scores[1] == {"f1_micro": 1.0, "f1_macro": 1.0, "precision": 1.0, "recall": 1.0}


def test_labels_that_keep_their_threshold_are_named_with_the_reason():
    task = multi_label(["x", "y", "z"])
    given = rows([[LOGIT[0.4], 0, 0], [LOGIT[0.1], 0, 0]], [[1.0, 0.0, 0.0], [0.0, 0.0, 0.0]])
    found = decide(task, given, Wanted(F1))
    assert isinstance(found.after, MultiLabel)
    assert found.after.thresholds == pytest.approx((0.25, 0.5, 0.5), abs=1e-6)
    assert found.notes == ("as before, because no row has it: y, z", "fitted on 2 rows only")


def test_few_rows_are_said_and_many_are_not():
    assert decide(classification("abc"), drawn(FEW_ROWS - 1, factor=1.0), Wanted(F1)).notes == (
        f"fitted on {FEW_ROWS - 1} rows only",
    )
    assert decide(classification("abc"), drawn(FEW_ROWS, factor=1.0), Wanted(F1)).notes == ()


def test_a_scale_is_calibrated_too_and_keeps_its_probabilities_ordered():
    rng = np.random.default_rng(0)
    place = rng.normal(scale=2.0, size=2000)
    steps = (place[:, None] + rng.logistic(size=(2000, 1)) > [-1, 1]).sum(axis=1).tolist()
    given = rows(3 * np.stack([place + 1, place - 1], axis=1), steps)
    found = decide(classification("abc", ordinal=True), given, Wanted(F1))
    assert isinstance(found.after, Classification)
    assert found.after.temperature == pytest.approx(3.0, rel=0.1)
    assert found.fitted.after.figures["nll"] < found.fitted.before.figures["nll"]


def test_the_curve_ends_where_all_are_answered():
    task, given = classification("abc"), drawn(50, factor=1.0)
    curves = class_curves(task, given.labels, predictions_of(task, given))
    assert curves.selection.coverage[-1] == 1.0
    assert curves.reliability.counts.sum() == 50


def test_every_kind_is_calibrated_or_left_alone_with_a_reason():
    assert {Classification.kind, MultiLabel.kind} | LEFT_ALONE.keys() == KINDS.keys()
