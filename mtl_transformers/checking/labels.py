"""The labels of a task on each split: how many there are of each, which are null, rare, absent or unseen.

Owns counts and balance. Numbers are in ``numbers.py``, spans that are not trained as given in ``altered.py``.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from mtl_transformers.checking.findings import SHOWN_ROWS, Finding, Severity, listed, named
from mtl_transformers.data.cells import cells_of
from mtl_transformers.data.encoded import EncodedSplit
from mtl_transformers.data.preparing import Tables
from mtl_transformers.tasks.task import Task

FEW_ITEMS = 5  # a label with fewer training items is hardly learnt
MANY_NULLS = 0.5  # share of the rows
MOSTLY_ONE = 0.9  # share of the items that have the most frequent label


@dataclass(frozen=True, slots=True)
class CheckedLabels:
    """A task's labels on a split.

    Attributes:
        labelled: labelled rows.
        nulls: rows whose label is null.
        counts: items of each label that train has (rows, spans, or words of a plain tag); empty where there are none.
        unseen: items of each label that train has not.
        majority: share of the items that have the most frequent label; ``None`` without items.
        effective_labels: how many equally frequent labels would have the same entropy; likewise.
    """

    labelled: int
    nulls: int
    counts: Mapping[str, int]
    unseen: Mapping[str, int]
    majority: float | None
    effective_labels: float | None


@dataclass(frozen=True, slots=True)
class LabelRows:
    """The labels of a split's cells, whether train has them or not.

    Attributes:
        counts: items of each label.
        first: the first few rows of each label.
    """

    counts: Mapping[str, int]
    first: Mapping[str, Sequence[int]]

    def rows_of(self, labels: Sequence[str]) -> list[int]:
        """Return the first few rows of some labels."""
        return sorted({row for label in labels for row in self.first.get(label, ())})


def label_rows(task: Task, tables: Tables, split: str) -> LabelRows:
    """Count the labels in the cells of a split."""
    counts: Counter[str] = Counter()
    first: dict[str, list[int]] = {}
    for row, cells in enumerate(cells_of(tables.splits[split], task.label_columns(task.options))):
        labels = task.labels_in(cells)
        counts.update(labels)
        for label in labels:
            rows = first.setdefault(label, [])
            if len(rows) < SHOWN_ROWS and row not in rows:
                rows.append(row)
    return LabelRows(counts, first)


def checked_labels(task: Task, encoded: EncodedSplit, found: LabelRows) -> CheckedLabels:
    """Describe the labels of a split."""
    labelled = encoded.num_labelled[task.name]
    counts = {label: found.counts.get(label, 0) for label in task.label_counts} if found.counts else {}
    shares = [items / sum(counts.values()) for items in counts.values() if items]
    return CheckedLabels(
        labelled=labelled,
        nulls=len(encoded) + encoded.num_unlabelled - labelled,
        counts=counts,
        unseen={label: items for label, items in found.counts.items() if label not in counts},
        majority=max(shares, default=None),
        effective_labels=math.exp(-sum(share * math.log(share) for share in shares)) if shares else None,
    )


def label_findings(
    task: Task,
    tables: Tables,
    encoded: Mapping[str, EncodedSplit],
    checked: Mapping[str, CheckedLabels],
    found: Mapping[str, LabelRows],
) -> Iterator[Finding]:
    """Yield what is to be said of a task's nulls and labels, split by split."""
    place = f"tasks.{task.name}"
    for split, labels in checked.items():
        places = tables.places[split]
        num_rows = labels.labelled + labels.nulls
        if not labels.labelled:
            message = "no row has a label, so it cannot be scored there"
            yield Finding(severity="warning", topic="nulls", place=place, split=split, message=message, count=num_rows)
        elif labels.nulls > MANY_NULLS * num_rows:
            of_split = encoded[split]
            nulls = np.setdiff1d(np.arange(num_rows), of_split.numbers[of_split.labelled[task.name]])
            yield Finding(
                severity="warning",
                topic="nulls",
                place=place,
                split=split,
                message=f"{labels.nulls:,} of {num_rows:,} labels are null",
                count=labels.nulls,
                rows=named(places, nulls.tolist()),
            )
        for severity, message, chosen in _about(labels, checked["train"], split):
            yield Finding(
                severity=severity,
                topic="labels",
                place=place,
                split=split,
                message=f"{message}: {listed(chosen)}",
                count=len(chosen),
                rows=named(places, found[split].rows_of(chosen)),
            )


def _about(labels: CheckedLabels, train: CheckedLabels, split: str) -> Iterator[tuple[Severity, str, list[str]]]:
    """Yield severity, message and labels of each finding."""
    if unseen := sorted(labels.unseen):
        yield "warning", "labels that train has not, and that are ignored", unseen
    if split == "train":
        if rare := [label for label, items in labels.counts.items() if items < FEW_ITEMS]:
            yield "warning", f"labels that occur fewer than {FEW_ITEMS} times", rare
        if labels.majority is not None and labels.majority > MOSTLY_ONE and len(labels.counts) > 1:
            most = max(labels.counts, key=lambda label: labels.counts[label])
            yield "note", f"{labels.majority:.0%} of the labels are one", [most]
        return
    absent = [label for label, items in labels.counts.items() if not items and train.counts[label]]
    if absent and len(absent) < len(labels.counts):
        yield (
            "warning" if split == "validation" else "note",
            "labels that do not occur, so that nothing scores them",
            absent,
        )
