"""What may change between a run and its resumption, and where a run begins."""

import json
import logging
import shutil
from collections.abc import Collection
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from little import TICKET_TASKS, Row, ticket_config, tickets
from resumed import kept_bytes, killed_run, log_of
from safetensors.torch import load_file, save_file

from mtl_transformers import CheckpointError, train
from mtl_transformers.config import Config
from mtl_transformers.errors import FileError
from mtl_transformers.training import loop
from mtl_transformers.training.checkpoint import newest_valid, read_checkpoint, write_checkpoint
from mtl_transformers.training.experiment import prepare
from mtl_transformers.training.loop import Planned, run
from mtl_transformers.training.resume import differences

INTENT = {"intent": TICKET_TASKS["intent"]}
EVERY = {"training.save_every_steps": 2, "training.epochs": 2, "evaluation.every_steps": 3, "tracking.every_steps": 1}


def config_of(place: Path, encoder: Path, settings: dict[str, Any] | None = None, **given: Any) -> Config:
    return ticket_config(place, encoder, {**EVERY, **(settings or {})}, **{"tasks": INTENT, **given})


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory, tiny_bert: Path) -> Path:
    """Return the place of a run that was killed in its eighth step; copy it."""
    place = tmp_path_factory.mktemp("killed")
    killed_run(config_of(place, tiny_bert), resume=False, kill=(7, 1))
    return place


@pytest.fixture
def place(killed: Path, tmp_path: Path) -> Path:
    """Return a copy of its own."""
    shutil.copytree(killed, tmp_path / "place")
    return tmp_path / "place"


def contents(path: Path) -> dict[str, bytes]:
    return {str(file.relative_to(path)): file.read_bytes() for file in path.rglob("*") if file.is_file()}


HARMLESS = {
    "training.max_tokens": 128,
    "training.save_every_steps": 1,
    "training.keep_checkpoints": 9,
    "training.on_bad_numbers": "skip_step",
    "training.on_failed_save": "continue",
    "training.max_bad_steps": 1,
    "training.max_minutes": 10,
    "tracking.every_steps": 2,
    "encoder.gradient_checkpointing": True,
}


@pytest.mark.parametrize("key", HARMLESS)
def test_a_key_that_changes_nothing_of_the_learning_passes(key, place, tiny_bert):
    assert train(config_of(place, tiny_bert, {key: HARMLESS[key]}), resume=True).first_step == 6


REFUSED = {
    "training.learning_rate": (0.5, "training.learning_rate: 0.001 in the checkpoint, now 0.5"),
    "training.clip": (None, "training.clip: 1.0 in the checkpoint, now null"),
    "tasks.intent.weight": (2, "tasks.intent.weight: 1.0 in the checkpoint, now 2.0"),
    "best.metric": ("intent/accuracy", 'best.metric: "mean" in the checkpoint, now "intent/accuracy"'),
    "evaluation.every_steps": (4, "evaluation.every_steps: 3 in the checkpoint, now 4"),
}


@pytest.mark.parametrize("key", REFUSED)
def test_any_other_key_is_refused_with_the_difference_and_nothing_is_touched(key, place, tiny_bert):
    value, message = REFUSED[key]
    before = contents(place)
    with pytest.raises(CheckpointError) as caught:
        train(config_of(place, tiny_bert, {key: value}), resume=True)
    assert message in str(caught.value)
    assert "--allow-config-change" in str(caught.value)
    assert contents(place) == before


@pytest.mark.parametrize("key", REFUSED)
def test_it_passes_where_that_is_allowed_and_is_told(key, place, tiny_bert, caplog):
    with caplog.at_level(logging.WARNING, "mtl_transformers"):
        train(config_of(place, tiny_bert, {key: REFUSED[key][0]}), resume=True, allow_config_change=True)
    assert f"going on with a changed config: {REFUSED[key][1]}" in caplog.text


ANOTHER_RUN: dict[str, tuple[dict[str, Any], str]] = {
    "more epochs": ({"training.epochs": 5}, "training.epochs: 2.0 in the checkpoint, now 5.0"),
    "other batches": ({"training.batch_size": 4}, "training.batch_size: 8 in the checkpoint, now 4"),
    "another order": ({"seed": 14}, "seed: 13 in the checkpoint, now 14"),
    "longer texts": ({"data.tickets.max_length": 7}, "data.tickets.train: its rows, labels or tokens are others"),
}


