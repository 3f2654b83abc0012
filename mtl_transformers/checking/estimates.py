"""How much memory and time a training would take here, estimated from one pass over a few rows of each dataset.

Owns the arithmetic. An estimate is one: rows of other lengths and other processes on the machine change it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch

from mtl_transformers.checking.start import Trial
from mtl_transformers.inference.precision import Precision
from mtl_transformers.training.experiment import Experiment

_BYTES = 4  # of a weight, of its gradient and of each of AdamW's two moments, all in fp32


@dataclass(frozen=True, slots=True)
class Estimate:
    """What one process would need.

    Attributes:
        device: that was tried.
        precision: likewise.
        weights: numbers in encoder and heads.
        trained_weights: those of them that are trained.
        weight_bytes: of weights, gradients and moments.
        activation_bytes: what a micro-batch of `max_tokens` keeps for its backward pass.
        tokens_per_second: real tokens, forward and backward, by dataset.
        seconds: of the passes over all rows of the plan; without updates, evaluations and saving.
    """

    device: str
    precision: str
    weights: int
    trained_weights: int
    weight_bytes: int
    activation_bytes: int
    tokens_per_second: Mapping[str, float]
    seconds: float

    @property
    def memory_bytes(self) -> int:
        """Of weights and a micro-batch; the program and its libraries are not counted."""
        return self.weight_bytes + self.activation_bytes


def estimate_of(
    experiment: Experiment, trials: Mapping[str, Trial], *, device: torch.device, precision: Precision
) -> Estimate:
    """Extend the trials to the whole plan and to the largest micro-batch."""
    parameters = list(experiment.network.parameters())
    weights = sum(parameter.numel() for parameter in parameters)
    trained = sum(parameter.numel() for parameter in parameters if parameter.requires_grad)
    speeds = {name: trial.tokens / trial.seconds for name, trial in trials.items()}
    planned = zip(experiment.plan.datasets, experiment.plan.rows_per_dataset, strict=True)
    max_tokens = experiment.config.training.max_tokens
    return Estimate(
        device=device.type,
        precision=precision,
        weights=weights,
        trained_weights=trained,
        weight_bytes=_BYTES * (weights + 3 * trained),
        activation_bytes=round(max(trial.saved_bytes / trial.padded_tokens for trial in trials.values()) * max_tokens),
        tokens_per_second=speeds,
        seconds=sum(rows * float(dataset.lengths.mean()) / speeds[dataset.name] for dataset, rows in planned),
    )
