"""Micro-batches: padded sequences and the targets that point into them.

Owns the tensors that enter the network. Does not know what a label means: a kind of task builds its own
`Target` (``tasks/``).

Shapes: ``S`` sequences, ``L`` tokens of the longest, ``M`` vectors a target names, ``C`` outputs of a head.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from mtl_transformers.text.encoding import Features
from mtl_transformers.text.padding import padded


@dataclass(frozen=True, slots=True)
class Target:
    """Which vectors of a micro-batch a task reads, and their labels.

    Attributes:
        sequences: ``[M]`` int64, index of the sequence that holds each vector.
        positions: ``[M]`` int64, its token position; ``None`` where a head reads the pooled sequence.
        labels: ``[M]`` int64 or ``[M, C]`` float32, NaN where a cell has no label; ``None`` in prediction.
        groups: ``[M]`` int64, number of what a vector is compared within (the options of a row, the tokens of a window,
            the rows of a unit), ascending; ``None`` where each vector stands for itself.
        weights: ``[M]`` float32, factors of the item losses; ``None``: all 1. They do not change `num_items`.
        num_items: what the task's loss is averaged over (rows, cells or words); 0 in prediction.
        num_rows: labelled rows; 0 in prediction.
    """

    sequences: Tensor
    positions: Tensor | None = None
    labels: Tensor | None = None
    groups: Tensor | None = None
    weights: Tensor | None = None
    num_items: int = 0
    num_rows: int = 0

    def to(self, device: torch.device) -> Target:
        """Return the target on another device."""
        return replace(
            self,
            sequences=self.sequences.to(device),
            positions=None if self.positions is None else self.positions.to(device),
            labels=None if self.labels is None else self.labels.to(device),
            groups=None if self.groups is None else self.groups.to(device),
            weights=None if self.weights is None else self.weights.to(device),
        )


@dataclass(frozen=True, slots=True)
class MicroBatch:
    """The sequences that go through one process's encoder at once, and the targets on them.

    Attributes:
        input_ids: ``[S, L]`` int64, padded.
        attention_mask: ``[S, L]`` int64, 1 on real tokens.
        token_type_ids: ``[S, L]`` int64, or ``None`` where the encoder has no token types.
        targets: by task name; a task without a labelled row here is absent.
        rows: the (dataset, row) pairs that the sequences come from.
    """

    input_ids: Tensor
    attention_mask: Tensor
    token_type_ids: Tensor | None = None
    targets: Mapping[str, Target] = field(default_factory=dict)
    rows: tuple[tuple[str, int], ...] = ()

    @property
    def num_tokens(self) -> int:
        """Real (unpadded) tokens."""
        return int(self.attention_mask.sum())

    def to(self, device: torch.device) -> MicroBatch:
        """Return the micro-batch on another device."""
        return replace(
            self,
            input_ids=self.input_ids.to(device),
            attention_mask=self.attention_mask.to(device),
            token_type_ids=None if self.token_type_ids is None else self.token_type_ids.to(device),
            targets={name: target.to(device) for name, target in self.targets.items()},
        )


def pad(sequences: Sequence[Sequence[int]], value: int) -> Tensor:
    """Stack sequences of unequal length into ``[S, L]`` int64, padded with a value on the right."""
    return torch.from_numpy(padded(sequences, value))


def collate(
    features: Sequence[Features],
    *,
    pad_id: int,
    targets: Mapping[str, Target] | None = None,
    rows: Sequence[tuple[str, int]] = (),
) -> MicroBatch:
    """Pad the sequences of some rows into one micro-batch.

    Args:
        features: the rows; the sequences of a row stay together, in order.
        pad_id: the tokenizer's padding token.
        targets: what the heads read, built against the same order of sequences.
        rows: (dataset, row) of each of ``features``.
    """
    ids = [sequence for row in features for sequence in row.input_ids]
    types = [sequence for row in features for sequence in row.token_type_ids]
    return MicroBatch(
        input_ids=pad(ids, pad_id),
        attention_mask=pad([[1] * len(sequence) for sequence in ids], 0),
        token_type_ids=pad(types, 0) if types else None,
        targets=targets or {},
        rows=tuple(rows),
    )
