"""Adding a task: with a frozen encoder not a byte of the others moves; without, one that falls keeps the model."""

import hashlib
import json
import os
import shutil
import signal
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from changed import answers, bytes_of, head_bytes
from little import TICKET_TASKS, Row, dataset, tickets

from mtl_transformers import CheckpointError, ConfigError, DataError, ModelError, MultiTaskModel
from mtl_transformers.errors import FileError, Interrupted
from mtl_transformers.lifecycle.adding import add_task, adding, replace_task
from mtl_transformers.lifecycle.change import Change, Settings
from mtl_transformers.lifecycle.editing import drop_task
from mtl_transformers.model.directory import load
from mtl_transformers.training.loop import Planned

FROZEN = Settings(freeze="all")
UNTOUCHED = ("config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json")
OLD = ("intent", "topics", "mood")
GENTLE = {"training.learning_rate": 1.0e-7}
HARMFUL = {"training.learning_rate": 2.0e-2, "training.epochs": 4}


def all_bytes(model: Path) -> dict[str, str]:
    return bytes_of(model, sorted(path.name for path in model.iterdir()))


def contradictory(place: Path) -> Row:
    """Return a config of a task on the tickets' texts whose labels have nothing to do with them."""
    rows = [
        {"body": row["body"], "noise": hashlib.sha256(row["body"].encode()).hexdigest()[0]}
        for row in tickets(80, seed=4)
    ]
    data = dataset(place, "noise", text="body", train=rows, validation=rows[:20])
    return {
        "data": {"noise": data},
        "tasks": {"noise": {"data": "noise", "kind": "classification", "label": "noise"}},
        "training": {"batch_size": 8},
        "evaluation": {"every_steps": None},
    }


# a frozen encoder


def test_with_a_frozen_encoder_nothing_but_the_new_head_changes(model_dir: Path, added: Row):
    before, heads, said = bytes_of(model_dir, UNTOUCHED), head_bytes(model_dir), answers(model_dir)
    old = load(model_dir)
    change = add_task(model_dir, added, FROZEN)
    assert (change.path, change.new, change.frozen) == (model_dir, ("places",), True)
    assert bytes_of(model_dir, UNTOUCHED) == before
    after = head_bytes(model_dir)
    assert {key: of for key, of in after.items() if ".places." not in key} == heads
    assert len(after) > len(heads)
    assert [{name: of[name] for name in OLD} for of in answers(model_dir)] == said
    new = load(model_dir)
    assert {name: new.tasks["tasks"][name] for name in OLD} == old.tasks["tasks"]
    assert {name: new.metrics[name] for name in OLD} == old.metrics
    assert {path.name for path in model_dir.parent.iterdir()} == {"best", "config.yaml", "metrics.jsonl", "plan.json"}


@pytest.mark.slow
def test_the_scores_of_the_new_task_are_those_of_what_is_served(model_dir: Path, added: Row):
    change = add_task(model_dir, added, FROZEN)
    stored = load(model_dir)
    of_places = change.scores["places"]
    told = {**of_places.metrics, "num_rows": 30, "baseline": of_places.baseline}
    assert stored.metrics["places"] == {"validation": told}
    assert stored.tasks["tasks"]["places"]["rows_seen"] == 60
    assert [of["name"] for of in stored.tasks["datasets"]] == ["tickets"]
    assert "| `places` |" in (model_dir / "README.md").read_text()


@pytest.mark.slow
def test_a_task_that_reads_the_same_shares_the_encoder_pass(model_dir: Path, added: Row, tmp_path: Path):
    shared = add_task(model_dir, added, Settings(freeze="all", out=tmp_path / "shared"))
    assert shared.sharing == {"places": OLD}
    alone = add_task(model_dir, added, Settings(freeze="all", overrides={"encoder.max_length": 9}, out=tmp_path / "9"))
    assert alone.sharing == {"places": ()}
    lengths = [
        model.tasks["places"].input.max_length
        for model in map(MultiTaskModel.from_pretrained, (shared.path, alone.path))
    ]
    assert lengths == [load(model_dir).tasks["tasks"]["intent"]["input"]["max_length"], 9]