@pytest.mark.parametrize("change", ANOTHER_RUN)
def test_what_makes_it_another_run_is_never_allowed(change, place, tiny_bert):
    settings, message = ANOTHER_RUN[change]
    with pytest.raises(CheckpointError) as caught:
        train(config_of(place, tiny_bert, settings), resume=True, allow_config_change=True)
    assert message in str(caught.value)
    assert "init_from: <run>/last" in str(caught.value)


def relabelled(rows: list[Row]) -> list[Row]:
    return [{**rows[0], "intent": "delivery" if rows[0]["intent"] != "delivery" else "billing"}, *rows[1:]]


@pytest.mark.parametrize("split", ["train", "validation"])
def test_one_other_label_in_the_data_is_noticed(split, place, tiny_bert):
    rows = {"train": tickets(40), "validation": tickets(13, seed=1)}
    rows[split] = relabelled(rows[split])
    with pytest.raises(CheckpointError, match=rf"data\.tickets\.{split}: "):
        train(config_of(place, tiny_bert, **rows), resume=True)


def test_the_same_data_from_another_place_are_the_same_run(place, tiny_bert):
    (place / "moved").mkdir()
    for split in ("train", "validation"):
        shutil.move(place / f"tickets-{split}.jsonl", place / "moved" / f"{split}.jsonl")
    files = {split: str(place / "moved" / f"{split}.jsonl") for split in ("train", "validation")}
    config = config_of(place, tiny_bert)
    section = config.data["tickets"].model_copy(update={"files": files})
    config = config.model_copy(update={"data": {"tickets": section}})
    assert train(config, resume=True).first_step == 6


def test_a_newer_checkpoint_with_a_fault_is_named_and_the_one_before_is_used(place, tiny_bert, caplog):
    config = config_of(place, tiny_bert)
    weights = Path(config.output) / "checkpoints" / "step-000006" / "weights.safetensors"
    weights.write_bytes(weights.read_bytes()[:-3])
    with caplog.at_level(logging.INFO, "mtl_transformers"):
        result = train(config, resume=True)
    assert result.first_step == 4
    assert "skipped a checkpoint: " in caplog.text
    assert "step-000006: weights.safetensors has " in caplog.text
    assert f"going on from {weights.parents[1] / 'step-000004'}" in caplog.text


def test_without_any_valid_checkpoint_nothing_is_touched(place, tiny_bert):
    config = config_of(place, tiny_bert)
    for manifest in (Path(config.output) / "checkpoints").glob("*/manifest.json"):
        manifest.write_text("{}")
    before = contents(place)
    with pytest.raises(
        CheckpointError, match=r"none of the 2 checkpoints is valid: .*step-000006.*step-000004.*--overwrite"
    ):
        train(config, resume=True)
    assert contents(place) == before


def test_a_checkpoint_that_is_named_is_used_and_the_later_ones_go(place, tiny_bert):
    config = config_of(place, tiny_bert)
    checkpoints = Path(config.output) / "checkpoints"
    assert train(config, resume=checkpoints / "step-000004").first_step == 4
    assert max(path.name for path in checkpoints.iterdir()) == "step-000010"


def test_a_checkpoint_that_is_named_and_has_a_fault_is_an_error(place, tiny_bert):
    config = config_of(place, tiny_bert)
    named = Path(config.output) / "checkpoints" / "step-000004"
    (named / "state.json").unlink()
    with pytest.raises(CheckpointError, match=r"step-000004: state\.json is missing"):
        train(config, resume=named)
    with pytest.raises(CheckpointError, match="there is no such checkpoint"):
        train(config, resume=named.with_name("step-000005"))


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory, tiny_bert: Path) -> Path:
    return train(config_of(tmp_path_factory.mktemp("undisturbed"), tiny_bert)).output


