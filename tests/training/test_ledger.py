"""The ledger's numbers, by hand."""

import pytest

from mtl_transformers.errors import CheckpointError
from mtl_transformers.training.ledger import Ledger, check_ledger
from mtl_transformers.training.steps import Counts, TrainingData, loss_factors


def test_a_ledger_adds_up_the_steps():
    ledger = Ledger(rows={"a": 0, "b": 0}, labelled_rows={"x": 0, "y": 0, "z": 0})
    ledger = ledger.add(Counts({"x": 4, "y": 9, "z": 0}, {"x": 4, "y": 3, "z": 0}, {"a": 5, "b": 0}, tokens=60))
    ledger = ledger.add(Counts({"x": 1, "y": 0, "z": 8}, {"x": 1, "y": 0, "z": 2}, {"a": 1, "b": 2}, tokens=30))
    assert ledger == Ledger({"a": 6, "b": 2}, {"x": 5, "y": 3, "z": 2}, tokens=90)


PLANNED = Ledger(rows={"a": 6, "b": 2}, labelled_rows={"x": 5, "y": 3})


def test_what_was_planned_passes():
    check_ledger(Ledger({"a": 6, "b": 2}, {"x": 5, "y": 3}, tokens=90), PLANNED)


@pytest.mark.parametrize(
    ("trained", "message"),
    [
        (Ledger({"a": 5, "b": 2}, {"x": 5, "y": 3}), "a: 5 rows trained, 6 planned"),
        (Ledger({"a": 6, "b": 2}, {"x": 5, "y": 4}), "y: 4 rows trained, 3 planned"),
        (Ledger({"a": 7, "b": 2}, {"x": 6, "y": 3}), "a: 7 rows trained, 6 planned; x: 6 rows trained, 5 planned"),
    ],
)
def test_what_differs_is_named(trained, message):
    with pytest.raises(CheckpointError, match=message):
        check_ledger(trained, PLANNED)


def test_a_loss_is_weighed_by_its_datasets_rows_its_weight_and_the_items_of_the_whole_step():
    data = TrainingData(splits={}, tasks={"a": {"x": None, "y": None}, "b": {"z": None, "idle": None}}, pad_id=0)
    counts = Counts({"x": 4, "y": 20, "z": 5, "idle": 0}, {}, {"a": 6, "b": 2}, tokens=1)
    factors = loss_factors(counts, data, {"x": 1.0, "y": 0.5, "z": 2.0, "idle": 1.0})
    assert factors == {
        "x": pytest.approx(6 / 8 / 4),
        "y": pytest.approx(6 / 8 * 0.5 / 20),
        "z": pytest.approx(2 / 8 * 2.0 / 5),
    }
