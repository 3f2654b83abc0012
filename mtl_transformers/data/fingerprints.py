"""What makes two texts equal, and the numbers that stand for texts.

Owns the one notion of equality that splits, filters and checks share: letters, their marks and digits count; case,
width, punctuation, symbols and space do not. Does not know what equal texts are used for.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from hashlib import blake2b

import datasets
import numpy as np
import regex
from numpy.typing import NDArray

from mtl_transformers.data.columns import column_batches

BETWEEN_COLUMNS = "\x1f"  # stands in no normalised text

_Cell = str | Sequence[str | None] | None
_BETWEEN_WORDS = regex.compile(r"(?:[^\p{L}\p{M}\p{N}]|\p{Variation_Selector})+")


def normalize(text: _Cell) -> str:
    """Return what of a text counts: its words of letters, marks and digits, casefolded, by single spaces.

    A text without a letter or digit is itself, casefolded, so that ``:)`` and ``?`` differ.
    """
    if not isinstance(text, str):
        text = _joined(text)
    folded = unicodedata.normalize("NFKC", text).casefold()
    return _BETWEEN_WORDS.sub(" ", folded).strip() or " ".join(folded.split())


def normalized_texts(table: datasets.Dataset, text: Sequence[str]) -> Iterator[str]:
    """Yield each row's normalised text columns (text or lists of words), joined by `BETWEEN_COLUMNS`."""
    for row in _rows(table, text):
        yield BETWEEN_COLUMNS.join(map(normalize, row))


def written_texts(table: datasets.Dataset, text: Sequence[str]) -> Iterator[str]:
    """Yield each row's text columns as they are written, words by single spaces, joined by `BETWEEN_COLUMNS`."""
    for row in _rows(table, text):
        yield BETWEEN_COLUMNS.join(cell if isinstance(cell, str) else _joined(cell) for cell in row)


def _rows(table: datasets.Dataset, text: Sequence[str]) -> Iterator[tuple[_Cell, ...]]:
    for batch in column_batches(table, text):
        yield from zip(*(batch.column(name).to_pylist() for name in text), strict=True)


def _joined(words: Sequence[str | None] | None) -> str:
    return " ".join(word for word in words or () if word)


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
