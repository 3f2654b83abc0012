"""Trainings in which one process of several gets into trouble. A script for torchrun.

    torchrun … tests/troubled.py OUT TROUBLE=CONFIG.yaml …

trains once for each trouble, and leaves OUT/TROUBLE-<process>.txt: how it ended there.
"""

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from mtl_transformers import MTLError
from mtl_transformers.batch import MicroBatch
from mtl_transformers.config import load_config
from mtl_transformers.inference.multitask import MultiTaskModel
from mtl_transformers.model.network import Network
from mtl_transformers.training import loop, update
from mtl_transformers.training.steps import item_losses

RANK = int(os.environ.get("RANK", "0"))
TROUBLED = 1  # the process


def little_memory(patch: pytest.MonkeyPatch) -> None:
    """Let one process have memory for 70 padded tokens, as a smaller device would."""
    parts = loop._parts

    def limited(*given: Any) -> Any:
        run = parts(*given)
        run.model.network.register_forward_pre_hook(refuse)
        return run

    def refuse(_: Network, given: tuple[MicroBatch, ...]) -> None:
        if RANK == TROUBLED and given[0].input_ids.numel() > 70:
            raise torch.OutOfMemoryError

    patch.setattr(loop, "_parts", limited)


def broken_kernel(patch: pytest.MonkeyPatch) -> None:
    """Let one process fail in its third step."""
    backward = update.Updater._backward_all

    def fails(self: Any, step: int, *given: Any) -> Any:
        if RANK == TROUBLED and step == 2:
            raise RuntimeError("a kernel of this process failed")
        return backward(self, step, *given)

    patch.setattr(update.Updater, "_backward_all", fails)


def broken_answer(patch: pytest.MonkeyPatch) -> None:
    """Let one process fail in an evaluation."""
    answer = MultiTaskModel.answer

    def fails(self: MultiTaskModel, *given: Any, **named: Any) -> Any:
        if RANK == TROUBLED:
            raise RuntimeError("an answer of this process failed")
        return answer(self, *given, **named)

    patch.setattr(MultiTaskModel, "answer", fails)


def infinite_loss(patch: pytest.MonkeyPatch) -> None:
    """Let the losses of its third micro-batch be infinite on one process."""
    calls: list[int] = []

    def losses(logits: Any, batch: MicroBatch, tasks: Any) -> Any:
        found = item_losses(logits, batch, tasks)
        calls.append(1)
        if RANK != TROUBLED or len(calls) != 3:
            return found
        return {name: loss * float("inf") for name, loss in found.items()}

    patch.setattr(update, "item_losses", losses)


TROUBLES: dict[str, Callable[[pytest.MonkeyPatch], None]] = {
    "memory": little_memory,
    "error": broken_kernel,
    "evaluation": broken_answer,
    "stopped": infinite_loss,
    "skipped": infinite_loss,
}


def ending(trouble: str, config: Path) -> str:
    """Train with a trouble, and return how this process ended."""
    with pytest.MonkeyPatch.context() as patch:
        TROUBLES[trouble](patch)
        try:
            return f"done, {loop.train(load_config(config)).num_steps} steps"
        except (MTLError, RuntimeError) as error:
            return f"{type(error).__name__}: {error}"


def main(out: Path, jobs: list[str]) -> None:
    """Train once for each job."""
    for job in jobs:
        trouble, _, config = job.partition("=")
        (out / f"{trouble}-{RANK}.txt").write_text(ending(trouble, Path(config)))


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