def test_a_run_that_has_no_checkpoint_yet_begins_again(tmp_path, tiny_bert, undisturbed):
    config = config_of(tmp_path, tiny_bert, {"training.save_every_steps": None})
    killed_run(config, resume=False, kill=(4, 1))  # after an evaluation: best/ is there
    assert train(config, resume=True).first_step == 0
    assert kept_bytes(tmp_path / "run") == kept_bytes(undisturbed)
    assert log_of(tmp_path / "run") == log_of(undisturbed)


def test_a_run_that_is_not_there_yet_begins(tmp_path, tiny_bert, undisturbed):
    assert train(config_of(tmp_path, tiny_bert), resume=True).first_step == 0
    assert kept_bytes(tmp_path / "run") == kept_bytes(undisturbed)


def test_a_run_without_checkpoints_and_another_config_is_not_begun_again(tmp_path, tiny_bert):
    killed_run(config_of(tmp_path, tiny_bert, {"training.save_every_steps": None}), resume=False, kill=(4, 1))
    with pytest.raises(CheckpointError, match=r"training\.learning_rate"):
        train(config_of(tmp_path, tiny_bert, {"training.learning_rate": 0.5}), resume=True)


def test_a_run_that_is_done_is_not_trained_again(place, tiny_bert):
    config = config_of(place, tiny_bert)
    first = train(config, resume=True)
    before = contents(first.output)
    again = train(config, resume=True)
    assert (again.first_step, again.num_steps, again.scores) == (10, 10, first.scores)
    assert contents(first.output) == before


def test_a_frozen_encoder_that_changed_is_not_served_for_the_one_that_was_scored(tmp_path, tiny_bert):
    shutil.copytree(tiny_bert, tmp_path / "encoder")
    config = config_of(tmp_path, tmp_path / "encoder", {"encoder.freeze": "all"})
    killed_run(config, resume=False, kill=(7, 1))
    weights = load_file(tmp_path / "encoder" / "model.safetensors")
    save_file({name: tensor * 1.01 for name, tensor in weights.items()}, tmp_path / "encoder" / "model.safetensors")
    with pytest.raises(CheckpointError, match=r"is frozen, but the checkpoint holds other values.*encoder\.revision"):
        train(config, resume=True)


def test_an_encoder_with_other_settings_is_another_run(tmp_path, tiny_bert):
    shutil.copytree(tiny_bert, tmp_path / "encoder")
    config = config_of(tmp_path, tmp_path / "encoder")
    killed_run(config, resume=False, kill=(7, 1))
    settings = json.loads((tmp_path / "encoder" / "config.json").read_text())
    (tmp_path / "encoder" / "config.json").write_text(json.dumps({**settings, "hidden_dropout_prob": 0.5}))
    with pytest.raises(CheckpointError, match="encoder: its configuration is another one"):
        train(config, resume=True)


def test_a_checkpoint_of_another_run_needs_an_output_of_its_own(place, killed, tiny_bert):
    named = killed / "run" / "checkpoints" / "step-000004"
    with pytest.raises(CheckpointError, match="is no checkpoint of the run in"):
        train(config_of(place, tiny_bert), resume=named)
    fresh = config_of(place, tiny_bert).model_copy(update={"output": str(place / "fresh")})
    assert train(fresh, resume=named).first_step == 4


def test_the_branch_that_is_left_cannot_come_back(place, tiny_bert):
    config = config_of(place, tiny_bert)
    checkpoints = Path(config.output) / "checkpoints"
    killed_run(config, resume=checkpoints / "step-000004", kill=(4, 1))
    assert [path.name for path in checkpoints.iterdir()] == ["step-000004"]


def test_checkpoints_that_are_gone_are_missed(place, tiny_bert):
    config = config_of(place, tiny_bert)
    shutil.rmtree(Path(config.output) / "checkpoints")
    before = contents(place)
    with pytest.raises(CheckpointError, match=r"the run came to step \d+, but its checkpoints are gone"):
        train(config, resume=True)
    assert contents(place) == before


