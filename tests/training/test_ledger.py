"""The ledger's numbers, by hand."""

import pytest

from mtl_transformers.errors import CheckpointError
from mtl_transformers.text.masking import Vocabulary
from mtl_transformers.training.ledger import Ledger, check_ledger
from mtl_transformers.training.steps import Counts, TrainingData, loss_factors


def ledger(rows: dict[str, int], labelled: dict[str, int], *, skipped: int = 0, tokens: int = 0) -> Ledger:
    """A ledger in which as many rows of every dataset and task were left out."""
    return Ledger(rows, labelled, dict.fromkeys(rows, skipped), dict.fromkeys(labelled, skipped), tokens)


EMPTY = ledger({"a": 0, "b": 0}, {"x": 0, "y": 0, "z": 0})
FIRST = Counts({"x": 4, "y": 9, "z": 0}, {"x": 4, "y": 3, "z": 0}, {"a": 5, "b": 0}, tokens=60)
SECOND = Counts({"x": 1, "y": 0, "z": 8}, {"x": 1, "y": 0, "z": 2}, {"a": 1, "b": 2}, tokens=30)


def test_a_ledger_adds_up_the_steps():
    assert EMPTY.add(FIRST).add(SECOND) == ledger({"a": 6, "b": 2}, {"x": 5, "y": 3, "z": 2}, tokens=90)


def test_a_step_that_is_left_out_stands_apart():
    left = EMPTY.add(FIRST).skip(SECOND)
    assert (left.rows, left.labelled_rows, left.tokens) == ({"a": 5, "b": 0}, {"x": 4, "y": 3, "z": 0}, 60)
    assert (left.skipped_rows, left.skipped_labelled_rows) == ({"a": 1, "b": 2}, {"x": 1, "y": 0, "z": 2})


def test_what_a_rollback_undoes_is_left_out():
    earlier = EMPTY.add(FIRST)
    later = earlier.add(SECOND).skip(FIRST).rolled_back(earlier)
    assert (later.rows, later.labelled_rows) == (earlier.rows, earlier.labelled_rows)
    assert later.skipped_rows == {"a": 1 + 5, "b": 2 + 0}
    assert later.skipped_labelled_rows == {"x": 1 + 4, "y": 0 + 3, "z": 2 + 0}
    assert later.tokens == 90


PLANNED = ledger({"a": 6, "b": 2}, {"x": 5, "y": 3})


@pytest.mark.parametrize("skipped", [0, 1])
def test_what_was_planned_passes(skipped):
    rows, labelled = {"a": 6 - skipped, "b": 2 - skipped}, {"x": 5 - skipped, "y": 3 - skipped}
    check_ledger(ledger(rows, labelled, skipped=skipped, tokens=90), PLANNED)


@pytest.mark.parametrize(
    ("trained", "message"),
    [
        (ledger({"a": 5, "b": 2}, {"x": 5, "y": 3}), "dataset 'a': 5 rows trained, 0 left out, 6 planned"),
        (ledger({"a": 6, "b": 2}, {"x": 5, "y": 4}), "task 'y': 4 rows trained, 0 left out, 3 planned"),
        (ledger({"a": 5, "b": 1}, {"x": 4, "y": 3}, skipped=1), "task 'y': 3 rows trained, 1 left out, 3 planned"),
        (
            ledger({"a": 7, "b": 2}, {"x": 6, "y": 3}),
            "dataset 'a': 7 rows trained, 0 left out, 6 planned; task 'x': 6 rows trained, 0 left out, 5 planned",
        ),
    ],
)
def test_what_differs_is_named(trained, message):
    with pytest.raises(CheckpointError, match=f": {message}$"):
        check_ledger(trained, PLANNED)


UNUSED = {"vocabulary": Vocabulary(0, None, (), ()), "pad_id": 0, "seed": 0}


def test_a_loss_is_weighed_by_its_datasets_rows_its_weight_and_the_items_of_the_whole_step():
    data = TrainingData(splits={}, tasks={"a": {"x": None, "y": None}, "b": {"z": None, "idle": None}}, **UNUSED)
    counts = Counts({"x": 4, "y": 20, "z": 5, "idle": 0}, {}, {"a": 6, "b": 2}, tokens=1)
    factors = loss_factors(counts, data, {"x": 1.0, "y": 0.5, "z": 2.0, "idle": 1.0})
    assert factors == {
        "x": pytest.approx(6 / 8 / 4),
        "y": pytest.approx(6 / 8 * 0.5 / 20),
        "z": pytest.approx(2 / 8 * 2.0 / 5),
    }
