"""How far probabilities can be believed, and what declining to answer would gain: functions of arrays.

Owns the reliability of confidences with its expected calibration error, the Brier score, the negative log-likelihood,
and the accuracy at each coverage. Fits nothing and draws nothing.

Shapes: ``N`` rows, ``C`` labels, ``B`` bins, ``K`` different confidences.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

NUM_BINS = 15  # as Guo et al. 2017, section 5
_SMALLEST = np.finfo(np.float64).tiny

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Reliability:
    """Rows in bins of equal width by their confidence.

    Attributes:
        edges: ``[B + 1]`` of the bins from 0 to 1; a bin holds its upper edge.
        counts: ``[B]`` rows.
        confidence: ``[B]`` their mean confidence; NaN in an empty bin.
        accuracy: ``[B]`` the share of them that is right; likewise.
    """

    edges: Floats
    counts: NDArray[np.int64]
    confidence: Floats
    accuracy: Floats

    @property
    def error(self) -> float:
        """The expected calibration error (Guo et al. 2017, arXiv:1706.04599, equation 3)."""
        filled = self.counts > 0
        gaps = np.abs(self.accuracy - self.confidence)[filled]
        return float((gaps * self.counts[filled]).sum() / self.counts.sum())


@dataclass(frozen=True, slots=True)
class Selection:
    """What is answered, and how well, when only confident rows are (El-Yaniv and Wiener 2010, section 2).

    Attributes:
        confidences: ``[K]`` the different ones, falling: rows from this confidence on are answered.
        coverage: ``[K]`` share of the rows that is answered.
        accuracy: ``[K]`` share of the answered ones that is right.
    """

    confidences: Floats
    coverage: Floats
    accuracy: Floats


def reliability(confidences: ArrayLike, right: ArrayLike, *, num_bins: int = NUM_BINS) -> Reliability:
    """Sort rows into bins by their confidence.

    Args:
        confidences: ``[N]`` probability of the answer.
        right: ``[N]`` 1 where it is right, or the probability that it is.
        num_bins: of equal width.
    """
    sure, hits = np.asarray(confidences, dtype=np.float64), np.asarray(right, dtype=np.float64)
    edges = np.linspace(0.0, 1.0, num_bins + 1)
    places = np.digitize(sure, edges[1:-1], right=True)
    counts = np.bincount(places, minlength=num_bins)
    means = [
        np.divide(
            np.bincount(places, weights=values, minlength=num_bins),
            counts,
            out=np.full(num_bins, np.nan),
            where=counts > 0,
        )
        for values in (sure, hits)
    ]
    return Reliability(edges, counts, *means)


def brier_score(probabilities: ArrayLike, targets: ArrayLike) -> float:
    """Return the mean over rows of the squared distance to the right label, from 0 to 2 (Brier 1950, equation 2).

    Args:
        probabilities: ``[N, C]``.
        targets: ``[N, C]`` 1 for the right label, or the probability of each.
    """
    distance = np.asarray(probabilities, dtype=np.float64) - np.asarray(targets, dtype=np.float64)
    return float((distance**2).sum(axis=1).mean())


def negative_log_likelihood(probabilities: ArrayLike, targets: ArrayLike) -> float:
    """Return the mean over rows of −log of the right label's probability, in nats.

    Args:
        probabilities: ``[N, C]``; a right label's 0 counts as the smallest number above it.
        targets: as of `brier_score`.
    """
    given = np.maximum(np.asarray(probabilities, dtype=np.float64), _SMALLEST)
    return float(-(np.asarray(targets, dtype=np.float64) * np.log(given)).sum(axis=1).mean())


def selection(confidences: ArrayLike, right: ArrayLike) -> Selection:
    """Return coverage and accuracy of answering the rows from each confidence on, the fewest first.

    Args:
        confidences: ``[N]`` of each answer.
        right: ``[N]`` whether it is right.
    """
    sure = np.asarray(confidences, dtype=np.float64)
    order = np.argsort(-sure, kind="stable")
    falling = sure[order]
    last = np.append(np.flatnonzero(np.diff(falling)), len(falling) - 1)  # of each group of equal confidences
    num_right = np.cumsum(np.asarray(right, dtype=np.float64)[order])[last]
    return Selection(falling[last], (last + 1) / len(falling), num_right / (last + 1))
