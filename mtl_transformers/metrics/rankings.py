"""Measures of one ranked list: reciprocal rank, average precision and NDCG, from scores and relevances.

Candidates of equal score have no order. So each measure is its mean over all orders that the scores allow (McSherry and
Najork 2008, "Computing Information Retrieval Performance Measures Efficiently in the Presence of Tied Scores"): a model
that scores all candidates alike gains nothing from a table that lists the right one first.

Shapes: ``K`` candidates. A relevance is 0 or more; *relevant* means above 0.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import comb

import numpy as np
from numpy.typing import ArrayLike, NDArray

_Numbers = NDArray[np.float64]


def reciprocal_rank(scores: ArrayLike, relevances: ArrayLike) -> float:
    """Return 1 ÷ the place of the first relevant candidate; 0 where none is relevant."""
    for start, tied in _ties(scores, relevances):
        size, relevant = len(tied), int((tied > 0).sum())
        if relevant:
            firsts = range(size - relevant + 1)  # places that the first relevant one may have among its equals
            ways = ((comb(size - 1 - first, relevant - 1), start + first + 1) for first in firsts)
            return sum(number / place for number, place in ways) / comb(size, relevant)
    return 0.0


def average_precision(scores: ArrayLike, relevances: ArrayLike) -> float:
    """Return the mean, over the relevant candidates, of the precision at their places; 0 where none is relevant."""
    total, before = 0.0, 0
    for start, tied in _ties(scores, relevances):
        size, relevant = len(tied), int((tied > 0).sum())
        places = np.arange(size)
        others = places * (relevant - 1) / max(1, size - 1)  # relevant ones that stand above, among its equals
        total += relevant / size * float(((before + others + 1) / (start + places + 1)).sum())
        before += relevant
    return total / before if before else 0.0


def ndcg(scores: ArrayLike, relevances: ArrayLike, *, first: int | None = None) -> float:
    """Return the discounted gain of the order against that of the best one; 0 where none is relevant.

    The gain is the relevance itself, the discount log2(place + 1) (Järvelin and Kekäläinen 2002).

    Args:
        scores: ``[K]``.
        relevances: ``[K]``.
        first: only the first places count; ``None``: all.
    """
    best = np.sort(np.asarray(relevances, dtype=np.float64))[::-1]
    places = np.arange(len(best))
    discounts = np.where(places < (len(best) if first is None else first), 1.0 / np.log2(places + 2.0), 0.0)
    ideal = float(best @ discounts)
    gained = (tied.mean() * discounts[start : start + len(tied)].sum() for start, tied in _ties(scores, relevances))
    return float(sum(gained)) / ideal if ideal else 0.0


def _ties(scores: ArrayLike, relevances: ArrayLike) -> Iterator[tuple[int, _Numbers]]:
    """Yield the relevances of candidates of equal score, the highest first, and how many stand above them."""
    ranked, gains = np.asarray(scores, dtype=np.float64), np.asarray(relevances, dtype=np.float64)
    order = np.argsort(-ranked, kind="stable")
    edges = np.flatnonzero(np.diff(ranked[order])) + 1
    yield from zip([0, *edges.tolist()], np.split(gains[order], edges), strict=True)
