import json
import math
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mtl_transformers.errors import DataError
from mtl_transformers.tasks.kinds import task_from_json
from mtl_transformers.tasks.regression import Regression, RegressionOptions
from mtl_transformers.text.encoding import Features

ROW = Features(((5, 6),), ())
NAN = math.nan
ALL_METRICS = ("pearson", "spearman", "mse", "mae")


def fit(cells: Iterable[Any], *, label: str | tuple[str, ...] = "y", metrics: Sequence[str] = ()) -> Regression:
    return Regression.fit(
        "urgency",
        RegressionOptions(label=label),
        metrics=metrics,
        cells=(cell if isinstance(label, tuple) else (cell,) for cell in cells),
        class_names=None,
    )


def target(task: Regression, labels: Sequence[Any]) -> Any:
    return task.target([ROW] * len(labels), first_sequences=range(len(labels)), labels=labels)


def decoded(task: Regression, outputs: list[list[float]]) -> list[Any]:
    logits = [np.array([row], dtype=np.float32) for row in outputs]
    return task.decode(logits, [ROW] * len(logits), texts=[""] * len(logits), form="text")


def test_mean_and_standard_deviation_are_those_of_the_labelled_training_rows() -> None:
    task = fit([1.0, None, 3, NAN, 5.0])
    assert (task.mean, task.counts) == ((3.0,), (3,))
    assert task.scale == pytest.approx((math.sqrt(8 / 3),))


def test_each_target_has_its_own_mean_over_the_rows_that_have_it() -> None:
    task = fit([(0.0, 10.0), (2.0, None), (4.0, 30.0)], label=("V", "A"))
    assert (task.targets, task.mean, task.counts) == (("V", "A"), (2.0, 20.0), (3, 2))
    assert task.scale == pytest.approx((math.sqrt(8 / 3), 10.0))


@pytest.mark.parametrize("value", [0.1, 3.0, 1e300])
def test_a_constant_target_is_not_scaled(value: float) -> None:
    assert fit([value] * 7).scale == (1.0,)


def test_zero_is_a_value_and_null_is_none() -> None:
    task = fit([(0.0, 1.0), (2.0, 3.0)], label=("a", "b"))
    assert task.encode((0, 0.0), ROW, text="") == [0.0, 0.0]
    assert task.encode((None, NAN), ROW, text="") is None
    values = task.encode((0.0, None), ROW, text="")
    assert isinstance(values, list)
    assert values[0] == 0.0
    assert math.isnan(values[1])


def test_targets_are_standardised_for_the_loss() -> None:
    task = fit([1.0, 5.0])  # mean 3, standard deviation 2
    assert target(task, [[1.0], [3.0], [4.0]]).labels.tolist() == [[-1.0], [0.0], [0.5]]


def test_the_unit_of_the_data_does_not_change_the_loss() -> None:
    metres, millimetres = fit([1.0, 5.0]), fit([1000.0, 5000.0])
    logits = torch.tensor([[0.3]])
    assert metres.loss(logits, target(metres, [[4.0]])).item() == pytest.approx(
        millimetres.loss(logits, target(millimetres, [[4000.0]])).item()
    )


def test_the_loss_is_the_sum_of_squares_over_the_cells_that_have_a_value() -> None:
    task = fit([(1.0, 10.0), (5.0, 30.0)], label=("a", "b"))  # means 3 and 20, scales 2 and 10
    found = target(task, [[5.0, NAN], None, [3.0, 10.0]])
    logits = torch.tensor([[0.5, 100.0], [1.0, 1.0]])
    assert (found.num_items, found.num_rows, found.sequences.tolist()) == (3, 2, [0, 2])
    assert task.loss(logits, found).item() == pytest.approx((1 - 0.5) ** 2 + (0 - 1) ** 2 + (-1 - 1) ** 2)


def test_a_missing_target_gets_no_gradient() -> None:
    task = fit([(1.0, 10.0), (5.0, 30.0)], label=("a", "b"))
    logits = torch.ones(1, 2, requires_grad=True)
    (gradient,) = torch.autograd.grad(task.loss(logits, target(task, [[3.0, NAN]])), logits)
    assert gradient.tolist() == [[2.0, 0.0]]


def test_a_null_row_adds_nothing_to_the_loss() -> None:
    task = fit([1.0, 5.0])
    logits = torch.tensor([[0.7], [0.2]])
    both = target(task, [None, [4.0]])
    assert torch.equal(task.loss(logits[both.sequences], both), task.loss(logits[1:], target(task, [[4.0]])))
    zero = target(task, [[0.0], [4.0]])  # negative control: 0 is a label
    assert task.loss(logits, zero) > task.loss(logits[1:], target(task, [[4.0]]))


@given(st.lists(st.integers(-1000, 1000), min_size=2, max_size=20))
def test_decoding_gives_the_value_back_in_its_unit(values: list[int]) -> None:
    task = fit(values)
    labels = target(task, [[float(value)] for value in values]).labels
    answers = decoded(task, labels.tolist())
    assert [answer["value"] for answer in answers] == pytest.approx(values, abs=1e-3)


