"""Hidden tokens as predictions: the most probable token of each.

Numpy only, as ``decoding.py``. Owns what is kept of the logits of a whole vocabulary, which are too many to be kept.

Shapes: ``M`` hidden tokens of a row, ``K`` of the most probable tokens.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NotRequired, TypedDict

import numpy as np
from numpy.typing import NDArray

NUM_BEST = 10  # of the most probable tokens, ``K``, or all where the vocabulary has fewer
UNKNOWN = -1  # in the place of a token that nobody knows


class TokenPrediction(TypedDict):
    """The most probable token; ``scores`` holds the best few where they were asked for.

    ``gold`` is the token that was hidden, with the logarithm of its probability, where it is known.
    """

    token: str
    score: float
    scores: NotRequired[dict[str, float]]
    gold: NotRequired[str]
    gold_log_probability: NotRequired[float]


class TokensPrediction(TypedDict):
    """A prediction for each hidden token, in the order of the text."""

    tokens: list[TokenPrediction]


def decode_tokens(
    kept: Sequence[NDArray[np.floating]], names: Sequence[str], *, top_k: int | None = None
) -> list[TokensPrediction]:
    """Name the most probable tokens.

    Args:
        kept: of each row, ``[M, 2 + 2K]``: the hidden token's id or `UNKNOWN`, and its log-probability; then the ids
            of the most probable tokens, best first, and theirs.
        names: the tokens by their ids, as the tokenizer writes them.
        top_k: also give the probabilities of this many tokens, at most `NUM_BEST`.
    """
    return [
        TokensPrediction(tokens=[_token(line, names, top_k=top_k) for line in of_row.astype(np.float64)])
        for of_row in kept
    ]


def _token(line: NDArray[np.float64], names: Sequence[str], *, top_k: int | None) -> TokenPrediction:
    gold, gold_log_probability = int(line[0]), float(line[1])
    best, log_probabilities = np.split(line[2:], 2)
    tokens, scores = [_name(int(token), names) for token in best], np.exp(log_probabilities).tolist()
    found = TokenPrediction(token=tokens[0], score=scores[0])
    if top_k is not None:
        found["scores"] = dict(zip(tokens[:top_k], scores, strict=False))
    if gold != UNKNOWN:
        found |= {"gold": _name(gold, names), "gold_log_probability": gold_log_probability}
    return found


def _name(token: int, names: Sequence[str]) -> str:
    """Return a token, or the number of one that the encoder has a vector for and the tokenizer no name."""
    return names[token] if token < len(names) and names[token] else f"[{token}]"
