"""Numbers that are not finite, memory that runs out, disks that are full: what the run does, and what it says."""

import errno
import json
import logging
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from little import TICKET_TASKS, ticket_config
from observed import largest_difference, observed_run, weights_of
from resumed import interrupted_run, kept_bytes, log_of

from mtl_transformers import CheckpointError, ModelError, train
from mtl_transformers.batch import MicroBatch
from mtl_transformers.config import Config
from mtl_transformers.errors import FileError
from mtl_transformers.model.network import Network
from mtl_transformers.training import trouble, update
from mtl_transformers.training.checkpoint import newest_valid, read_checkpoint
from mtl_transformers.training.memory import is_out_of_memory
from mtl_transformers.training.steps import item_losses
from mtl_transformers.training.trouble import halved

INTENT = {"intent": TICKET_TASKS["intent"], "mood": TICKET_TASKS["mood"]}
POISON = 17  # a row whose loss is not finite


def config_of(place: Path, encoder: Path, settings: dict[str, Any] | None = None) -> Config:
    every = {"training.save_every_steps": 3, "evaluation.every_steps": 4, "tracking.every_steps": 1}
    return ticket_config(place, encoder, {**every, "training.epochs": 2, **(settings or {})}, tasks=INTENT)


@pytest.fixture
def poisoned(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let one row's loss of one task be infinite, in training and when the rows behind it are looked for."""

    def losses(logits: Any, batch: MicroBatch, tasks: Any) -> dict[str, torch.Tensor]:
        found = item_losses(logits, batch, tasks)
        return {**found, "mood": found["mood"] * float("inf")} if ("tickets", POISON) in batch.rows else found

    monkeypatch.setattr(update, "item_losses", losses)
    monkeypatch.setattr(trouble, "item_losses", losses)


@pytest.mark.usefixtures("poisoned")
def test_the_run_stops_and_names_task_step_and_the_one_row(tmp_path, tiny_bert):
    with pytest.raises(ModelError) as caught:
        train(config_of(tmp_path, tiny_bert))
    message = str(caught.value)
    assert "task 'mood': the loss is inf; the rows: tickets t17 (" in message
    assert "tickets-train.jsonl, line 18)." in message
    assert "t16" not in message
    assert "training.on_bad_numbers: skip_step or rollback goes on without them" in message


@pytest.mark.usefixtures("poisoned")
def test_the_checkpoints_of_a_run_that_stopped_are_finite(tmp_path, tiny_bert):
    with pytest.raises(ModelError, match=r"step (\d+)"):
        train(config_of(tmp_path, tiny_bert, {"training.epochs": 5}))
    path, _ = newest_valid(tmp_path / "run" / "checkpoints")
    assert path is None or all(tensor.isfinite().all() for tensor in read_checkpoint(path).weights.values())


@pytest.mark.usefixtures("poisoned")
def test_a_step_that_is_skipped_is_counted_and_trains_nothing(tmp_path, tiny_bert, caplog):
    with caplog.at_level(logging.WARNING, "mtl_transformers"):
        result = train(config_of(tmp_path, tiny_bert, {"training.on_bad_numbers": "skip_step"}))
    assert caplog.text.count("The step is left out") == 2  # two epochs
    line = result.coverage["intent"]
    assert line["rows_skipped"] == 2 * 8
    assert line["rows_seen"] + line["rows_skipped"] == 2 * 40
    assert all(tensor.isfinite().all() for tensor in weights_of(result.output / "last").values())
    logged = log_of(result.output)[-1]
    assert logged["ledger/mood/rows_skipped"] == 16


@pytest.mark.usefixtures("poisoned")
def test_so_many_bad_steps_and_no_more(tmp_path, tiny_bert):
    settings = {"training.on_bad_numbers": "skip_step", "training.max_bad_steps": 1}
    with pytest.raises(ModelError, match=r"1 steps went wrong before: training\.max_bad_steps"):
        train(config_of(tmp_path, tiny_bert, settings))


@pytest.mark.usefixtures("poisoned")
@pytest.mark.parametrize("choice", ["skip_step", "rollback"])
def test_a_run_with_bad_steps_is_resumed_exactly(choice, tmp_path, tiny_bert):
    settings = {"training.on_bad_numbers": choice}
    undisturbed = train(config_of(tmp_path / "a", tiny_bert, settings)).output
    config = config_of(tmp_path / "b", tiny_bert, settings)
    interrupted_run(config, [(8, 1)])
    assert kept_bytes(Path(config.output)) == kept_bytes(undisturbed)


@pytest.mark.usefixtures("poisoned")
def test_a_rollback_takes_the_weights_of_the_checkpoint_and_leaves_out_what_came_after(tmp_path, tiny_bert, caplog):
    settings = {"training.on_bad_numbers": "rollback", "training.epochs": 1}
    with caplog.at_level(logging.WARNING, "mtl_transformers"):
        result = train(config_of(tmp_path, tiny_bert, settings))
    bad = next(record.getMessage() for record in caplog.records if "rows since" in record.getMessage())
    step = int(bad.split("step ")[1].split(",")[0])  # from 1
    back = (step - 1) // 3 * 3
    assert f"those of step {back} again" in bad
    assert result.coverage["intent"]["rows_skipped"] == 8 * (step - back)
    assert result.coverage["intent"]["rows_seen"] == 8 * (5 - (step - back))


def test_without_poison_nothing_is_skipped(tmp_path, tiny_bert):
    result = train(config_of(tmp_path, tiny_bert, {"training.on_bad_numbers": "skip_step"}))
    assert {line["rows_skipped"] for line in result.coverage.values()} == {0}


def test_a_gradient_that_is_not_finite_names_its_part_and_the_rows(tmp_path, tiny_bert, monkeypatch):
    sum_gradients = update.sum_gradients

    def spoilt(used: Any, accelerator: Any) -> None:
        sum_gradients(used, accelerator)
        used[-1].grad.fill_(float("nan"))

    monkeypatch.setattr(update, "sum_gradients", spoilt)
    with pytest.raises(ModelError, match=r"step 1: each loss is finite, the gradient of \w+, the whole is not; the "):
        train(config_of(tmp_path, tiny_bert))


def with_memory_for(tokens: int) -> Callable[[Network], None]:
    """Let a network run out of memory with more padded tokens, as a device of that size would."""

    def watch(network: Network) -> None:
        def refuse(_: Network, given: tuple[MicroBatch, ...]) -> None:
            if given[0].input_ids.numel() > tokens:
                raise torch.OutOfMemoryError(f"tried to hold {given[0].input_ids.numel()} tokens")

        network.register_forward_pre_hook(refuse)

    return watch


def test_memory_that_runs_out_makes_smaller_micro_batches_of_the_same_step(tmp_path, steady_bert, caplog):
    free = observed_run(config_of(tmp_path / "a", steady_bert))
    with caplog.at_level(logging.WARNING, "mtl_transformers"):
        tight = observed_run(config_of(tmp_path / "b", steady_bert), watch=with_memory_for(70))
    assert caplog.text.count("memory ran out; from here on micro-batches of at most") == 6  # 4096 → 64
    assert "at most 64 padded tokens (training.max_tokens)" in caplog.text
    assert tight["coverage"] == free["coverage"]
    assert largest_difference(weights_of(tmp_path / "a/run/last"), weights_of(tmp_path / "b/run/last")) < 1e-5
    path, _ = newest_valid(tmp_path / "b" / "run" / "checkpoints")
    assert read_checkpoint(path).state["state"]["max_tokens"] == 64


def test_the_smaller_micro_batches_are_still_there_after_a_resumption(tmp_path, tiny_bert):
    settings = {"training.max_tokens": 64}
    undisturbed = train(config_of(tmp_path / "a", tiny_bert, settings)).output
    config = config_of(tmp_path / "b", tiny_bert, settings)
    interrupted_run(config, [(8, 1)])
    assert kept_bytes(Path(config.output)) == kept_bytes(undisturbed)


def test_one_row_that_does_not_fit_is_an_error_that_says_what_to_do(tmp_path, steady_bert):
    with pytest.raises(ModelError, match=r"step 1: memory ran out with a single row of \d+ tokens\. Lower encoder"):
        observed_run(config_of(tmp_path, steady_bert), watch=with_memory_for(3))


def test_half_of_the_tokens_until_each_row_is_alone():
    lengths = torch.tensor([10, 12, 30]).numpy()
    assert halved(60, lengths, step=0) == 30
    assert halved(24, lengths, step=0) == 12
    with pytest.raises(ModelError, match="single row of 30 tokens"):
        halved(23, lengths, step=0)
    with pytest.raises(ModelError, match="single row of 10 tokens"):
        halved(4096, lengths[:1], step=0)


def test_what_torch_says_when_the_machine_has_no_memory_left_is_known():
    with pytest.raises(RuntimeError) as caught:
        torch.empty(2**62, dtype=torch.uint8)
    assert is_out_of_memory(caught.value)
    assert is_out_of_memory(torch.OutOfMemoryError("CUDA out of memory"))
    assert not is_out_of_memory(RuntimeError("shapes do not match"))
    assert not is_out_of_memory(None)


@pytest.fixture
def full_disk(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Let the disk be full for the checkpoint of step 6; gives the files that were refused."""
    refused: list[str] = []
    original = os.open

    def opened(path: Any, *given: Any, **named: Any) -> int:
        if ".step-000006.tmp" in str(path) and str(path).endswith("optimizer.safetensors"):
            refused.append(str(path))
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return original(path, *given, **named)

    monkeypatch.setattr(os, "open", opened)
    return refused


def test_a_full_disk_stops_the_run_and_the_checkpoint_before_is_valid(tmp_path, tiny_bert, full_disk, monkeypatch):
    undisturbed = train(config_of(tmp_path / "a", tiny_bert, {"training.save_every_steps": None})).output
    config = config_of(tmp_path / "b", tiny_bert)
    with pytest.raises(FileError, match=r"optimizer\.safetensors: No space left on device; the disk is full; free"):
        train(config)
    assert newest_valid(tmp_path / "b/run/checkpoints")[0].name == "step-000003"
    monkeypatch.undo()  # space was freed
    assert train(config, resume=True).first_step == 3
    assert kept_bytes(tmp_path / "b/run") == kept_bytes(undisturbed)


def test_a_full_disk_is_told_and_the_run_goes_on_where_that_was_chosen(tmp_path, tiny_bert, full_disk, caplog):
    undisturbed = train(config_of(tmp_path / "a", tiny_bert, {"training.save_every_steps": None})).output
    with caplog.at_level(logging.WARNING, "mtl_transformers"):
        train(config_of(tmp_path / "b", tiny_bert, {"training.on_failed_save": "continue"}))
    assert "the run goes on (training.on_failed_save: continue)" in caplog.text
    assert len(full_disk) == 1
    assert not list((tmp_path / "b/run/checkpoints").glob(".*"))  # what was written of it is removed
    assert kept_bytes(tmp_path / "b/run") == kept_bytes(undisturbed)
    assert newest_valid(tmp_path / "b/run/checkpoints")[0].name == "step-000010"


def test_a_model_that_could_not_be_written_is_not_the_best_one(tmp_path, tiny_bert, monkeypatch):
    original = Path.rename

    def refused(self: Path, target: Any) -> Path:
        if Path(target).name == "best":
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return original(self, target)

    monkeypatch.setattr(Path, "rename", refused)
    config = config_of(tmp_path, tiny_bert, {"training.on_failed_save": "continue"})
    with pytest.raises(CheckpointError, match="no model was kept; free some space, and --resume goes on"):
        train(config)
    monkeypatch.undo()
    result = train(config, resume=True)
    assert (result.best_step, result.first_step, result.num_steps) == (10, 10, 10)
    assert (result.best / "tasks.json").is_file()


def test_a_disk_that_is_full_does_not_stop_early(tmp_path, tiny_bert, monkeypatch):
    original = Path.rename

    def refused(self: Path, target: Any) -> Path:
        if Path(target).name == "best":
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return original(self, target)

    monkeypatch.setattr(Path, "rename", refused)
    settings = {"training.on_failed_save": "continue", "training.early_stop": 2, "evaluation.every_steps": 1}
    config = config_of(tmp_path, tiny_bert, settings)
    with pytest.raises(CheckpointError, match="no model was kept"):
        train(config)
    assert max(line["step"] for line in log_of(tmp_path / "run")) == 10


def test_half_a_line_of_the_log_is_taken_back(tmp_path, tiny_bert, monkeypatch):
    write, cut = os.write, []

    def half(descriptor: int, content: Any) -> int:
        if bytes(content).startswith(b'{"step": 3') and not cut:
            cut.append(write(descriptor, bytes(content)[:7]))
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return write(descriptor, content)

    monkeypatch.setattr(os, "write", half)
    result = train(config_of(tmp_path, tiny_bert, {"training.on_failed_save": "continue"}))
    assert cut
    assert 3 not in {line["step"] for line in log_of(result.output)}


def test_memory_that_runs_out_in_the_optimizer_says_what_to_do(tmp_path, tiny_bert, monkeypatch):
    def full(*_: Any, **__: Any) -> None:
        raise torch.OutOfMemoryError

    monkeypatch.setattr(torch.optim.AdamW, "step", full)
    with pytest.raises(ModelError, match=r"memory ran out in the optimizer.*encoder\.freeze"):
        train(config_of(tmp_path, tiny_bert))


def test_the_log_has_the_norm_of_each_head(tmp_path, tiny_bert):
    result = train(config_of(tmp_path, tiny_bert))
    lines = [json.loads(line) for line in (result.output / "metrics.jsonl").read_text().splitlines()]
    trained = [line for line in lines if "lr" in line]
    assert all(line[f"train/{task}/gradient_norm"] > 0 for line in trained for task in INTENT)
    for line in trained:
        heads = sum(line[f"train/{task}/gradient_norm"] ** 2 for task in INTENT)
        assert heads < line["gradient_norm"] ** 2
