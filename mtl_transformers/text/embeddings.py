"""Embeddings as predictions: vectors of length 1, the cosine of two, and the nearest of many.

Numpy only, as ``decoding.py``. Does not pool (``model/heads.py``) or know labels.

Shapes: ``N`` rows, ``S`` texts of a row, ``D`` numbers of a vector.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import TypedDict

import numpy as np
from numpy.typing import NDArray

_AT_ONCE = 2**24  # cosines that are in memory at once
_SMALLEST = 1e-12  # length of a vector, below which it has no direction


class EmbeddingPrediction(TypedDict):
    """The embedding of a row's one text, of length 1."""

    embedding: list[float]


class SimilarityPrediction(TypedDict):
    """The embeddings of a row's two texts, of length 1, and their cosine."""

    embeddings: list[list[float]]
    score: float


def decode_embeddings(vectors: Sequence[NDArray[np.floating]]) -> list[EmbeddingPrediction | SimilarityPrediction]:
    """Give the vectors of each row's texts the length 1.

    Args:
        vectors: of each row, ``[S, D]`` of one text or of two.
    """
    predictions: list[EmbeddingPrediction | SimilarityPrediction] = []
    for of_row in vectors:
        wide = of_row.astype(np.float64)
        unit = wide / np.maximum(np.linalg.norm(wide, axis=1, keepdims=True), _SMALLEST)
        if len(unit) == 1:
            predictions.append(EmbeddingPrediction(embedding=unit[0].tolist()))
        else:
            predictions.append(SimilarityPrediction(embeddings=unit.tolist(), score=float(unit[0] @ unit[1])))
    return predictions


def nearest(queries: NDArray[np.float32], candidates: NDArray[np.float32]) -> NDArray[np.int64]:
    """Return ``[N]``, the candidate with the largest product with each query; of equal ones the first.

    Args:
        queries: ``[N, D]``.
        candidates: ``[M, D]``; a block of the products ``[N, M]`` is in memory at once.
    """
    block = max(1, _AT_ONCE // max(1, len(candidates)))
    found = [(queries[at : at + block] @ candidates.T).argmax(axis=1) for at in range(0, len(queries), block)]
    return np.concatenate(found)


def numbered(texts: Sequence[Hashable]) -> list[int]:
    """Return a number for each text, the same for equal ones."""
    numbers: dict[Hashable, int] = {}
    return [numbers.setdefault(text, len(numbers)) for text in texts]
