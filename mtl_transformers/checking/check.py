"""What is said of a config and its data before anything is trained: labels, nulls, truncation, the plan, warnings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mtl_transformers.config import Config
from mtl_transformers.training.experiment import Experiment, prepare
from mtl_transformers.training.overview import overview

FEW_ROWS = 5  # a label with fewer training rows is hardly learnt
MANY_TRUNCATED = 0.05  # share of rows


@dataclass(frozen=True, slots=True)
class CheckedTask:
    """A task's labels on each split.

    Attributes:
        task: its name.
        kind: its kind.
        labelled: labelled rows by split.
        nulls: rows whose label is null, by split.
        counts: training items by label.
    """

    task: str
    kind: str
    labelled: Mapping[str, int]
    nulls: Mapping[str, int]
    counts: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Report:
    """What a check found.

    Attributes:
        plan: as `overview` describes it.
        tasks: in order.
        warnings: what a user should look at.
    """

    plan: Mapping[str, Any]
    tasks: list[CheckedTask]
    warnings: list[str]


def check(config: Config) -> Report:
    """Do all that a training does before its first step, and report on it.

    Raises:
        MTLError: whatever would stop the training.
    """
    experiment = prepare(config)
    tasks = [_checked(experiment, name) for name in experiment.tasks]
    return Report(overview(experiment), tasks, _warnings(experiment, tasks))


def _checked(experiment: Experiment, name: str) -> CheckedTask:
    served = experiment.tasks[name]
    splits = experiment.splits[served.dataset]
    return CheckedTask(
        task=name,
        kind=served.task.kind,
        labelled={split: of.num_labelled[name] for split, of in splits.items()},
        nulls={split: len(of) + of.num_unlabelled - of.num_labelled[name] for split, of in splits.items()},
        counts=served.task.label_counts,
    )


def _warnings(experiment: Experiment, tasks: list[CheckedTask]) -> list[str]:
    found = []
    for dataset, splits in experiment.splits.items():
        for split, of in splits.items():
            share = of.num_truncated / max(1, len(of))
            if share > MANY_TRUNCATED:
                found.append(
                    f"data.{dataset}, {split}: {share:.0%} of the rows are cut to {of.input.max_length} tokens; "
                    f"raise data.{dataset}.max_length if their ends matter"
                )
            if of.num_unlabelled:
                found.append(f"data.{dataset}, {split}: {of.num_unlabelled} rows have no label and are left out")
    for task in tasks:
        rare = [label for label, items in task.counts.items() if items < FEW_ROWS]
        if rare:
            shown = ", ".join(rare[:8]) + (", …" if len(rare) > 8 else "")
            found.append(f"tasks.{task.task}: {len(rare)} labels have fewer than {FEW_ROWS} training items: {shown}")
        found += [
            f"tasks.{task.task}: no row of {split} has a label, so it cannot be scored there"
            for split, rows in task.labelled.items()
            if not rows
        ]
    return found
