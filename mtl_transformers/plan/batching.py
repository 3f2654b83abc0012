"""Batching: streams of reshuffled rows, and batches of rows of similar length.

Owns passes, length buckets and the cut of a bucket into batches. Which dataset's turn it is, is not
decided here (``mixing.py``, ``plan.py``). A *position* counts the rows of a stream over all its passes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from mtl_transformers.plan.mixing import random_bits

BUCKET_ROWS = 8192  # rows that are sorted by length together: 0.975 of the padded tokens are real, 0.28 unsorted


@dataclass(frozen=True, slots=True)
class StepRows:
    """The rows of a step.

    Attributes:
        datasets: ``[n]`` int16, index of each row's dataset.
        rows: ``[n]`` int64, index of each row in its dataset.
        lengths: ``[n]`` int32, tokens of each row's longest sequence.
    """

    datasets: NDArray[np.int16]
    rows: NDArray[np.int64]
    lengths: NDArray[np.int32]

    def __len__(self) -> int:
        return len(self.rows)

    def pick(self, index: NDArray[np.int64] | slice) -> StepRows:
        """Return the rows at some places, in that order."""
        return StepRows(self.datasets[index], self.rows[index], self.lengths[index])


def permutation(num: int, *key: int | str) -> NDArray[np.int64]:
    """Shuffle ``0 … num - 1`` as a function of the key alone."""
    return np.argsort(random_bits(num, *key), kind="stable")


class RowStream:
    """A dataset's rows, pass after pass, each pass in an order of its own.

    Position ``i`` belongs to pass ``i // num_rows``, so no row comes twice before all came once. The order
    depends on seed, name and pass alone: other datasets change nothing.

    Args:
        name: of the dataset.
        num_rows: rows of one pass, at least 1.
        seed: of the orders.
    """

    _PASSES_HELD = 2  # a bucket may end one pass and begin the next

    def __init__(self, name: str, *, num_rows: int, seed: int) -> None:
        self.name = name
        self.num_rows = num_rows
        self._seed = seed
        self._held: dict[int, NDArray[np.integer]] = {}

    def rows(self, start: int, stop: int) -> NDArray[np.int64]:
        """Return the row at each position from ``start`` to ``stop`` (exclusive), int64."""
        passes = range(start // self.num_rows, (stop - 1) // self.num_rows + 1)
        parts = [
            self._order(number)[max(start - number * self.num_rows, 0) : stop - number * self.num_rows]
            for number in passes
        ]
        return np.concatenate([np.empty(0, np.int64), *parts])

    def _order(self, number: int) -> NDArray[np.integer]:
        held = self._held.get(number)
        if held is None:
            small = np.int32 if self.num_rows < 2**31 else np.int64  # half the memory of 10⁷ rows
            held = permutation(self.num_rows, self._seed, "pass", self.name, number).astype(small)
            while len(self._held) >= self._PASSES_HELD:
                self._held.pop(next(iter(self._held)))
            self._held[number] = held
        return held


class Source(Protocol):
    """An endless sequence of rows that batches are cut from."""

    def take(self, start: int, stop: int) -> StepRows:
        """Return the rows at the positions from ``start`` to ``stop`` (exclusive)."""


@dataclass(frozen=True, slots=True)
class DatasetRows:
    """The source of steps with one dataset: its stream, as rows of a step."""

    dataset: int
    stream: RowStream
    lengths: NDArray[np.int32]

    def take(self, start: int, stop: int) -> StepRows:
        """Return the rows at some positions of the stream."""
        rows = self.stream.rows(start, stop)
        return StepRows(np.full(len(rows), self.dataset, np.int16), rows, self.lengths[rows])


class MergedRows:
    """The source of steps with many datasets: their streams, merged row by row in a given order.

    Args:
        sources: the stream of each dataset.
        order: ``[n]`` index of the dataset whose next row stands at each position.
        cursors: position of each dataset's stream where the merged one begins.
    """

    _MARK_EVERY = BUCKET_ROWS

    def __init__(self, sources: Sequence[DatasetRows], *, order: NDArray[np.int16], cursors: Sequence[int]) -> None:
        self._sources = sources
        self._order = order
        spans = range(0, len(order), self._MARK_EVERY)
        counts = [self._count(start, start + self._MARK_EVERY) for start in spans]
        self._marks = np.cumsum([np.asarray(cursors, np.int64), *counts], axis=0)

    def take(self, start: int, stop: int) -> StepRows:
        """Return the rows at some positions of the merged stream."""
        datasets = self._order[start:stop]
        mark = start // self._MARK_EVERY
        begin = self._marks[mark] + self._count(mark * self._MARK_EVERY, start)
        rows = np.empty(len(datasets), np.int64)
        lengths = np.empty(len(datasets), np.int32)
        for dataset in np.unique(datasets).tolist():
            here = np.flatnonzero(datasets == dataset)
            position = int(begin[dataset])
            taken = self._sources[dataset].take(position, position + len(here))
            rows[here], lengths[here] = taken.rows, taken.lengths
        return StepRows(datasets, rows, lengths)

    def _count(self, start: int, stop: int) -> NDArray[np.int64]:
        return np.bincount(self._order[start:stop], minlength=len(self._sources))


class Cut(Protocol):
    """How a bucket becomes batches."""

    @property
    def unit(self) -> int:
        """Rows of a whole batch, which buckets are made of."""

    def edges(self, lengths: NDArray[np.int32]) -> NDArray[np.int64]:
        """Return ``[batches + 1]`` edges of the batches in a bucket of sorted lengths."""

    def counts(self, source: Source, buckets: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the number of batches of each bucket."""


