"""One update: forward, weigh, backward, reduce, clip, step. Owns the arithmetic of a step and nothing between steps."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from accelerate import Accelerator
from torch import Tensor
from torch.amp import GradScaler
from torch.nn import Parameter
from torch.optim import AdamW

from mtl_transformers.batch import MicroBatch
from mtl_transformers.errors import ModelError
from mtl_transformers.inference.precision import Precision, autocast
from mtl_transformers.model.network import Network
from mtl_transformers.training.optimizer import clip_gradients, trained_parameters
from mtl_transformers.training.reduce import sum_gradients
from mtl_transformers.training.steps import Counts, TrainingData, count, item_losses, loss_factors, seed_dropout

_DIVERGED = "Lower training.learning_rate, or set training.precision: fp32"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a step did.

    Attributes:
        counts: what it held.
        losses: mean item loss of each task that had items.
        gradient_norm: before clipping.
    """

    counts: Counts
    losses: Mapping[str, float]
    gradient_norm: float


class Updater:
    """Moves the weights by one step at a time.

    Args:
        network: trained in place.
        data: the tasks, for counts and losses.
        optimizer: over the trained parameters; the caller sets its learning rate.
        accelerator: of the run.
        precision: of the forward pass.
        weights: of each task's loss.
        clip: largest norm of the gradient.
        seed: of the dropout.
    """

    def __init__(
        self,
        network: Network,
        data: TrainingData,
        optimizer: AdamW,
        accelerator: Accelerator,
        *,
        precision: Precision,
        weights: Mapping[str, float],
        clip: float | None,
        seed: int,
    ) -> None:
        self._network = network
        self._data = data
        self._tasks = data.all_tasks
        self._optimizer = optimizer
        self._parameters: list[Parameter] = trained_parameters(optimizer)
        self._accelerator = accelerator
        self._device: torch.device = accelerator.device
        self._precision = precision
        self._scaler = GradScaler(self._device.type, enabled=precision == "fp16")
        self._weights = weights
        self._clip = clip
        self._seed = seed

    def step(self, step: int, micro_batches: Sequence[tuple[int, MicroBatch]]) -> Outcome:
        """Make one update from this process's micro-batches.

        Args:
            step: its number, for the dropout and for messages.
            micro_batches: (number in the step, micro-batch).

        Raises:
            ModelError: a task's loss, or the gradient, is not finite.
        """
        self._network.train()  # unconditionally: the encoder comes from transformers in evaluation mode
        counts = count([batch for _, batch in micro_batches], self._data, self._accelerator)
        factors = loss_factors(counts, self._data, self._weights)
        sums = torch.zeros(len(self._tasks), device=self._device)
        for number, batch in micro_batches:
            seed_dropout(self._seed, step, number)
            sums += self._backward(batch.to(self._device), factors)
        sums = sum_gradients(self._parameters, sums, self._accelerator)
        losses = self._mean_losses(step, sums, counts)
        norm = self._move(step)
        return Outcome(counts, losses, norm)

    def _backward(self, batch: MicroBatch, factors: Mapping[str, float]) -> Tensor:
        """Add one micro-batch's gradients; return its summed item losses ``[T]``."""
        with autocast(self._precision, self._device):
            logits = self._network(batch)
        losses = item_losses(logits, batch, self._tasks)
        weighed = [loss * factors[name] for name, loss in losses.items() if name in factors]
        if weighed:  # a row whose words all lack a tag has a target without items
            self._scaler.scale(torch.stack(weighed).sum()).backward()  # type: ignore[no-untyped-call]
        nothing = torch.zeros((), device=self._device)
        return torch.stack([losses[name].detach() if name in losses else nothing for name in self._tasks])

    def _mean_losses(self, step: int, sums: Tensor, counts: Counts) -> dict[str, float]:
        losses = {
            name: value / counts.items[name]
            for name, value in zip(self._tasks, sums.tolist(), strict=True)
            if counts.items[name]
        }
        for name, value in losses.items():
            if not math.isfinite(value):
                raise ModelError(f"step {step}, task {name!r}: the loss is {value}. {_DIVERGED}")
        return losses

    def _move(self, step: int) -> float:
        """Clip, step, and drop the gradients, so that an idle head has none in the next step."""
        if all(parameter.grad is None for parameter in self._parameters):
            return 0.0
        self._scaler.unscale_(self._optimizer)
        norm = float(clip_gradients(self._parameters, self._clip))
        if not math.isfinite(norm) and self._precision != "fp16":  # fp16: the scaler leaves the step out
            raise ModelError(f"step {step}: the gradient's norm is {norm}, though each loss is finite. {_DIVERGED}")
        self._scaler.step(self._optimizer)
        self._scaler.update()
        self._optimizer.zero_grad(set_to_none=True)
        return norm