def test_several_targets_are_named_in_predictions() -> None:
    task = fit([(1.0, 10.0), (5.0, 30.0)], label=("V", "A"))
    assert decoded(task, [[0.5, -1.0]]) == [{"values": {"V": 4.0, "A": 10.0}}]


def test_perfect_predictions_score_best() -> None:
    task = fit([1.0, 3.0, 8.0], metrics=ALL_METRICS)
    answers: list[Any] = [{"value": 1.0}, {"value": 3.0}, {"value": 8.0}]
    scores = task.score([[1.0], [3.0], [8.0]], answers, [ROW] * 3)
    assert scores == {"pearson": pytest.approx(1), "spearman": pytest.approx(1), "mse": 0.0, "mae": 0.0}


def test_errors_are_in_the_unit_of_the_data() -> None:
    task = fit([100.0, 300.0], metrics=["mse", "mae"])
    answers: list[Any] = [{"value": 110.0}, {"value": 270.0}]
    assert task.score([[100.0], [300.0]], answers, [ROW] * 2) == {"mse": 500.0, "mae": 20.0}


def test_each_target_is_scored_over_its_own_rows_and_the_mean_is_the_score() -> None:
    task = fit([(1.0, 10.0), (5.0, 30.0)], label=("V", "A"), metrics=["mae"])
    answers: list[Any] = [{"values": {"V": 1.0, "A": 99.0}}, {"values": {"V": 3.0, "A": 20.0}}]
    scores = task.score([[2.0, NAN], [3.0, 24.0]], answers, [ROW] * 2)
    assert scores == {"mae": (0.5 + 4.0) / 2, "mae_V": 0.5, "mae_A": 4.0}


def test_a_target_that_no_row_has_is_left_out_of_the_mean() -> None:
    task = fit([(1.0, 10.0), (5.0, 30.0)], label=("V", "A"), metrics=["mae"])
    assert task.score([[2.0, NAN]], [{"values": {"V": 1.0, "A": 0.0}}], [ROW]) == {"mae": 1.0, "mae_V": 1.0}


def test_the_majority_is_the_training_mean_and_correlates_0() -> None:
    task = fit([1.0, 3.0, 8.0], metrics=ALL_METRICS)
    assert task.majority(ROW) == {"value": 4.0}
    scores = task.score([[1.0], [3.0], [8.0]], [task.majority(ROW)] * 3, [ROW] * 3)
    assert (scores["pearson"], scores["spearman"]) == (0.0, 0.0)
    assert scores["mse"] == pytest.approx((9 + 1 + 16) / 3)
    assert fit([(1.0, 10.0), (5.0, 30.0)], label=("V", "A")).majority(ROW) == {"values": {"V": 3.0, "A": 20.0}}


def test_gold_values_are_exact_and_null_where_they_are_missing() -> None:
    task = fit([(0.1, 10.0), (0.7, 30.0)], label=("V", "A"))
    assert task.gold([0.3, NAN], ROW, text="", form="text") == {"values": {"V": 0.3, "A": None}}
    assert fit([0.1, 0.7]).gold([0.3], ROW, text="", form="text") == {"value": 0.3}


@pytest.mark.parametrize(
    ("cells", "message"),
    [
        ([None, NAN], "'y': every label is null"),
        (["3.5", "high"], "label 'high' is no number"),
        ([["a"]], "is a list; expected a number"),
        ([math.inf], "not finite"),
        ([[1.0]], "is a list"),
    ],
)
def test_labels_that_are_no_numbers_are_refused(cells: list[Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        fit(cells)


def test_a_target_without_any_value_is_refused_by_name() -> None:
    with pytest.raises(DataError, match="'A': every label is null"):
        fit([(1.0, None)], label=("V", "A"))


def test_a_target_named_twice_is_refused() -> None:
    with pytest.raises(DataError, match="'V' is given more than once"):
        fit([(1.0, 2.0)], label=("V", "V"))


@pytest.mark.parametrize(
    "task", [fit([0.1, 1 / 3]), fit([(1.0, None), (2.0, 0.7)], label=("V", "A"), metrics=["mse", "pearson"])]
)
def test_json_keeps_a_fitted_task_to_the_bit(task: Regression) -> None:
    assert task_from_json(json.loads(json.dumps(task.to_json()))) == task


def test_one_bad_cell_that_made_a_column_text_is_the_one_that_is_blamed():
    with pytest.raises(DataError, match=r"^label 'high' is no number"):
        fit(["0.28", "high", "0.5"])
    task = fit(["0.28", "0.5"])
    assert task.mean == fit([0.28, 0.5]).mean
    with pytest.raises(DataError, match=r"^label 'nan' is no number"):
        task.encode(("nan",), Features((), ()), text="")
