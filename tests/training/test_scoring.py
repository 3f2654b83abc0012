"""What ``mtl evaluate`` computes: every labelled row once, labels by name, precision and recall of each label."""

import json
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from little import TICKET_TASKS, Row, dataset, pairs, raw_config, tickets
from sklearn.metrics import accuracy_score, precision_recall_fscore_support

from mtl_transformers.config import Config, load_config
from mtl_transformers.errors import ConfigError, DataError, ModelError
from mtl_transformers.inference.multitask import MultiTaskModel
from mtl_transformers.training.experiment import prepare
from mtl_transformers.training.scoring import evaluate_directory

TEST = tickets(50, seed=2, holes=0.3)
RELATION = {"data": "pairs", "kind": "classification", "label": "relation"}


@pytest.fixture(scope="module")
def raw(tmp_path_factory: pytest.TempPathFactory, tiny_bert: Path) -> Row:
    """Return a config of tickets, which have a test split, and pairs, which have none."""
    place = tmp_path_factory.mktemp("scoring")
    section = dataset(
        place, "tickets", text="body", train=tickets(40), validation=tickets(20, seed=1, holes=0.3), test=TEST
    )
    data = {
        "tickets": {**section, "id": "id"},
        "pairs": dataset(place, "pairs", text=["first", "second"], train=pairs(20), validation=pairs(10, seed=1)),
    }
    return raw_config(place, tiny_bert, data=data, tasks={**TICKET_TASKS, "relation": RELATION})


@pytest.fixture(scope="module")
def config(raw: Row) -> Config:
    return load_config(raw)


@pytest.fixture(scope="module")
def model(config: Config) -> MultiTaskModel:
    """Return a model that was not trained, whose answers differ from row to row."""
    experiment = prepare(config)
    with torch.no_grad():
        for parameter in experiment.network.heads.parameters():
            parameter.mul_(20)
    return MultiTaskModel(experiment.network.eval(), experiment.tokenizer, experiment.tasks)


def only(raw: Row, *tasks: str, files: Mapping[str, str] | None = None, **overrides: Mapping[str, Any]) -> Config:
    """Return the config of some tasks on tickets, with other files, and with other keys of each task."""
    section = raw["data"]["tickets"]
    sections = {name: {**raw["tasks"][name], **overrides.get(name, {})} for name in tasks}
    return load_config({**raw, "data": {"tickets": {**section, "files": files or section["files"]}}, "tasks": sections})


def files_of(directory: Path, **splits: Sequence[Row]) -> dict[str, str]:
    """Write a dataset, and return where its splits lie."""
    files: dict[str, str] = dataset(directory, "other", text="body", **splits)["files"]
    return files


def labelled(column: str) -> tuple[list[Any], list[str]]:
    """Return the labels of the test rows that have one, and their texts."""
    kept = [row for row in TEST if row[column] is not None]
    return [row[column] for row in kept], [row["body"] for row in kept]


