import json
import math
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import pytest
import torch

from mtl_transformers.errors import DataError
from mtl_transformers.tasks.kinds import task_from_json
from mtl_transformers.tasks.labels import UnknownLabelError
from mtl_transformers.tasks.multi_label import MultiLabel, MultiLabelOptions
from mtl_transformers.text.encoding import Features

ROW = Features(((5, 6),), ())
NAN = math.nan
ALL_METRICS = MultiLabel.legal_metrics(MultiLabelOptions(label="y"))


def fit(
    cells: Iterable[Any],
    *,
    label: str | tuple[str, ...] = "y",
    class_names: Sequence[str] | None = None,
    metrics: Sequence[str] = (),
    **options: Any,
) -> MultiLabel:
    return MultiLabel.fit(
        "topics",
        MultiLabelOptions(label=label, **options),
        metrics=metrics,
        cells=(cell if isinstance(label, tuple) else (cell,) for cell in cells),
        class_names=class_names,
    )


def encode(task: MultiLabel, *cells: Any) -> list[Any]:
    columns = isinstance(task.options.label, tuple)
    return [task.encode(cell if columns else (cell,), ROW, text="") for cell in cells]


def target(task: MultiLabel, labels: Sequence[Any]) -> Any:
    return task.target([ROW] * len(labels), first_sequences=range(len(labels)), labels=labels)


def decoded(task: MultiLabel, probabilities: list[list[float]]) -> list[Any]:
    logits = [np.log(np.array([row]) / (1 - np.array([row]))).astype(np.float64) for row in probabilities]
    return task.decode(logits, [ROW] * len(logits), texts=[""] * len(logits), form="text")  # type: ignore[arg-type]


def same(left: list[Any], right: list[Any]) -> bool:
    return np.array_equal(np.array(left, dtype=float), np.array(right, dtype=float), equal_nan=True)


def test_lists_of_names_are_rows_of_0_and_1() -> None:
    task = fit([["b", "a"], ["b"], [], None])
    assert task.labels == ("a", "b")
    assert (task.label_counts, task.num_rows) == ({"a": 1, "b": 2}, 3)
    assert encode(task, ["b", "a"], ["b"]) == [[1.0, 1.0], [0.0, 1.0]]


def test_an_empty_list_is_none_of_them_and_null_is_no_label() -> None:
    assert encode(fit([["a"], ["b"]]), [], None) == [[0.0, 0.0], None]


def test_lists_of_ids_are_labels_themselves_or_index_label_names() -> None:
    assert fit([[10, 9], [2]]).labels == (2, 9, 10)
    named = fit([[0], [1, 2]], label_names=("x", "y", "z"))
    assert encode(named, [2, 0], ["z"]) == [[1.0, 0.0, 1.0], [0.0, 0.0, 1.0]]


def test_a_class_label_gives_the_order() -> None:
    assert encode(fit([["b"], ["a"]], class_names=["b", "a", "c"]), ["a", "b"]) == [[1.0, 1.0, 0.0]]


def test_a_label_named_twice_in_a_row_counts_once() -> None:
    task = fit([["a", "a"], ["b"]])
    assert task.counts == (1, 1)
    assert encode(task, ["a", "a"]) == [[1.0, 0.0]]


def test_text_is_cut_at_the_separator() -> None:
    task = fit(["a, b", "b", "", None], separator=",")
    assert (task.labels, task.counts, task.num_rows) == (("a", "b"), (1, 2), 3)
    assert encode(task, "b ,a,", "", " ", None) == [[1.0, 1.0], [0.0, 0.0], [0.0, 0.0], None]


def test_a_csv_column_of_single_ids_is_text_to_the_separator_too() -> None:
    task = fit([3, 1, NAN], separator=",")
    assert encode(task, 3, 1.0, "1,3", NAN) == [[0.0, 1.0], [1.0, 0.0], [1.0, 1.0], None]


def test_text_without_a_separator_is_refused() -> None:
    with pytest.raises(DataError, match="set separator"):
        fit(["a, b"])


def test_multi_hot_lists_need_names_and_mask_null_cells_one_by_one() -> None:
    task = fit([[1, 0], [1, None], None], multi_hot=True, label_names=("x", "y"))
    assert (task.labels, task.counts, task.num_rows) == (("x", "y"), (2, 0), 2)
    assert same(encode(task, [0, 1], [1, None], [NAN, 0]), [[0, 1], [1, NAN], [NAN, 0]])
    with pytest.raises(DataError, match="needs label_names"):
        fit([[1, 0]], multi_hot=True)