@pytest.mark.slow
def test_old_tasks_of_the_config_are_left_alone_when_the_encoder_is_frozen(model_dir: Path, added: Row):
    heads = head_bytes(model_dir)
    added["tasks"]["intent"] = TICKET_TASKS["intent"]
    change = add_task(model_dir, added, FROZEN)
    assert (change.new, change.left) == (("places",), ("intent",))
    assert {key: of for key, of in head_bytes(model_dir).items() if ".places." not in key} == heads


@pytest.mark.slow
def test_a_replaced_task_may_be_of_another_kind_and_changes_alone(model_dir: Path, added: Row):
    before, heads, said = bytes_of(model_dir, UNTOUCHED), head_bytes(model_dir), answers(model_dir)
    added["tasks"] = {"mood": {**TICKET_TASKS["intent"], "data": "tickets"}}
    change = replace_task(model_dir, added, FROZEN)
    assert (change.new, list(load(model_dir).tasks["tasks"])) == (("mood",), list(OLD))
    assert bytes_of(model_dir, UNTOUCHED) == before
    after = head_bytes(model_dir)
    assert {key for key in heads if after.get(key) != heads[key]} == {key for key in heads if ".mood." in key}
    now = answers(model_dir)
    assert all(of["mood"]["label"] in ("account", "billing", "delivery") for of in now)
    assert [[of["intent"], of["topics"]] for of in now] == [[of["intent"], of["topics"]] for of in said]


@pytest.mark.slow
def test_a_task_that_is_trained_anew_does_not_go_on_from_its_old_head(model_dir: Path, added: Row, tmp_path: Path):
    still = {"training.head_learning_rate": 1.0e-12, "seed": 5}
    added["tasks"] = {"intent": TICKET_TASKS["intent"]}
    again = replace_task(model_dir, added, Settings(freeze="all", overrides=still, out=tmp_path / "anew"))
    moved = {key for key, of in head_bytes(again.path).items() if of != head_bytes(model_dir)[key]}
    assert "heads.intent.out.weight" in moved
    drop_task(model_dir, "intent", out=tmp_path / "without")
    fresh = add_task(tmp_path / "without", added, Settings(freeze="all", overrides=still))
    assert head_bytes(fresh.path) == head_bytes(again.path)


# an encoder that moves


@pytest.mark.slow
def test_without_freezing_the_encoder_moves_and_every_old_task_is_compared(model_dir: Path, added: Row):
    before, heads = bytes_of(model_dir, UNTOUCHED), head_bytes(model_dir)
    change = add_task(model_dir, added, Settings(overrides=GENTLE))
    assert [of.task for of in change.compared] == list(OLD)
    assert not change.refused
    after = bytes_of(model_dir, UNTOUCHED)
    assert [name for name in UNTOUCHED if after[name] != before[name]] == ["model.safetensors"]
    assert {key: of for key, of in head_bytes(model_dir).items() if ".places." not in key} == heads
    scored = {of.task: of.before for of in change.compared}
    stored = {name: of["validation"] for name, of in load(model_dir).metrics.items()}
    assert scored["intent"] == pytest.approx(stored["intent"]["accuracy"], abs=0.02)
    assert not model_dir.with_name("best.candidate").exists()


@pytest.mark.slow
def test_a_model_whose_old_tasks_fall_is_not_replaced(model_dir: Path, tmp_path: Path):
    before, said = all_bytes(model_dir), answers(model_dir)
    with pytest.raises(ModelError, match=r"refused: intent fell in accuracy, .* that is more than --max-drop 0\.01"):
        add_task(model_dir, contradictory(tmp_path), Settings(overrides=HARMFUL))
    assert all_bytes(model_dir) == before
    assert answers(model_dir) == said
    candidate = model_dir.with_name("best.candidate")
    assert list(MultiTaskModel.from_pretrained(candidate).tasks) == [*OLD, "noise"]
    assert not model_dir.with_name("best.training").exists()


