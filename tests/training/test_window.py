"""A line of the log, by hand."""

import math

import pytest

from mtl_transformers.training.steps import Counts
from mtl_transformers.training.update import Outcome
from mtl_transformers.training.window import Window


def outcome(items: dict[str, int], losses: dict[str, float], *, tokens: int = 10, norm: float = 1.0) -> Outcome:
    counts = Counts(items=items, labelled_rows=items, rows={"tickets": 4}, tokens=tokens)
    return Outcome(counts, losses, norm)


def test_a_loss_is_the_mean_over_all_items_and_not_over_steps():
    window = Window()
    window.add(outcome({"intent": 1, "names": 0}, {"intent": 4.0}))
    window.add(outcome({"intent": 3, "names": 5}, {"intent": 2.0, "names": 1.0}, norm=0.5))
    line = window.close(step=2, num_steps=9, rate=0.1)
    assert line.losses == {"intent": pytest.approx(2.5), "names": pytest.approx(1.0)}
    assert (line.step, line.num_steps, line.learning_rate, line.gradient_norm) == (2, 9, 0.1, 0.5)
    assert 0 < line.tokens_per_s < math.inf


def test_each_line_begins_anew():
    window = Window()
    window.add(outcome({"intent": 1}, {"intent": 4.0}))
    window.close(step=1, num_steps=2, rate=0.1)
    window.add(outcome({"names": 1}, {"names": 1.0}))
    assert window.close(step=2, num_steps=2, rate=0.1).losses == {"names": 1.0}


def test_the_names_in_the_log_are_those_of_the_design():
    window = Window()
    window.add(outcome({"intent": 1}, {"intent": 4.0}))
    values = window.close(step=1, num_steps=2, rate=0.1).values()
    assert values.keys() == {"train/intent/loss", "lr", "gradient_norm", "tokens_per_s"}
