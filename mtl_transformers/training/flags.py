"""The flags that travel with the gradients: how each process fared in a step, and what was asked of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from mtl_transformers.training.stopping import Request

_REQUESTS = [kind for kind in Request if kind is not Request.NONE]


@dataclass(frozen=True, slots=True)
class Flags:
    """How a step went, on one process or on all.

    Attributes:
        loss_sums: summed item losses of each task, in their order.
        num_full: processes whose memory ran out.
        num_failed: processes that ended in any error, that one included.
        request: what was asked; of several the most urgent.
    """

    loss_sums: Sequence[float]
    num_full: int
    num_failed: int
    request: Request

    def to_tensor(self, device: torch.device) -> Tensor:
        """Return ``[T + 2 + kinds of requests]`` float32, to be summed over processes."""
        asked = [float(self.request == kind) for kind in _REQUESTS]
        return torch.tensor([*self.loss_sums, self.num_full, self.num_failed, *asked], device=device)


def flags_of(summed: Tensor, *, num_tasks: int) -> Flags:
    """Read the sum of what `Flags.to_tensor` gave on each process."""
    values = summed.tolist()
    num_full, num_failed, *asked = values[num_tasks:]
    requests = [kind for kind, number in zip(_REQUESTS, asked, strict=True) if number]
    return Flags(values[:num_tasks], int(num_full), int(num_failed), max(requests, default=Request.NONE))
