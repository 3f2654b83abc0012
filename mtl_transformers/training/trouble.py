"""Steps that go wrong: rows whose numbers are not finite, and micro-batches that the memory does not hold."""

from __future__ import annotations

import logging
import math
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray

from mtl_transformers.errors import CheckpointError, ModelError
from mtl_transformers.inference.multitask import MultiTaskModel
from mtl_transformers.inference.precision import autocast
from mtl_transformers.plan.batching import StepRows
from mtl_transformers.training.checkpoint import Checkpoint
from mtl_transformers.training.reduce import from_main_process
from mtl_transformers.training.resume import find_checkpoint
from mtl_transformers.training.run import Run, restore
from mtl_transformers.training.state import State
from mtl_transformers.training.steps import TrainingData, item_losses, micro_batch_of, units_of
from mtl_transformers.training.update import NotFinite
from mtl_transformers.training.window import Window

REMEDY = (
    "Look at these rows, lower training.learning_rate, or set training.precision: fp32; training.on_bad_numbers: "
    "skip_step or rollback goes on without them"
)
_SHOWN_ROWS = 10
_LOG = logging.getLogger(__name__)


def describe(bad: NotFinite, *, step: int, rows: StepRows, data: TrainingData, model: MultiTaskModel) -> str:
    """Say which task, which step and which rows gave a number that is not finite.

    Args:
        bad: what was found.
        step: from 0.
        rows: of the step.
        data: where they are read.
        model: with the weights of before the step.
    """
    if not bad.losses:
        parts = ", ".join(bad.gradient_norms)
        return f"step {step + 1}: each loss is finite, the gradient of {parts} is not; the rows: {listed(rows, data)}"
    tasks = [
        f"task {task!r}: the loss is {value}; the rows: {listed(rows_behind(task, step, rows, data, model), data)}"
        for task, value in bad.losses.items()
    ]
    return f"step {step + 1}, {'; '.join(tasks)}"


def rows_behind(task: str, step: int, rows: StepRows, data: TrainingData, model: MultiTaskModel) -> StepRows:
    """Return the rows whose loss for a task is not finite when each unit is alone; all of the task's where none is."""
    model.network.eval()
    labelled: list[int] = []
    found: list[int] = []
    for unit in units_of(rows, data):
        batch = micro_batch_of(rows, data, units=[unit], step=step).to(model.device)
        if task not in batch.targets:
            continue
        labelled += unit.tolist()
        with torch.no_grad(), autocast(model.precision, model.device):
            logits = model.network(batch)
        if not math.isfinite(float(item_losses(logits, batch, data.all_tasks)[task])):
            found += unit.tolist()
    return rows.pick(np.asarray(found or labelled))


def listed(rows: StepRows, data: TrainingData) -> str:
    """Name rows by dataset, and by id or file and number; of many the first ones."""
    names = []
    for index, (dataset, split) in enumerate(data.splits.items()):
        numbers = rows.rows[rows.datasets == index].tolist()
        names += [f"{dataset} {place}" for place in split.places_of(numbers[:_SHOWN_ROWS])]
    names = names[:_SHOWN_ROWS]
    more = f" and {len(rows) - len(names)} more" if len(rows) > len(names) else ""
    return ", ".join(names) + more


def with_smaller_micro_batches(run: Run, state: State) -> State:
    """Halve the padded tokens of a micro-batch from here on; the rows of a step stay what they are.

    Raises:
        ModelError: each micro-batch of the step is one row already.
    """
    max_tokens = halved(state.max_tokens, run.experiment.plan.step(state.step).lengths, step=state.step)
    _LOG.warning(
        "step %d: memory ran out; from here on micro-batches of at most %d padded tokens (training.max_tokens)",
        state.step + 1,
        max_tokens,
    )
    return replace(state, max_tokens=max_tokens)


def halved(max_tokens: int, lengths: NDArray[np.int32], *, step: int) -> int:
    """Return half of the padded tokens of a micro-batch.

    Args:
        max_tokens: of before.
        lengths: ``[n]`` tokens of the step's rows.
        step: from 0, for the message.

    Raises:
        ModelError: likewise.
    """
    ordered = np.sort(lengths)
    if len(ordered) < 2 or 2 * ordered[1] > max_tokens:
        raise ModelError(
            f"step {step + 1}: memory ran out with a single row of {ordered[-1]} tokens. Lower encoder.max_length, "
            "set encoder.gradient_checkpointing: true, or take a smaller encoder"
        )
    return max_tokens // 2


def leave_out(run: Run, state: State, bad: NotFinite) -> State:
    """Go on after a step that gave numbers which are not finite, as ``training.on_bad_numbers`` says.

    ``rollback`` takes the weights of the newest checkpoint, and leaves out what came after it, as PaLM did
    (arXiv:2204.02311 §5.1): with the same rows again, the same would happen.

    Raises:
        ModelError: the run is to stop then, or so many steps were left out already.
        CheckpointError: there is no checkpoint to go back to.
    """
    settings, plan = run.config.training, run.experiment.plan
    message = from_main_process(
        lambda: describe(bad, step=state.step, rows=plan.step(state.step), data=run.data, model=run.model),
        run.accelerator,
    )
    if settings.on_bad_numbers == "stop":
        raise ModelError(f"{message}. {REMEDY}")
    if len(state.bad_steps) >= settings.max_bad_steps:
        raise ModelError(f"{message}. {len(state.bad_steps)} steps went wrong before: training.max_bad_steps")
    left = replace(
        state,
        step=state.step + 1,
        ledger=state.ledger.skip(bad.counts),
        bad_steps=(*state.bad_steps, state.step),
    )
    if settings.on_bad_numbers == "skip_step":
        _LOG.warning("%s. The step is left out", message)
        return left
    earlier = restore(run, from_main_process(lambda: _newest(run, state.step), run.accelerator))
    _LOG.warning("%s. The weights are those of step %d again, the rows since are left out", message, earlier.step)
    return replace(left, ledger=left.ledger.rolled_back(earlier.ledger), window=Window())


def _newest(run: Run, step: int) -> Checkpoint:
    checkpoint = find_checkpoint(run.checkpoints, until=step)
    if checkpoint is None:
        raise CheckpointError(f"{run.checkpoints}: no checkpoint to roll back to")
    return checkpoint