def test_columns_of_0_and_1_are_named_by_the_columns() -> None:
    task = fit([(1, 0), (True, None), (None, None)], label=("toxic", "spam"), multi_hot=True)
    assert (task.labels, task.counts, task.num_rows) == (("toxic", "spam"), (2, 0), 2)
    assert same(encode(task, (0, 1.0), (NAN, 1)), [[0, 1], [NAN, 1]])


def test_a_row_of_null_cells_is_null() -> None:
    task = fit([(1, 0)], label=("a", "b"), multi_hot=True)
    assert encode(task, (None, None), (NAN, None), (0, 0)) == [None, None, [0.0, 0.0]]


def test_one_column_of_0_and_1_is_one_label() -> None:
    task = fit([(1,), (0,), (None,)], label=("toxic",), multi_hot=True)
    assert encode(task, (1,), (0,), (None,)) == [[1.0], [0.0], None]


@pytest.mark.parametrize(
    ("cell", "message"),
    [([1], "1 values of 0 and 1 for 2 labels"), ([1, 2], "expected 0, 1 or null"), (1, "expected a list")],
)
def test_malformed_multi_hot_rows_are_refused(cell: Any, message: str) -> None:
    task = fit([[1, 0]], multi_hot=True, label_names=("x", "y"))
    with pytest.raises(DataError, match=message):
        encode(task, cell)


def test_several_columns_without_multi_hot_are_refused() -> None:
    with pytest.raises(DataError, match="multi_hot: true"):
        fit([(1, 0)], label=("a", "b"))


