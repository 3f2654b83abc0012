"""Sums over processes: counts, flags and gradients. No wrapper around the network, no hooks.

Every micro-batch is backpropagated locally; then one reduction carries the flags and one the flattened gradients.
A loss that is Σ items ÷ global count makes their sum exact, also where a process has no row of a task.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from accelerate import Accelerator
from torch import Tensor
from torch.nn import Parameter


def sum_over_processes(values: Tensor, accelerator: Accelerator) -> Tensor:
    """Return the elementwise sum of a tensor over all processes."""
    if accelerator.num_processes == 1:
        return values
    total: Tensor = accelerator.reduce(values, reduction="sum")
    return total


def sum_gradients(parameters: Sequence[Parameter], flags: Tensor, accelerator: Accelerator) -> Tensor:
    """Sum gradients over processes in place, and return the summed flags.

    A parameter that no process has a gradient for keeps ``None``, so that the optimizer does not move it.

    Args:
        parameters: all trained parameters, in the same order on every process.
        flags: ``[F]`` float32, anything to be summed along.
        accelerator: of the run.

    Returns:
        ``[F]``, the sums.
    """
    if accelerator.num_processes == 1:
        return flags
    has_gradient = torch.tensor([float(p.grad is not None) for p in parameters], device=flags.device)
    sums = sum_over_processes(torch.cat([flags, has_gradient]), accelerator)
    used = [p for p, count in zip(parameters, sums[len(flags) :].tolist(), strict=True) if count > 0]
    if used:
        flat = torch.cat([torch.zeros_like(p).view(-1) if p.grad is None else p.grad.reshape(-1) for p in used])
        total = sum_over_processes(flat, accelerator)
        parts = torch.split(total, [p.numel() for p in used])
        for parameter, gradient in zip(used, parts, strict=True):
            parameter.grad = gradient.view_as(parameter).clone()  # a view may be misaligned, which changes bits
    return sums[: len(flags)]
