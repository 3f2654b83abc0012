"""The numbers that stand for texts, equal where the texts are.

Owns the texts of a table's rows, and their hashes; what makes two texts equal is ``text/normalizing.py``'s. Does not
know what equal texts are used for.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from hashlib import blake2b

import datasets
import numpy as np
from numpy.typing import NDArray

from mtl_transformers.data.columns import column_batches
from mtl_transformers.text.normalizing import Cell, joined, normalize

BETWEEN_COLUMNS = "\x1f"  # stands in no normalised text


def normalized_texts(table: datasets.Dataset, text: Sequence[str]) -> Iterator[str]:
    """Yield each row's normalised text columns (text or lists of words), joined by `BETWEEN_COLUMNS`."""
    for row in _rows(table, text):
        yield BETWEEN_COLUMNS.join(map(normalize, row))


def written_texts(table: datasets.Dataset, text: Sequence[str]) -> Iterator[str]:
    """Yield each row's text columns as they are written, words by single spaces, joined by `BETWEEN_COLUMNS`."""
    for row in _rows(table, text):
        yield BETWEEN_COLUMNS.join(cell if isinstance(cell, str) else joined(cell) for cell in row)


def _rows(table: datasets.Dataset, text: Sequence[str]) -> Iterator[tuple[Cell, ...]]:
    for batch in column_batches(table, text):
        yield from zip(*(batch.column(name).to_pylist() for name in text), strict=True)


def fingerprints(texts: Iterable[str]) -> NDArray[np.uint64]:
    """``[N]`` a number for each text, equal where the texts are equal.

    Of a million texts, two different ones share a number with a probability of 3e-8.
    """
    return np.frombuffer(b"".join(blake2b(_bytes(text), digest_size=8).digest() for text in texts), dtype=np.uint64)


def places(texts: Iterable[str], *, seed: int) -> NDArray[np.float64]:
    """``[N]`` each text's place in [0, 1), which depends on the text and the seed only."""
    key = seed.to_bytes(16, "big", signed=True)
    digests = (blake2b(_bytes(text), digest_size=6, key=key).digest() for text in texts)
    return np.fromiter((int.from_bytes(digest, "big") / 2**48 for digest in digests), dtype=np.float64)


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")