@pytest.mark.slow
def test_the_same_harm_is_let_through_by_a_large_max_drop_and_cannot_happen_with_a_frozen_encoder(
    model_dir: Path, tmp_path: Path
):
    config = contradictory(tmp_path)
    frozen = add_task(model_dir, config, Settings(freeze="all", overrides=HARMFUL, out=tmp_path / "frozen"))
    assert [{name: of[name] for name in OLD} for of in answers(frozen.path)] == answers(model_dir)
    let = add_task(model_dir, config, Settings(overrides=HARMFUL, max_drop=2, out=tmp_path / "let"))
    intent = next(of for of in let.compared if of.task == "intent")
    assert intent.drop > 0.1
    assert load(let.path).metrics["intent"]["validation"]["accuracy"] == intent.after


@pytest.mark.slow
def test_old_tasks_are_rehearsed_when_they_are_asked_for(model_dir: Path, tmp_path: Path):
    heads = head_bytes(model_dir)
    change = add_task(model_dir, contradictory(tmp_path), Settings(rehearse=True, max_drop=2))
    assert change.new == ("noise",)
    assert [of.task for of in change.compared] == list(OLD)
    stored = load(model_dir).tasks["tasks"]
    assert {name: stored[name]["rows_seen"] > 6 * 120 for name in OLD} == dict.fromkeys(OLD, True)
    moved = {key.split(".")[1] for key, of in heads.items() if head_bytes(model_dir)[key] != of}
    assert moved == set(OLD)


@pytest.mark.slow
def test_data_of_a_task_that_the_run_does_not_know_are_asked_for(model_dir: Path, added: Row, tmp_path: Path):
    add_task(model_dir, added, FROZEN)
    with pytest.raises(ConfigError, match=r"no data of places: the configs at hand have noise, intent, .* --data"):
        add_task(model_dir, contradictory(tmp_path), Settings(overrides=GENTLE))
    given = Settings(overrides=GENTLE, max_drop=2, data=[added])
    assert [of.task for of in add_task(model_dir, contradictory(tmp_path), given).compared] == [
        "places",
        "intent",
        "topics",
        "mood",
    ]


def test_a_model_outside_of_a_run_asks_for_data(model_dir: Path, added: Row, tmp_path: Path):
    alone = shutil.copytree(model_dir, tmp_path / "alone")
    with pytest.raises(ConfigError, match=r"no data of intent, topics, mood: .* have places"):
        add_task(alone, added)


def test_data_that_moved_away_are_told_before_anything_is_trained(model_dir: Path, added: Row, tmp_path: Path):
    text = (model_dir.parent / "config.yaml").read_text()
    (model_dir.parent / "config.yaml").write_text(text.replace("tickets-train.jsonl", "gone.jsonl"))
    with pytest.raises(DataError, match=r"intent, topics, mood cannot be scored: .*gone\.jsonl.* --freeze all"):
        add_task(model_dir, added)
    assert not model_dir.with_name("best.training").exists()


# trouble


@pytest.fixture
def in_vain(model_dir: Path) -> Iterator[Path]:
    """Return a model that must be as it was after the test."""
    before = all_bytes(model_dir)
    yield model_dir
    assert all_bytes(model_dir) == before


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"encoder": {"name": "google-bert/bert-base-uncased"}}, r"encoder\.name: google-bert/bert-base-uncased, but"),
        ({"init_from": "another/model"}, "init_from: another/model, but"),
        ({"training": {"precision": "fp16"}}, r"training\.precision: fp16, but"),
        ({"tasks": {"intent": {**TICKET_TASKS["intent"]}}}, "nothing to add: the model has intent already; replace"),
        ({"tasks": {"places": {"data": "tickets", "kind": "classificaton", "label": "x"}}}, "unknown kind"),
        ({"trainig": {}}, "trainig: unknown key"),
    ],
)
def test_a_config_that_cannot_be_honoured_is_refused(in_vain: Path, added: Row, change: Row, message: str):
    with pytest.raises(ConfigError, match=message):
        add_task(in_vain, {**added, **change}, FROZEN)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (Settings(freeze="none"), r"encoder\.freeze"),
        (Settings(max_drop=-0.1), "--max-drop -0.1: expected 0 or more"),
        (Settings(freeze="all", rehearse=True), "--data and --rehearse are for an encoder that moves"),
    ],
)
def test_settings_that_cannot_be_honoured_are_refused(in_vain: Path, added: Row, settings: Settings, message: str):
    with pytest.raises(ConfigError, match=message):
        add_task(in_vain, added, settings)


