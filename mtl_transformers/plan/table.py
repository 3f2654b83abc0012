"""The table of the plan: what is shown, and saved as ``plan.json``, before anything is trained.

Owns the numbers of it. What they look like is the command line's; labels and truncation are not known here.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

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
    """Compute real ÷ padded tokens of the whole plan; see `fills`."""
    real, padded = _tokens(plan, max_tokens=max_tokens, max_steps=max_steps)
    return float(real.sum() / padded.sum())


def fills(plan: Plan, *, max_tokens: int, max_steps: int = 1000) -> list[float]:
    """Compute each dataset's real ÷ padded tokens when steps are cut into micro-batches of at most ``max_tokens``.

    One process and one sequence per row are assumed; the cut is that of ``batch.cut``.

    Args:
        plan: of which at most ``max_steps`` evenly spaced steps are looked at.
        max_tokens: padded tokens of a micro-batch.
        max_steps: bound on the work.

    Returns:
        One number for each dataset; 1 where none of its rows was looked at.
    """
    real, padded = _tokens(plan, max_tokens=max_tokens, max_steps=max_steps)
    ratios: list[float] = np.divide(real, padded, out=np.ones(len(real)), where=padded > 0).tolist()
    return ratios


def _tokens(plan: Plan, *, max_tokens: int, max_steps: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """``[D]`` real and padded tokens of each dataset in some steps."""
    num, num_datasets = min(max_steps, plan.num_steps), len(plan.datasets)
    real, padded = np.zeros(num_datasets), np.zeros(num_datasets)
    for k in (i * plan.num_steps // num for i in range(num)):
        rows = plan.step(k)
        rows = rows.pick(np.argsort(rows.lengths, kind="stable"))
        edges = np.asarray(fill_up(rows.lengths, max_tokens))
        longest = np.repeat(rows.lengths[edges[1:] - 1], np.diff(edges))
        real += np.bincount(rows.datasets, weights=rows.lengths, minlength=num_datasets)
        padded += np.bincount(rows.datasets, weights=longest, minlength=num_datasets)
    return real, padded
