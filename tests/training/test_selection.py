"""Numbers by hand: the chosen score, floors, and which standing is better."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mtl_transformers.training.selection import Standing, chosen_score, mean_score, shortfall

SCORES = {
    "intent": {"accuracy": 0.9, "f1_macro": 0.6},
    "mood": {"pearson": -0.2, "mse": 3.0},
    "names": {"span_f1": 0.5},
}
FIRST = {"intent": "accuracy", "mood": "pearson", "names": "span_f1"}


def test_the_mean_is_over_each_tasks_first_metric():
    assert mean_score(SCORES, FIRST) == pytest.approx((0.9 - 0.2 + 0.5) / 3)


@pytest.mark.parametrize("metric", ["mse", "evaluate:some/metric"])
def test_a_metric_without_bounds_has_no_place_in_a_mean(metric):
    scores = {**SCORES, "mood": {metric: 3.0}}
    assert math.isnan(mean_score(scores, {**FIRST, "mood": metric}))


def test_the_chosen_score_is_larger_when_it_is_better():
    assert chosen_score(SCORES, chosen="mean", first_metrics=FIRST) == pytest.approx(0.4)
    assert chosen_score(SCORES, chosen="intent/f1_macro", first_metrics=FIRST) == 0.6
    assert chosen_score(SCORES, chosen="mood/mse", first_metrics=FIRST) == -3.0


def test_the_shortfall_sums_what_lacks_to_floors_and_is_above_ceilings():
    assert shortfall(SCORES, {}) == 0.0
    assert shortfall(SCORES, {"intent/accuracy": 0.85}) == 0.0
    assert shortfall(SCORES, {"intent/accuracy": 1.0, "names/span_f1": 0.8}) == pytest.approx(0.1 + 0.3)
    assert shortfall(SCORES, {"mood/mse": 2.5}) == pytest.approx(0.5)  # a ceiling: lower is better
    assert shortfall(SCORES, {"mood/mse": 4.0}) == 0.0


def test_a_smaller_shortfall_is_better_than_any_score():
    assert Standing(2, score=0.1, shortfall=0.0).beats(Standing(1, score=0.9, shortfall=0.01))
    assert not Standing(2, score=0.9, shortfall=0.01).beats(Standing(1, score=0.1, shortfall=0.0))


def test_of_equal_shortfall_the_larger_score_is_better_and_a_tie_keeps_the_earlier_model():
    first = Standing(1, score=0.5, shortfall=0.2)
    assert first.beats(None)
    assert Standing(2, score=0.6, shortfall=0.2).beats(first)
    assert not Standing(2, score=0.5, shortfall=0.2).beats(first)


@given(st.lists(st.tuples(st.floats(-1, 1), st.sampled_from([0.0, 0.1, 0.2])), min_size=1))
def test_the_best_of_a_run_is_the_first_of_the_best(run):
    best = None
    for step, (score, lack) in enumerate(run):
        standing = Standing(step, score=score, shortfall=lack)
        best = standing if standing.beats(best) else best
    expected = max(range(len(run)), key=lambda step: (-run[step][1], run[step][0], -step))
    assert best is not None
    assert best.step == expected


def test_a_score_that_is_undefined_is_beaten_by_any_other_and_meets_no_floor():
    undefined = Standing(2, score=math.nan, shortfall=0.0)
    assert Standing(4, score=-5.0, shortfall=0.0).beats(undefined)
    assert not undefined.beats(Standing(1, score=-5.0, shortfall=0.0))
    assert shortfall({"mood": {"pearson": math.nan}}, {"mood/pearson": 0.1}) == math.inf
