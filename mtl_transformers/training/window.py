"""What a line of the log says: means over the steps since the line before."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass

from mtl_transformers.training.update import Outcome


@dataclass(frozen=True, slots=True)
class Logged:
    """A line of the log.

    Attributes:
        step: steps done.
        num_steps: steps of the plan.
        losses: mean item loss of each task since the line before.
        learning_rate: of the encoder.
        gradient_norm: of the last step, before clipping.
        tokens_per_s: real tokens.
    """

    step: int
    num_steps: int
    losses: dict[str, float]
    learning_rate: float
    gradient_norm: float
    tokens_per_s: float

    def values(self) -> dict[str, float]:
        """Return the numbers as ``metrics.jsonl`` names them."""
        return {
            **{f"train/{task}/loss": loss for task, loss in self.losses.items()},
            "lr": self.learning_rate,
            "gradient_norm": self.gradient_norm,
            "tokens_per_s": self.tokens_per_s,
        }


class Window:
    """The steps since the last line."""

    def __init__(self) -> None:
        self._restart()

    def _restart(self) -> None:
        self._items: Counter[str] = Counter()
        self._loss_sums: dict[str, float] = {}
        self._tokens = 0
        self._norm = 0.0
        self._started = time.perf_counter()

    def add(self, outcome: Outcome) -> None:
        """Take one more step in."""
        for task, loss in outcome.losses.items():
            items = outcome.counts.items[task]
            self._items[task] += items
            self._loss_sums[task] = self._loss_sums.get(task, 0.0) + loss * items
        self._tokens += outcome.counts.tokens
        self._norm = outcome.gradient_norm

    def close(self, *, step: int, num_steps: int, rate: float) -> Logged:
        """Return the line and start anew."""
        line = Logged(
            step=step,
            num_steps=num_steps,
            losses={task: self._loss_sums[task] / items for task, items in self._items.items()},
            learning_rate=rate,
            gradient_norm=self._norm,
            tokens_per_s=self._tokens / (time.perf_counter() - self._started),
        )
        self._restart()
        return line
