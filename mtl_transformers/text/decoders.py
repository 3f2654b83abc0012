"""Decoders: what of the encoder's output a task reads, and how its logits become predictions, as plain values.

A fitted task has one (`Task.decoder`); it is all that a runtime without torch knows of the task. Owns the contract and
the pointers; the arithmetic is ``decoding.py``'s and its neighbours', each kind's decoder ``kinds_of_decoder.py``'s.

Shapes: ``M`` vectors that a head reads of some rows, ``C`` its outputs.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from mtl_transformers.text.encoding import Features, Form

Vectors = Literal["sequence", "sequences", "token"]
"""What a head reads: a row's first sequence, each of its sequences, or tokens."""

Prediction = dict[str, Any] | list[dict[str, Any]]
"""The JSON object of one task for one row (DESIGN §4 "Predictions")."""

Logits = NDArray[np.float32]
Pointers = tuple[NDArray[np.int64], NDArray[np.int64] | None]


@dataclass(frozen=True, kw_only=True)
class Decoder(ABC):
    """What a task reads, and what its logits mean."""

    vectors: ClassVar[Vectors]

    @abstractmethod
    def decode(
        self,
        logits: Sequence[Logits],
        rows: Sequence[Features],
        *,
        texts: Sequence[str],
        form: Form,
        top_k: int | None = None,
    ) -> list[Prediction]:
        """Turn each row's logits ``[M_r, C]`` into its prediction.

        Args:
            logits: per row, the vectors that `pointers` named.
            rows: the encoded rows.
            texts: the raw text, or the words joined by one space.
            form: how the rows were given.
            top_k: classification also gives the probabilities of the k best labels.
        """

    def positions(self, row: Features) -> Sequence[Sequence[int]]:
        """Return, per sequence, the token positions that the head reads; of a decoder of tokens."""
        return row.word_positions

    def num_vectors(self, row: Features) -> int:
        """Return how many vectors the head reads of a row."""
        match self.vectors:
            case "sequence":
                return 1
            case "sequences":
                return row.num_sequences
        return sum(map(len, self.positions(row)))

    def pointers(self, rows: Sequence[Features], first_sequences: Sequence[int]) -> Pointers:
        """Return the sequence ``[M]`` of every vector that the head reads, and of tokens its position ``[M]``.

        Args:
            rows: encoded rows.
            first_sequences: index in the batch of each row's first sequence.
        """
        if self.vectors == "sequence":
            return np.asarray(first_sequences, dtype=np.int64), None
        sequences: list[int] = []
        positions: list[int] = []
        for row, start in zip(rows, first_sequences, strict=True):
            if self.vectors == "sequences":
                sequences += range(start, start + row.num_sequences)
                continue
            for offset, of_sequence in enumerate(self.positions(row)):
                sequences += [start + offset] * len(of_sequence)
                positions += of_sequence
        found = np.asarray(sequences, dtype=np.int64)
        return found, None if self.vectors == "sequences" else np.asarray(positions, dtype=np.int64)

    def to_json(self) -> dict[str, Any]:
        """Return the decoder as plain JSON, with its type."""
        return {"type": type(self).__name__, **asdict(self)}
