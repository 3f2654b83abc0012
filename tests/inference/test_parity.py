"""Parity counts what an answer says, measures how far logits lie apart, and adds up over rows."""

import math
from collections.abc import Callable

import pytest
import torch
from numpy import array, float32

from mtl_transformers.inference.multitask import MultiTaskModel
from mtl_transformers.inference.parity import TaskParity, _distance, _equal, compare, joined
from mtl_transformers.runtime.questions import Question

TEXTS = ["refund my card in Berlin", "the parcel", "password !"]


@pytest.fixture
def asked(model: MultiTaskModel) -> Callable[[], list[Question]]:
    return lambda: [each for row in model.answering.ask(TEXTS, ["intent", "mood"]) for each in row.questions]


def test_a_model_is_equal_to_itself(model: MultiTaskModel, asked: Callable[[], list[Question]]) -> None:
    found = compare(model.answering, model.answering, asked())
    assert found.tasks == {"intent": TaskParity(3, 0.0, 3), "mood": TaskParity(3, 0.0, None)}
    assert found.tasks["intent"].equal_answers == 1.0
    assert found.tasks["mood"].equal_answers is None
    assert len(found.reference) == len(found.compared) == 3


def test_a_shifted_bias_is_measured_and_changes_answers(
    model: MultiTaskModel, asked: Callable[[], list[Question]], model_dir
) -> None:
    other = MultiTaskModel.from_pretrained(model_dir, device="cpu", precision="fp32")
    out = other.network.head("intent").out
    assert out is not None
    with torch.no_grad():
        out.bias[0] += 1000.0
    found = compare(model.answering, other.answering, asked()).tasks
    assert found["intent"].largest_difference == pytest.approx(1000.0, abs=0.01)
    first = [answer["intent"]["label"] for answer in model.predict(TEXTS, tasks=["intent"])]
    assert found["intent"].num_equal == first.count(str(other.tasks["intent"].task.labels[0]))  # type: ignore[attr-defined]
    assert found["mood"] == TaskParity(3, 0.0, None)


@pytest.mark.parametrize(
    ("one", "other", "equal"),
    [
        ({"label": "a", "score": 0.9}, {"label": "a", "score": 0.8}, 1),
        ({"label": "a", "score": 0.9}, {"label": "b", "score": 0.9}, 0),
        ({"label": None, "score": 0.2}, {"label": None, "score": 0.1}, 1),
        ({"label": None, "score": 0.2}, {"label": "a", "score": 0.6}, 0),
        ({"labels": [], "scores": {"a": 0.1}}, {"labels": [], "scores": {"a": 0.2}}, 1),
        ({"labels": [], "scores": {"a": 0.1}}, {"labels": ["a"], "scores": {"a": 0.6}}, 0),
        ({"value": 1.0}, {"value": 2.0}, None),
        ({"values": {"x": 1.0}}, {"values": {"x": 2.0}}, None),
        ({"embedding": [1.0, 2.0]}, {"embedding": [1.0, 2.0]}, None),
        ([], [], 1),
        ([{"label": "X", "start": 1, "end": 3, "score": 0.5}], [{"label": "X", "start": 1, "end": 3, "score": 0.6}], 1),
        ([{"label": "X", "start": 1, "end": 3, "score": 0.5}], [{"label": "X", "start": 1, "end": 4, "score": 0.5}], 0),
        ([{"label": "X", "start": 1, "end": 3, "score": 0.5}], [], 0),
        ({"choice": 1, "score": 0.9, "scores": [0.1, 0.9]}, {"choice": 1, "score": 0.8, "scores": [0.2, 0.8]}, 1),
        ({"scores": [0.1, 0.9], "order": [1, 0]}, {"scores": [0.9, 0.1], "order": [0, 1]}, 0),
    ],
)
def test_an_answer_is_what_it_says_beside_its_scores(one, other, equal) -> None:
    assert _equal(one, other) == equal


def test_the_distance_is_the_largest_one_and_infinite_where_a_logit_is_no_number() -> None:
    assert _distance(array([[1.0, -2.0]], float32), array([[1.5, -4.0]], float32)) == 2.0
    assert math.isinf(_distance(array([[1.0]], float32), array([[math.nan]], float32)))
    assert _distance(array([], float32).reshape(0, 2), array([], float32).reshape(0, 2)) == 0.0


def test_comparisons_add_up_over_their_rows() -> None:
    one, other = {"a": TaskParity(3, 0.5, 2)}, {"a": TaskParity(1, 0.1, 1), "b": TaskParity(1, 0.2, None)}
    assert joined([one, other]) == {"a": TaskParity(4, 0.5, 3), "b": TaskParity(1, 0.2, None)}
    assert joined([one, other])["a"].equal_answers == 0.75
