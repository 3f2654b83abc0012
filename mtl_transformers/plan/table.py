"""The table of the plan: what is shown, and saved as ``plan.json``, before anything is trained.

Owns the numbers of it. What they look like is the command line's; labels and truncation are not known here.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mtl_transformers.plan.batching import fill_up
from mtl_transformers.plan.plan import Plan


@dataclass(frozen=True, slots=True)
class PlanLine:
    """One dataset's line in the table of the plan.

    Attributes:
        name: of the dataset.
        size: its rows.
        rows: rows of it that the plan trains on, over all passes.
        share: of all rows of the plan.
        steps: steps that hold a row of it.
        passes: rows ÷ size.
    """

    name: str
    size: int
    rows: int
    share: float
    steps: int
    passes: float


def plan_lines(plan: Plan) -> list[PlanLine]:
    """Compute one line for each dataset."""
    total = sum(plan.rows_per_dataset)
    columns = zip(
        plan.datasets,
        plan.rows_per_dataset,
        plan.steps_per_dataset(),
        plan.passes_per_dataset,
        strict=True,
    )
    return [
        PlanLine(dataset.name, len(dataset.lengths), rows, rows / total, steps, passes)
        for dataset, rows, steps, passes in columns
    ]


def fill(plan: Plan, *, max_tokens: int, max_steps: int = 1000) -> float:
    """Compute real ÷ padded tokens when each step is cut into micro-batches of at most ``max_tokens``.

    One process and one sequence per row are assumed; the cut is that of ``batch.cut``.

    Args:
        plan: of which at most ``max_steps`` evenly spaced steps are looked at.
        max_tokens: padded tokens of a micro-batch.
        max_steps: bound on the work.
    """
    num = min(max_steps, plan.num_steps)
    real = padded = 0
    for k in (i * plan.num_steps // num for i in range(num)):
        lengths = np.sort(plan.step(k).lengths)
        edges = np.asarray(fill_up(lengths, max_tokens))
        real += int(lengths.sum())
        padded += int(np.diff(edges) @ lengths[edges[1:] - 1].astype(np.int64))
    return real / padded
