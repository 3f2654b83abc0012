"""What is said of a config and its data before anything is trained: labels, nulls, truncation, the plan, warnings."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mtl_transformers.config import Config
from mtl_transformers.data.cells import cells_of
from mtl_transformers.data.encoded import EncodedSplit
from mtl_transformers.data.labelling import answer_counts
from mtl_transformers.data.preparing import Tables
from mtl_transformers.errors import CheckpointError, ConfigError
from mtl_transformers.inference.precision import default_device, resolve_precision
from mtl_transformers.inference.served import ServedTask
from mtl_transformers.tasks.answer_cells import AnswerCounts
from mtl_transformers.tasks.question_answering import QuestionAnswering
from mtl_transformers.tasks.span_cells import SpanCounts
from mtl_transformers.tasks.task import Task
from mtl_transformers.tasks.token_classification import TokenClassification
from mtl_transformers.training.experiment import Experiment, prepare
from mtl_transformers.training.overview import overview
from mtl_transformers.training.saving import check_output

FEW_ITEMS = 5  # a label with fewer training items is hardly learnt
MANY_TRUNCATED = 0.05  # share of the rows
MANY_NULLS = 0.5  # share of the rows
SHOWN = 8  # labels that a warning lists
CHUNK_ROWS = 1000  # rows that are in memory at once


@dataclass(frozen=True, slots=True)
class CheckedTask:
    """A task's labels on each split, ``train`` first.

    Attributes:
        task: its name.
        kind: its kind.
        labelled: labelled rows by split.
        nulls: rows whose label is null, by split.
        counts: items by split and label: rows, spans, or words of a plain tag; empty where there are no labels.
        spans: character spans that are not trained as they were given, by split.
        answers: answers that are not, by split; empty for other kinds.
    """

    task: str
    kind: str
    labelled: Mapping[str, int]
    nulls: Mapping[str, int]
    counts: Mapping[str, Mapping[str, int]]
    spans: Mapping[str, SpanCounts]
    answers: Mapping[str, AnswerCounts] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Report:
    """What a check found.

    Attributes:
        plan: as `overview` describes it.
        tasks: in order.
        warnings: what a user should look at.
    """

    plan: Mapping[str, Any]
    tasks: Sequence[CheckedTask]
    warnings: Sequence[str]


def check(config: Config) -> Report:
    """Do all that a training does before its first step, and report on it; the output is not touched.

    Raises:
        MTLError: whatever is wrong with config, data, labels or encoder.
    """
    experiment = prepare(config)
    tasks = [_checked(experiment, name) for name in experiment.tasks]
    warnings = [*_about_run(config), *_about_rows(experiment), *_about_labels(tasks)]
    return Report(overview(experiment), tasks, warnings)


def _checked(experiment: Experiment, name: str) -> CheckedTask:
    served = experiment.tasks[name]
    splits = experiment.splits[served.dataset]
    counts = {split: _counts(served.task, of) for split, of in splits.items()}
    return CheckedTask(
        task=name,
        kind=served.task.kind,
        labelled={split: of.num_labelled[name] for split, of in splits.items()},
        nulls={split: len(of) + of.num_unlabelled - of.num_labelled[name] for split, of in splits.items()},
        counts=counts if any(counts.values()) else {},
        spans={split: _span_counts(served.task, of) for split, of in splits.items()},
        answers=_answer_counts(served, experiment.tables[served.dataset]),
    )


def _counts(task: Task, split: EncodedSplit) -> dict[str, int]:
    """Return the items of each label: the support that its scores would have."""
    counts = Counter[str]()
    for rows in _chunks(split):
        labels = split.labels_of(rows)[task.name]
        kept = [row for row, label in zip(rows, labels, strict=True) if label is not None]
        if kept:
            features = split.input_of(task.name).features_of(kept)
            given = [label for label in labels if label is not None]
            scores = task.score_per_label(given, [task.majority(row) for row in features], features)
            counts.update({of.label: of.support for of in scores})
    return {label: counts[label] for label in task.label_counts}


def _span_counts(task: Task, split: EncodedSplit) -> SpanCounts:
    if not isinstance(task, TokenClassification) or task.options.scheme != "spans":
        return SpanCounts()
    cells = cells_of(split.table, task.label_columns(task.options))
    read = split.input_of(task.name)
    features = (row for rows in _chunks(split) for row in read.features_of(rows))
    counts = (task.span_counts(of_row, row) for of_row, row in zip(cells, features, strict=True))
    return sum(counts, start=SpanCounts())


def _answer_counts(served: ServedTask, tables: Tables) -> dict[str, AnswerCounts]:
    if not isinstance(served.task, QuestionAnswering):
        return {}
    return {split: answer_counts(table, served.task, served.input) for split, table in tables.splits.items()}


def _chunks(split: EncodedSplit) -> Iterator[range]:
    for start in range(0, len(split), CHUNK_ROWS):
        yield range(start, min(start + CHUNK_ROWS, len(split)))


def _about_run(config: Config) -> Iterator[str]:
    """Yield what would stop a training here, though not everywhere."""
    try:
        check_output(Path(config.output), overwrite=False, resume=False)
    except CheckpointError as error:
        yield f"output: {error}"
    try:
        resolve_precision(config.training.precision, default_device())
    except ConfigError as error:
        yield f"training.precision: {error}"


def _about_rows(experiment: Experiment) -> Iterator[str]:
    for dataset, splits in experiment.splits.items():
        for split, of in splits.items():
            share = of.num_truncated / max(1, len(of))
            max_length = of.inputs[0].given.max_length
            if share > MANY_TRUNCATED:
                yield (
                    f"data.{dataset}, {split}: {share:.0%} of the rows are cut to {max_length} tokens; "
                    f"raise data.{dataset}.max_length if their ends matter"
                )
            if of.num_unlabelled:
                yield f"data.{dataset}, {split}: rows without any label, which are left out: {of.num_unlabelled:,}"


def _about_labels(tasks: Sequence[CheckedTask]) -> Iterator[str]:
    for task in tasks:
        place = f"tasks.{task.task}"
        for split, num_labelled in task.labelled.items():
            num_rows = num_labelled + task.nulls[split]
            if not num_labelled:
                yield f"{place}, {split}: no row has a label, so it cannot be scored there"
            elif task.nulls[split] > MANY_NULLS * num_rows:
                yield f"{place}, {split}: {task.nulls[split]:,} of {num_rows:,} labels are null"
            if widened := task.spans[split].widened:
                yield (
                    f"{place}, {split}: spans that do not end at the edges of words, and are widened to whole words: "
                    f"{widened:,}"
                )
            if dropped := task.spans[split].dropped:
                yield f"{place}, {split}: spans that overlap one that is kept, and are dropped: {dropped:,}"
        for split, answers in task.answers.items():
            if answers.repaired:
                yield (
                    f"{place}, {split}: answers that do not stand where the data say, and are repaired: "
                    f"{answers.repaired:,}"
                )
            if answers.lost:
                yield f"{place}, {split}: answers that are not in their context, and are left out: {answers.lost:,}"
        train, validation = task.counts.get("train", {}), task.counts.get("validation", {})
        rare = [label for label, items in train.items() if items < FEW_ITEMS]
        if rare:
            yield f"{place}, train: labels that occur fewer than {FEW_ITEMS} times: {_listed(rare)}"
        absent = [label for label, items in validation.items() if not items and train[label]]
        if absent:
            yield f"{place}, validation: labels that do not occur, so that nothing scores them: {_listed(absent)}"


def _listed(labels: Sequence[str]) -> str:
    return ", ".join(labels[:SHOWN]) + (f", … ({len(labels)} in all)" if len(labels) > SHOWN else "")
