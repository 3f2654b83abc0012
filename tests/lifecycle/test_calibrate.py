"""``calibrate`` on a tiny trained model: what is stored is what is served and scored, and nothing else changes."""

import json
import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from little import TICKET_TASKS, dataset, raw_config, tickets

from mtl_transformers.config import Config, load_config
from mtl_transformers.errors import ConfigError, DataError, FileError, ModelError
from mtl_transformers.inference.described import split_json
from mtl_transformers.inference.multitask import MultiTaskModel
from mtl_transformers.lifecycle.abstaining import rule_of
from mtl_transformers.lifecycle.calibrate import Calibration, calibrate, check_place, store
from mtl_transformers.lifecycle.calibration_report import REPORT, check_report, write_report
from mtl_transformers.lifecycle.thresholds import target_of
from mtl_transformers.model import directory
from mtl_transformers.model.rewriting import rewrite
from mtl_transformers.training.loop import train
from mtl_transformers.training.scoring import evaluate_directory

CHANGED = {"tasks.json", "metrics.json", "manifest.json", "README.md"}
TEXTS = [row["body"] for row in tickets(20, seed=9)]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory, steady_bert: Path) -> tuple[Path, Config]:
    """A model of four tasks on little tickets, and its config; never write to it."""
    place = tmp_path_factory.mktemp("calibrated")
    rows = {
        "train": tickets(64, holes=0.2),
        "validation": tickets(60, seed=1, holes=0.2),
        "test": tickets(40, seed=2),
    }
    data = {"tickets": {**dataset(place, "tickets", text="body", **rows), "id": "id"}}
    config = load_config(
        raw_config(place, steady_bert, data=data, tasks=TICKET_TASKS),
        {"training.epochs": 4, "training.head_learning_rate": 3.0e-3},
    )
    train(config)
    return place / "run" / "best", config


@pytest.fixture
def model(trained: tuple[Path, Config], tmp_path: Path) -> Path:
    """A copy of the model."""
    return shutil.copytree(trained[0], tmp_path / "best")


@pytest.fixture(scope="module")
def found(trained: tuple[Path, Config]) -> Calibration:
    return calibrate(*trained, rule=rule_of("coverage=0.7"))


def contents(path: Path) -> dict[str, bytes]:
    return {entry.name: entry.read_bytes() for entry in path.iterdir()}


def put(found: Calibration, model: Path) -> None:
    """Store what was fitted in a copy of the model."""
    store(replace(found, source=model), model)


def stored_tasks(path: Path) -> dict[str, Any]:
    tasks: dict[str, Any] = json.loads((path / "tasks.json").read_text(encoding="utf-8"))["tasks"]
    return tasks


def differences(before: Mapping[str, Any], after: Mapping[str, Any]) -> set[str]:
    return {key for key in before.keys() | after.keys() if before.get(key) != after.get(key)}


def test_only_decisions_change_and_encoder_heads_and_tokenizer_keep_their_bytes(model: Path, found: Calibration):
    before, entries = contents(model), stored_tasks(model)
    put(found, model)
    assert differences(before, contents(model)) == CHANGED
    after = stored_tasks(model)
    assert differences(entries["intent"], after["intent"]) == {"temperature", "min_score"}
    assert differences(entries["topics"], after["topics"]) == {"thresholds"}
    assert (entries["mood"], entries["entities"]) == (after["mood"], after["entities"])
    assert sorted(path.name for path in model.parent.iterdir() if "cache" not in path.name) == ["best"]


def test_the_model_answers_by_what_was_stored(model: Path, found: Calibration):
    old = MultiTaskModel.from_pretrained(model).predict(TEXTS, top_k=3)
    put(found, model)
    new = MultiTaskModel.from_pretrained(model).predict(TEXTS, top_k=3)
    entries = stored_tasks(model)
    assert {answer["intent"]["label"] for answer in new} > {None}
    for before, after in zip(old, new, strict=True):
        assert (before["mood"], before["entities"]) == (after["mood"], after["entities"])
        score = after["intent"]["score"]
        sure = score >= entries["intent"]["min_score"]
        assert after["intent"]["label"] == (before["intent"]["label"] if sure else None)
        assert list(after["intent"]["scores"]) == list(before["intent"]["scores"])
        assert score == after["intent"]["scores"][before["intent"]["label"]]
        assert after["topics"]["scores"] == before["topics"]["scores"]
        reached = zip(("app", "card", "order"), entries["topics"]["thresholds"], strict=True)
        assert set(after["topics"]["labels"]) == {name for name, at in reached if after["topics"]["scores"][name] >= at}


