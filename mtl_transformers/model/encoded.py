"""What the encoder gives of a micro-batch, and what heads read.

Shapes: ``S`` sequences, ``L`` tokens, ``D`` hidden, ``V`` tokens of the vocabulary, ``E`` size of their vectors.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True, slots=True)
class Encoded:
    """An encoded micro-batch.

    Attributes:
        last: ``[S, L, D]``, the last layer.
        mask: ``[S, L]``, 1 on real tokens.
        layers: the embeddings' output and each layer's, ``[S, L, D]``, ``last`` at the end; empty unless asked for.
        embeddings: ``[V, E]``, the vectors of the vocabulary, for heads that share them; ``None`` unless asked for.
    """

    last: Tensor
    mask: Tensor
    layers: tuple[Tensor, ...] = ()
    embeddings: Tensor | None = None