@dataclass(frozen=True, slots=True)
class BySize:
    """Batches of at most ``unit`` rows, as equal as can be: their sizes differ by at most 1."""

    unit: int

    def edges(self, lengths: NDArray[np.int32]) -> NDArray[np.int64]:
        """Return ``[batches + 1]`` edges of the batches in a bucket of sorted lengths."""
        num_batches = -(-len(lengths) // self.unit)
        return np.arange(num_batches + 1) * len(lengths) // num_batches

    def counts(self, source: Source, buckets: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the number of batches of each bucket, from the buckets' sizes alone."""
        return -(-np.diff(buckets) // self.unit)


@dataclass(frozen=True, slots=True)
class ByTokens:
    """Batches of at most ``batch_tokens`` tokens (rows × longest); a longer row is a batch of its own.

    As few batches as a bucket allows, and the largest of them as small as that number allows.
    """

    batch_tokens: int
    unit: int = 1

    def edges(self, lengths: NDArray[np.int32]) -> NDArray[np.int64]:
        """Return ``[batches + 1]`` edges of the batches in a bucket of sorted lengths."""
        best = fill_up(lengths, self.batch_tokens)
        low, high = 1, self.batch_tokens
        while low < high:
            middle = (low + high) // 2
            tried = fill_up(lengths, middle)
            if len(tried) == len(best):
                best, high = tried, middle
            else:
                low = middle + 1
        return np.asarray(best)

    def counts(self, source: Source, buckets: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the number of batches of each bucket, from the lengths of its rows."""
        sizes = [
            len(fill_up(np.sort(source.take(start, stop).lengths), self.batch_tokens)) - 1
            for start, stop in pairwise(buckets.tolist())
        ]
        return np.asarray(sizes, np.int64)


def fill_up(lengths: NDArray[np.int32], max_tokens: int) -> list[int]:
    """Cut sorted lengths greedily into parts of at most ``max_tokens`` padded tokens (rows × longest).

    The fewest parts that the bound allows; a row that alone exceeds it is a part of its own.

    Args:
        lengths: ``[n]``, ascending.
        max_tokens: bound of a part.

    Returns:
        ``[parts + 1]`` edges, from 0 to n.
    """
    edges = [0]
    while edges[-1] < len(lengths):
        start = edges[-1]
        most = max(1, max_tokens // max(1, int(lengths[start])))
        costs = lengths[start : start + most].astype(np.int64)
        costs *= np.arange(1, len(costs) + 1)
        edges.append(start + max(1, int(np.searchsorted(costs, max_tokens, side="right"))))
    return edges


def pass_edges(start: int, stop: int, num_rows: int) -> list[int]:
    """Return the positions from ``start`` to ``stop`` at which a piece of one pass begins or ends."""
    return [start, *range((start // num_rows + 1) * num_rows, stop, num_rows), stop]


def bucket_edges(pieces: Sequence[int], *, unit: int) -> NDArray[np.int64]:
    """Divide each piece of a stream into equal buckets of about ``BUCKET_ROWS`` rows and whole batches.

    Args:
        pieces: edges of the pieces; no bucket crosses one.
        unit: rows of a whole batch. A piece's batches are of near-equal size over all its buckets.

    Returns:
        Edges of the buckets, among them those of the pieces.
    """
    edges = [pieces[0]]
    for start, stop in pairwise(pieces):
        num_batches = -(-(stop - start) // unit)
        num_buckets = -(-num_batches // max(1, BUCKET_ROWS // unit))
        for bucket in range(1, num_buckets + 1):
            batches = bucket * num_batches // num_buckets
            edges.append(start + batches * (stop - start) // num_batches)
    return np.asarray(edges, np.int64)


class BatchStream:
    """The batches of a source: buckets sorted by length, cut, and put in a seeded order.

    Args:
        source: of the rows.
        pieces: edges of the parts of the source that no batch crosses.
        cut: of a bucket into batches.
        key: what the order of a bucket's batches is a function of, beside its position.
    """

    def __init__(self, source: Source, *, pieces: Sequence[int], cut: Cut, key: tuple[int | str, ...]) -> None:
        self._source = source
        self._cut = cut
        self._key = key
        self._buckets = bucket_edges(pieces, unit=cut.unit)
        self._first = np.cumsum([0, *cut.counts(source, self._buckets)])
        self._held: tuple[int, list[StepRows]] = (-1, [])

    def __len__(self) -> int:
        return int(self._first[-1])

    def batch(self, number: int) -> StepRows:
        """Return a batch, its rows in the order of their lengths."""
        bucket = int(np.searchsorted(self._first, number, side="right")) - 1
        held, batches = self._held
        if held != bucket:
            batches = self._batches(bucket)
            self._held = (bucket, batches)
        return batches[number - int(self._first[bucket])]

    def _batches(self, bucket: int) -> list[StepRows]:
        start, stop = (int(edge) for edge in self._buckets[bucket : bucket + 2])
        rows = self._source.take(start, stop)
        rows = rows.pick(np.argsort(rows.lengths, kind="stable"))
        edges = self._cut.edges(rows.lengths)
        order = permutation(len(edges) - 1, *self._key, "batches", start)
        return [rows.pick(slice(edges[batch], edges[batch + 1])) for batch in order.tolist()]
