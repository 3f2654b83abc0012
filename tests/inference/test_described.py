"""What a card tells is read from the content of a directory, and what is malformed there is an error of ours."""

import math
from typing import Any

import pytest

from mtl_transformers.errors import ModelError
from mtl_transformers.inference.described import card_of, datasets_json, defined, read_datasets
from mtl_transformers.inference.multitask import MultiTaskModel
from mtl_transformers.model.card import CardDataset, CardScore, render_card

DATASETS = [CardDataset("tickets", 40, 120), CardDataset("pairs", 30, 90, "org/pairs", "en", "main")]


def test_datasets_are_read_as_they_were_written():
    assert read_datasets({"datasets": datasets_json(DATASETS)}) == DATASETS
    assert read_datasets({}) == []


@pytest.mark.parametrize("entry", [3, [3], [{"name": "x"}], [{"name": 3, "num_rows": 1, "rows_seen": 1}], {"a": 1}])
def test_a_malformed_entry_of_datasets_is_told(entry: Any):
    with pytest.raises(ModelError, match=r"tasks\.json: datasets is malformed"):
        read_datasets({"datasets": entry})


def test_a_card_tells_of_each_task_its_scores_and_its_dataset(model: MultiTaskModel):
    metrics = {"intent": {"validation": {"accuracy": 0.75, "num_rows": 8}, "by hand": {"accuracy": 1.0}}}
    card = card_of("best", encoder="local", tasks=model.tasks, metrics=metrics, datasets=DATASETS)
    assert [task.name for task in card.tasks] == list(model.tasks)
    assert card.tasks[0].scores == [CardScore("validation", "accuracy", 0.75, 8)]
    assert {dataset.name: dataset.num_rows for dataset in card.datasets} == {
        "tickets": 40,
        "pairs": 30,
        "news": None,
        "short": None,
        "double": None,
    }
    assert "| news | local files | – | 0 |" in render_card(card)


def test_an_undefined_metric_is_null():
    assert defined({"a": math.nan, "b": math.inf, "c": 0.5}) == {"a": None, "b": None, "c": 0.5}
