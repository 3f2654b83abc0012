"""Padding, and cutting rows into batches by padded tokens. Numpy only: tensors are ``batch.py``'s.

A *unit* is what a batch never separates: a row with its sequences, or several rows that are compared with each other.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


def padded(sequences: Sequence[Sequence[int]], value: int) -> NDArray[np.int64]:
    """Stack sequences of unequal length into ``[S, L]``, padded with a value on the right."""
    lengths = np.fromiter((len(sequence) for sequence in sequences), dtype=np.int64, count=len(sequences))
    filled = np.arange(lengths.max(initial=0)) < lengths[:, None]
    out = np.full(filled.shape, value, dtype=np.int64)
    out[filled] = np.concatenate([np.asarray(sequence, dtype=np.int64) for sequence in sequences])
    return out


def cut(
    lengths: Sequence[int], *, num_sequences: Sequence[int], max_tokens: int, min_parts: int = 1
) -> list[list[int]]:
    """Cut units into micro-batches of at most ``max_tokens`` padded tokens, units of similar length together.

    Args:
        lengths: tokens of the longest sequence of each unit.
        num_sequences: sequences of each unit, which are never separated.
        max_tokens: bound on sequences × longest length; a unit that alone exceeds it is a part of its own.
        min_parts: make at least this many parts (one per process) while units last.

    Returns:
        Indices of the units of each part: each once, sorted by length.
    """
    order = sorted(range(len(lengths)), key=lambda row: (lengths[row], row))
    parts: list[list[int]] = []
    sequences = 0
    for row in order:
        sequences += num_sequences[row]
        if not parts or sequences * lengths[row] > max_tokens:
            parts.append([])
            sequences = num_sequences[row]
        parts[-1].append(row)
    while len(parts) < min(min_parts, len(lengths)):
        largest = max(range(len(parts)), key=lambda part: (len(parts[part]) > 1, len(parts[part])))
        half = len(parts[largest]) // 2
        parts[largest : largest + 1] = [parts[largest][:half], parts[largest][half:]]
    return parts
