"""Finds near-duplicates: rows whose pairs of neighbouring words overlap, without comparing every row with every other.

MinHash proposes (Broder, "On the resemblance and containment of documents", 1997; in bands, after Leskovec, Rajaraman
and Ullman, "Mining of Massive Datasets", §3.4), and the pairs themselves decide: what is found overlaps as it is said
to. All rows are signed together in numpy; datasketch, which signs them one by one, takes several times as long.
"""

from __future__ import annotations

from array import array
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence, Set
from dataclasses import dataclass
from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray

from mtl_transformers.data.fingerprints import BETWEEN_COLUMNS
from mtl_transformers.data.repeats import Found

HASHES = 128
FOUND = 0.99  # of the pairs of rows at the threshold, by the bands' chance to meet
MOST_COMPARED = 16  # rows of a bucket, and rows that one row is compared with: bounds the time where many are alike
_SIGNED_AT_ONCE = 1000  # rows
_EDGE = f" {BETWEEN_COLUMNS} "  # a word, where a text or a column begins or ends


def near_duplicates_of(texts: Sequence[str], labels: NDArray[np.int64], *, threshold: float) -> Found:
    """Find the rows that are near an earlier row of equal labels which is not found itself.

    Two rows are near when the Jaccard index of their pairs of neighbouring words is at least the threshold; where a
    text begins and ends counts as a word. What is found is near. What is equal is found; of what is just at the
    threshold, about one in a hundred is missed, and more where hundreds of rows are much alike.

    Args:
        texts: ``[N]`` normalised.
        labels: ``[N]`` a number for each combination of labels.
        threshold: in (0, 1).

    Returns:
        The later rows, and the earlier row that each is near.
    """
    pairs = _pairs(texts)
    found: dict[int, int] = {}
    members: dict[int, list[int]] = defaultdict(list)
    for row, buckets in _shared_buckets(pairs, labels, *bands_for(threshold)):
        own = pairs.of(row)
        meetings = Counter(other for bucket in buckets for other in members[bucket])
        likely = [other for other, _ in meetings.most_common(MOST_COMPARED)]
        near = next((other for other in likely if jaccard(own, pairs.of(other)) >= threshold), None)
        if near is not None:
            found[row] = near
            continue
        for bucket in buckets:
            if len(members[bucket]) < MOST_COMPARED:
                members[bucket].append(row)
    return Found(np.array(list(found), dtype=np.int64), np.array(list(found.values()), dtype=np.int64))


def jaccard(first: Set[int], second: Set[int]) -> float:
    """Return what is in both as a share of what is in either."""
    both = len(first & second)
    return both / (len(first) + len(second) - both)


def bands_for(threshold: float) -> tuple[int, int]:
    """Return how many bands of how many hashes: the longest ones that still find `FOUND` of what is at the threshold.

    Of two rows with Jaccard index t, one of b bands of r hashes is equal with probability 1 − (1 − tʳ)ᵇ.
    """
    lengths = range(1, HASHES + 1)
    fitting = [length for length in lengths if 1 - (1 - threshold**length) ** (HASHES // length) >= FOUND]
    length = max(fitting, default=1)
    return HASHES // length, length


@dataclass(frozen=True, slots=True)
class _Pairs:
    """The pairs of neighbouring words of all texts as numbers, one text after the other.

    Attributes:
        numbers: ``[P]``.
        starts: ``[N + 1]`` where each text begins, and where the last one ends.
    """

    numbers: NDArray[np.uint64]
    starts: NDArray[np.int64]

    def of(self, row: int) -> frozenset[int]:
        return frozenset(self.numbers[self.starts[row] : self.starts[row + 1]].tolist())


def _pairs(texts: Sequence[str]) -> _Pairs:
    known: dict[str, int] = {}
    words = array("Q")
    starts = array("q", [0])
    for text in texts:
        for word in f"{_EDGE}{text.replace(BETWEEN_COLUMNS, _EDGE)}{_EDGE}".split(" "):
            if word and word not in known:
                known[word] = int.from_bytes(blake2b(word.encode("utf-8", "surrogatepass"), digest_size=8).digest())
            if word:
                words.append(known[word])
        starts.append(len(words))
    numbers, edges = np.frombuffer(words, dtype=np.uint64), np.frombuffer(starts, dtype=np.int64)
    paired = numbers[:-1] * np.uint64(0x9E3779B97F4A7C15) + numbers[1:]  # odd, so that the order counts
    between = edges[1:-1] - 1  # a text's last word with the first one of the next
    return _Pairs(np.delete(paired, between), edges - np.arange(len(edges)))


def _shared_buckets(
    pairs: _Pairs, labels: NDArray[np.int64], bands: int, length: int
) -> Iterator[tuple[int, list[int]]]:
    """Yield each row that shares a bucket with another, and its shared buckets.

    Rows are in one bucket where their labels and a band of their signatures are equal.
    """
    keys = _keys(pairs, labels, bands, length)
    buckets = np.empty(keys.shape, dtype=np.int64)
    shared = np.empty(keys.shape, dtype=bool)
    for band in range(bands):
        _, which, counts = np.unique(keys[band], return_inverse=True, return_counts=True)
        buckets[band], shared[band] = which * bands + band, counts[which] > 1
    for row in np.flatnonzero(shared.any(axis=0)).tolist():
        yield row, buckets[shared[:, row], row].tolist()


def _keys(pairs: _Pairs, labels: NDArray[np.int64], bands: int, length: int) -> NDArray[np.uint64]:
    """``[bands, N]`` a number for each row's labels and band of hashes."""
    draw = np.random.Philox(key=0).random_raw
    factors, offsets, weights = draw(bands * length) | np.uint64(1), draw(bands * length), draw(bands * length)
    keys = np.empty((bands, len(labels)), dtype=np.uint64)
    for start in range(0, len(labels), _SIGNED_AT_ONCE):
        starts = pairs.starts[start : start + _SIGNED_AT_ONCE + 1]
        numbers = pairs.numbers[starts[0] : starts[-1]]
        signed = [
            np.minimum.reduceat(numbers * factor + offset, starts[:-1] - starts[0]) * weight
            for factor, offset, weight in zip(factors, offsets, weights, strict=True)
        ]
        keys[:, start : start + _SIGNED_AT_ONCE] = np.stack(signed).reshape(bands, length, -1).sum(axis=1)
    return keys + labels.astype(np.uint64) * draw(1)
