"""One step: its rows become micro-batches, its micro-batches one summed loss for each task.

Owns DESIGN §3 "The step": cutting the step's rows, which process runs which micro-batch, the global counts, and
the factors that make the result independent of padding, processes and memory. Does not move weights.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import accumulate

import numpy as np
import torch
from accelerate import Accelerator
from numpy.typing import NDArray
from torch import Tensor

from mtl_transformers.batch import MicroBatch, Target, collate
from mtl_transformers.data.augmented import augmented
from mtl_transformers.data.encoded import EncodedSplit
from mtl_transformers.model.tokenizer import pad_id, vocabulary
from mtl_transformers.plan.batching import StepRows
from mtl_transformers.plan.mixing import digest
from mtl_transformers.plan.plan import Plan
from mtl_transformers.tasks.task import EncodedLabel, Task
from mtl_transformers.text.encoding import Features
from mtl_transformers.text.inputs import hidden
from mtl_transformers.text.masking import Vocabulary
from mtl_transformers.text.padding import cut
from mtl_transformers.training.experiment import Experiment
from mtl_transformers.training.reduce import end_together, sum_over_processes

NumberedBatches = Sequence[tuple[int, MicroBatch]]
"""Micro-batches of one process, each with its number in the step."""


@dataclass(frozen=True, slots=True)
class Counts:
    """What a step holds over all processes.

    Attributes:
        items: items by task, ``n_t``.
        labelled_rows: labelled rows by task.
        rows: rows by dataset.
        tokens: real tokens.
    """

    items: Mapping[str, int]
    labelled_rows: Mapping[str, int]
    rows: Mapping[str, int]
    tokens: int

    @property
    def num_rows(self) -> int:
        """Rows of the step."""
        return sum(self.rows.values())


@dataclass(frozen=True, slots=True)
class TrainingData:
    """The training rows and the tasks on them.

    Attributes:
        splits: the encoded train split of each dataset, in the order of the plan.
        tasks: the tasks of each dataset.
        vocabulary: what is masked, and by which token.
        pad_id: the padding token.
        seed: of masks.
    """

    splits: Mapping[str, EncodedSplit]
    tasks: Mapping[str, Mapping[str, Task]]
    vocabulary: Vocabulary
    pad_id: int
    seed: int

    @property
    def all_tasks(self) -> dict[str, Task]:
        """Every task by name."""
        return {name: task for of_dataset in self.tasks.values() for name, task in of_dataset.items()}

    def unit_rows(self, dataset: str) -> int:
        """Return how many rows of a dataset are compared with each other, and stay together."""
        return max(task.unit_rows for task in self.tasks[dataset].values())


def training_data(experiment: Experiment) -> TrainingData:
    """Return the training rows of an experiment."""
    return TrainingData(
        splits=experiment.of_split("train"),
        tasks=experiment.tasks_by_dataset(),
        vocabulary=vocabulary(experiment.tokenizer, size=experiment.network.encoder.config.vocab_size),
        pad_id=pad_id(experiment.tokenizer),
        seed=experiment.config.seed,
    )


def units_of(rows: StepRows, data: TrainingData) -> list[NDArray[np.int64]]:
    """Return the places of the rows of each unit of a step.

    A dataset whose tasks compare rows is cut into near-equal runs of rows of similar length: a function of the step
    alone, so that neither processes nor memory change what is compared.
    """
    units = []
    for index, dataset in enumerate(data.splits):
        places = np.flatnonzero(rows.datasets == index)
        if len(places):
            units += np.array_split(places, -(-len(places) // data.unit_rows(dataset)))
    return units


def micro_batches_of(
    rows: StepRows, data: TrainingData, *, step: int, max_tokens: int, rank: int, num_processes: int
) -> NumberedBatches:
    """Cut a step and collate the micro-batches of one process.

    Args:
        rows: of the step.
        data: where they are read.
        step: its number, for what is random.
        max_tokens: padded tokens of a micro-batch.
        rank: of this process, which runs micro-batches rank, rank + P, ….
        num_processes: P; a step has at least P micro-batches while units last.

    Returns:
        (number in the step, micro-batch).
    """
    units = units_of(rows, data)
    lengths, num_sequences = np.empty(len(rows), np.int64), np.empty(len(rows), np.int64)
    for index, split in enumerate(data.splits.values()):
        places = np.flatnonzero(rows.datasets == index)
        lengths[places] = split.lengths[rows.rows[places]]
        num_sequences[places] = split.num_sequences[rows.rows[places]]
    parts = cut(
        [int(lengths[unit].max()) for unit in units],
        num_sequences=[int(num_sequences[unit].sum()) for unit in units],
        max_tokens=max_tokens,
        min_parts=num_processes,
    )
    return [
        (number, micro_batch_of(rows, data, units=[units[unit] for unit in sorted(part)], step=step))
        for number, part in enumerate(parts)
        if number % num_processes == rank
    ]


class StepReader:
    """Collates this process's micro-batches of one step after another, each while the step before it is trained.

    Close it when no step is read any more.

    Args:
        plan: which rows make a step.
        data: where they are read.
        accelerator: of the run.
    """

    def __init__(self, plan: Plan, data: TrainingData, accelerator: Accelerator) -> None:
        self._plan = plan
        self._data = data
        self._accelerator = accelerator
        self._worker = ThreadPoolExecutor(max_workers=1)
        self._ahead: tuple[tuple[int, int], Future[NumberedBatches]] | None = None

    def read(self, step: int, *, max_tokens: int) -> NumberedBatches:
        """Return the micro-batches of a step with their numbers, and begin to collate the next one.

        Args:
            step: from 0.
            max_tokens: padded tokens of a micro-batch; where it changed, what was collated ahead is not used.
        """
        ahead, self._ahead = self._ahead, None
        if ahead is None or ahead[0] != (step, max_tokens):
            ahead = self._begin(step, max_tokens)
        found = ahead[1].result()
        if step + 1 < self._plan.num_steps:
            self._ahead = self._begin(step + 1, max_tokens)
        return found

    def close(self) -> None:
        """Stop collating."""
        self._worker.shutdown(cancel_futures=True)

    def _begin(self, step: int, max_tokens: int) -> tuple[tuple[int, int], Future[NumberedBatches]]:
        return (step, max_tokens), self._worker.submit(self._collated, step, max_tokens)

    def _collated(self, step: int, max_tokens: int) -> NumberedBatches:
        return micro_batches_of(
            self._plan.step(step),
            self._data,
            step=step,
            max_tokens=max_tokens,
            rank=self._accelerator.process_index,
            num_processes=self._accelerator.num_processes,
        )


def micro_batch_of(rows: StepRows, data: TrainingData, *, units: Sequence[NDArray[np.int64]], step: int) -> MicroBatch:
    """Read and collate some units of a step; the sequences of a dataset's input stand together.

    Args:
        rows: of the step.
        data: where they are read.
        units: places of the rows of each unit, those of a dataset together.
        step: its number, for what is random.
    """
    features: list[Features] = []
    targets: dict[str, Target] = {}
    named: list[tuple[str, int]] = []
    num_sequences = 0
    for index, (dataset, split) in enumerate(data.splits.items()):
        chosen = [rows.rows[unit] for unit in units if rows.datasets[unit[0]] == index]
        if not chosen:
            continue
        numbers = np.concatenate(chosen).tolist()
        members = np.repeat(np.arange(len(chosen)), [len(unit) for unit in chosen]).tolist()
        labels = split.labels_of(numbers)
        for given in split.inputs:
            if split.augmentation is None:
                found = given.features_of(numbers)
            else:
                noise = digest(data.seed, "augment", dataset)
                found, moved = augmented(
                    split.augmentation,
                    split.table,
                    numbers,
                    given.given,
                    {name: data.tasks[dataset][name] for name in given.tasks},
                    seeds=[(noise, step, number) for number in numbers],
                )
                labels |= {name: _where_known(labels[name], of_rows) for name, of_rows in moved.items()}
            if given.given.mask_probability is not None:
                key = (data.seed, "mask", step, dataset)
                found = [
                    hidden(row, given.given, data.vocabulary, seed=digest(*key, number))
                    for row, number in zip(found, numbers, strict=True)
                ]
            first = list(accumulate((row.num_sequences for row in found), initial=num_sequences))
            for name in given.tasks:
                weights = split.weights.get(name)
                target = data.tasks[dataset][name].target(
                    found,
                    first_sequences=first[:-1],
                    labels=labels[name],
                    weights=None if weights is None else weights[numbers].tolist(),
                    units=members,
                )
                if target is not None:
                    targets[name] = target
            features += found
            num_sequences = first[-1]
        named += [(dataset, number) for number in numbers]
    return collate(features, pad_id=data.pad_id, targets=targets, rows=named)


def _where_known(labels: Sequence[EncodedLabel], moved: Sequence[EncodedLabel]) -> list[EncodedLabel]:
    """Return labels that followed a changed text, but null where the row's label is null, as a review makes it."""
    return [None if label is None else new for label, new in zip(labels, moved, strict=True)]


