from dataclasses import fields, replace
from typing import Any

import pytest

from mtl_transformers.errors import ModelError
from mtl_transformers.metrics.named import METRICS, averageable
from mtl_transformers.tasks.kinds import KINDS, task_from_json
from mtl_transformers.tasks.task import Task

EXAMPLES: dict[str, list[Any]] = {
    "classification": ["a", "b"],
    "multi_label": [["a"], ["b"]],
    "regression": [1.0, 2.0],
    "token_classification": [["B-X", "O"]],
    "question_answering": [["an answer"], []],
    "multiple_choice": [0, 1],
    "ranking": [[1, 0], [2, 0]],
    "similarity": [1.0, 2.0],
    "masked_lm": [],
}
OPTIONS: dict[str, dict[str, Any]] = {"multiple_choice": {"options": "options"}}


def example(kind: str) -> Task:
    given = {"label": "y"} if EXAMPLES[kind] else {}
    options = KINDS[kind].options_type(**given, **OPTIONS.get(kind, {}))
    others = [["a", "b"]] * (len(KINDS[kind].label_columns(options)) - 1)
    cells = ((cell, *others) for cell in EXAMPLES[kind])
    return KINDS[kind].fit("t", options, metrics=(), cells=cells, class_names=None)


def test_every_kind_has_an_example_here() -> None:
    assert EXAMPLES.keys() == KINDS.keys()


@pytest.mark.parametrize("kind", KINDS)
def test_a_kind_is_found_by_its_own_name(kind: str) -> None:
    assert KINDS[kind].kind == kind


@pytest.mark.parametrize("kind", KINDS)
def test_the_first_metric_of_a_kind_is_its_default_and_may_be_a_term_of_mean(kind: str) -> None:
    task = example(kind)
    legal = type(task).legal_metrics(task.options)
    assert task.metrics == (legal if kind == "masked_lm" else legal[:1])  # a perplexity is read beside its accuracy
    assert averageable(METRICS[legal[0]])
    assert set(legal) <= set(METRICS)


def test_the_first_metrics_are_those_of_the_design() -> None:
    assert [example(kind).metrics[0] for kind in KINDS] == [
        "accuracy",
        "f1_micro",
        "pearson",
        "span_f1",
        "squad_f1",
        "accuracy",
        "mrr",
        "spearman",
        "masked_accuracy",
    ]


@pytest.mark.parametrize("kind", KINDS)
def test_what_an_answer_is_can_be_said_in_words(kind: str) -> None:
    assert example(kind).in_words


def test_decisions_are_told_where_they_were_set() -> None:
    plain = example("classification")
    assert plain.decisions == ()
    assert replace(plain, temperature=1.5, min_score=0.6).decisions == (
        "logits are divided by 1.5 before they become probabilities",
        "below a probability of 0.6, no label",
    )
    labels = example("multi_label")
    assert labels.decisions == ("a label is answered from a probability of 0.5 on",)
    fitted = replace(labels, thresholds=(0.25, 0.5))
    assert fitted.decisions == ("a label is answered from its own probability on: a 0.25, b 0.5",)
    assert len(example("question_answering").decisions) == 2  # there are rows without an answer
    assert example("regression").decisions == ()


@pytest.mark.parametrize("kind", KINDS)
def test_a_task_is_rebuilt_from_its_json(kind: str) -> None:
    assert task_from_json(example(kind).to_json()) == example(kind)


@pytest.mark.parametrize("kind", KINDS)
def test_a_missing_or_extra_key_in_json_is_refused_by_name(kind: str) -> None:
    values = example(kind).to_json()
    spared = ("name", *KINDS[kind].unstored, *KINDS[kind].added)
    for key in (field.name for field in fields(KINDS[kind]) if field.name not in spared):
        with pytest.raises(ModelError, match=f"task 't'.*{key}"):
            task_from_json({name: value for name, value in values.items() if name != key})
    with pytest.raises(ModelError, match="'extra'"):
        task_from_json({**values, "extra": 1})


@pytest.mark.parametrize("kind", KINDS)
def test_a_key_that_the_first_directories_lack_has_its_default(kind: str) -> None:
    values = example(kind).to_json()
    old = {name: value for name, value in values.items() if name not in KINDS[kind].added}
    assert task_from_json(old).to_json() == values


@pytest.mark.parametrize("kind", KINDS)
def test_an_unknown_option_in_json_is_refused(kind: str) -> None:
    values = example(kind).to_json()
    with pytest.raises(ModelError, match=r"task 't': options: .*'new'"):
        task_from_json({**values, "options": {**values["options"], "new": 1}})
    with pytest.raises(ModelError, match="task 't': options"):
        task_from_json({**values, "options": 3})


def test_an_unknown_kind_in_json_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ModelError, match=r"task 't' is of kind 'telepathy'.*classification"):
        task_from_json({"kind": "telepathy", "name": "t"})