@pytest.mark.parametrize(
    ("cells", "message"),
    [
        ([None, None], "every label is null"),
        ([[], None], "no training row has a label"),
        ([["a", None]], "hold a null"),
        ([3], "expected a list"),
        ([["a"], [1]], "mix names"),
    ],
)
def test_labels_that_cannot_be_trained_are_refused(cells: list[Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        fit(cells)


def test_an_unknown_label_is_an_error_or_left_out() -> None:
    with pytest.raises(UnknownLabelError, match=r"'cards'.*did you mean 'card'"):
        encode(fit([["card"], ["login"]]), ["cards"])
    assert encode(fit([["card"], ["login"]], unknown_label="ignore"), ["cards", "login"]) == [[0.0, 1.0]]


def test_the_items_are_the_cells_that_have_a_label() -> None:
    found = target(fit([["a"], ["b"]]), [[0.0, 1.0], None, [NAN, 1.0]])
    assert found.sequences.tolist() == [0, 2]
    assert (found.num_items, found.num_rows) == (3, 2)


def test_the_loss_is_the_sum_of_binary_cross_entropies_over_known_cells() -> None:
    task = fit([["a"], ["b"]])
    logits = torch.tensor([[math.log(3.0), 0.0], [0.0, 7.0]])  # probabilities 3/4, 1/2; 1/2, –
    found = target(task, [[0.0, 1.0], [1.0, NAN]])
    assert task.loss(logits, found).item() == pytest.approx(math.log(4) + math.log(2) + math.log(2))


def test_a_null_cell_gets_no_gradient_and_a_zero_does() -> None:
    task = fit([["a"], ["b"]])
    logits = torch.zeros(1, 2, requires_grad=True)
    (gradient,) = torch.autograd.grad(task.loss(logits, target(task, [[0.0, NAN]])), logits)
    assert gradient.tolist() == [[0.5, 0.0]]


def test_a_null_row_adds_nothing_to_the_loss() -> None:
    task = fit([["a"], ["b"]])
    logits = torch.tensor([[0.3, -1.0], [2.0, 0.5]])
    both = target(task, [None, [1.0, 0.0]])
    assert torch.equal(task.loss(logits[both.sequences], both), task.loss(logits[1:], target(task, [[1.0, 0.0]])))
    none_of_them = target(task, [[0.0, 0.0], [1.0, 0.0]])  # negative control: [] is a label
    assert task.loss(logits, none_of_them) > task.loss(logits[1:], target(task, [[1.0, 0.0]]))


def test_a_label_is_predicted_from_its_threshold_on() -> None:
    task = fit([["a"], ["b"]], threshold=0.3)
    assert [answer["labels"] for answer in decoded(task, [[0.31, 0.29], [0.2, 0.9], [0.1, 0.1]])] == [["a"], ["b"], []]
    assert fit([["a"], ["b"]]).thresholds == (0.5, 0.5)


def test_perfect_predictions_score_1() -> None:
    task = fit([["a"], ["b"], ["c"]], metrics=ALL_METRICS)
    labels = [[1.0, 0.0, 1.0], [0.0, 1.0, 0.0], [0.0, 0.0, 0.0]]
    answers = decoded(task, (0.1 + 0.8 * np.array(labels)).tolist())
    assert task.score(labels, answers, [ROW] * 3) == {name: pytest.approx(1.0) for name in ALL_METRICS}


def test_f1_counts_cells() -> None:
    task = fit([["a"], ["b"]], metrics=["f1_micro", "f1_macro"])
    answers = decoded(task, [[0.9, 0.9], [0.1, 0.9]])  # gold: a; b
    scores = task.score([[1.0, 0.0], [0.0, 1.0]], answers, [ROW] * 2)
    assert scores["f1_micro"] == pytest.approx(2 * 2 / (2 * 2 + 1))  # 2 right, 1 too many
    assert scores["f1_macro"] == pytest.approx((1 + 2 / 3) / 2)


def test_null_cells_change_no_score() -> None:
    task = fit([["a"], ["b"]], metrics=ALL_METRICS)
    labels = [[1.0, 0.0], [0.0, 1.0], [1.0, NAN], [0.0, 1.0]]
    scores = [
        task.score(labels, decoded(task, [[0.9, 0.2], [0.3, 0.9], [0.2, masked], [0.1, 0.8]]), [ROW] * 4)
        for masked in (0.01, 0.99)
    ]
    assert scores[0] == scores[1]
    assert scores[0]["roc_auc"] == pytest.approx((3 / 4 + 1) / 2)  # of a: 3 of 4 pairs in order; of b: both


def test_ranking_equals_the_metric_over_whole_rows_where_nothing_is_null() -> None:
    from mtl_transformers.metrics.named import compute

    task = fit([["a"], ["b"], ["c"]], metrics=["roc_auc"])
    generator = np.random.default_rng(0)
    gold, scores = generator.integers(0, 2, (40, 3)), generator.random((40, 3))
    answers = decoded(task, scores.tolist())
    expected = compute("roc_auc", predictions=scores, references=gold)
    assert task.score(gold.astype(float).tolist(), answers, [ROW] * 40)["roc_auc"] == pytest.approx(expected)


def test_the_majority_has_the_labels_of_most_rows() -> None:
    task = fit([["a", "b"], ["a"], ["a"], []], metrics=["f1_micro", "roc_auc"])
    majority = task.majority(ROW)
    assert majority == {"labels": ["a"], "scores": {"a": 0.75, "b": 0.25}}
    scores = task.score([[1.0, 0.0], [0.0, 1.0]], [majority] * 2, [ROW] * 2)
    assert scores == {"f1_micro": pytest.approx(0.5), "roc_auc": 0.5}


def test_each_label_has_precision_recall_and_support() -> None:
    task = fit([["a"], ["b"]])
    found = task.score_per_label([[1.0, 0.0], [1.0, 1.0]], decoded(task, [[0.9, 0.1], [0.1, 0.9]]), [ROW] * 2)
    assert [(score.label, score.precision, score.recall, score.support) for score in found] == [
        ("a", 1.0, 0.5, 2),
        ("b", 1.0, 1.0, 1),
    ]


def test_gold_labels_are_named() -> None:
    assert fit([["a"], ["b"]]).gold([0.0, 1.0], ROW, text="", form="text") == {"labels": ["b"]}


@pytest.mark.parametrize(
    "task",
    [
        fit([["a"], ["b"]]),
        fit([[1], [2]], threshold=0.4, metrics=["f1_macro"]),
        fit(["a|b"], separator="|", label_names=("b", "a")),
        fit([(1, 0)], label=("x", "y"), multi_hot=True),
    ],
)
def test_json_keeps_a_fitted_task(task: MultiLabel) -> None:
    assert task_from_json(json.loads(json.dumps(task.to_json()))) == task
