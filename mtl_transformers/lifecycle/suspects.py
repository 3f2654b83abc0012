"""Confident learning: which labels are probably wrong, from out-of-fold probabilities (arXiv:1911.00068, `cleanlab`).

Owns the judgement of items and the order of rows; the only place that knows `cleanlab`. An item's label is wrong where
the probabilities say so beyond what the classes' own thresholds let one expect (§3.1, pruned by noise rate); items are
ordered by their normalised margin, p(given) − max p(other). Of several items a row is as good as its worst one.
`cleanlab` has modules for several labels and for words, which do the same without null labels.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mtl_transformers.errors import ConfigError
from mtl_transformers.lifecycle.items import Items


@dataclass(frozen=True, slots=True)
class Judged:
    """The judgement of some items.

    Attributes:
        items: the items.
        scores: ``[n]`` from 0, surely wrong, to 1, surely right.
        wrong: ``[n]`` whether the label is probably wrong.
    """

    items: Items
    scores: NDArray[np.float64]
    wrong: NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Ranking:
    """The labelled rows of a task, the one whose label is most probably wrong first.

    Attributes:
        rows: ``[n]`` their numbers.
        scores: ``[n]`` of the worst item of each.
        num_suspects: rows whose label is probably wrong; they come before all others.
    """

    rows: NDArray[np.int64]
    scores: NDArray[np.float64]
    num_suspects: int


def check_cleanlab() -> None:
    """Raise ConfigError where `cleanlab` is not installed, before anything is trained."""
    try:
        import cleanlab  # noqa: F401
    except ImportError as error:
        raise ConfigError("clean-labels needs cleanlab: pip install 'mtl_transformers[noise]'") from error


def judge(items: Items) -> Judged:
    """Judge each group of items by itself."""
    scores = np.ones(len(items))
    wrong = np.zeros(len(items), dtype=np.bool_)
    for group in np.unique(items.groups):
        here = np.flatnonzero(items.groups == group)
        scores[here], wrong[here] = _judge(items.labels[here], items.probabilities[here])
    return Judged(items, scores, wrong)


def _judge(
    labels: NDArray[np.int64], probabilities: NDArray[np.float32]
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    from cleanlab.filter import find_label_issues
    from cleanlab.rank import get_label_quality_scores

    wide = probabilities.astype(np.float64)
    wide /= wide.sum(axis=1, keepdims=True)
    if len(np.unique(labels)) < 2:  # nothing that it could be confused with was seen
        return wide[np.arange(len(labels)), labels], np.zeros(len(labels), dtype=np.bool_)
    scores = get_label_quality_scores(labels, wide, method="normalized_margin")
    with warnings.catch_warnings():  # that a label with a single item is never in doubt is no news to a user
        warnings.filterwarnings("ignore", message="May not flag all label issues", category=UserWarning)
        return scores, find_label_issues(labels, wide, n_jobs=1)


def rank(judged: Judged) -> Ranking:
    """Order the rows: suspects first, each part by the score of the row's worst item; equal scores by number."""
    rows, starts = np.unique(judged.items.rows, return_index=True)  # items stand row by row
    if not len(rows):
        return Ranking(rows, np.empty(0), num_suspects=0)
    worst = np.minimum.reduceat(judged.scores, starts)
    wrong = np.logical_or.reduceat(judged.wrong, starts)
    order = np.lexsort((worst, ~wrong))
    return Ranking(rows[order], worst[order], num_suspects=int(wrong.sum()))
