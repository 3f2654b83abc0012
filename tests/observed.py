"""Trainings under observation: what each step trained, and what each process answered. Also a script for torchrun.

    torchrun … tests/observed.py JOBS.json OUT

runs every job (a config, and the name of a sabotage or null) in all processes, and leaves OUT/<job>-<rank>.json.
"""

import json
import sys
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from mtl_transformers.batch import MicroBatch
from mtl_transformers.config import Config, load_config
from mtl_transformers.inference.multitask import MultiTaskModel
from mtl_transformers.model.network import Network
from mtl_transformers.training import loop, update
from mtl_transformers.training.steps import NumberedBatches, count, item_losses, loss_factors
from mtl_transformers.training.update import Outcome, Updater

Sabotage = Callable[[pytest.MonkeyPatch], None]


def observed_run(
    config: Config,
    *,
    sabotage: Sabotage | None = None,
    watch: Callable[[Network], None] = lambda network: None,
    after_step: Callable[[Network], None] = lambda network: None,
) -> dict[str, Any]:
    """Train, and return as plain values what this process did.

    Args:
        config: of the training; an older run is replaced.
        sabotage: breaks something first.
        watch: sees the network before the first step; it keeps the last weights afterwards.
        after_step: sees the network after each step.

    Returns:
        ``parts``: for each step (number of the micro-batch, its (dataset, row) pairs) of this process; ``items``: for
        each step the items of each task over all processes; ``answered``: rows that this process predicted, by
        their token ids; ``scores`` and ``coverage``: by task.
    """
    seen: dict[str, list[Any]] = {"parts": [], "items": [], "answered": []}

    class ObservedUpdater(Updater):
        def __init__(self, network: Network, *given: Any, **named: Any) -> None:
            super().__init__(network, *given, **named)
            watch(network)

        def step(self, step: int, read: Callable[[], NumberedBatches], *, request: Any) -> Any:
            batches = read()
            seen["parts"].append([(number, batch.rows) for number, batch in batches])
            outcome = super().step(step, lambda: batches, request=request)
            if isinstance(outcome, Outcome):
                seen["items"].append(dict(outcome.counts.items))
            after_step(self._network)
            return outcome

    class ObservedModel(MultiTaskModel):
        def answer(self, features: Any, tasks: Any, **given: Any) -> Any:
            seen["answered"] += [[list(ids) for ids in row.input_ids] for row in features]
            return super().answer(features, tasks, **given)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loop, "Updater", ObservedUpdater)
        patch.setattr(loop, "MultiTaskModel", ObservedModel)
        if sabotage is not None:
            sabotage(patch)
        for event in loop.run(config, overwrite=True):
            last = event
    assert isinstance(last, loop.Result)
    scores = {name: asdict(of) for name, of in last.scores.items()}
    return {**seen, "scores": scores, "coverage": last.coverage, "num_steps": last.num_steps}


def divide_by_own_process(patch: pytest.MonkeyPatch) -> None:
    """Let each process divide by its own counts instead of those of the whole step."""
    own: list[Any] = []

    def counted(batches: Any, data: Any, accelerator: Any, **given: Any) -> Any:
        alone = SimpleNamespace(num_processes=1, device=accelerator.device)
        own.append(count(batches, data, alone))
        return count(batches, data, accelerator, **given)

    patch.setattr(update, "count", counted)
    patch.setattr(update, "loss_factors", lambda counts, data, weights: loss_factors(own[-1], data, weights))


def divide_by_own_micro_batch(patch: pytest.MonkeyPatch) -> None:
    """Let each micro-batch give the mean over its own items, as plain gradient accumulation does."""

    def means(logits: Any, batch: MicroBatch, tasks: Any) -> dict[str, Tensor]:
        sums = item_losses(logits, batch, tasks)
        return {name: loss / max(1, batch.targets[name].num_items) for name, loss in sums.items()}

    def factors(counts: Any, data: Any, weights: Mapping[str, float]) -> dict[str, float]:
        given = loss_factors(counts, data, weights)
        return {name: factor * counts.items[name] for name, factor in given.items()}

    patch.setattr(update, "item_losses", means)
    patch.setattr(update, "loss_factors", factors)


SABOTAGE: dict[str | None, Sabotage | None] = {None: None, "own_process": divide_by_own_process}


def weights_of(model: Path) -> dict[str, Tensor]:
    """Return all weights of a model directory but ``key.bias`` of the attention.

    Its true gradient is 0 (softmax ignores what is added to every key's score), so what AdamW moves there is rounding
    noise, divided by its own size.
    """
    encoder, heads = load_file(model / "model.safetensors"), load_file(model / "heads.safetensors")
    return {name: tensor for name, tensor in {**encoder, **heads}.items() if not name.endswith("key.bias")}


def largest_difference(one: Mapping[str, Tensor], other: Mapping[str, Tensor]) -> float:
    """Return the largest absolute difference between two sets of weights of the same names."""
    assert one.keys() == other.keys()
    return max(float((one[name] - other[name]).abs().max()) for name in one)


def main(jobs: Path, out: Path) -> None:
    """Run the jobs of a file in this process of several."""
    for name, job in json.loads(jobs.read_text()).items():
        seen = observed_run(load_config(job["config"]), sabotage=SABOTAGE[job["sabotage"]])
        (out / f"{name}-{torch.distributed.get_rank()}.json").write_text(json.dumps(seen))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
