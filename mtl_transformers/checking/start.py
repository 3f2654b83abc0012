"""One batch through every head, as a training would begin: losses, time and memory of a few rows of each dataset.

Owns which rows are tried and what is measured. The loss of a head that says nothing is that of logits which are all
equal: ln C for one of C labels or tags, ln 2 for a cell of several labels, the variance of standardised numbers. A new
head is to begin near it; far above, something is wrong with labels, scale or encoder.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.autograd.graph import saved_tensors_hooks

from mtl_transformers.batch import MicroBatch
from mtl_transformers.checking.findings import Finding
from mtl_transformers.data.encoded import EncodedSplit
from mtl_transformers.inference.precision import Precision, autocast
from mtl_transformers.model.network import Network
from mtl_transformers.plan.batching import StepRows
from mtl_transformers.training.experiment import Experiment
from mtl_transformers.training.steps import (
    TrainingData,
    item_losses,
    micro_batch_of,
    seed_dropout,
    training_data,
    units_of,
)

TRIED_TOKENS = 2048  # of all datasets together
FAR_ABOVE = 1.5  # times the loss of equal logits
_SLACK = 0.1  # of a loss that would be nearly 0


@dataclass(frozen=True, slots=True)
class StartLoss:
    """Mean item loss of a task before its first step, and that of logits which are all equal.

    ``None`` where it is not finite.
    """

    loss: float | None
    of_equal_logits: float | None


@dataclass(frozen=True, slots=True)
class Trial:
    """What a forward and a backward pass over a few rows of a dataset took.

    Attributes:
        losses: by task.
        seconds: of both passes.
        tokens: real tokens.
        padded_tokens: tokens with padding.
        saved_bytes: what the forward pass kept for the backward pass, weights excepted.
    """

    losses: Mapping[str, StartLoss]
    seconds: float
    tokens: int
    padded_tokens: int
    saved_bytes: int


def try_start(experiment: Experiment, *, device: torch.device, precision: Precision) -> dict[str, Trial]:
    """Send a few training rows of each dataset through encoder and heads, forward and backward, without a step.

    Moves the network to the device, and leaves it in training mode with gradients.
    """
    network, data = experiment.network.to(device).train(), training_data(experiment)
    budget = max(1, TRIED_TOKENS // len(data.splits))
    rows = {name: _rows(split, budget) for name, split in data.splits.items()}
    trials: dict[str, Trial] = {}
    with torch.random.fork_rng():
        seed_dropout(data.seed, 0, 0)
        for index, name in enumerate(data.splits):
            if not trials:  # the first pass of a process is slower than all others
                _tried(network, _batch(data, index, rows[name][:1]), data, device=device, precision=precision)
            trials[name] = _tried(network, _batch(data, index, rows[name]), data, device=device, precision=precision)
    return trials


def start_findings(losses: Mapping[str, StartLoss]) -> Iterator[Finding]:
    """Yield the tasks that do not begin where a new head does."""
    for task, of in losses.items():
        if of.loss is None:
            message = "the loss at start is not a finite number"
        elif of.of_equal_logits is not None and of.loss > FAR_ABOVE * of.of_equal_logits + _SLACK:
            message = (
                f"the loss at start is {of.loss:.2f}; {of.of_equal_logits:.2f} is that of a head which says nothing. "
                "Look at the labels and the encoder"
            )
        else:
            continue
        yield Finding(severity="warning", topic="start", place=f"tasks.{task}", split="train", message=message, count=1)


def _rows(split: EncodedSplit, max_tokens: int) -> NDArray[np.int64]:
    """Choose labelled rows of every task, evenly over the split, of about so many tokens together; at least two."""
    num_rows = max(1, max_tokens // int(np.quantile(split.costs, 0.9, method="higher")))
    each = max(2, num_rows // len(split.labelled))
    return np.unique(np.concatenate([_evenly(np.flatnonzero(mask), each) for mask in split.labelled.values()]))


def _evenly(rows: NDArray[np.int64], number: int) -> NDArray[np.int64]:
    return rows[np.linspace(0, len(rows) - 1, min(number, len(rows))).astype(np.int64)]


def _batch(data: TrainingData, index: int, rows: NDArray[np.int64]) -> MicroBatch:
    split = list(data.splits.values())[index]
    ordered = rows[np.argsort(split.costs[rows], kind="stable")]
    step = StepRows(np.full(len(rows), index, dtype=np.int16), ordered, split.costs[ordered])
    return micro_batch_of(step, data, units=units_of(step, data), step=0)


def _tried(
    network: Network, batch: MicroBatch, data: TrainingData, *, device: torch.device, precision: Precision
) -> Trial:
    saved: dict[int, int] = {parameter.data_ptr(): 0 for parameter in network.parameters()}

    def kept(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        saved.setdefault(storage.data_ptr(), storage.nbytes())
        return tensor

    tasks = data.all_tasks
    moved = batch.to(device)
    begin = _now(device)
    with saved_tensors_hooks(kept, lambda tensor: tensor):
        with autocast(precision, device):
            logits = network(moved)
        sums = item_losses(logits, moved, tasks)
        nothing = {
            name: tasks[name].loss(torch.zeros_like(of).float(), moved.targets[name]) for name, of in logits.items()
        }
    counted = [name for name, target in moved.targets.items() if target.num_items]
    if counted:
        torch.stack([sums[name] / moved.targets[name].num_items for name in counted]).sum().backward()  # type: ignore[no-untyped-call]
    seconds = _now(device) - begin
    losses = {
        name: StartLoss(*(_finite(float(of[name].detach()) / moved.targets[name].num_items) for of in (sums, nothing)))
        for name in counted
    }
    return Trial(losses, seconds, batch.num_tokens, batch.input_ids.numel(), sum(saved.values()))


def _now(device: torch.device) -> float:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter()


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
