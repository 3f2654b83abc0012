"""Finds rows that say the same: duplicates, and conflicts. Owns which rows are meant; drops none.

Works on numbers that stand for texts (`fingerprints`) and for labels (`label_codes`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mtl_transformers.data.label_codes import NULL


@dataclass(frozen=True, slots=True)
class Found:
    """Rows, and for each one a row that it was found by.

    Attributes:
        rows: ``[n]`` in order, each once.
        others: ``[n]`` of the same table, or of another where that is said.
    """

    rows: NDArray[np.int64]
    others: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.rows)


def duplicates_of(texts: NDArray[np.uint64], labels: Sequence[NDArray[np.int64]]) -> Found:
    """Find the rows whose text and labels all equal those of an earlier row; null equals null.

    Args:
        texts: ``[N]`` fingerprints.
        labels: ``[N]`` codes of each label column.

    Returns:
        The later rows, and the first row that each equals.
    """
    _, first, which = np.unique(row_codes(texts, labels), return_index=True, return_inverse=True)
    earliest = first[which]
    rows = np.flatnonzero(earliest != np.arange(len(texts)))
    return Found(rows, earliest[rows])


def conflicts_of(texts: NDArray[np.uint64], labels: NDArray[np.int64]) -> Found:
    """Find the rows whose text stands elsewhere with another label. A null label is unknown, and conflicts with none.

    Args:
        texts: ``[N]`` fingerprints.
        labels: ``[N]`` codes of a label column.

    Returns:
        All rows of such a text that have a label, and the first row of another label than theirs.
    """
    known = np.flatnonzero(labels != NULL)
    _, first, which = np.unique(texts[known], return_index=True, return_inverse=True)
    differs = labels[known] != labels[known][first[which]]
    if not differs.any():
        return Found(known[:0], known[:0])
    contested = np.zeros(len(first), dtype=bool)
    contested[which[differs]] = True
    second = np.full(len(first), -1, dtype=np.int64)  # of each text, the first row that differs from the first row
    second[which[differs][::-1]] = np.flatnonzero(differs)[::-1]
    rows = np.flatnonzero(contested[which])
    others = np.where(differs[rows], first[which[rows]], second[which[rows]])
    return Found(known[rows], known[others])


def row_codes(texts: NDArray[np.uint64], labels: Sequence[NDArray[np.int64]]) -> NDArray[np.int64]:
    """``[N]`` numbers that are equal where the text and all labels are."""
    codes: NDArray[np.int64] = np.unique(texts, return_inverse=True)[1]
    for column in labels:
        codes = np.unique(codes * (column.max(initial=NULL) + 2) + column + 1, return_inverse=True)[1]
    return codes
