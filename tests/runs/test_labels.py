"""Promise 4: the label served is the label trained, whatever order a later file has."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import datasets
import pytest
from little import INTENTS, raw_config, ticket_config, tickets

from mtl_transformers import DataError, MultiTaskModel, load_config, train
from mtl_transformers.config import Config
from mtl_transformers.training.scoring import evaluate_directory

ONLY_INTENT = {"intent": {"data": "tickets", "kind": "classification", "label": "intent"}}
ORDER = ["delivery", "billing", "account"]  # neither sorted, nor as the rows bring them
OTHER_ORDER = ["account", "delivery", "billing"]


def saved(place: Path, names: list[str], **splits: list[dict[str, Any]]) -> Path:
    """Save a dataset whose labels are ids of a ClassLabel with some names."""
    features = datasets.Features({"body": datasets.Value("string"), "intent": datasets.ClassLabel(names=names)})
    tables = {
        split: datasets.Dataset.from_list(
            [{"body": row["body"], "intent": names.index(row["intent"])} for row in rows], features=features
        )
        for split, rows in splits.items()
    }
    datasets.DatasetDict(tables).save_to_disk(place)
    return place


def config_of(directory: Path, encoder: Path, data: Path, overrides: dict[str, Any] | None = None) -> Config:
    section = {"path": str(data), "text": "body"}
    return load_config(raw_config(directory, encoder, data={"tickets": section}, tasks=ONLY_INTENT), overrides)


@pytest.fixture(scope="module", autouse=True)
def no_progress_bars() -> Iterator[None]:
    datasets.disable_progress_bars()
    yield
    datasets.enable_progress_bars()


VALIDATION = tickets(30, seed=1)


def test_names_decide_and_not_ids_when_a_later_table_orders_its_labels_otherwise(tmp_path, tiny_bert):
    data = saved(tmp_path / "data", ORDER, train=tickets(60), validation=VALIDATION)
    other = saved(tmp_path / "other", OTHER_ORDER, train=tickets(3), validation=VALIDATION)
    learning = {"training.epochs": 4, "training.head_learning_rate": 5e-3}
    config = config_of(tmp_path, tiny_bert, data, learning)
    result = train(config)
    model = MultiTaskModel.from_pretrained(result.best)

    assert list(model.tasks["intent"].task.labels) == ORDER
    later = config_of(tmp_path, tiny_bert, other)
    assert evaluate_directory(model, later, split="validation").scores == result.scores
    assert result.scores["intent"].metrics["accuracy"] < 1.0  # else this would prove nothing
    predicted = [answer["intent"]["label"] for answer in model.predict([row["body"] for row in VALIDATION])]
    right = [label == row["intent"] for label, row in zip(predicted, VALIDATION, strict=True)]
    assert result.scores["intent"].metrics["accuracy"] == sum(right) / len(right)


def test_labels_are_sorted_whatever_comes_first_in_the_file(tmp_path, tiny_bert):
    rows = sorted(tickets(30), key=lambda row: row["intent"], reverse=True)
    result = train(ticket_config(tmp_path, tiny_bert, train=rows, tasks=ONLY_INTENT))
    stored = MultiTaskModel.from_pretrained(result.best).tasks["intent"].task.labels
    assert list(stored) == sorted(INTENTS.values()) == ["account", "billing", "delivery"]


def with_stranger(label: str) -> list[dict[str, Any]]:
    rows = tickets(13, seed=1)
    rows[4]["intent"] = label
    return rows


def test_a_label_that_training_never_had_is_an_error_with_the_nearest_one(tmp_path, tiny_bert):
    config = ticket_config(tmp_path, tiny_bert, validation=with_stranger("biling"), tasks=ONLY_INTENT)
    with pytest.raises(DataError, match=r"task 'intent'.*'validation'.*line 5.*'biling'.*did you mean 'billing'"):
        train(config)
    assert not (tmp_path / "run").exists()


def test_an_unknown_label_can_be_ignored(tmp_path, tiny_bert):
    settings = {"tasks.intent.unknown_label": "ignore"}
    config = ticket_config(tmp_path, tiny_bert, settings, validation=with_stranger("refunds"), tasks=ONLY_INTENT)
    assert train(config).scores["intent"].num_rows == 12


def test_an_unknown_label_is_an_error_in_a_later_evaluation_too(tmp_path, tiny_bert):
    model = MultiTaskModel.from_pretrained(train(ticket_config(tmp_path, tiny_bert, tasks=ONLY_INTENT)).best)
    later = ticket_config(tmp_path / "later", tiny_bert, validation=with_stranger("acount"), tasks=ONLY_INTENT)
    with pytest.raises(DataError, match=r"'acount'.*did you mean 'account'"):
        evaluate_directory(model, later, split="validation")
