"""The state of a training between two steps, and its form in a checkpoint.

With the weights and the optimizer's moments it is all there is: the plan, the dropout and the learning rate are
functions of the step.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, TypeVar

from mtl_transformers.training.evaluation import TaskScores
from mtl_transformers.training.ledger import Ledger
from mtl_transformers.training.selection import Standing
from mtl_transformers.training.window import Window

Number = TypeVar("Number", int, float)


@dataclass(frozen=True, slots=True)
class State:
    """The state of a training between two steps.

    Attributes:
        step: steps done, those that were left out included.
        ledger: what was trained.
        max_tokens: padded tokens of a micro-batch; halved when memory ran out.
        window: the steps since the last line of the log.
        evaluated: after which step the model was last scored.
        best: how the best model stands.
        best_scores: its scores.
        without_better: evaluations since.
        bad_steps: steps that were left out because a number was not finite.
    """

    step: int
    ledger: Ledger
    max_tokens: int
    window: Window = field(default_factory=Window)
    evaluated: int | None = None
    best: Standing | None = None
    best_scores: Mapping[str, TaskScores] = field(default_factory=dict)
    without_better: int = 0
    bad_steps: tuple[int, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return the state as JSON has it; numbers that are not finite are text."""
        plain: dict[str, Any] = _writable(asdict(self))
        return plain


def state_from_json(content: Mapping[str, Any]) -> State:
    """Read what `State.to_json` gave.

    Raises:
        KeyError, TypeError, ValueError, AttributeError, OverflowError: it is something else.
    """
    ledger, window, best = content["ledger"], content["window"], content["best"]
    return State(
        step=int(content["step"]),
        ledger=Ledger(
            rows=_numbers(ledger["rows"], int),
            labelled_rows=_numbers(ledger["labelled_rows"], int),
            skipped_rows=_numbers(ledger["skipped_rows"], int),
            skipped_labelled_rows=_numbers(ledger["skipped_labelled_rows"], int),
            tokens=int(ledger["tokens"]),
        ),
        max_tokens=int(content["max_tokens"]),
        window=Window(
            items=_numbers(window["items"], int),
            loss_sums=_numbers(window["loss_sums"], float),
            gradient_norm=float(window["gradient_norm"]),
            gradient_norms=_numbers(window["gradient_norms"], float),
        ),
        evaluated=None if content["evaluated"] is None else int(content["evaluated"]),
        best=best and Standing(int(best["step"]), score=float(best["score"]), shortfall=float(best["shortfall"])),
        best_scores={
            task: TaskScores(
                metrics=_numbers(of["metrics"], float),
                baseline=_numbers(of["baseline"], float),
                num_rows=int(of["num_rows"]),
            )
            for task, of in content["best_scores"].items()
        },
        without_better=int(content["without_better"]),
        bad_steps=tuple(map(int, content["bad_steps"])),
    )


def _numbers(content: Mapping[str, Any], kind: Callable[[Any], Number]) -> dict[str, Number]:
    return {str(name): kind(value) for name, value in content.items()}


def _writable(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _writable(of) for key, of in value.items()}
    if isinstance(value, tuple):
        return [_writable(of) for of in value]
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value
