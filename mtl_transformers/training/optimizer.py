"""The optimizer and the learning rate's schedule. AdamW with decoupled decay (arXiv:1711.05101), fused."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Literal

import torch
from torch import Tensor
from torch.nn import Parameter
from torch.optim import AdamW

from mtl_transformers.errors import ConfigError
from mtl_transformers.model.network import Network

Schedule = Literal["linear", "cosine", "constant"]


def make_optimizer(network: Network, *, learning_rate: float, head_learning_rate: float, weight_decay: float) -> AdamW:
    """Return an AdamW over what is trained: encoder and heads, each with and without decay.

    Args:
        network: frozen parameters are left out.
        learning_rate: of the encoder.
        head_learning_rate: of the heads.
        weight_decay: not on vectors, which are biases and norms.

    Raises:
        ConfigError: everything is frozen.
    """
    groups = []
    for module, rate in ((network.encoder, learning_rate), (network.heads, head_learning_rate)):
        trained = [p for p in module.parameters() if p.requires_grad]
        matrices = [p for p in trained if p.ndim > 1]
        vectors = [p for p in trained if p.ndim <= 1]
        groups += [
            {"params": matrices, "lr": rate, "base_lr": rate, "weight_decay": weight_decay},
            {"params": vectors, "lr": rate, "base_lr": rate, "weight_decay": 0.0},
        ]
    trained_groups = [group for group in groups if group["params"]]
    if not trained_groups:
        raise ConfigError(
            "encoder.freeze: all, and no task has a head with weights, so there is nothing to train; freeze less"
        )
    return AdamW(trained_groups, fused=True)


def trained_parameters(optimizer: AdamW) -> list[Parameter]:
    """Return all trained parameters in the optimizer's order."""
    return [parameter for group in optimizer.param_groups for parameter in group["params"]]


def warmup_steps(warmup: float, *, num_steps: int) -> int:
    """Return the number of warm-up steps: a share of all below 1, else the number itself."""
    return round(warmup * num_steps) if warmup < 1 else int(warmup)


def learning_rate_factor(step: int, *, num_steps: int, num_warmup: int, schedule: Schedule) -> float:
    """Return what the learning rate is multiplied by in a step (from 0); no step has a factor of 0."""
    if step < num_warmup:
        return (step + 1) / num_warmup
    left = (num_steps - step) / max(1, num_steps - num_warmup)  # 1 in the first step after the warm-up
    match schedule:
        case "linear":
            return max(0.0, left)
        case "cosine":
            return 0.5 * (1 - math.cos(math.pi * max(0.0, left)))
        case "constant":
            return 1.0


def set_learning_rate(optimizer: AdamW, factor: float) -> None:
    """Set every group's rate to its base times a factor."""
    for group in optimizer.param_groups:
        group["lr"] = group["base_lr"] * factor


def gradient_norms(groups: Mapping[str, Sequence[Parameter]]) -> tuple[list[str], Tensor]:
    """Return the norm of each group's gradient, and of all of them together.

    Args:
        groups: parameters by name, on one device.

    Returns:
        The names of the groups that have a gradient; ``[G + 1]`` their norms, and last the norm of all.
    """
    gradients = {name: [p.grad for p in group if p.grad is not None] for name, group in groups.items()}
    used = [name for name, of in gradients.items() if of]
    if not used:
        return [], torch.zeros(1)
    norms = torch.stack([torch.nn.utils.get_total_norm(gradients[name]) for name in used])
    return used, torch.cat([norms, torch.linalg.vector_norm(norms)[None]])


def clip_gradients(parameters: Sequence[Parameter], max_norm: float, *, norm: Tensor) -> None:
    """Scale gradients, whose norm is too large, down to the largest one (arXiv:1211.5063, algorithm 1)."""
    torch.nn.utils.clip_grads_with_norm_([p for p in parameters if p.grad is not None], max_norm, norm)
