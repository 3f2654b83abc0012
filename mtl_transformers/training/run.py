"""What a training works with, and what it does between two steps: log, score, save, go back.

Owns the effects of a training; the order of them is ``loop.py``'s, the arithmetic of a step ``update.py``'s.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from accelerate.utils import gather_object
from torch.optim import AdamW

from mtl_transformers.config import Config, first_metric
from mtl_transformers.errors import CheckpointError, FileError
from mtl_transformers.inference.multitask import MultiTaskModel
from mtl_transformers.storage.files import sync_file
from mtl_transformers.training.capture import moments_of, put_back, weights_of
from mtl_transformers.training.checkpoint import Checkpoint, checkpoint_path, prune, write_checkpoint
from mtl_transformers.training.evaluation import BeforeChunk, TaskScores, evaluate
from mtl_transformers.training.experiment import Experiment
from mtl_transformers.training.ledger import check_ledger, coverage, empty_ledger, planned_ledger
from mtl_transformers.training.memory import trim_heap
from mtl_transformers.training.reduce import from_main_process
from mtl_transformers.training.resume import check_identity
from mtl_transformers.training.saving import CHECKPOINTS, METRICS, log_line, model_step, save_model
from mtl_transformers.training.selection import Standing, chosen_score, mean_score, shortfall
from mtl_transformers.training.state import State, state_from_json
from mtl_transformers.training.steps import TrainingData
from mtl_transformers.training.update import Updater

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Evaluated:
    """The validation splits were scored."""

    step: int
    scores: Mapping[str, TaskScores]
    mean: float
    is_best: bool


@dataclass(frozen=True, slots=True)
class Run:
    """What a training works with.

    Attributes:
        experiment: data, tasks, plan and network.
        data: the training rows and the tasks on them.
        model: the network as it answers.
        optimizer: over the trained parameters.
        updater: makes the steps.
        accelerator: device and processes.
        output: the run directory.
        identity: what the run cannot change and still be the same.
    """

    experiment: Experiment
    data: TrainingData
    model: MultiTaskModel
    optimizer: AdamW
    updater: Updater
    accelerator: Accelerator
    output: Path
    identity: Mapping[str, Any]

    @property
    def config(self) -> Config:
        """The config."""
        return self.experiment.config

    @property
    def checkpoints(self) -> Path:
        """Where the checkpoints lie."""
        return self.output / CHECKPOINTS


def first_state(run: Run) -> State:
    """Return the state before the first step."""
    return State(
        step=0,
        ledger=empty_ledger(run.experiment.of_split("train")),
        max_tokens=run.config.training.max_tokens,
    )


def restore(run: Run, checkpoint: Checkpoint) -> State:
    """Give network and optimizer what a checkpoint holds, and return its state.

    Raises:
        CheckpointError: it is of another plan, other data or another network, or it is malformed.
    """
    content = checkpoint.state
    try:
        check_identity(run.identity, content["identity"])
        state = state_from_json(content["state"])
        stored_max_tokens = content["config"]["training"]["max_tokens"]
        if content["scaler"] and run.updater.scaler.is_enabled():
            run.updater.scaler.load_state_dict(content["scaler"])
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise CheckpointError(f"the checkpoint's state is malformed: {type(error).__name__} {error}") from error
    train = run.experiment.of_split("train")
    check_ledger(state.ledger, planned_ledger(run.experiment.plan, train, num_steps=state.step))
    put_back(run.model.network, run.optimizer, weights=checkpoint.weights, moments=checkpoint.moments)
    if run.config.training.max_tokens != stored_max_tokens:  # else it may have been halved since
        state = replace(state, max_tokens=run.config.training.max_tokens)
    _tell_differences(checkpoint.facts, _facts(run, state))
    return state


def without_lost_best(run: Run, state: State) -> State:
    """Forget the best model where ``best/`` does not hold it; an evaluation of the last step is done again then.

    A killed run may have found a better one after its last checkpoint. It will find it again.
    """
    step = from_main_process(lambda: model_step(run.output / "best"), run.accelerator)
    if state.best is not None and step == state.best.step:
        return state
    if state.best is not None:
        _LOG.warning(
            "best/ does not hold the best model so far, of step %d: the best one is looked for anew", state.best.step
        )
    return replace(state, best=None, best_scores={}, evaluated=None)


def save(run: Run, state: State) -> bool:
    """Write a checkpoint, and remove those that are not needed any more; tell whether that went well.

    Raises:
        FileError: it did not, and the run is to stop then; the checkpoint before it is still there.
    """
    best = [] if state.best is None else [state.best.step]

    def write() -> None:
        sync_file(run.output / METRICS)  # the lines up to here, before what says that they are there
        write_checkpoint(checkpoint_path(run.checkpoints, state.step), _checkpoint(run, state))
        prune(run.checkpoints, newest=state.step, keep=run.config.training.keep_checkpoints, also=best)

    _tell_drift(run)
    return tolerate_full_disk(run, write)


def _tell_drift(run: Run) -> None:
    """Say so where the processes do not hold the same weights, which sums of equal gradients keep equal."""
    if run.accelerator.num_processes == 1:
        return
    digest = hashlib.sha256()
    for tensor in weights_of(run.model.network).values():
        digest.update(tensor.cpu().contiguous().numpy().data)
    if len(set(gather_object([digest.hexdigest()]))) > 1:
        _LOG.warning(
            "the processes hold different weights (are their devices alike?); those of the first one are saved"
        )


def _checkpoint(run: Run, state: State) -> Checkpoint:
    network = run.model.network
    return Checkpoint(
        weights=weights_of(network),
        moments=moments_of(network, run.optimizer),
        state={
            "state": state.to_json(),
            "identity": run.identity,
            "scaler": run.updater.scaler.state_dict(),
            "config": run.config.to_plain(),
        },
        facts=_facts(run, state),
    )


def _facts(run: Run, state: State) -> dict[str, Any]:
    return {
        "step": state.step,
        "processes": run.accelerator.num_processes,
        "threads": torch.get_num_threads(),
        "precision": run.model.precision,
        "device": run.accelerator.device.type,
        **{name: version(name) for name in ("torch", "transformers", "accelerate")},
    }


def _tell_differences(stored: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    different = [f"{name} {stored.get(name)}, now {value}" for name, value in now.items() if stored.get(name) != value]
    if different:
        _LOG.info(
            "the run goes on with the same plan, not bit for bit (without dropout to rounding): written with %s",
            "; ".join(different),
        )


def tolerate_full_disk(run: Run, write: Callable[[], object]) -> bool:
    """Write something on the first process; tell whether that went well.

    Raises:
        FileError: it did not, and ``training.on_failed_save`` is ``stop``.
    """
    try:
        from_main_process(write, run.accelerator)
    except FileError as error:
        if run.config.training.on_failed_save == "stop":
            raise
        _LOG.warning("not written, and the run goes on (training.on_failed_save: continue): %s", error)
        return False
    return True


def write_numbers(run: Run, step: int, values: Mapping[str, float]) -> None:
    """Send numbers to ``metrics.jsonl`` and the trackers, once."""
    tolerate_full_disk(run, lambda: log_line(run.output, {"step": step, **values}))
    run.accelerator.log(dict(values), step=step)


def score(run: Run, state: State, *, before_chunk: BeforeChunk) -> tuple[State, Evaluated]:
    """Score the validation splits, keep the model as ``last/`` and, where it is better, as ``best/``."""
    config = run.config
    run.model.network.eval()
    run.model.max_tokens = state.max_tokens  # what memory held in training it holds here
    scores = evaluate(
        run.model, run.experiment.of_split("validation"), accelerator=run.accelerator, before_chunk=before_chunk
    )
    trim_heap()
    metrics = {name: of_task.metrics for name, of_task in scores.items()}
    standing = Standing(
        step=state.step,
        score=chosen_score(metrics, chosen=config.best.metric, first_metrics=first_metrics(config)),
        shortfall=shortfall(metrics, config.best.floors),
    )
    is_better = standing.beats(state.best)
    keep = partial(_keep_model, run, state, scores)
    tolerate_full_disk(run, lambda: keep("last"))
    is_best = is_better and tolerate_full_disk(run, lambda: keep("best"))
    mean = mean_score(metrics, first_metrics(config))
    flat = {f"eval/{task}/{name}": value for task, of in metrics.items() for name, value in of.items()}
    rows = {
        f"ledger/{task}/{name}": value
        for task, line in coverage(state.ledger, run.experiment.of_split("train")).items()
        for name, value in line.items()
    }
    write_numbers(run, state.step, {**flat, "eval/mean": mean, **rows})
    state = replace(state, evaluated=state.step)
    if is_best:
        state = replace(state, best=standing, best_scores=scores, without_better=0)
    else:
        state = replace(state, without_better=0 if is_better else state.without_better + 1)
    return state, Evaluated(state.step, scores, mean, is_best)


def _keep_model(run: Run, state: State, scores: Mapping[str, TaskScores], name: str) -> None:
    path = run.output / name
    save_model(path, run.model, run.experiment, scores=scores, ledger=state.ledger, step=state.step)


def first_metrics(config: Config) -> dict[str, str]:
    """Return the metric of each task that counts in the mean."""
    return {name: first_metric(task) for name, task in config.tasks.items()}