def test_what_is_stored_as_a_score_is_what_evaluate_finds(
    model: Path, found: Calibration, trained: tuple[Path, Config]
):
    put(found, model)
    metrics = directory.load(model).metrics
    report = evaluate_directory(MultiTaskModel.from_pretrained(model), trained[1], split="validation")
    for task in ("intent", "topics"):
        scores = report.scores[task]
        assert metrics[task]["validation"] == split_json(
            scores.metrics, baseline=scores.baseline, num_rows=scores.num_rows
        )
        assert metrics[task].keys() == {"validation", "validation_cross_fitted"}
        assert metrics[task]["validation_cross_fitted"]["num_rows"] == scores.num_rows
    assert metrics["mood"].keys() == {"validation"}


def test_scores_on_other_splits_go_with_the_decisions_that_they_were_of(model: Path, found: Calibration):
    stored = directory.load(model)
    metrics = {name: {**of, "test": {"accuracy": 0.5, "num_rows": 2}} for name, of in stored.metrics.items()}
    rewrite(model, model, tasks=stored.tasks, metrics=metrics)
    put(found, model)
    after = directory.load(model).metrics
    assert [name for name in after if "test" in after[name]] == ["mood", "entities"]
    put(replace(found, tasks={name: replace(of, before=of.after) for name, of in found.tasks.items()}), model)
    assert directory.load(model).metrics == after


def test_the_coverage_that_was_asked_for_is_that_of_the_rows_that_were_fitted_on(found: Calibration):
    assert found.tasks["intent"].fitted.after.figures["coverage"] >= 0.7
    assert found.left_alone.keys() == {"mood", "entities"}


def test_another_place_leaves_the_model_as_it_was(model: Path, found: Calibration):
    before = contents(model)
    store(replace(found, source=model), model.with_name("other"))
    assert contents(model) == before
    assert stored_tasks(model.with_name("other"))["intent"]["min_score"] is not None


def test_calibrating_again_finds_the_same(model: Path, found: Calibration, trained: tuple[Path, Config]):
    put(found, model)
    first = contents(model)
    again = calibrate(model, trained[1], rule=rule_of("coverage=0.7"))
    store(again, model)
    assert contents(model) == first


def test_a_calibration_can_be_taken_back(model: Path, found: Calibration, trained: tuple[Path, Config]):
    put(found, model)
    store(calibrate(model, trained[1], tasks=["intent"], rule=rule_of("none")), model)
    assert stored_tasks(model)["intent"]["min_score"] is None
    answers = MultiTaskModel.from_pretrained(model).predict(TEXTS)
    assert None not in {answer["intent"]["label"] for answer in answers}


def test_named_tasks_only_are_fitted_and_the_others_keep_what_they_have(model: Path, trained: tuple[Path, Config]):
    before = stored_tasks(model)
    found = calibrate(model, trained[1], tasks=["topics"], target=target_of("recall=0.9"), report_split="test")
    put(found, model)
    assert differences(before, stored_tasks(model)) == {"topics"}
    metrics = directory.load(model).metrics["topics"]
    assert metrics.keys() == {"validation", "test"}
    assert metrics["test"]["num_rows"] == 40
    assert min(of.recall for of in found.tasks["topics"].fitted.after.labels) >= 0.9


