"""Kinds bring their own options."""

import pytest

from mtl_transformers.config import first_metric, load_config
from mtl_transformers.config.tasks import ReviewConfig
from mtl_transformers.errors import ConfigError
from mtl_transformers.tasks.kinds import KINDS


@pytest.mark.parametrize(
    ("kind", "metric"),
    [
        ("classification", "accuracy"),
        ("multi_label", "f1_micro"),
        ("regression", "pearson"),
        ("token_classification", "span_f1"),
    ],
)
def test_a_kind_gives_options_with_its_own_defaults_and_first_metric(smallest, kind, metric):
    task = load_config(smallest, {"tasks.intent.kind": kind}).tasks["intent"]
    assert task.kind_options == KINDS[kind].options_type(label="intent")
    assert first_metric(task) == metric


def test_the_first_metric_is_the_first_that_is_given(smallest):
    task = load_config(smallest, {"tasks.intent.metrics": ["f1_macro", "accuracy"]}).tasks["intent"]
    assert first_metric(task) == "f1_macro"


def test_options_arrive_as_the_kind_declares_them(smallest):
    given = {"label_names": ["a", "b"], "class_weights": {"a": 2}, "label_smoothing": 0.1, "unknown_label": "ignore"}
    smallest["tasks"]["intent"] |= given
    assert load_config(smallest).tasks["intent"].kind_options == KINDS["classification"].options_type(
        label="intent",
        label_names=("a", "b"),
        class_weights={"a": 2.0},
        label_smoothing=0.1,
        unknown_label="ignore",
    )


def test_several_targets_are_a_list_of_columns(smallest):
    smallest["tasks"]["intent"] = {"data": "tickets", "kind": "regression", "label": ["V", "A", "D"]}
    assert load_config(smallest).tasks["intent"].kind_options.label == ("V", "A", "D")


def test_the_labels_that_a_review_lists_are_left_out_unless_they_weigh_something(smallest):
    smallest["tasks"]["intent"]["review"] = {"file": "review.jsonl"}
    assert load_config(smallest).tasks["intent"].review == ReviewConfig(file="review.jsonl", weight=0.0)
    given = load_config(smallest, {"tasks.intent.review.weight": 0.2}).tasks["intent"].review
    assert given == ReviewConfig(file="review.jsonl", weight=0.2)


@pytest.mark.parametrize(
    ("review", "said"),
    [
        ({"weight": 0.2}, "tasks.intent.review.file: missing"),
        ({"file": "review.jsonl", "weight": 1.0}, "tasks.intent.review.weight: "),
        ({"file": "review.jsonl", "weight": -0.1}, "tasks.intent.review.weight: "),
        ({"file": "review.jsonl", "action": "exclude"}, "tasks.intent.review.action: unknown key"),
    ],
)
def test_a_review_that_cannot_be_honoured_is_refused_with_its_path(smallest, review, said):
    smallest["tasks"]["intent"]["review"] = review
    with pytest.raises(ConfigError) as error:
        load_config(smallest)
    assert said in str(error.value)
