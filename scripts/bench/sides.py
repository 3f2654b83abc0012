"""The sides of the training benchmark: our loop, the bare loop and the Hugging Face Trainer, measured the same way.

Each side trains some steps of the same rows and reports real tokens (the sum of the attention masks) and seconds.
Loading, encoding and whatever a side does once are outside the clock. Owns no schedule and no table (``train.py``).
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import datasets
import torch
from bare import BareBatch, BareLoop
from transformers import (
    AutoModelForSequenceClassification,
    AutoModelForTokenClassification,
    DataCollatorForTokenClassification,
    DataCollatorWithPadding,
    PreTrainedModel,
    PrinterCallback,
    Trainer,
    TrainerCallback,
    TrainerControl,
    TrainerState,
    TrainingArguments,
)
from transformers.utils import logging

from mtl_transformers.batch import MicroBatch
from mtl_transformers.config import load_config
from mtl_transformers.training.experiment import Experiment, prepare
from mtl_transformers.training.loop import run
from mtl_transformers.training.steps import TrainingData, micro_batches_of, training_data
from mtl_transformers.training.window import Logged

STEPS_PER_LINE = 10  # tracking.every_steps' default: our loop gives control back at each line of the log
TRAINER_WARM_STEPS = 1  # of each Trainer, outside the clock: it makes a new optimizer
GOLDEN = 0.618  # spreads the turns' offsets evenly
ENOUGH_TOKENS = 1 << 30  # one micro-batch for each step


@dataclass(frozen=True, slots=True)
class Measured:
    """What a side did in one turn."""

    tokens: int
    rows: int
    steps: int
    seconds: float

    def __add__(self, other: Measured) -> Measured:
        return Measured(
            self.tokens + other.tokens,
            self.rows + other.rows,
            self.steps + other.steps,
            self.seconds + other.seconds,
        )


class Side(Protocol):
    """Something that trains."""

    def measure(self, num_steps: int, *, turn: int) -> Measured:
        """Train some steps and say what it took; each turn goes on in the data."""
        ...


class BareSide:
    """The bare loop, on micro-batches that were collated before the clock started."""

    def __init__(self, values: Mapping[str, Any]) -> None:
        quiet_transformers()
        config = load_config(values)
        self._experiment = prepare(config)
        self._data = training_data(self._experiment)
        tasks = {name: (of.task.kind, of.task.num_outputs) for name, of in self._experiment.tasks.items()}
        path = str(self._experiment.network.encoder.path)
        self._loop = BareLoop(path, tasks, learning_rate=config.training.learning_rate)
        self._next = 0

    def measure(self, num_steps: int, *, turn: int) -> Measured:
        """Train the plan's next steps."""
        steps = range(self._next, self._next + num_steps)
        self._next += num_steps
        micro_batches = list(planned(self._experiment, self._data, steps))
        batches = [bare_batch(batch) for batch in micro_batches]
        started = time.perf_counter()
        self._loop.train(batches)
        seconds = time.perf_counter() - started
        return Measured(
            tokens=sum(batch.num_tokens for batch in micro_batches),
            rows=sum(len(batch.rows) for batch in micro_batches),
            steps=num_steps,
            seconds=seconds,
        )


def quiet_transformers() -> None:
    """Silence its report of new heads and left out poolers, which are meant."""
    logging.set_verbosity_error()  # type: ignore[no-untyped-call]
    logging.disable_progress_bar()  # type: ignore[no-untyped-call]


def bare_batch(batch: MicroBatch) -> BareBatch:
    """Return a micro-batch as the bare loop takes it: a pooled sequence is its first token."""
    inputs = {"input_ids": batch.input_ids, "attention_mask": batch.attention_mask}
    if batch.token_type_ids is not None:
        inputs["token_type_ids"] = batch.token_type_ids
    targets = {}
    for name, target in batch.targets.items():
        positions = torch.zeros_like(target.sequences) if target.positions is None else target.positions
        assert target.labels is not None  # training targets have labels
        targets[name] = (target.sequences, positions, target.labels)
    return BareBatch(inputs, targets)