def test_the_report_holds_decisions_and_figures_beside_a_plot_of_each_task(found: Calibration, tmp_path: Path):
    check_report(tmp_path / "new" / "report", models=[found.source])
    write_report(found, tmp_path / "new" / "report")
    assert sorted(path.name for path in (tmp_path / "new" / "report").iterdir()) == [
        REPORT,
        "intent.png",
        "topics.png",
    ]
    report = json.loads((tmp_path / "new" / "report" / REPORT).read_text(encoding="utf-8"))
    assert (report["fitted_on"], report["held_out"]) == ("validation", "cross-fitted in 5 folds")
    assert (report["target"], report["min_score"]) == ("f1", "coverage=0.7")
    intent = report["tasks"]["intent"]
    assert intent["before"] == {"temperature": 1.0, "min_score": None}
    assert intent["after"]["temperature"] == found.tasks["intent"].after.temperature
    for measured in ("fitted", "held_out"):
        after = intent[measured]["after"]
        assert sum(after["reliability"]["rows"]) == after["num_rows"]
        assert after["selection"]["coverage"][-1] == 1.0
    assert len(report["tasks"]["topics"]["after"]["thresholds"]) == 3
    for name in ("intent", "topics"):
        assert (tmp_path / "new" / "report" / f"{name}.png").read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"


def test_a_report_that_is_a_file_is_refused(tmp_path: Path):
    (tmp_path / "report").touch()
    with pytest.raises(FileError, match="is a file; name a directory"):
        check_report(tmp_path / "report", models=[])


@pytest.mark.parametrize("inside", ["best", "best/report"])
def test_a_report_in_the_model_directory_is_refused(model: Path, inside: str):
    with pytest.raises(FileError, match="lies in the model directory"):
        check_report(model.parent / inside, models=[model])


def test_a_store_that_fails_leaves_the_model_as_it_was(
    model: Path, found: Calibration, monkeypatch: pytest.MonkeyPatch
):
    before = contents(model)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(shutil, "copyfile", full)
    with pytest.raises(FileError, match="the disk is full"):
        put(found, model)
    assert contents(model) == before
    assert sorted(path.name for path in model.parent.iterdir() if "cache" not in path.name) == ["best"]


@pytest.mark.parametrize(
    ("given", "error", "said"),
    [
        ({"split": "train"}, ConfigError, "--split 'train': expected validation or test; a model is too sure"),
        ({"report_split": "validation"}, ConfigError, "it is the split that is fitted on"),
        ({"num_folds": 1}, ConfigError, "--folds 1: expected 2 or more"),
        ({"tasks": ["intnt"]}, ConfigError, "unknown task 'intnt'; .*did you mean 'intent'"),
        ({"tasks": ["mood"]}, ConfigError, "'mood' has no decisions to fit: its answers are numbers"),
        ({"tasks": ["intent"], "target": target_of("f1")}, ConfigError, "--target is of multi_label tasks"),
        ({"tasks": ["topics"], "rule": rule_of("0.5")}, ConfigError, "--min-score is of classifications"),
    ],
)
def test_what_cannot_be_honoured_is_refused(
    trained: tuple[Path, Config], given: dict[str, Any], error: type[Exception], said: str
):
    with pytest.raises(error, match=said):
        calibrate(*trained, **given)


def test_a_split_without_labels_of_a_task_is_named(trained: tuple[Path, Config], tmp_path: Path):
    rows = [{**row, "topics": None} for row in tickets(20, seed=3)]
    data = {"tickets": dataset(tmp_path, "tickets", text="body", train=tickets(8), validation=rows)}
    config = load_config(raw_config(tmp_path, Path("unused"), data=data, tasks=TICKET_TASKS))
    with pytest.raises(DataError, match="no labelled row in the validation split of topics"):
        calibrate(trained[0], config)
    assert calibrate(trained[0], config, tasks=["intent"]).tasks.keys() == {"intent"}


def test_a_task_that_the_model_lacks_is_named(trained: tuple[Path, Config], tmp_path: Path):
    data = {"tickets": dataset(tmp_path, "tickets", text="body", train=tickets(8), validation=tickets(8))}
    tasks = {"intents": TICKET_TASKS["intent"]}
    with pytest.raises(ModelError, match=r"tasks\.intents: the model has no such task.*did you mean 'intent'"):
        calibrate(trained[0], load_config(raw_config(tmp_path, Path("unused"), data=data, tasks=tasks)))


def test_a_model_of_the_hub_needs_a_place(tmp_path: Path):
    with pytest.raises(ConfigError, match="for a model of the hub say with --out"):
        check_place("someone/model", None)
    assert check_place("someone/model", tmp_path / "new") == tmp_path / "new"
