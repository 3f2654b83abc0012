"""Thresholds: exact by hand, met on the rows that they are fitted on, and kept where nothing can be said."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mtl_transformers.errors import ConfigError
from mtl_transformers.lifecycle.thresholds import (
    F1,
    NO_POSITIVE,
    Target,
    between,
    fit_threshold,
    fit_thresholds,
    target_of,
)

SCORES = np.asarray([0.9, 0.8, 0.6, 0.4, 0.2])
GOLD = np.asarray([True, False, True, True, False])
# from 0.9 on: precision 1, recall 1/3; 0.8: 1/2, 1/3; 0.6: 2/3, 2/3; 0.4: 3/4, 1 (F1 6/7); 0.2: 3/5, 1 (F1 3/4)


def chosen(target: str, *, usual: float = 0.5) -> float:
    return fit_threshold(SCORES, GOLD, current=0.77, usual=usual, target=target_of(target)).value


def test_the_best_f1_lies_between_two_scores():
    assert chosen("f1") == pytest.approx(0.3)


def test_a_precision_is_reached_with_the_largest_recall():
    assert chosen("precision=0.7") == pytest.approx(0.3)
    assert chosen("precision=0.75") == pytest.approx(0.3)
    assert chosen("precision=0.76") == pytest.approx(0.85)


def test_a_recall_is_reached_with_the_largest_precision():
    assert chosen("recall=0.3") == pytest.approx(0.85)
    assert chosen("recall=0.5") == pytest.approx(0.3)  # 3/4 where two thirds would do with 2/3
    assert chosen("recall=1") == pytest.approx(0.3)


def test_the_usual_threshold_is_taken_where_it_is_as_good_as_the_best():
    assert chosen("f1", usual=0.21) == 0.21
    assert chosen("f1", usual=0.4) == 0.4  # a score at the threshold is predicted
    assert chosen("f1", usual=0.41) == pytest.approx(0.3)


def test_of_equally_good_thresholds_the_nearest_is_taken():
    scores, gold = np.asarray([0.9, 0.8, 0.2, 0.1]), np.asarray([True, False, False, True])
    # F1: 2/3, 1/2, 2/5, 2/3
    assert fit_threshold(scores, gold, current=0.5, usual=0.7, target=F1).value == pytest.approx(0.85)
    assert fit_threshold(scores, gold, current=0.5, usual=0.15, target=F1).value == pytest.approx(0.05)


def test_rows_with_equal_scores_are_never_told_apart():
    scores, gold = np.asarray([0.7, 0.7, 0.3]), np.asarray([True, False, True])
    assert fit_threshold(scores, gold, current=0.5, usual=0.5, target=target_of("precision=0.9")).note is not None
    assert fit_threshold(scores, gold, current=0.5, usual=0.5, target=F1).value == pytest.approx(0.15)


def test_a_label_that_no_row_has_keeps_its_threshold_which_is_said():
    found = fit_threshold(SCORES, np.zeros(5, dtype=bool), current=0.37, usual=0.5, target=F1)
    assert (found.value, found.note) == (0.37, NO_POSITIVE)
    nothing = fit_threshold(np.empty(0), np.empty(0, dtype=bool), current=0.37, usual=0.5, target=F1)
    assert (nothing.value, nothing.note) == (0.37, NO_POSITIVE)


def test_a_precision_out_of_reach_keeps_the_threshold_which_is_said():
    found = fit_threshold(
        np.asarray([0.9, 0.8]), np.asarray([False, True]), current=0.5, usual=0.5, target=Target("precision", 0.8)
    )
    assert (found.value, found.note) == (0.5, "precision 0.8 is out of reach; the best is 0.500")


def test_null_cells_are_left_out_of_their_label_only():
    scores = np.asarray([[0.9, 0.9], [0.8, 0.8], [0.3, 0.3]])
    gold = np.asarray([[np.nan, 1.0], [1.0, 0.0], [0.0, 0.0]])
    found = fit_thresholds(scores, gold, current=[0.7, 0.7], usual=0.85, target=F1)
    assert [of.value for of in found] == pytest.approx([0.55, 0.85])


@pytest.mark.parametrize("gap", [0.0, np.spacing(0.5), 2 * np.spacing(0.5), 0.25])
def test_a_threshold_is_above_the_lower_score_and_not_above_the_upper_one(gap: float):
    lower, upper = 0.5, 0.5 + gap
    assert lower <= between(lower, upper) <= upper
    assert gap == 0 or lower < between(lower, upper)


def rates(scores: np.ndarray, gold: np.ndarray, threshold: float) -> tuple[float, float, float]:
    """Precision, recall and F1, counted plainly."""
    predicted = scores >= threshold
    both = int((predicted & gold).sum())
    precision = both / predicted.sum() if predicted.any() else 0.0
    return precision, both / gold.sum(), 2 * both / (predicted.sum() + gold.sum())


@settings(max_examples=200, deadline=None)
@given(
    rows=st.lists(
        st.tuples(st.sampled_from([0.0, 0.1, 0.25, 0.5, 0.75, 0.9, 1.0]), st.booleans()), min_size=1, max_size=12
    ),
    current=st.floats(0.01, 0.99),
    usual=st.floats(0.01, 0.99),
    target=st.sampled_from([F1, Target("precision", 0.7), Target("recall", 0.6), Target("recall", 1.0)]),
)
def test_a_target_is_met_as_well_as_trying_every_threshold_does(
    rows: list, current: float, usual: float, target: Target
):
    scores, gold = np.asarray([score for score, _ in rows]), np.asarray([label for _, label in rows])
    found = fit_threshold(scores, gold, current=current, usual=usual, target=target)
    if found.note is not None:
        assert found.value == current
    if not gold.any():
        assert found.note == NO_POSITIVE
        return
    tried = [rates(scores, gold, threshold) for threshold in (*scores, current, usual)]
    precision, recall, f1 = rates(scores, gold, found.value)
    at_least = target.at_least or 0.0
    match target.measure:
        case "f1":
            assert f1 == max(of[2] for of in tried)
        case "precision":
            able = [of for of in tried if of[0] >= at_least]
            assert (found.note is None) == bool(able)
            assert not able or (precision >= at_least and recall == max(of[1] for of in able))
        case "recall":
            assert recall >= at_least
            assert precision == max(of[0] for of in tried if of[1] >= at_least)


@pytest.mark.parametrize("text", ["f2", "f1=0.5", "precision", "precision=0", "recall=1.1", "recall=x", "", "=0.5"])
def test_what_is_no_target_is_refused(text: str):
    with pytest.raises(ConfigError, match=r"--target .*expected f1, precision=P or recall=R"):
        target_of(text)


def test_targets_read_as_they_are_written():
    assert [str(target_of(text)) for text in ("f1", "precision=0.9", " recall = 0.80 ")] == [
        "f1",
        "precision=0.9",
        "recall=0.8",
    ]
