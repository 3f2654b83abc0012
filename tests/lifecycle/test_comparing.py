"""Tasks before and after: how much each fell, whichever way its metric points."""

import math

import pytest

from mtl_transformers.lifecycle.comparing import Compared, compare, fallen
from mtl_transformers.training.evaluation import TaskScores


def scores(**metrics: float) -> TaskScores:
    return TaskScores(metrics=metrics, baseline=dict.fromkeys(metrics, 0.0), num_rows=7)


@pytest.mark.parametrize(
    ("metric", "before", "after", "drop"),
    [
        ("accuracy", 0.75, 0.5, 0.25),
        ("accuracy", 0.5, 0.75, 0.0),
        ("mse", 0.5, 0.75, 0.25),  # lower is better
        ("mse", 0.75, 0.5, 0.0),
        ("evaluate:some/metric", 0.75, 0.5, 0.25),
        ("accuracy", 0.5, math.nan, math.inf),
        ("accuracy", math.nan, 0.5, 0.0),
        ("accuracy", math.nan, math.nan, 0.0),
    ],
)
def test_a_drop_is_what_became_worse(metric, before, after, drop):
    assert Compared("intent", metric, before, after, 7).drop == drop


def test_the_first_metric_of_each_task_is_compared():
    before = {"intent": scores(accuracy=0.75, f1_macro=0.5), "mood": scores(pearson=0.5)}
    after = {"mood": scores(pearson=0.25), "intent": scores(accuracy=0.5, f1_macro=1.0)}
    assert compare(before, after) == [
        Compared("intent", "accuracy", 0.75, 0.5, 7),
        Compared("mood", "pearson", 0.5, 0.25, 7),
    ]


def test_what_is_allowed_is_not_a_fall():
    compared = [Compared("intent", "accuracy", 0.75, 0.5, 7)]
    assert fallen(compared, max_drop=0.25) == []
    assert fallen(compared, max_drop=0.2) == compared
