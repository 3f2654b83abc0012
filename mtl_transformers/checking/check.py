"""What is said of a config and its data before anything is trained.

Owns the order of things and the report; each topic has a file beside this one.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from mtl_transformers.checking.altered import altered_findings, altered_of
from mtl_transformers.checking.estimates import Estimate, estimate_of
from mtl_transformers.checking.findings import Finding, graver_above, named
from mtl_transformers.checking.labels import CheckedLabels, checked_labels, label_findings, label_rows
from mtl_transformers.checking.leakage import Leakage, leakage_findings, leakage_of, rows_in_train
from mtl_transformers.checking.lengths import CheckedLengths, checked_lengths, length_findings
from mtl_transformers.checking.numbers import Spread, number_findings, numbers_of, spread_of
from mtl_transformers.checking.repeats import Texts, repeat_findings, repeats_of, texts_of
from mtl_transformers.checking.start import StartLoss, start_findings, try_start
from mtl_transformers.config import Config
from mtl_transformers.errors import CheckpointError, ConfigError
from mtl_transformers.inference.precision import default_device, has_fast_bf16, resolve_precision
from mtl_transformers.inference.text_encoders import text_encoders
from mtl_transformers.storage.files import replace_file
from mtl_transformers.training.experiment import Experiment, prepare
from mtl_transformers.training.overview import overview
from mtl_transformers.training.saving import check_output

MANY_UNLABELLED = 0.1  # share of the rows


@dataclass(frozen=True, slots=True)
class CheckedTask:
    """A task on each split, ``train`` first.

    Attributes:
        task: its name.
        kind: its kind.
        dataset: its dataset.
        labels: by split.
        numbers: by split and target, where the labels are numbers.
        altered: labels that are not trained as they were given, by split and by what becomes of them.
        conflicts: rows by split whose text stands there with another label too.
        start: its loss on a few training rows, before the first step.
    """

    task: str
    kind: str
    dataset: str
    labels: Mapping[str, CheckedLabels]
    numbers: Mapping[str, Mapping[str, Spread | None]]
    altered: Mapping[str, Mapping[str, int]]
    conflicts: Mapping[str, int]
    start: StartLoss | None


@dataclass(frozen=True, slots=True)
class Report:
    """What a check found.

    Attributes:
        plan: as `overview` describes it.
        tasks: in order.
        lengths: of each input on each split.
        duplicates: rows by dataset and split that repeat the text and the labels of an earlier row.
        in_train: rows by dataset and evaluated split whose text stands in the train split of any dataset.
        leakage: of each pair of splits that share texts.
        estimate: of memory and time.
        findings: what a user should look at.
    """

    plan: Mapping[str, Any]
    tasks: Sequence[CheckedTask]
    lengths: Sequence[CheckedLengths]
    duplicates: Mapping[str, Mapping[str, int]]
    in_train: Mapping[str, Mapping[str, int]]
    leakage: Sequence[Leakage]
    estimate: Estimate
    findings: Sequence[Finding]

    @property
    def warnings(self) -> list[Finding]:
        """The findings that are likely to cost quality."""
        return [finding for finding in self.findings if finding.severity == "warning"]


def check(config: Config) -> Report:
    """Do all that a training does before its first step, and report on it; the output is not touched.

    Raises:
        MTLError: whatever is wrong with config, data, labels or encoder.
    """
    experiment = prepare(config)
    findings = [*_about_run(config), *_about_unlabelled(experiment)]
    plan = overview(experiment)
    lengths = _lengths(experiment, findings)
    texts = {name: texts_of(tables) for name, tables in experiment.tables.items()}
    duplicates, conflicts = _repeats(experiment, texts, findings)
    leakage = leakage_of(experiment.tables, texts)
    findings += leakage_findings(leakage)
    device = default_device()
    precision = "fp32" if config.training.precision == "fp16" and device.type == "cpu" else config.training.precision
    resolved = resolve_precision(precision, device)
    trials = try_start(experiment, device=device, precision=resolved)
    starts = {task: loss for trial in trials.values() for task, loss in trial.losses.items()}
    tasks = [_task(experiment, name, conflicts[name], starts.get(name), findings) for name in experiment.tasks]
    findings += start_findings(starts)
    estimate = estimate_of(experiment, trials, device=device, precision=resolved)
    return Report(plan, tasks, lengths, duplicates, rows_in_train(texts), leakage, estimate, findings)


def write_report(report: Report, path: Path) -> None:
    """Write a report as JSON.

    Raises:
        FileError: the disk is full, or whatever else the system reports.
    """
    values = asdict(report)
    values["estimate"]["memory_bytes"] = report.estimate.memory_bytes
    replace_file(path, (json.dumps(values, indent=2, ensure_ascii=False, allow_nan=False) + "\n").encode())


def _about_run(config: Config) -> Iterator[Finding]:
    """Yield what would stop a training here, or make it slow, though not everywhere."""
    try:
        check_output(Path(config.output), overwrite=False, resume=False)
    except CheckpointError as error:
        yield Finding(severity="warning", topic="run", place="output", message=str(error))
    try:
        resolve_precision(config.training.precision, default_device())
    except ConfigError as error:
        yield Finding(severity="warning", topic="run", place="training.precision", message=str(error))
    if config.training.precision == "bf16" and not has_fast_bf16(default_device()):
        message = "this device computes bf16 without hardware, many times slower than fp32; auto takes the faster one"
        yield Finding(severity="warning", topic="run", place="training.precision", message=message)


def _about_unlabelled(experiment: Experiment) -> Iterator[Finding]:
    for dataset, splits in experiment.splits.items():
        for split, of in splits.items():
            if of.num_unlabelled:
                num_rows = len(of) + of.num_unlabelled
                kept = set(of.numbers.tolist())
                yield Finding(
                    severity=graver_above(MANY_UNLABELLED, of.num_unlabelled / num_rows),
                    topic="nulls",
                    place=f"data.{dataset}",
                    split=split,
                    message=f"rows without any label, which are left out: {of.num_unlabelled:,}",
                    count=of.num_unlabelled,
                    rows=named(
                        experiment.tables[dataset].places[split], [row for row in range(num_rows) if row not in kept]
                    ),
                )


def _lengths(experiment: Experiment, findings: list[Finding]) -> list[CheckedLengths]:
    encoder = experiment.network.encoder
    encoders = text_encoders(experiment.tokenizer, uses_token_types=encoder.uses_token_types)
    checked = []
    for splits in experiment.splits.values():
        for encoded in splits.values():
            for read in encoded.inputs:
                checked.append(checked_lengths(encoded, read, encoders, limit=encoder.max_length))
                findings += length_findings(encoded, read, checked[-1])
    return checked


def _repeats(
    experiment: Experiment, texts: Mapping[str, Mapping[str, Texts]], findings: list[Finding]
) -> tuple[dict[str, dict[str, int]], dict[str, dict[str, int]]]:
    """Count duplicates by dataset and split, and conflicts by task and split."""
    duplicates: dict[str, dict[str, int]] = {name: {} for name in experiment.tables}
    conflicts: dict[str, dict[str, int]] = {name: {} for name in experiment.tasks}
    fitted = experiment.tasks_by_dataset()
    for dataset, tables in experiment.tables.items():
        for split in tables.splits:
            found = repeats_of(tables, split, texts[dataset][split], fitted[dataset])
            findings += repeat_findings(tables, split, found)
            duplicates[dataset][split] = len(found.duplicates)
            for task, of_task in found.conflicts.items():
                conflicts[task][split] = len(of_task)
    return duplicates, conflicts


def _task(
    experiment: Experiment,
    name: str,
    conflicts: Mapping[str, int],
    start: StartLoss | None,
    findings: list[Finding],
) -> CheckedTask:
    served = experiment.tasks[name]
    task, tables, splits = served.task, experiment.tables[served.dataset], experiment.splits[served.dataset]
    found = {split: label_rows(task, tables, split) for split in splits}
    labels = {split: checked_labels(task, of, found[split]) for split, of in splits.items()}
    numbers = {split: numbers_of(task, of) for split, of in splits.items()}
    altered = {split: altered_of(task, of, experiment.tables[served.dataset]) for split, of in splits.items()}
    findings += label_findings(task, tables, splits, labels, found)
    findings += number_findings(task, splits, numbers)
    for split, of in splits.items():
        findings += altered_findings(task, of, altered[split])
    return CheckedTask(
        task=name,
        kind=task.kind,
        dataset=served.dataset,
        labels=labels,
        numbers={
            split: {target: spread_of(values) for target, values in of.items()} for split, of in numbers.items() if of
        },
        altered={split: {what: of.count for what, of in by_what.items()} for split, by_what in altered.items()},
        conflicts=conflicts,
        start=start,
    )
