"""Out-of-fold predictions: every row is answered by a model that was not trained on its text.

Owns the order: a model without each fold, from the same start, and its answers to the fold. Judges no label.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from mtl_transformers.data.encoded import EncodedSplit
from mtl_transformers.errors import ConfigError, DataError
from mtl_transformers.inference.multitask import MultiTaskModel
from mtl_transformers.inference.precision import resolve_precision
from mtl_transformers.lifecycle.items import Items, can_be_judged, items_of, read_rows
from mtl_transformers.tasks.task import Task
from mtl_transformers.training.experiment import Experiment
from mtl_transformers.training.in_memory import train_in_memory
from mtl_transformers.training.tracking import make_accelerator

_CHUNK_ROWS = 512  # that are in memory at once


@dataclass(frozen=True, slots=True)
class Trained:
    """A step was trained.

    Attributes:
        fold: of the model, from 0.
        step: steps done.
        num_steps: of this fold's plan.
    """

    fold: int
    step: int
    num_steps: int


@dataclass(frozen=True, slots=True)
class Answered:
    """Some rows were answered by the model that does not know them.

    Attributes:
        items: the labelled items of each task that has any there and can be judged.
    """

    items: Mapping[str, Items]


def out_of_fold(
    experiment: Experiment, folds: Mapping[str, NDArray[np.int64]], *, num_folds: int
) -> Iterator[Trained | Answered]:
    """Train a model without each fold, as the config says, and answer the fold's rows with it.

    Args:
        experiment: its network is where each model begins, and is the last model at the end.
        folds: ``[n]`` the fold of each training row, by dataset.
        num_folds: K.

    Raises:
        ConfigError: several processes.
        DataError: all rows of a dataset lie in one fold.
        ModelError: numbers that are not finite, or memory that runs out.
    """
    accelerator = make_accelerator(experiment.config)
    if accelerator.num_processes > 1:
        raise ConfigError("clean-labels runs in one process; start it without a launcher")
    _check(folds)
    precision = resolve_precision(experiment.config.training.precision, accelerator.device)
    network = accelerator.prepare_model(experiment.network, evaluation_mode=True)  # placed, not wrapped
    start = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    model = MultiTaskModel(network, experiment.tokenizer, experiment.tasks, precision=precision)
    train = experiment.of_split("train")
    with torch.random.fork_rng([accelerator.device] if accelerator.device.type == "cuda" else []):
        for fold in range(num_folds):
            network.load_state_dict(start)
            rest = {name: split.select(np.flatnonzero(folds[name] != fold)) for name, split in train.items()}
            for step, num_steps in train_in_memory(experiment, model, rest, accelerator):
                yield Trained(fold, step, num_steps)
            network.eval()
            for name, split in train.items():
                yield from _answers(model, split, np.flatnonzero(folds[name] == fold))


def _check(folds: Mapping[str, NDArray[np.int64]]) -> None:
    for name, of in folds.items():
        if len(np.unique(of)) < 2:
            raise DataError(f"data.{name}: all its training rows have one text, so no model can be trained without it")


def _is_judged(task: Task) -> bool:
    return can_be_judged(task.kind, task.options)


def _answers(model: MultiTaskModel, split: EncodedSplit, rows: NDArray[np.int64]) -> Iterator[Answered]:
    """Answer some rows of a split, those of similar length together, once for each input of tasks that are judged."""
    rows = rows[np.argsort(split.lengths[rows], kind="stable")]
    for given in split.inputs:
        tasks = [name for name in given.tasks if _is_judged(model.tasks[name].task)]
        for start in range(0, len(rows) if tasks else 0, _CHUNK_ROWS):
            chunk = rows[start : start + _CHUNK_ROWS].tolist()
            read = read_rows(split, given, chunk)
            logits, labels = model.logits(read.features, tasks), split.labels_of(chunk)
            yield Answered(
                {name: items_of(model.tasks[name].task, chunk, labels[name], logits[name], read) for name in tasks}
            )
