"""One update: forward, weigh, backward, reduce, clip, step. Owns the arithmetic of a step and nothing between steps.

What goes wrong in a step is agreed over all processes, and none of them has moved a weight then.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

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
from mtl_transformers.training.flags import Flags, flags_of
from mtl_transformers.training.memory import empty_cache, is_out_of_memory
from mtl_transformers.training.optimizer import clip_gradients, gradient_norms, trained_parameters
from mtl_transformers.training.reduce import attempt, end_together, sum_flags, sum_gradients
from mtl_transformers.training.steps import (
    Counts,
    NumberedBatches,
    TrainingData,
    count,
    item_losses,
    loss_factors,
    seed_dropout,
)
from mtl_transformers.training.stopping import Request

ENCODER, ALL = "the encoder", "the whole"  # no task can be called so
_NO_ROOM_FOR_MOMENTS = (
    "memory ran out in the optimizer, which holds two more numbers for each weight that is trained: set "
    "encoder.freeze, or take a smaller encoder"
)
_SMALLEST_SCALE = 1.0  # of fp16: with less, it is not the scale that makes gradients infinite


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a step did.

    Attributes:
        counts: what it held.
        losses: mean item loss of each task that had items.
        gradient_norm: before clipping.
        gradient_norms: likewise of each head that has a gradient.
        request: what was asked of any process.
    """

    counts: Counts
    losses: Mapping[str, float]
    gradient_norm: float
    gradient_norms: Mapping[str, float] = field(default_factory=dict)
    request: Request = Request.NONE


@dataclass(frozen=True, slots=True)
class NotFinite:
    """A loss or a gradient is not a finite number; no weight was moved.

    Attributes:
        counts: what the step held.
        losses: the mean item losses that are not finite, by task.
        gradient_norms: where each loss is finite: the norms that are not, by head, `ENCODER` and `ALL`.
    """

    counts: Counts
    losses: Mapping[str, float]
    gradient_norms: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class OutOfMemory:
    """Memory ran out on some process; no weight was moved."""


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
        self.scaler = GradScaler(accelerator.device.type, enabled=precision == "fp16")
        self._network = network
        self._data = data
        self._tasks = data.all_tasks
        self._optimizer = optimizer
        self._parameters: list[Parameter] = trained_parameters(optimizer)
        self._groups: dict[str, list[Parameter]] = {
            ENCODER: list(network.encoder.parameters()),
            **{task: list(network.head(task).parameters()) for task in network.task_names},
        }
        self._accelerator = accelerator
        self._device: torch.device = accelerator.device
        self._precision = precision
        self._weights = weights
        self._clip = clip
        self._seed = seed

    def step(
        self, step: int, read: Callable[[], NumberedBatches], *, request: Request = Request.NONE
    ) -> Outcome | NotFinite | OutOfMemory:
        """Make one update from this process's micro-batches.

        Args:
            step: its number, for the dropout.
            read: gives the micro-batches, each with its number in the step.
            request: what was asked of this process.

        Returns:
            What became of the step; the same on all processes.
        """
        self._network.train()  # unconditionally: the encoder comes from transformers in evaluation mode
        batches, error = attempt(read)
        counts = count([batch for _, batch in batches or ()], self._data, self._accelerator, error=error)
        outcome = None
        while outcome is None:  # fp16: again, with a smaller scale
            outcome = self._update(step, batches or (), counts, request)
            self._optimizer.zero_grad(set_to_none=True)  # None: an idle head does not move in the next step
        return outcome

    def _update(
        self, step: int, batches: NumberedBatches, counts: Counts, request: Request
    ) -> Outcome | NotFinite | OutOfMemory | None:
        """Do a step once; ``None``: the gradients were too large for fp16, and the scale is smaller now."""
        factors = loss_factors(counts, self._data, self._weights)
        sums, error = attempt(lambda: self._backward_all(step, batches, factors))
        flags, used = self._agree(sums, error, request)
        if flags.num_full:
            empty_cache(self._device)
            return OutOfMemory()
        end_together(error, num_failed=flags.num_failed)
        losses = {
            name: value / counts.items[name]
            for name, value in zip(self._tasks, flags.loss_sums, strict=True)
            if counts.items[name]
        }
        if wrong := _not_finite(losses):
            return NotFinite(counts, losses=wrong, gradient_norms={})
        sum_gradients(used, self._accelerator)
        moved, error = attempt(lambda: self._move(used))
        if is_out_of_memory(error):
            raise ModelError(_NO_ROOM_FOR_MOMENTS) from error
        end_together(error, num_failed=0)
        norms = moved or {}
        if wrong := _not_finite(norms):
            return None if self._smaller_scale() else NotFinite(counts, losses={}, gradient_norms=wrong)
        total = norms.pop(ALL)
        norms.pop(ENCODER, None)
        return Outcome(counts, losses, gradient_norm=total, gradient_norms=norms, request=flags.request)

    def _backward_all(self, step: int, batches: NumberedBatches, factors: Mapping[str, float]) -> Tensor:
        """Add the gradients of this process's micro-batches; return their summed item losses ``[T]``."""
        sums = torch.zeros(len(self._tasks), device=self._device)
        for number, batch in batches:
            seed_dropout(self._seed, step, number)
            sums += self._backward(batch.to(self._device), factors)
        return sums

    def _backward(self, batch: MicroBatch, factors: Mapping[str, float]) -> Tensor:
        with autocast(self._precision, self._device):
            logits = self._network(batch)
        losses = item_losses(logits, batch, self._tasks)
        weighed = [loss * factors[name] for name, loss in losses.items() if name in factors]
        if weighed:  # a row whose words all lack a tag has a target without items
            self.scaler.scale(torch.stack(weighed).sum()).backward()  # type: ignore[no-untyped-call]
        nothing = torch.zeros((), device=self._device)
        return torch.stack([losses[name].detach() if name in losses else nothing for name in self._tasks])

    def _agree(self, sums: Tensor | None, error: Exception | None, request: Request) -> tuple[Flags, list[Parameter]]:
        """Tell the other processes how this one fared, and learn it of them: one reduction."""
        own = Flags(
            loss_sums=[0.0] * len(self._tasks) if sums is None else sums.tolist(),
            num_full=int(is_out_of_memory(error)),
            num_failed=int(error is not None),
            request=request,
        )
        if self._accelerator.num_processes == 1:
            return own, [parameter for parameter in self._parameters if parameter.grad is not None]
        summed, used = sum_flags(self._parameters, own.to_tensor(self._device), self._accelerator)
        return flags_of(summed, num_tasks=len(self._tasks)), used

    def _move(self, used: Sequence[Parameter]) -> dict[str, float]:
        """Clip and step where the gradient is finite; return its norms by part, and of all."""
        if not used:
            return {ALL: 0.0}
        self.scaler.unscale_(self._optimizer)
        names, norms = gradient_norms(self._groups)
        by_name = dict(zip([*names, ALL], norms.tolist(), strict=True))
        if not _not_finite(by_name):
            if self._clip is not None and by_name[ALL] > self._clip:
                clip_gradients(used, self._clip, norm=norms[-1])
            self.scaler.step(self._optimizer)
            self.scaler.update()
        return by_name

    def _smaller_scale(self) -> bool:
        """Halve the scale of fp16; tell whether the scale may have been the reason."""
        scale: float = self.scaler.get_scale()
        self.scaler.update()  # `unscale_` noted that a gradient is infinite
        return self.scaler.is_enabled() and scale > _SMALLEST_SCALE


def _not_finite(values: Mapping[str, float]) -> dict[str, float]:
    return {name: value for name, value in values.items() if not math.isfinite(value)}
