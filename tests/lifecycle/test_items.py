"""What of a row is judged, by hand: one label, each of several labels, the tag of each word."""

import math

import numpy as np
import pytest

from mtl_transformers.lifecycle.items import JUDGED, Items, Read, can_be_judged, items_of, joined, shown_items
from mtl_transformers.tasks.classification import Classification, ClassificationOptions
from mtl_transformers.tasks.multi_label import MultiLabel, MultiLabelOptions
from mtl_transformers.tasks.regression import RegressionOptions
from mtl_transformers.tasks.token_classification import NO_LABEL, TokenClassification, TokenClassificationOptions
from mtl_transformers.text.encoding import Features

INTENT = Classification(
    name="intent",
    metrics=("accuracy",),
    options=ClassificationOptions(label="intent"),
    labels=("billing", "delivery", 3),
    counts=(1, 1, 1),
    named=False,
)
TOPICS = MultiLabel(
    name="topics",
    metrics=("f1_micro",),
    options=MultiLabelOptions(label="topics"),
    labels=("app", "card"),
    counts=(1, 1),
    num_rows=2,
    named=False,
    thresholds=(0.5, 0.5),
)
PLACES = TokenClassification(
    name="places",
    metrics=("span_f1",),
    options=TokenClassificationOptions(label="tags"),
    labels=("O", "B-PLACE", "I-PLACE"),
    names=("PLACE",),
    counts=(1,),
)


def read(num_rows: int, *, words: list[list[int]] | None = None) -> Read:
    """Rows of three words each, of which some were kept."""
    features = Features(
        input_ids=[[1]] * len(words or [0]),
        token_type_ids=[],
        word_indices=words or [],
        word_positions=words or [],
        word_spans=[(0, 3), (4, 7), (8, 12)],
    )
    return Read([features] * num_rows, ["New York City"] * num_rows, "text")


def logits(*rows: list[float]) -> list[np.ndarray]:
    return [np.log(np.asarray([row], dtype=np.float32)) for row in rows]


def test_a_label_is_one_item_and_a_null_label_none():
    made = items_of(INTENT, [4, 7, 9], [2, None, 0], logits([0.2, 0.3, 0.5], [1, 1, 1], [0.7, 0.2, 0.1]), read(3))
    assert made.rows.tolist() == [4, 9]
    assert made.labels.tolist() == [2, 0]
    assert made.groups.tolist() == made.places.tolist() == [0, 0]
    assert made.probabilities == pytest.approx(np.array([[0.2, 0.3, 0.5], [0.7, 0.2, 0.1]]))


def test_each_known_cell_of_several_labels_is_an_item_that_is_judged_with_its_label():
    odds = [np.log(np.asarray([[p / (1 - p) for p in row]], dtype=np.float32)) for row in ([0.9, 0.2], [0.4, 0.6])]
    made = items_of(TOPICS, [0, 5], [[1.0, 0.0], [math.nan, 1.0]], odds, read(2))
    assert made.rows.tolist() == [0, 0, 5]
    assert made.places.tolist() == made.groups.tolist() == [0, 1, 1]
    assert made.labels.tolist() == [1, 0, 1]
    assert made.probabilities == pytest.approx(np.array([[0.1, 0.9], [0.8, 0.2], [0.4, 0.6]]), abs=1e-6)


def test_each_word_with_a_tag_that_was_read_is_an_item():
    tags = [1, NO_LABEL, 2]
    scores = np.log(np.asarray([[0.1, 0.8, 0.1], [0.3, 0.3, 0.4]], dtype=np.float32))
    made = items_of(PLACES, [6], [tags], [scores], read(1, words=[[0, 1]]))  # the third word was cut off
    assert (made.rows.tolist(), made.places.tolist(), made.labels.tolist()) == ([6], [0], [1])
    assert made.probabilities == pytest.approx(np.array([[0.1, 0.8, 0.1]]))


@pytest.mark.parametrize("task", [INTENT, TOPICS, PLACES])
def test_rows_without_a_label_give_items_of_the_right_shape(task):
    values = np.zeros((1, task.num_outputs), dtype=np.float32)
    made = items_of(task, [0], [None], [values], read(1, words=[[0]]))
    assert len(made) == 0
    assert len(joined([made, made])) == 0


def test_joined_items_stand_row_by_row():
    parts = [
        Items(*(np.asarray(of) for of in ([3, 1], [0, 1], [0, 0], [1, 1], [[0.5, 0.5], [0.4, 0.6]]))),
        Items(*(np.asarray(of) for of in ([2, 1], [0, 2], [0, 0], [0, 0], [[0.1, 0.9], [0.2, 0.8]]))),
    ]
    made = joined(parts)
    assert made.rows.tolist() == [1, 1, 2, 3]
    assert made.places.tolist() == [1, 2, 0, 0]
    assert made.probabilities[:, 0].tolist() == [0.4, 0.2, 0.1, 0.5]


def test_labels_are_shown_by_name():
    assert shown_items(INTENT, 2, [0], [2], [0], read(1)) == (3, "billing")
    assert shown_items(TOPICS, [1.0, 0.0], [1], [0], [1], read(1)) == (["app"], ["app", "card"])
    assert shown_items(TOPICS, [1.0, math.nan], [0], [1], [0], read(1)) == (["app"], [])


def test_words_are_shown_with_their_characters_and_tags():
    given, suggested = shown_items(PLACES, [0, 0, 1], [0, 1], [0, 0], [1, 2], read(1, words=[[0, 1, 2]]))
    assert given == [
        {"text": "New", "start": 0, "end": 3, "tag": "O"},
        {"text": "Yor", "start": 4, "end": 7, "tag": "O"},
    ]
    assert [word["tag"] for word in suggested] == ["B-PLACE", "I-PLACE"]


def test_only_labels_that_are_names_can_be_judged():
    tasks = (INTENT, TOPICS, PLACES)
    assert all(can_be_judged(task.kind, task.options) for task in tasks)
    assert [task.kind for task in tasks] == list(JUDGED)
    assert not can_be_judged("regression", RegressionOptions(label="urgency"))
    assert not can_be_judged("classification", ClassificationOptions(label="intent", label_names=("a", "b"), soft=True))