class OurSide:
    """Our loop as ``mtl train`` runs it: all work of a step, metrics.jsonl included, up to the first evaluation."""

    def __init__(self, values: Mapping[str, Any], changes: Mapping[str, Any]) -> None:
        self._folder = tempfile.TemporaryDirectory()
        overrides = {
            **changes,
            "output": str(Path(self._folder.name, "run")),
            "evaluation.every_steps": None,
            "tracking.every_steps": STEPS_PER_LINE,
        }
        config = load_config(values, overrides)
        self._experiment = prepare(config)
        self._data = training_data(self._experiment)
        self._events = run(config)
        next(self._events)  # the plan
        self._next = 0

    def measure(self, num_steps: int, *, turn: int) -> Measured:
        """Train the plan's next steps, a multiple of `STEPS_PER_LINE`."""
        started = time.perf_counter()
        for _ in range(num_steps // STEPS_PER_LINE):
            if not isinstance(next(self._events), Logged):
                raise RuntimeError("the plan is at its end; give it more with --set training.epochs=…")
        seconds = time.perf_counter() - started
        steps = range(self._next, self._next + num_steps)
        self._next += num_steps
        micro_batches = list(planned(self._experiment, self._data, steps))
        return Measured(
            tokens=sum(batch.num_tokens for batch in micro_batches),
            rows=sum(len(batch.rows) for batch in micro_batches),
            steps=num_steps,
            seconds=seconds,
        )


def planned(experiment: Experiment, data: TrainingData, steps: Sequence[int]) -> Iterator[MicroBatch]:
    """Yield the rows of each step as one micro-batch."""
    for step in steps:
        rows = experiment.plan.step(step)
        [(_, batch)] = micro_batches_of(rows, data, step=step, max_tokens=ENOUGH_TOKENS, rank=0, num_processes=1)
        yield batch


@dataclass(frozen=True, slots=True)
class TrainerTask:
    """One task as its user would give it to the Trainer: a native model and rows of token ids and labels."""

    model: PreTrainedModel
    rows: datasets.Dataset
    collator: DataCollatorWithPadding | DataCollatorForTokenClassification


@dataclass(frozen=True)
class TrainerSide:
    """The Trainer on one task after another; a turn is a slice of the epoch of every task.

    Attributes:
        tasks: in turn.
        rows_per_step: per_device_train_batch_size; the default is 8.
        precision: ``bf16`` or ``fp32``, the default.
        strategy: train_sampling_strategy; the default is ``random``.
    """

    tasks: Sequence[TrainerTask]
    rows_per_step: int
    precision: str = "fp32"
    strategy: str = "random"

    def measure(self, num_steps: int, *, turn: int) -> Measured:
        """Train one task after another, the same number of steps each."""
        total = Measured(0, 0, 0, 0.0)
        for task in self.tasks:
            total += self._measure_task(task, max(1, round(num_steps / len(self.tasks))), turn=turn)
        return total

    def _measure_task(self, task: TrainerTask, num_steps: int, *, turn: int) -> Measured:
        with tempfile.TemporaryDirectory() as folder:
            arguments = TrainingArguments(
                output_dir=folder,
                per_device_train_batch_size=self.rows_per_step,
                max_steps=num_steps + TRAINER_WARM_STEPS,
                bf16=self.precision == "bf16",
                train_sampling_strategy=self.strategy,
                seed=turn,
                use_cpu=True,
                dataloader_pin_memory=False,
                report_to="none",
                save_strategy="no",
                disable_tqdm=True,
            )
            clock = Clock()
            trainer = SlicedTrainer(
                model=task.model,
                args=arguments,
                train_dataset=task.rows,
                data_collator=task.collator,
                callbacks=[clock],
            )
            trainer.remove_callback(PrinterCallback)
            trainer.train()
        return Measured(
            tokens=sum(trainer.tokens[TRAINER_WARM_STEPS:]),
            rows=num_steps * self.rows_per_step,
            steps=num_steps,
            seconds=clock.ends[-1] - clock.ends[TRAINER_WARM_STEPS - 1],
        )


class Clock(TrainerCallback):
    """Notes when each step ended."""

    def __init__(self) -> None:
        self.ends: list[float] = []

    def on_step_end(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        **kwargs: Any,  # the Trainer's signature
    ) -> None:
        """Note the time."""
        self.ends.append(time.perf_counter())


class SlicedTrainer(Trainer):
    """A Trainer that counts real tokens and takes its steps evenly out of the epoch that its own sampler gives.

    The first steps of an epoch are not like the others: ``group_by_length`` begins with the longest rows. So the
    batches of an epoch are ordered by their tokens, and every so many of them one is taken.
    """

    def __init__(self, **arguments: Any) -> None:  # the Trainer's signature
        super().__init__(**arguments)
        self.tokens: list[int] = []

    def _get_train_sampler(self, train_dataset: Any = None) -> Any:
        order = list(super()._get_train_sampler(train_dataset) or ())
        lengths = self.train_dataset["length"][:]
        size = self.args.train_batch_size
        batches = [order[start : start + size] for start in range(0, len(order) - size + 1, size)]
        batches.sort(key=lambda batch: sum(lengths[row] for row in batch))
        num_steps = self.args.max_steps - TRAINER_WARM_STEPS
        offset = self.args.seed * GOLDEN % 1
        chosen = [batches[int((n + offset) * len(batches) / num_steps)] for n in range(num_steps)]
        warm = [chosen[n % len(chosen)] for n in range(TRAINER_WARM_STEPS)]
        return [row for batch in (*warm, *chosen) for row in batch]

    def training_step(self, model: Any, inputs: Any, num_items_in_batch: Any = None) -> torch.Tensor:
        """Count, then train."""
        self.tokens.append(int(inputs["attention_mask"].sum()))
        loss: torch.Tensor = super().training_step(model, inputs, num_items_in_batch)
        return loss


def trainer_tasks(values: Mapping[str, Any]) -> list[TrainerTask]:
    """Give every task of a config to the Trainer."""
    quiet_transformers()
    experiment = prepare(load_config(values))
    return [trainer_task(experiment, name) for name in experiment.tasks]


def trainer_task(experiment: Experiment, name: str) -> TrainerTask:
    """Give one of our tasks to the Trainer: the same encoded rows, the family's own model."""
    served = experiment.tasks[name]
    path = str(experiment.network.encoder.path)
    of_tokens = served.task.vectors == "token"
    rows = datasets.Dataset.from_list(list(trainer_rows(experiment, name)))
    if of_tokens:
        collator = DataCollatorForTokenClassification(experiment.tokenizer)
        model = AutoModelForTokenClassification.from_pretrained(
            path, num_labels=served.task.num_outputs, dtype=torch.float32
        )
        return TrainerTask(model, rows, collator)
    problems = {
        "classification": "single_label_classification",
        "multi_label": "multi_label_classification",
        "regression": "regression",
    }
    model = AutoModelForSequenceClassification.from_pretrained(
        path, num_labels=served.task.num_outputs, problem_type=problems[served.task.kind], dtype=torch.float32
    )
    return TrainerTask(model, rows, DataCollatorWithPadding(experiment.tokenizer))


def trainer_rows(experiment: Experiment, name: str) -> Iterator[dict[str, Any]]:
    """Yield the labelled training rows of a task as a tokenizer and a user's labels would make them."""
    served = experiment.tasks[name]
    split = experiment.splits[served.dataset]["train"]
    numbers = list(range(len(split)))
    for features, label in zip(split.inputs[0].features_of(numbers), split.labels_of(numbers)[name], strict=True):
        if label is None:
            continue
        ids = list(features.input_ids[0])
        labels: Any = label
        if served.task.vectors == "token":
            tags, labels = labels, [-100] * len(ids)
            for word, position in zip(features.word_indices[0], features.word_positions[0], strict=True):
                labels[position] = tags[word]
        row = {"input_ids": ids, "attention_mask": [1] * len(ids), "labels": labels, "length": len(ids)}
        if features.token_type_ids:
            row["token_type_ids"] = list(features.token_type_ids[0])
        yield row
