"""The coverage ledger: rows available, seen and passes of every task, and whether the plan was kept. Numbers only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from mtl_transformers.data.columns import column_batches
from mtl_transformers.data.encoded import EncodedSplit
from mtl_transformers.errors import CheckpointError
from mtl_transformers.plan.plan import Plan
from mtl_transformers.training.steps import Counts


@dataclass(frozen=True, slots=True)
class Ledger:
    """What was trained so far.

    Attributes:
        rows: rows by dataset.
        labelled_rows: labelled rows by task.
        skipped_rows: rows by dataset of steps that were left out because a number was not finite.
        skipped_labelled_rows: likewise by task.
        tokens: real tokens, of steps that were undone too.
    """

    rows: Mapping[str, int]
    labelled_rows: Mapping[str, int]
    skipped_rows: Mapping[str, int]
    skipped_labelled_rows: Mapping[str, int]
    tokens: int = 0

    def add(self, counts: Counts) -> Ledger:
        """Return the ledger after one more step."""
        return replace(
            self,
            rows=_sum(self.rows, counts.rows),
            labelled_rows=_sum(self.labelled_rows, counts.labelled_rows),
            tokens=self.tokens + counts.tokens,
        )

    def skip(self, counts: Counts) -> Ledger:
        """Return the ledger after a step that was left out."""
        return replace(
            self,
            skipped_rows=_sum(self.skipped_rows, counts.rows),
            skipped_labelled_rows=_sum(self.skipped_labelled_rows, counts.labelled_rows),
        )

    def rolled_back(self, earlier: Ledger) -> Ledger:
        """Return an earlier ledger in which all that came after it is left out."""
        return replace(
            earlier,
            tokens=self.tokens,
            skipped_rows=_sum(self.skipped_rows, _difference(self.rows, earlier.rows)),
            skipped_labelled_rows=_sum(
                self.skipped_labelled_rows, _difference(self.labelled_rows, earlier.labelled_rows)
            ),
        )


def coverage(ledger: Ledger, splits: Mapping[str, EncodedSplit]) -> dict[str, dict[str, float]]:
    """Return rows available, rows seen, passes and rows left out of each task."""
    return {
        name: {
            "rows_available": available,
            "rows_seen": seen,
            "passes": round(seen / available, 4),
            "rows_skipped": ledger.skipped_labelled_rows[name],
        }
        for split in splits.values()
        for name, available in split.num_labelled.items()
        for seen in (ledger.labelled_rows[name],)
    }


def empty_ledger(splits: Mapping[str, EncodedSplit]) -> Ledger:
    """Return the ledger before the first step."""
    tasks = [name for split in splits.values() for name in split.num_labelled]
    rows, labelled = dict.fromkeys(splits, 0), dict.fromkeys(tasks, 0)
    return Ledger(rows=rows, labelled_rows=labelled, skipped_rows=rows, skipped_labelled_rows=labelled)


def planned_ledger(plan: Plan, splits: Mapping[str, EncodedSplit], *, num_steps: int) -> Ledger:
    """Return what the plan promises after some steps, read from the plan and the labels alone."""
    masks = [{name: _is_labelled(split, name) for name in split.num_labelled} for split in splits.values()]
    times = [np.zeros(len(split), dtype=np.int64) for split in splits.values()]
    for step in range(num_steps):
        rows = plan.step(step)
        for dataset, drawn in enumerate(times):
            np.add.at(drawn, rows.rows[rows.datasets == dataset], 1)
    return replace(
        empty_ledger(splits),
        rows={name: int(drawn.sum()) for name, drawn in zip(splits, times, strict=True)},
        labelled_rows={
            name: int(drawn[mask].sum())
            for of_dataset, drawn in zip(masks, times, strict=True)
            for name, mask in of_dataset.items()
        },
    )


def _is_labelled(split: EncodedSplit, task: str) -> NDArray[np.bool_]:
    """``[n]`` where a row of the split has a label of a task."""
    return np.concatenate([batch.column(0).is_valid().to_numpy() for batch in column_batches(split.labels, [task])])


def check_ledger(ledger: Ledger, promised: Ledger) -> None:
    """Refuse a run that did not train what its plan promised.

    Raises:
        CheckpointError: with the datasets and tasks that differ.
    """
    trained = {**_by_kind("dataset", ledger.rows), **_by_kind("task", ledger.labelled_rows)}
    skipped = {**_by_kind("dataset", ledger.skipped_rows), **_by_kind("task", ledger.skipped_labelled_rows)}
    planned = {**_by_kind("dataset", promised.rows), **_by_kind("task", promised.labelled_rows)}
    wrong = [
        f"{name}: {trained[name]} rows trained, {skipped[name]} left out, {expected} planned"
        for name, expected in planned.items()
        if trained[name] + skipped[name] != expected
    ]
    if wrong:
        raise CheckpointError("the run did not train what its plan promised: " + "; ".join(wrong))


def _by_kind(kind: str, rows: Mapping[str, int]) -> dict[str, int]:
    return {f"{kind} {name!r}": number for name, number in rows.items()}


def _sum(one: Mapping[str, int], other: Mapping[str, int]) -> dict[str, int]:
    return {name: number + other[name] for name, number in one.items()}


def _difference(one: Mapping[str, int], other: Mapping[str, int]) -> dict[str, int]:
    return {name: number - other[name] for name, number in one.items()}
