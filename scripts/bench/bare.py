"""A bare PyTorch loop: forward, loss, backward, fused AdamW, nothing else. The yardstick of `train.py`.

It consumes micro-batches that were collated before the clock starts, one for each step. No clipping, no schedule, no
logging, no counting, no random state, no checks. The encoder is transformers' own, each head one linear layer.

Shapes: ``S`` sequences, ``L`` tokens, ``D`` hidden, ``M`` vectors a task reads, ``C`` outputs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim import AdamW
from transformers import AutoModel

LOSSES: Mapping[str, Callable[..., Tensor]] = {
    "classification": F.cross_entropy,
    "token_classification": F.cross_entropy,
    "multi_label": F.binary_cross_entropy_with_logits,
    "regression": F.mse_loss,
}


@dataclass(frozen=True, slots=True)
class BareBatch:
    """One step.

    Attributes:
        inputs: what the encoder takes, ``[S, L]`` each.
        targets: by task: sequences ``[M]``, positions ``[M]``, labels ``[M]`` or ``[M, C]``.
    """

    inputs: Mapping[str, Tensor]
    targets: Mapping[str, tuple[Tensor, Tensor, Tensor]]


class BareLoop:
    """The encoder in ``path``, a linear head for each task (kind and number of outputs), and their AdamW."""

    def __init__(self, path: str, tasks: Mapping[str, tuple[str, int]], *, learning_rate: float) -> None:
        self.encoder = AutoModel.from_pretrained(path, dtype=torch.float32, add_pooling_layer=False).train()
        self.heads = {name: nn.Linear(self.encoder.config.hidden_size, size) for name, (_, size) in tasks.items()}
        self.losses = {name: LOSSES[kind] for name, (kind, _) in tasks.items()}
        parameters = [
            *self.encoder.parameters(),
            *(p for head in self.heads.values() for p in head.parameters()),
        ]
        self.optimizer = AdamW(parameters, lr=learning_rate, fused=True)

    def train(self, batches: Iterable[BareBatch]) -> None:
        """Make one step of each batch."""
        for batch in batches:
            with torch.autocast("cpu", dtype=torch.bfloat16):
                hidden = self.encoder(**batch.inputs).last_hidden_state  # [S, L, D]
                logits = {
                    name: self.heads[name](hidden[sequences, positions])  # [M, C]
                    for name, (sequences, positions, _) in batch.targets.items()
                }
            losses = [self.losses[name](logits[name].float(), labels) for name, (_, _, labels) in batch.targets.items()]
            torch.stack(losses).sum().backward()  # type: ignore[no-untyped-call]  # torch's gap
            self.optimizer.step()
            self.optimizer.zero_grad(set_to_none=True)