def test_data_in_the_output_are_not_removed(place, tiny_bert):
    config = config_of(place, tiny_bert)
    (Path(config.output) / "data").mkdir()
    files = {}
    for split in ("train", "validation"):
        files[split] = str(Path(config.output) / "data" / f"{split}.jsonl")
        shutil.move(place / f"tickets-{split}.jsonl", files[split])
    section = config.data["tickets"].model_copy(update={"files": files})
    with pytest.raises(CheckpointError, match="which --overwrite would remove"):
        train(config.model_copy(update={"data": {"tickets": section}}), overwrite=True)
    assert Path(files["train"]).is_file()


def test_a_training_that_began_meanwhile_is_not_replaced(tmp_path, tiny_bert, monkeypatch):
    config, begun = config_of(tmp_path, tiny_bert), []

    def meanwhile(given: Config, *, anew: Collection[str]) -> Any:
        if not begun:
            begun.append(1)
            train(config)
        return prepare(given, anew=anew)

    monkeypatch.setattr(loop, "prepare", meanwhile)
    with pytest.raises(CheckpointError, match="another training began there meanwhile"):
        train(config)
    assert newest_valid(tmp_path / "run" / "checkpoints")[0].name == "step-000010"


def test_a_run_is_kept_from_others_while_its_data_are_prepared(place, tiny_bert, monkeypatch):
    config, refused = config_of(place, tiny_bert), []

    def meanwhile(given: Config, *, anew: Collection[str]) -> Any:
        if not refused:
            with pytest.raises(FileError, match="another training writes there now") as caught:
                train(config, resume=True)
            refused.append(caught.value)
        return prepare(given, anew=anew)

    monkeypatch.setattr(loop, "prepare", meanwhile)
    assert train(config, resume=True).num_steps == 10
    assert len(refused) == 1


@pytest.mark.parametrize("how", ["resume", "overwrite"])
def test_two_trainings_do_not_write_into_one_run(how, place, tiny_bert):
    config = config_of(place, tiny_bert)
    first = run(config, resume=True)
    next(first)
    before = contents(place)
    with pytest.raises(FileError, match="another training writes there now"):
        train(config, **{how: True})
    assert contents(place) == before
    *_, last = first
    assert last.num_steps == 10
    train(config, **{how: True})


def test_to_resume_and_to_overwrite_exclude_each_other(place, tiny_bert):
    with pytest.raises(CheckpointError, match="Leave one of the two out"):
        train(config_of(place, tiny_bert), resume=True, overwrite=True)


def test_a_line_of_the_log_that_was_cut_short_goes(place, tiny_bert, undisturbed):
    config = config_of(place, tiny_bert)
    with (Path(config.output) / "metrics.jsonl").open("a") as file:
        file.write('{"step": 3, "train/int')
    train(config, resume=True)
    assert log_of(place / "run") == log_of(undisturbed)


def test_an_evaluation_that_a_checkpoint_does_not_know_is_logged_once(place, tiny_bert, undisturbed):
    config = config_of(place, tiny_bert)
    with (Path(config.output) / "metrics.jsonl").open("a") as file:
        file.write('{"step": 6, "eval/mean": 1.0}\n')  # as if it had been scored after it was saved
    state = Path(config.output) / "checkpoints" / "step-000006"
    stored = read_checkpoint(state)
    content = {**stored.state, "state": {**stored.state["state"], "evaluated": 3}}
    write_checkpoint(state, replace(stored, state=content))
    train(config, resume=True)
    assert log_of(place / "run") == log_of(undisturbed)


def test_the_plan_says_where_a_run_goes_on(place, tiny_bert):
    planned = next(run(config_of(place, tiny_bert), resume=True))
    assert isinstance(planned, Planned)
    assert planned.first_step == 6


def test_the_state_of_a_checkpoint_is_readable(killed):
    state = json.loads((killed / "run" / "checkpoints" / "step-000006" / "state.json").read_text())
    assert state["state"]["step"] == 6
    assert state["state"]["ledger"]["rows"] == {"tickets": 48}
    assert state["identity"]["plan"]["steps"] == 10


def test_differences_are_told_key_by_key():
    stored, given = {"a": 1, "b": {"c": [1], "d": None}}, {"a": 1, "b": {"c": [2], "e": "x"}}
    assert differences(stored, given) == [
        "b.c: [1] in the checkpoint, now [2]",
        'b.e: null in the checkpoint, now "x"',
    ]
