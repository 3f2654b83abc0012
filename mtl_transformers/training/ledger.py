"""The coverage ledger: rows available, seen and passes of every task, and whether the plan was kept. Numbers only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mtl_transformers.data.columns import column_batches
from mtl_transformers.data.preparing import EncodedSplit
from mtl_transformers.errors import CheckpointError
from mtl_transformers.plan.plan import Plan
from mtl_transformers.training.steps import Counts


@dataclass(frozen=True, slots=True)
class Ledger:
    """What was trained so far.

    Attributes:
        rows: rows by dataset.
        labelled_rows: labelled rows by task.
        tokens: real tokens.
    """

    rows: Mapping[str, int]
    labelled_rows: Mapping[str, int]
    tokens: int = 0

    def add(self, counts: Counts) -> Ledger:
        """Return the ledger after one more step."""
        return Ledger(
            rows={name: rows + counts.rows[name] for name, rows in self.rows.items()},
            labelled_rows={name: rows + counts.labelled_rows[name] for name, rows in self.labelled_rows.items()},
            tokens=self.tokens + counts.tokens,
        )


def coverage(ledger: Ledger, splits: Mapping[str, EncodedSplit]) -> dict[str, dict[str, float]]:
    """Return rows available, rows seen and passes of each task."""
    return {
        name: {"rows_available": available, "rows_seen": seen, "passes": round(seen / available, 4)}
        for split in splits.values()
        for name, available in split.num_labelled.items()
        for seen in (ledger.labelled_rows[name],)
    }


def empty_ledger(splits: Mapping[str, EncodedSplit]) -> Ledger:
    """Return the ledger before the first step."""
    tasks = [name for split in splits.values() for name in split.num_labelled]
    return Ledger(rows=dict.fromkeys(splits, 0), labelled_rows=dict.fromkeys(tasks, 0))


def planned_ledger(plan: Plan, splits: Mapping[str, EncodedSplit], *, num_steps: int) -> Ledger:
    """Return what the plan promises after some steps, read from the plan and the labels alone."""
    masks = [{name: _is_labelled(split, name) for name in split.num_labelled} for split in splits.values()]
    times = [np.zeros(len(split), dtype=np.int64) for split in splits.values()]
    for step in range(num_steps):
        rows = plan.step(step)
        for dataset, drawn in enumerate(times):
            np.add.at(drawn, rows.rows[rows.datasets == dataset], 1)
    return Ledger(
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
    wrong = [
        f"{name}: {seen} rows trained, {expected} planned"
        for trained, planned in ((ledger.rows, promised.rows), (ledger.labelled_rows, promised.labelled_rows))
        for name, expected in planned.items()
        if (seen := trained[name]) != expected
    ]
    if wrong:
        raise CheckpointError("the run did not train what its plan promised: " + "; ".join(wrong))
