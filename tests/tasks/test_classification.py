import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from mtl_transformers.errors import DataError
from mtl_transformers.tasks.classification import Classification, ClassificationOptions
from mtl_transformers.tasks.kinds import task_from_json
from mtl_transformers.tasks.labels import UnknownLabelError
from mtl_transformers.text.encoding import Features

ROW = Features(((5, 6),), ())
ALL_METRICS = Classification.legal_metrics(ClassificationOptions(label="y"))


def fit(
    cells: Iterable[Any],
    *,
    class_names: Sequence[str] | None = None,
    metrics: Sequence[str] = (),
    **options: Any,
) -> Classification:
    return Classification.fit(
        "intent",
        ClassificationOptions(label="y", **options),
        metrics=metrics,
        cells=((cell,) for cell in cells),
        class_names=class_names,
    )


def encode(task: Classification, *cells: Any) -> list[Any]:
    return [task.encode((cell,), ROW, text="") for cell in cells]


def target(task: Classification, labels: Sequence[int | None]) -> Any:
    return task.target([ROW] * len(labels), first_sequences=range(len(labels)), labels=labels)


def test_labels_are_sorted_and_counted() -> None:
    task = fit(["b", "a", None, "b"])
    assert task.labels == ("a", "b")
    assert task.label_counts == {"a": 1, "b": 2}
    assert task.num_outputs == 2


def test_a_class_label_gives_the_order() -> None:
    task = fit(["pos", "neg", None], class_names=["pos", "neg"])
    assert task.labels == ("pos", "neg")
    assert encode(task, "neg", "pos") == [1, 0]


def test_ids_index_label_names_and_names_find_themselves() -> None:
    task = fit([0, 1, 1], label_names=("low", "high"))
    assert task.counts == (1, 2)
    assert encode(task, 1, "high", 0, "low") == [1, 1, 0, 0]


def test_numbers_under_label_names_that_are_numbers_are_names() -> None:
    assert encode(fit([1, 2, 3], label_names=("1", "2", "3")), 1, 3) == [0, 2]


def test_label_names_reorder_the_names_of_a_class_label() -> None:
    """The ids of a ClassLabel arrive as its names (data/cells.py), so another order cannot swap the labels."""
    task = fit(["neg", "pos"], class_names=["neg", "pos"], label_names=("pos", "neg"))
    assert encode(task, "neg", "pos") == [1, 0]


def test_floats_of_a_csv_with_holes_are_the_same_labels_as_integers() -> None:
    task = fit([1.0, math.nan, 0.0, None])
    assert task.labels == (0, 1)
    assert encode(task, 1, 1.0, math.nan, None, "1") == [1, 1, None, None, 1]


def test_zero_is_a_label_and_null_is_none() -> None:
    assert encode(fit([0, 1]), 0, None) == [0, None]


def test_a_null_row_gives_no_vector_and_no_item() -> None:
    found = target(fit(["a", "b"]), [None, 1, None])
    assert found.sequences.tolist() == [1]
    assert found.labels.tolist() == [1]
    assert (found.num_items, found.num_rows) == (1, 1)


def test_rows_without_any_label_give_no_target() -> None:
    assert target(fit(["a", "b"]), [None, None]) is None


def test_prediction_reads_every_row_and_has_no_labels() -> None:
    found = fit(["a", "b"]).target([ROW, ROW], first_sequences=[0, 1])
    assert found is not None
    assert found.sequences.tolist() == [0, 1]
    assert found.labels is None


def test_the_loss_is_the_sum_of_minus_log_probabilities() -> None:
    task = fit(["a", "b"])
    logits = torch.tensor([[0.0, math.log(3.0)], [0.0, 0.0]])  # probabilities 1/4, 3/4 and 1/2, 1/2
    assert task.loss(logits, target(task, [0, 1])).item() == pytest.approx(math.log(4) + math.log(2))


def test_a_null_row_adds_nothing_to_the_loss() -> None:
    task = fit(["a", "b"])
    logits = torch.tensor([[0.3, -1.0], [2.0, 0.5]])
    both = target(task, [None, 1])
    assert torch.equal(task.loss(logits[both.sequences], both), task.loss(logits[1:], target(task, [1])))
    assert task.loss(logits, target(task, [0, 1])) > task.loss(logits[1:], target(task, [1]))  # negative control