def test_only_a_task_that_is_there_is_replaced(in_vain: Path, added: Row):
    with pytest.raises(ConfigError, match=r"tasks\.places: the model has no such task to replace; .*add-task adds one"):
        replace_task(in_vain, added, FROZEN)
    added["tasks"] = {"intent": TICKET_TASKS["intent"]}
    with pytest.raises(ConfigError, match="task 'intnet' is not in the config; it has intent; did you mean 'intent'"):
        replace_task(in_vain, added, FROZEN, tasks=["intnet"])


def test_a_taken_place_is_told_before_anything_is_trained(in_vain: Path, added: Row, tmp_path: Path):
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "thesis.txt").touch()
    with pytest.raises(FileError, match="something lies there"):
        add_task(in_vain, added, Settings(freeze="all", out=tmp_path / "taken"))


@pytest.mark.slow
def test_a_training_that_fails_leaves_the_model(in_vain: Path, added: Row, tmp_path: Path):
    rows = [{**row, "places": row["urgency"] * 1.0e30} for row in tickets(60)]
    added["data"]["tickets"] = dataset(tmp_path, "huge", text="body", train=rows, validation=rows[:9])
    added["tasks"] = {"places": {"data": "tickets", "kind": "regression", "label": "places"}}
    with pytest.raises((ModelError, DataError)):
        add_task(in_vain, added, Settings(freeze="all", overrides={"training.head_learning_rate": 1.0e30}))


def stopped(events: Iterator[Any]) -> Any:
    """Ask a training to stop when it has begun, and return its last event."""
    for event in events:
        if isinstance(event, Planned):
            os.kill(os.getpid(), signal.SIGTERM)
    return event


@pytest.mark.slow
def test_a_training_that_was_stopped_leaves_the_model_and_is_resumed(model_dir: Path, added: Row, tmp_path: Path):
    before = all_bytes(model_dir)
    undisturbed = add_task(model_dir, added, Settings(freeze="all", out=tmp_path / "undisturbed"))
    last = stopped(adding(model_dir, added, FROZEN))
    assert not isinstance(last, Change)
    assert all_bytes(model_dir) == before
    with pytest.raises(CheckpointError, match="continue it with --resume, replace it with --overwrite"):
        add_task(model_dir, added, FROZEN)
    resumed = add_task(model_dir, added, Settings(freeze="all", resume=True))
    assert head_bytes(resumed.path) == head_bytes(undisturbed.path)
    assert not model_dir.with_name("best.training").exists()


@pytest.mark.slow
def test_a_stopped_training_does_not_go_on_from_another_model(model_dir: Path, added: Row):
    stopped(adding(model_dir, added, FROZEN))
    drop_task(model_dir, "mood")
    with pytest.raises(CheckpointError, match="was begun with another model"):
        add_task(model_dir, added, Settings(freeze="all", resume=True))
    add_task(model_dir, added, Settings(freeze="all", overwrite=True))
    assert list(load(model_dir).tasks["tasks"]) == ["intent", "topics", "places"]


@pytest.mark.slow
def test_a_stopped_training_is_an_error_in_python(in_vain: Path, added: Row):
    with pytest.raises(Interrupted, match=r"max_minutes.* the model is as it was"):
        add_task(in_vain, added, Settings(freeze="all", overrides={"training.max_minutes": 1.0e-9}))


@pytest.mark.slow
def test_a_model_that_somebody_else_changed_meanwhile_is_not_overwritten(model_dir: Path, added: Row):
    with closing(adding(model_dir, added, FROZEN)) as events:
        next(event for event in events if isinstance(event, Planned))
        drop_task(model_dir, "mood")
        with pytest.raises(ModelError, match="was changed by somebody else meanwhile"):
            list(events)
    assert list(json.loads((model_dir / "tasks.json").read_text())["tasks"]) == ["intent", "topics"]
