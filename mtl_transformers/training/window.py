"""What a line of the log says: means over the steps since the line before."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field

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
        gradient_norms: likewise of each head, of its last step since the line before.
        tokens_per_s: real tokens.
    """

    step: int
    num_steps: int
    losses: Mapping[str, float]
    learning_rate: float
    gradient_norm: float
    gradient_norms: Mapping[str, float]
    tokens_per_s: float

    def values(self) -> dict[str, float]:
        """Return the numbers as ``metrics.jsonl`` names them."""
        return {
            **{f"train/{task}/loss": loss for task, loss in self.losses.items()},
            **{f"train/{task}/gradient_norm": norm for task, norm in self.gradient_norms.items()},
            "lr": self.learning_rate,
            "gradient_norm": self.gradient_norm,
            "tokens_per_s": self.tokens_per_s,
        }


@dataclass(frozen=True, slots=True)
class Window:
    """The steps since the last line.

    Attributes:
        items: by task.
        loss_sums: sum of the item losses by task.
        gradient_norm: of the last step.
        gradient_norms: of each head in the last step that used it.
    """

    items: Mapping[str, int] = field(default_factory=dict)
    loss_sums: Mapping[str, float] = field(default_factory=dict)
    gradient_norm: float = 0.0
    gradient_norms: Mapping[str, float] = field(default_factory=dict)

    def add(self, outcome: Outcome) -> Window:
        """Return the window with one more step."""
        items, sums = dict(self.items), dict(self.loss_sums)
        for task, loss in outcome.losses.items():
            count = outcome.counts.items[task]
            items[task] = items.get(task, 0) + count
            sums[task] = sums.get(task, 0.0) + loss * count
        return Window(items, sums, outcome.gradient_norm, {**self.gradient_norms, **outcome.gradient_norms})

    @property
    def losses(self) -> dict[str, float]:
        """Mean item loss of each task."""
        return {task: self.loss_sums[task] / items for task, items in self.items.items()}


class Stopwatch:
    """Real tokens per second since it was last read.

    Args:
        tokens: so far.
    """

    def __init__(self, tokens: int) -> None:
        self.restart(tokens)

    def restart(self, tokens: int) -> None:
        """Begin anew at so many tokens."""
        self._tokens = tokens
        self._started = time.perf_counter()

    def read(self, tokens: int) -> float:
        """Return the speed up to so many tokens, and begin anew there."""
        speed = (tokens - self._tokens) / (time.perf_counter() - self._started)
        self.restart(tokens)
        return speed