def test_label_smoothing_spreads_its_share_over_all_labels() -> None:
    task = fit(["a", "b"], label_smoothing=0.2)
    logits = torch.tensor([[0.0, math.log(3.0)]])
    by_hand = 0.9 * math.log(4) + 0.1 * math.log(4 / 3)  # 0.8 on the label, 0.1 on each of both
    assert task.loss(logits, target(task, [0])).item() == pytest.approx(by_hand)


def test_balanced_weights_are_inverse_to_the_counts_with_mean_1_on_train() -> None:
    task = fit(["a", "b", "b", "b"], class_weights="balanced")
    assert task.row_weights == pytest.approx((4 / (2 * 1), 4 / (2 * 3)))  # n ÷ (C · n_label)
    assert sum(w * n for w, n in zip(task.row_weights or (), task.counts, strict=True)) / 4 == pytest.approx(1.0)


def test_balanced_weights_leave_out_labels_that_never_occur() -> None:
    task = fit(["a", "b", "b", "b"], class_weights="balanced", label_names=("a", "b", "c"))
    assert task.row_weights == pytest.approx((2.0, 2 / 3, 0.0))


def test_given_weights_are_scaled_to_mean_1_on_train_and_missing_ones_are_equal() -> None:
    task = fit(["a", "b", "b", "b"], class_weights={"a": 5.0})
    assert task.row_weights == pytest.approx((5 / 2, 1 / 2))  # mean of 5, 1, 1, 1 is 2


def test_weights_of_numbers_go_by_how_they_are_written() -> None:
    assert fit([0, 1], class_weights={"1": 3.0}).row_weights == pytest.approx((0.5, 1.5))


def test_weights_scale_a_row_and_leave_the_items_alone() -> None:
    task = fit(["a", "b", "b", "b"], class_weights="balanced", label_smoothing=0.2)
    plain = fit(["a", "b", "b", "b"], label_smoothing=0.2)
    logits = torch.tensor([[0.1, 0.7], [1.0, -2.0]])
    losses = [plain.loss(logits[n : n + 1], target(plain, [label])).item() for n, label in enumerate([0, 1])]
    weighted = target(task, [0, 1])
    assert weighted.num_items == 2
    assert task.loss(logits, weighted).item() == pytest.approx(2.0 * losses[0] + 2 / 3 * losses[1], rel=1e-5)


def test_weights_of_unknown_labels_are_refused_with_the_nearest() -> None:
    with pytest.raises(DataError, match=r"class_weights names 'refnd'.*did you mean 'refund'"):
        fit(["refund", "card"], class_weights={"refnd": 2.0})


def test_weights_that_are_all_zero_are_refused() -> None:
    with pytest.raises(DataError, match="0 for every training row"):
        fit(["a", "b"], class_weights={"a": 0.0, "b": 0.0})


def test_an_unknown_label_is_an_error() -> None:
    with pytest.raises(UnknownLabelError, match=r"label 'refnd' is not among the 2 training labels.*'refund'"):
        encode(fit(["refund", "card"]), "refnd")


def test_an_unknown_label_can_be_ignored_and_is_null_then() -> None:
    assert encode(fit(["a", "b"], unknown_label="ignore"), "c", "a") == [None, 0]


def test_an_id_outside_of_label_names_is_unknown() -> None:
    task = fit([0, 1], label_names=("low", "high"))
    for label in (2, -1):
        with pytest.raises(UnknownLabelError, match="ids 0 to 1"):
            encode(task, label)


def test_training_labels_outside_of_label_names_are_not_counted() -> None:
    assert fit(["a", "b", "c"], label_names=("a", "b"), unknown_label="ignore").counts == (1, 1)


