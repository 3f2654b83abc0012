"""What processes tell each other: sums of counts, flags and gradients, and errors. The network is not wrapped.

Every micro-batch is backpropagated locally; then one reduction carries the flags and one the flattened gradients.
A loss that is Σ items ÷ global count makes their sum exact, also where a process has no row of a task.

A process that fails goes on to the next reduction and says so there: none waits for one that is gone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar, cast

import torch
from accelerate import Accelerator
from accelerate.utils import broadcast_object_list
from torch import Tensor
from torch.nn import Parameter

from mtl_transformers.errors import MTLError
from mtl_transformers.training.stopping import Request

Made = TypeVar("Made")
_TOLD = "{} other process(es) failed; the message above or in their log says why"


class OtherProcessError(MTLError):
    """Another process failed; its own message says why."""


def attempt(call: Callable[[], Made]) -> tuple[Made | None, Exception | None]:
    """Return what a call gives, or the error that it ends in; `end_together` raises it after the next reduction."""
    try:
        return call(), None
    except Exception as error:  # noqa: BLE001  # raised again once the other processes know
        return None, error


def end_together(error: Exception | None, *, num_failed: int) -> None:
    """Raise this process's error, or say that another process has one.

    Args:
        error: of this process.
        num_failed: of all processes, from a reduction.

    Raises:
        OtherProcessError: only others failed.
    """
    if error is not None:
        raise error
    if num_failed:
        raise OtherProcessError(_TOLD.format(num_failed))


def from_main_process(call: Callable[[], Made], accelerator: Accelerator) -> Made:
    """Let the first process do something, and give its result to all.

    Raises:
        MTLError: which the call raises, on every process; of any other error the first one raises it itself.
    """
    made, error = attempt(call) if accelerator.is_main_process else (None, None)
    if accelerator.num_processes > 1:
        told = error if error is None or isinstance(error, MTLError) else OtherProcessError(_TOLD.format(1))
        shared: list[Any] = [made, told]
        broadcast_object_list(shared)
        made, told = shared
        error = error or told
    if error is not None:
        raise error
    return cast(Made, made)


def sum_over_processes(values: Tensor, accelerator: Accelerator) -> Tensor:
    """Return the elementwise sum of a tensor over all processes."""
    if accelerator.num_processes == 1:
        return values
    total: Tensor = accelerator.reduce(values, reduction="sum")
    return total


def largest_request(request: Request, accelerator: Accelerator, *, error: Exception | None) -> Request:
    """Return the most urgent of what was asked of the processes.

    Raises:
        OtherProcessError: another process has an error; this one's is raised as it is.
    """
    own = [float(error is not None), *(float(request == kind) for kind in Request)]
    num_failed, *asked = sum_over_processes(torch.tensor(own, device=accelerator.device), accelerator).tolist()
    end_together(error, num_failed=int(num_failed))
    return max(kind for kind, number in zip(Request, asked, strict=True) if number)


def sum_flags(
    parameters: Sequence[Parameter], flags: Tensor, accelerator: Accelerator
) -> tuple[Tensor, list[Parameter]]:
    """Sum flags over processes; with them goes which parameters have a gradient anywhere.

    Args:
        parameters: all trained parameters, in the same order on every process.
        flags: ``[F]`` float32, anything to be summed along.
        accelerator: of the run.

    Returns:
        ``[F]``, the sums; and the parameters that some process has a gradient for.
    """
    has_gradient = torch.tensor([float(p.grad is not None) for p in parameters], device=flags.device)
    sums = sum_over_processes(torch.cat([flags, has_gradient]), accelerator)
    used = [p for p, count in zip(parameters, sums[len(flags) :].tolist(), strict=True) if count > 0]
    return sums[: len(flags)], used


def sum_gradients(used: Sequence[Parameter], accelerator: Accelerator) -> None:
    """Sum gradients over processes in place.

    A parameter that no process has a gradient for keeps ``None``, so that the optimizer does not move it.

    Args:
        used: what `sum_flags` returned.
        accelerator: of the run.
    """
    if accelerator.num_processes == 1 or not used:
        return
    flat = torch.cat([torch.zeros_like(p).view(-1) if p.grad is None else p.grad.reshape(-1) for p in used])
    parts = torch.split(sum_over_processes(flat, accelerator), [p.numel() for p in used])
    for parameter, gradient in zip(used, parts, strict=True):
        parameter.grad = gradient.view_as(parameter).clone()  # a view may be misaligned, which changes bits