def count(
    micro_batches: Sequence[MicroBatch],
    data: TrainingData,
    accelerator: Accelerator,
    *,
    error: Exception | None = None,
) -> Counts:
    """Count items, rows and tokens of the whole step: one reduction.

    Args:
        micro_batches: of this process.
        data: the tasks and datasets.
        accelerator: of the run.
        error: what kept this process from reading its micro-batches; raised here, and no other process goes on.
    """
    tasks, datasets = list(data.all_tasks), list(data.splits)
    values = torch.zeros(2 * len(tasks) + len(datasets) + 2, dtype=torch.int64)
    for batch in micro_batches:
        for place, name in enumerate(tasks):
            if name in batch.targets:
                values[place] += batch.targets[name].num_items
                values[len(tasks) + place] += batch.targets[name].num_rows
        for dataset, _ in batch.rows:
            values[2 * len(tasks) + datasets.index(dataset)] += 1
        values[-2] += batch.num_tokens
    values[-1] = error is not None
    sums = sum_over_processes(values.to(accelerator.device), accelerator).tolist()
    end_together(error, num_failed=sums[-1])
    return Counts(
        items=dict(zip(tasks, sums[: len(tasks)], strict=True)),
        labelled_rows=dict(zip(tasks, sums[len(tasks) : 2 * len(tasks)], strict=True)),
        rows=dict(zip(datasets, sums[2 * len(tasks) : -2], strict=True)),
        tokens=sums[-2],
    )


def loss_factors(counts: Counts, data: TrainingData, weights: Mapping[str, float]) -> dict[str, float]:
    """Return what the summed item losses of each task are multiplied by: rows of d ÷ rows · w_t ÷ n_t.

    So one dataset or many per step agree in expectation, and neither padding, processes nor memory change the sum.
    """
    return {
        name: counts.rows[dataset] / counts.num_rows * weights[name] / counts.items[name]
        for dataset, tasks in data.tasks.items()
        for name in tasks
        if counts.items[name]
    }


def item_losses(logits: Mapping[str, Tensor], batch: MicroBatch, tasks: Mapping[str, Task]) -> dict[str, Tensor]:
    """Return the summed item losses of each task on a micro-batch, in fp32."""
    return {name: tasks[name].loss(logits[name].float(), target) for name, target in batch.targets.items()}


def seed_dropout(seed: int, step: int, micro_batch: int) -> None:
    """Make the randomness of a forward pass a function of (seed, step, micro-batch), on whichever process it runs."""
    torch.manual_seed(digest(seed, "dropout", step, micro_batch) % 2**63)
