"""Logits of options and candidates to predictions, as ``decoding.py`` does for labels. Numpy only.

Shapes: ``K`` options of a row, or candidates of a query.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypedDict

import numpy as np

from mtl_transformers.text.decoding import Array, sigmoid, softmax


class ChoicePrediction(TypedDict):
    """The most probable option by its place from 0, and every option's probability in the row's order."""

    choice: int
    score: float
    scores: list[float]


class RankingPrediction(TypedDict):
    """Every candidate's score in the query's order, and the places of the candidates from 0, best first."""

    scores: list[float]
    order: list[int]


class CandidatePrediction(TypedDict):
    """The score of a single candidate."""

    score: float


def decode_choices(logits: Sequence[Array]) -> list[ChoicePrediction]:
    """Choose each row's most probable option by softmax over its own; of equal ones the earlier.

    Args:
        logits: of each row, ``[K]``.
    """
    found = []
    for of_row in logits:
        scores = softmax(of_row)
        choice = int(scores.argmax())
        found.append(ChoicePrediction(choice=choice, score=float(scores[choice]), scores=scores.tolist()))
    return found


def decode_rankings(logits: Sequence[Array], *, as_probability: bool) -> list[RankingPrediction]:
    """Order each query's candidates by their scores; equal ones stay in the query's order.

    Args:
        logits: of each query, ``[K]``.
        as_probability: the score is the logit's sigmoid, else the logit itself.
    """
    scores = [_scores(of_query, as_probability=as_probability) for of_query in logits]
    return [
        RankingPrediction(scores=of_query, order=np.argsort(-np.asarray(of_query), kind="stable").tolist())
        for of_query in scores
    ]


def decode_candidates(logits: Sequence[Array], *, as_probability: bool) -> list[CandidatePrediction]:
    """Score single candidates, ``[1]`` each, as `decode_rankings` does."""
    return [CandidatePrediction(score=_scores(of_row, as_probability=as_probability)[0]) for of_row in logits]


def _scores(logits: Array, *, as_probability: bool) -> list[float]:
    scores: list[float] = (sigmoid(logits) if as_probability else logits.astype(np.float64)).tolist()
    return scores
