"""Trainings that are killed and resumed, as often as asked. Also a script for torchrun.

    torchrun … tests/resumed.py JOBS.json

runs every job (a config and its kills) in all processes.
"""

import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from mtl_transformers import train
from mtl_transformers.config import Config, load_config
from mtl_transformers.training import update
from mtl_transformers.training.loop import Result

Kill = tuple[int, int]
"""A step, from 0, and how many micro-batches of it this process has begun when the kill comes."""


class Killed(BaseException):
    """Stands for kill -9: nothing of ours catches it."""


def killed_run(config: Config, *, resume: bool | Path, kill: Kill) -> None:
    """Train until the kill comes."""
    begun: list[int] = []
    original = update.seed_dropout

    def seed_dropout(seed: int, step: int, micro_batch: int) -> None:
        begun.append(step)
        if (step, begun.count(step)) == kill:
            raise Killed
        original(seed, step, micro_batch)

    def sum_flags(*given: Any) -> Any:
        if begun[-1] == kill[0]:  # this process has fewer micro-batches of the step than another one
            raise Killed
        return reduced(*given)

    reduced = update.sum_flags
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(update, "seed_dropout", seed_dropout)
        patch.setattr(update, "sum_flags", sum_flags)
        with pytest.raises(Killed):
            train(config, resume=resume)


def interrupted_run(
    config: Config, kills: Sequence[Kill], *, sabotage: Callable[[pytest.MonkeyPatch], None] | None = None
) -> Result:
    """Train, with kills on the way; each time it is resumed from its newest checkpoint.

    Args:
        config: of the training.
        kills: in order.
        sabotage: breaks something before the last resumption.
    """
    for number, kill in enumerate(kills):
        killed_run(config, resume=number > 0, kill=kill)
    with pytest.MonkeyPatch.context() as patch:
        if sabotage is not None:
            sabotage(patch)
        return train(config, resume=bool(kills))


def kept_bytes(run: Path) -> dict[str, bytes]:
    """Return what a resumed run must have in common with an undisturbed one, bit for bit."""
    names = ("model.safetensors", "heads.safetensors", "tasks.json", "metrics.json")
    return {f"{model}/{name}": (run / model / name).read_bytes() for model in ("best", "last") for name in names}


def log_of(run: Path) -> list[dict[str, Any]]:
    """Return the lines of the log without the speed."""
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    return [{key: value for key, value in line.items() if key != "tokens_per_s"} for line in lines]


def main(jobs: Path) -> None:
    """Run the jobs of a file in this process of several."""
    for job in json.loads(jobs.read_text()):
        interrupted_run(load_config(job["config"]), [tuple(kill) for kill in job["kills"]])


if __name__ == "__main__":
    main(Path(sys.argv[1]))