def lines_of(path: Path) -> Sequence[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_every_labelled_row_is_scored_once(model: MultiTaskModel, raw: Row) -> None:
    report = evaluate_directory(model, only(raw, *TICKET_TASKS), split="test")
    gold, texts = labelled("intent")
    predicted = [answer["intent"]["label"] for answer in model.predict(texts, tasks=["intent"])]  # type: ignore[call-overload]
    assert report.scores["intent"].metrics == {"accuracy": accuracy_score(gold, predicted)}
    assert 0 < len(gold) < len(TEST)
    assert {name: of.num_rows for name, of in report.scores.items()} == {
        "intent": len(gold),
        "topics": len(labelled("topics")[0]),
        "mood": sum(row["urgency"] is not None or row["calm"] is not None for row in TEST),
        "entities": len(labelled("entities")[0]),
    }


def test_each_label_has_precision_recall_f1_and_support(model: MultiTaskModel, raw: Row) -> None:
    report = evaluate_directory(model, only(raw, "intent", "mood"), split="test")
    gold, texts = labelled("intent")
    predicted = [answer["intent"]["label"] for answer in model.predict(texts, tasks=["intent"])]  # type: ignore[call-overload]
    names = ["account", "billing", "delivery"]
    expected = precision_recall_fscore_support(gold, predicted, labels=names, zero_division=0)
    found = [(of.label, of.precision, of.recall, of.f1, of.support) for of in report.labels["intent"]]
    assert found == list(zip(names, *expected, strict=True))
    assert report.labels["mood"] == []  # numbers have no labels


def test_the_predictions_file_has_id_gold_and_prediction_of_each_row(
    model: MultiTaskModel, raw: Row, tmp_path: Path
) -> None:
    path = tmp_path / "new" / "out.jsonl"
    evaluate_directory(model, only(raw, "intent", "entities"), split="test", predictions=path)
    kept = [row for row in TEST if row["intent"] is not None or row["entities"] is not None]
    lines = lines_of(path)
    assert [(line["dataset"], line["id"]) for line in lines] == [("tickets", row["id"]) for row in kept]
    served = model.predict([row["body"] for row in kept], tasks=["intent", "entities"], top_k=3)
    for line, row, answer in zip(lines, kept, served, strict=True):
        assert line["intent"]["gold"] == (row["intent"] and {"label": row["intent"]})
        assert line["intent"]["prediction"]["label"] == answer["intent"]["label"]  # type: ignore[call-overload]
        spans = row["entities"] and [
            {**span, "text": row["body"][span["start"] : span["end"]]} for span in row["entities"]
        ]
        assert line["entities"]["gold"] == spans
        assert [span["start"] for span in line["entities"]["prediction"]] == [
            span["start"] for span in answer["entities"]
        ]  # type: ignore[index]
    assert sorted(path.parent.iterdir()) == [path]


def test_a_predictions_file_that_cannot_be_written_is_an_error(model: MultiTaskModel, raw: Row, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cannot be written"):
        evaluate_directory(model, only(raw, "intent"), split="test", predictions=tmp_path)


def test_the_metrics_are_the_configs(model: MultiTaskModel, raw: Row) -> None:
    report = evaluate_directory(model, only(raw, "intent", intent={"metrics": ["f1_macro", "recall"]}), split="test")
    assert list(report.scores["intent"].metrics) == ["f1_macro", "recall"]
    assert list(report.scores["intent"].baseline) == ["f1_macro", "recall"]


def test_scores_come_in_the_order_of_the_config(model: MultiTaskModel, raw: Row) -> None:
    turned = load_config({**raw, "tasks": dict(reversed(raw["tasks"].items()))})
    assert list(evaluate_directory(model, turned, split="validation").scores) == list(turned.tasks)


def test_a_dataset_without_the_split_is_named_and_left_out(
    model: MultiTaskModel, config: Config, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        report = evaluate_directory(model, config, split="test")
    assert list(report.scores) == list(TICKET_TASKS)
    assert caplog.messages == [
        "data.pairs has no test split; it has train, validation",
        "not scored, because test has no labels for them: relation",
    ]


def test_a_task_without_a_label_there_is_named_and_left_out(
    model: MultiTaskModel, raw: Row, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    rows = [{**row, "topics": None} for row in TEST]
    given = only(raw, "intent", "topics", files=files_of(tmp_path, test=rows))  # which needs no train split
    with caplog.at_level(logging.WARNING):
        report = evaluate_directory(model, given, split="test")
    assert list(report.scores) == ["intent"]
    assert caplog.messages == ["not scored, because test has no labels for them: topics"]


def test_a_split_that_nothing_has_is_an_error(model: MultiTaskModel, raw: Row) -> None:
    given = load_config({**raw, "data": {"pairs": raw["data"]["pairs"]}, "tasks": {"relation": RELATION}})
    with pytest.raises(DataError, match="nothing to score: no dataset has a test split with labels"):
        evaluate_directory(model, given, split="test")


def test_a_split_of_another_name_is_an_error(model: MultiTaskModel, config: Config) -> None:
    with pytest.raises(ConfigError, match=r"split 'tset': expected train, validation, test; did you mean 'test'\?"):
        evaluate_directory(model, config, split="tset")


def test_a_task_that_the_model_lacks_or_holds_as_another_kind_is_an_error(model: MultiTaskModel, raw: Row) -> None:
    renamed = {**raw, "tasks": {**raw["tasks"], "intend": raw["tasks"]["intent"]}}
    with pytest.raises(ModelError, match=r"tasks\.intend: the model has no such task; .*; did you mean 'intent'\?"):
        evaluate_directory(model, load_config(renamed), split="test")
    other = {**raw["tasks"]["topics"], "label": "topics"}
    with pytest.raises(ModelError, match=r"tasks\.intent\.kind: multi_label, but the model holds it as classification"):
        evaluate_directory(model, only(raw, "intent", intent=other), split="test")


def test_labels_are_mapped_by_name_and_an_unknown_one_is_an_error(
    model: MultiTaskModel, raw: Row, tmp_path: Path
) -> None:
    rows = [{"id": "0", "body": "refund", "intent": "delivery"}]  # alone it would be label 0
    report = evaluate_directory(model, only(raw, "intent", files=files_of(tmp_path / "one", test=rows)), split="test")
    assert {of.label: of.support for of in report.labels["intent"]} == {"account": 0, "billing": 0, "delivery": 1}
    rows.append({"id": "1", "body": "parcel", "intent": "delivry"})
    with pytest.raises(DataError, match=r"line 2 .*'delivry' is not among the 3 training labels.*'delivery'"):
        evaluate_directory(model, only(raw, "intent", files=files_of(tmp_path / "two", test=rows)), split="test")


def test_texts_are_cut_as_they_are_when_served_whatever_the_config_says(model: MultiTaskModel, raw: Row) -> None:
    same = only(raw, "intent")
    short = only({**raw, "encoder": {**raw["encoder"], "max_length": 5}}, "intent")
    assert evaluate_directory(model, short, split="test") == evaluate_directory(model, same, split="test")


def test_the_model_itself_keeps_its_tasks_and_metrics(model: MultiTaskModel, raw: Row) -> None:
    before = model.tasks_json()
    evaluate_directory(model, only(raw, "intent", intent={"metrics": ["recall"]}), split="test")
    assert model.tasks_json() == before