@pytest.mark.parametrize(
    ("cells", "message"),
    [([None, math.nan], "every label is null"), (["a", "a"], "the only label is 'a'"), (["a", 1], "mix names")],
)
def test_labels_that_cannot_be_trained_are_refused(cells: list[Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        fit(cells)


def decoded(task: Classification, logits: list[list[float]], top_k: int | None = None) -> list[Any]:
    rows = [np.array([row], dtype=np.float32) for row in logits]
    return task.decode(rows, [ROW] * len(rows), texts=[""] * len(rows), form="text", top_k=top_k)


def test_a_prediction_is_the_most_probable_label_with_its_probability() -> None:
    (answer,) = decoded(fit(["a", "b"]), [[0.0, math.log(3.0)]])
    assert answer == {"label": "b", "score": pytest.approx(0.75)}


def test_perfect_predictions_score_1() -> None:
    task = fit(["a", "b", "c"], metrics=ALL_METRICS)
    labels = [0, 1, 2, 1]
    answers = decoded(task, (8 * np.eye(3)[labels]).tolist(), top_k=3)
    assert task.score(labels, answers, [ROW] * 4) == {name: pytest.approx(1.0) for name in ALL_METRICS}
    assert [score.support for score in task.score_per_label(labels, answers, [ROW] * 4)] == [1, 2, 1]


def test_scores_are_of_the_predictions_and_not_of_the_order_of_labels() -> None:
    task = fit(["a", "b"], metrics=["accuracy"])
    answers: list[Any] = [{"label": "b", "score": 1.0}, {"label": "a", "score": 1.0}, {"label": "b", "score": 1.0}]
    assert task.score([1, 0, 0], answers, [ROW] * 3) == {"accuracy": pytest.approx(2 / 3)}


def test_the_majority_is_the_most_frequent_label() -> None:
    task = fit(["a", "b", "b", "b"], metrics=ALL_METRICS)
    majority = task.majority(ROW)
    assert majority == {"label": "b", "score": 0.75, "scores": {"a": 0.25, "b": 0.75}}
    scores = task.score([0, 1, 1], [majority] * 3, [ROW] * 3)
    assert scores["accuracy"] == pytest.approx(2 / 3)
    assert (scores["matthews"], scores["roc_auc"]) == (0.0, 0.5)
    assert scores["f1_macro"] == pytest.approx((0 + 0.8) / 2)  # of b: precision 2/3, recall 1


def test_the_gold_label_is_named() -> None:
    assert fit(["a", "b"]).gold(1, ROW, text="", form="text") == {"label": "b"}


@pytest.mark.parametrize(
    "task",
    [
        fit(["a", "b"]),
        fit([3, 5, 5], metrics=["f1_macro", "accuracy"], class_weights="balanced"),
        fit([0, 1], label_names=("low", "high"), class_weights={"low": 2.0}, label_smoothing=0.1),
    ],
)
def test_json_keeps_a_fitted_task(task: Classification) -> None:
    again = task_from_json(json.loads(json.dumps(task.to_json())))
    assert again == task
    assert isinstance(again, Classification)
    assert again.row_weights == task.row_weights


# ---- probabilities instead of labels


def test_probabilities_by_name_and_in_order_are_the_same() -> None:
    by_name = fit([{"a": 0.25, "b": 0.75}, {"a": 1.0, "b": None}], soft=True)
    in_order = fit([[0.25, 0.75], [1.0, 0.0]], soft=True, label_names=("a", "b"))
    assert by_name.labels == in_order.labels == ("a", "b")
    assert by_name.counts == in_order.counts == (1, 1)  # rows by their most probable label
    assert encode(by_name, {"b": 0.75, "a": 0.25}, None) == encode(in_order, [0.25, 0.75], None) == [[0.25, 0.75], None]


def test_the_loss_of_probabilities_is_their_cross_entropy() -> None:
    task = fit([[0.25, 0.75], [1.0, 0.0]], soft=True, label_names=("a", "b"))
    logits = torch.tensor([[1.0, 3.0]])
    found = task.loss(logits, target(task, [[0.25, 0.75]]))
    log_p = [1 - math.log(math.e + math.e**3), 3 - math.log(math.e + math.e**3)]
    assert float(found) == pytest.approx(-(0.25 * log_p[0] + 0.75 * log_p[1]), rel=1e-6)


def test_one_hot_probabilities_give_the_loss_of_the_label() -> None:
    soft, hard = fit([[1, 0], [0, 1]], soft=True, label_names=("a", "b")), fit(["a", "b"])
    logits = torch.tensor([[0.3, -1.2], [2.0, 0.1]])
    found = soft.loss(logits, target(soft, [[0.0, 1.0], [1.0, 0.0]]))
    assert float(found) == pytest.approx(float(hard.loss(logits, target(hard, [1, 0]))), rel=1e-6)


def test_probabilities_are_scored_by_their_most_probable_label() -> None:
    task = fit([[0.4, 0.6], [0.9, 0.1]], soft=True, label_names=("a", "b"), metrics=["accuracy"])
    predictions = [{"label": "b", "score": 1.0}, {"label": "b", "score": 1.0}]
    assert task.score([[0.4, 0.6], [0.9, 0.1]], predictions, [ROW, ROW]) == {"accuracy": 0.5}
    assert task.gold([0.4, 0.6], ROW, text="", form="text") == {"label": "b", "scores": {"a": 0.4, "b": 0.6}}


@pytest.mark.parametrize(
    ("cell", "message"),
    [
        ([0.5, 0.6], "add up to 1.1"),
        ([1.5, -0.5], "numbers from 0 to 1"),
        ([1.0], "a list of 2 numbers"),
        ("a", "probability of each label"),
        ({"c": 1.0}, "not among the 2 training labels"),
    ],
)
def test_what_is_no_distribution_is_refused(cell: Any, message: str) -> None:
    task = fit([[0.5, 0.5]], soft=True, label_names=("a", "b"))
    with pytest.raises(DataError, match=message):
        encode(task, cell)


# ---- labels on a scale


def scale() -> Classification:
    return fit([1, 2, 3, 3], ordinal=True)


def test_a_scale_has_a_cut_less_than_labels() -> None:
    task = scale()
    assert (task.labels, task.num_outputs, task.num_fitted, task.head_form) == ((1, 2, 3), 2, 3, "ordinal")


def test_the_probabilities_of_a_scale_are_differences_of_sigmoids() -> None:
    task = scale()
    ((prediction),) = task.decode([np.array([[2.0, -1.0]])], [ROW], texts=[""], form="text", top_k=3)
    above = [1 / (1 + math.exp(-2.0)), 1 / (1 + math.exp(1.0))]
    expected = {"1": 1 - above[0], "2": above[0] - above[1], "3": above[1]}
    assert prediction["label"] == 2
    assert prediction["scores"] == pytest.approx(expected)
    assert sum(prediction["scores"].values()) == pytest.approx(1)


def test_the_loss_of_a_scale_is_the_negative_log_probability() -> None:
    task = scale()
    logits = torch.tensor([[2.0, -1.0]] * 3, dtype=torch.float64, requires_grad=True)
    scores = task.decode([logits.detach().numpy()[:1]], [ROW], texts=[""], form="text", top_k=3)[0]["scores"]
    found = task.loss(logits, target(task, [0, 1, 2]))
    assert float(found.detach()) == pytest.approx(-sum(map(math.log, scores.values())), rel=1e-9)
    found.backward()
    assert logits.grad is not None
    assert torch.isfinite(logits.grad).all()


def test_the_loss_of_a_scale_stays_finite_far_out() -> None:
    task = scale()
    logits = torch.tensor([[80.0, 79.9], [-80.0, -80.1]], requires_grad=True)
    found = task.loss(logits, target(task, [0, 2]))
    found.backward()
    assert float(found.detach()) == pytest.approx(80 + 80.1, rel=1e-3)
    assert logits.grad is not None
    assert torch.isfinite(logits.grad).all()


def test_a_label_further_off_costs_more_kappa() -> None:
    task = fit([1, 2, 3], ordinal=True, metrics=["kappa_quadratic", "accuracy"])
    near = [{"label": 2}, {"label": 2}, {"label": 3}]
    far = [{"label": 3}, {"label": 2}, {"label": 3}]
    rows = [ROW] * 3
    one, other = task.score([0, 1, 2], near, rows), task.score([0, 1, 2], far, rows)
    assert one["accuracy"] == other["accuracy"]
    assert one["kappa_quadratic"] > other["kappa_quadratic"]


def test_a_scale_takes_neither_probabilities_nor_smoothing() -> None:
    options = ClassificationOptions(label="y", ordinal=True, soft=True, label_smoothing=0.1)
    assert set(Classification.option_problems(options)) == {"soft", "label_smoothing"}
    assert not Classification.option_problems(ClassificationOptions(label="y", ordinal=True))


# ---- weights of rows


def test_a_row_counts_as_much_as_it_weighs() -> None:
    task = fit(["a", "b"])
    logits = torch.tensor([[0.3, -1.2], [2.0, 0.1]])
    alone = [float(task.loss(logits[n : n + 1], target(task, [1]))) for n in range(2)]
    weighed = task.target([ROW] * 2, first_sequences=range(2), labels=[1, 1], weights=[0.5, 3.0])
    assert weighed is not None
    assert weighed.num_items == 2  # weights leave the number of items alone
    assert float(task.loss(logits, weighed)) == pytest.approx(0.5 * alone[0] + 3 * alone[1], rel=1e-6)


def abstaining(labels: Sequence[str | None]) -> list[dict[str, Any]]:
    """Predictions without an answer where the label is None, whose probabilities point at a in any case."""
    return [{"label": label, "score": 0.6, "scores": {"a": 0.6, "b": 0.3, "c": 0.1}} for label in labels]


def test_a_row_without_an_answer_is_wrong_and_no_label_of_its_own() -> None:
    task = fit(["a", "b", "c"], metrics=["accuracy", "f1_micro", "f1_macro", "precision", "recall"])
    found = task.score([0, 0, 1, 1], abstaining(["a", None, "b", None]), [])
    assert found == pytest.approx(
        {
            "accuracy": 0.5,
            "f1_micro": 2 / 3,  # two of two answers are right, and two of four rows are answered right
            "f1_macro": 2 / 3,
            "precision": 1.0,
            "recall": 0.5,
        }
    )
    a, b, c = task.score_per_label([0, 0, 1, 1], abstaining(["a", None, "b", None]), [])
    assert [(of.precision, of.recall, of.support) for of in (a, b, c)] == [(1.0, 0.5, 2), (1.0, 0.5, 2), (0.0, 0.0, 0)]


def test_no_answer_at_all_scores_nothing() -> None:
    task = fit(["a", "b", "c"], metrics=["accuracy", "f1_micro", "f1_macro", "f1_weighted", "matthews"])
    assert set(task.score([0, 1], abstaining([None, None]), []).values()) == {0.0}


def test_probabilities_are_ranked_whether_there_is_an_answer_or_not() -> None:
    task = fit(["a", "b"], metrics=["roc_auc"])
    sure = [{"label": "a", "score": p, "scores": {"a": p, "b": 1 - p}} for p in (0.9, 0.6, 0.7, 0.55)]
    unsure = [{**of, "label": None} for of in sure]
    assert task.score([0, 1, 0, 1], unsure, []) == task.score([0, 1, 0, 1], sure, []) == {"roc_auc": 1.0}


def test_on_a_scale_no_answer_is_the_farthest_step() -> None:
    task = fit([1, 2, 3], ordinal=True, metrics=["mae", "kappa_quadratic", "accuracy"])
    given = [{"label": label, "score": 0.5, "scores": {}} for label in (1, None, None, 3)]
    as_farthest = [{**of, "label": 3 if n == 1 else 1 if n == 2 else of["label"]} for n, of in enumerate(given)]
    found = task.score([0, 0, 2, 2], given, [])
    assert found["mae"] == 1.0  # two steps off twice, in four rows
    assert found == task.score([0, 0, 2, 2], as_farthest, [])


def test_the_temperature_is_applied_in_full_precision_and_the_least_score_after_it() -> None:
    task = replace(fit(["a", "b"]), temperature=2.0, min_score=0.7)
    logits = [
        np.asarray([[0.0, 2 * math.log(3.0)]], dtype=np.float32),
        np.asarray([[2 * math.log(2.0), 0.0]], np.float32),
    ]
    sure, unsure = task.decode(logits, [ROW, ROW], texts=["", ""], form="text", top_k=2)
    assert sure == {
        "label": "b",
        "score": pytest.approx(0.75),
        "scores": {"b": pytest.approx(0.75), "a": pytest.approx(0.25)},
    }
    assert (unsure["label"], unsure["score"]) == (None, pytest.approx(2 / 3))
    close = np.asarray([[1.0, np.nextafter(np.float32(1), np.float32(2))]], dtype=np.float32)
    assert replace(task, temperature=0.3, min_score=None).decode([close], [ROW], texts=[""], form="text") == [
        {"label": "b", "score": pytest.approx(0.5)}
    ]
