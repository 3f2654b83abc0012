"""A line of the log, by hand."""

import math

import pytest

from mtl_transformers.training.steps import Counts
from mtl_transformers.training.update import Outcome
from mtl_transformers.training.window import Logged, Stopwatch, Window


def outcome(
    items: dict[str, int], losses: dict[str, float], *, norm: float = 1.0, norms: dict[str, float] | None = None
) -> Outcome:
    counts = Counts(items=items, labelled_rows=items, rows={"tickets": 4}, tokens=10)
    return Outcome(counts, losses, norm, norms or {})


def test_a_loss_is_the_mean_over_all_items_and_not_over_steps():
    window = Window().add(outcome({"intent": 1, "names": 0}, {"intent": 4.0}))
    window = window.add(outcome({"intent": 3, "names": 5}, {"intent": 2.0, "names": 1.0}, norm=0.5))
    assert window.losses == {"intent": pytest.approx(2.5), "names": pytest.approx(1.0)}


def test_norms_are_those_of_the_last_step_that_had_a_gradient():
    window = Window().add(outcome({"intent": 1}, {"intent": 4.0}, norm=2.0, norms={"intent": 1.5}))
    window = window.add(outcome({"names": 1}, {"names": 4.0}, norm=0.5, norms={"names": 0.25}))
    assert (window.gradient_norm, window.gradient_norms) == (0.5, {"intent": 1.5, "names": 0.25})


def test_the_names_in_the_log_are_those_of_the_design():
    line = Logged(
        step=1,
        num_steps=2,
        losses={"intent": 4.0},
        learning_rate=0.1,
        gradient_norm=1.0,
        gradient_norms={"intent": 0.5},
        tokens_per_s=9.0,
    )
    assert line.values() == {
        "train/intent/loss": 4.0,
        "train/intent/gradient_norm": 0.5,
        "lr": 0.1,
        "gradient_norm": 1.0,
        "tokens_per_s": 9.0,
    }


def test_the_stopwatch_counts_from_where_it_was_last_read():
    watch = Stopwatch(100)
    assert 0 < watch.read(150) < math.inf
    assert watch.read(150) == 0
    watch.restart(500)
    assert watch.read(500) == 0
