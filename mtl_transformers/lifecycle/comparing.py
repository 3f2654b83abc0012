"""Tasks before and after a change of their model: each one's first metric on the same rows, and whether it fell.

Pure: scores in, a report out. Who scores what is ``adding.py``'s.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from mtl_transformers.metrics.named import metric
from mtl_transformers.training.evaluation import TaskScores


@dataclass(frozen=True, slots=True)
class Compared:
    """A task's first metric before and after.

    Attributes:
        task: its name.
        metric: the metric's.
        before: of the old model; NaN where it is undefined.
        after: of the changed one, on the same rows.
        num_rows: rows with a label.
    """

    task: str
    metric: str
    before: float
    after: float
    num_rows: int

    @property
    def drop(self) -> float:
        """How much worse it became, above 0; infinite where it became undefined."""
        return drop_of(self.metric, self.before, self.after)


def drop_of(name: str, before: float, after: float) -> float:
    """Return how much worse a metric became, above 0; infinite where it became undefined."""
    if math.isnan(before):
        return 0.0
    if math.isnan(after):
        return math.inf
    return max(0.0, before - after if metric(name).higher_is_better else after - before)


def compare(before: Mapping[str, TaskScores], after: Mapping[str, TaskScores]) -> list[Compared]:
    """Return each task's first metric before and after, in the order of the tasks before."""
    compared = []
    for task, scores in before.items():
        first = next(iter(scores.metrics))
        compared.append(Compared(task, first, scores.metrics[first], after[task].metrics[first], scores.num_rows))
    return compared


def fallen(compared: Iterable[Compared], *, max_drop: float) -> list[Compared]:
    """Return the tasks that fell by more than is allowed."""
    return [of for of in compared if of.drop > max_drop]
