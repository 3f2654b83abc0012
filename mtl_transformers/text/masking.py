"""Masking: which tokens of a row a masked language model predicts, and what stands in their places.

Owns the rule of BERT (Devlin et al. 2019, arXiv:1810.04805 §3.1, appendix A.1): of the chosen tokens 80 % become the
mask token, 10 % a random one, 10 % stay. A pure function of the row and a seed; no torch.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from mtl_transformers.text.encoding import Features

MASKED, RANDOM = 0.8, 0.1  # shares of the chosen tokens; the others stay


@dataclass(frozen=True)
class Vocabulary:
    """What masking knows of a tokenizer and its encoder.

    Attributes:
        size: vectors of the encoder, which may be more than the tokenizer has tokens.
        mask_id: of the mask token; ``None`` where the tokenizer has none.
        special_ids: tokens that are never chosen nor put in.
        tokens: the tokens by their ids, for predictions.
    """

    size: int
    mask_id: int | None
    special_ids: tuple[int, ...]
    tokens: Sequence[str]

    @cached_property
    def ordinary_ids(self) -> NDArray[np.int64]:
        """The tokens that are not special, ascending."""
        return np.setdiff1d(np.arange(len(self.tokens)), self.special_ids)


def masked(row: Features, vocabulary: Vocabulary, *, probability: float, words: bool, seed: int) -> Features:
    """Choose tokens of a row to be predicted, and hide them.

    Args:
        row: encoded; for whole words with the starts of its words.
        vocabulary: of the tokenizer, which has a mask token.
        probability: share of the tokens that are chosen, at least one; special tokens never are.
        words: choose whole words, until the share is reached (as BERT's released whole-word models were trained).
        seed: of the choice.
    """
    assert vocabulary.mask_id is not None  # refused when the task was fitted
    rng = np.random.Generator(np.random.Philox(key=seed))
    hidden, positions, originals = [], [], []
    for number, sequence in enumerate(row.input_ids):
        ids = np.asarray(sequence, dtype=np.int64)
        starts = row.word_positions[number] if words else None
        chosen = _chosen(ids, starts, vocabulary, probability, rng)
        positions.append(chosen.tolist())
        originals.append(ids[chosen].tolist())
        draws = rng.random(len(chosen))
        ids[chosen[draws < MASKED]] = vocabulary.mask_id
        replaced = chosen[(draws >= MASKED) & (draws < MASKED + RANDOM)]
        ids[replaced] = rng.choice(vocabulary.ordinary_ids, size=len(replaced))
        hidden.append(ids.tolist())
    return replace(row, input_ids=hidden, masked_positions=positions, masked_ids=originals)


def with_blanks(row: Features, vocabulary: Vocabulary) -> Features:
    """Return a row whose own mask tokens are to be predicted; nobody knows what stood there.

    One that stands in two windows is predicted once, in that with more context.
    """
    positions = [[at for at, token in enumerate(ids) if token == vocabulary.mask_id] for ids in row.input_ids]
    if row.num_sequences > 1 and row.word_positions:
        best = _best_windows(row)
        positions = [[at for at in of if best.get((n, at), n) == n] for n, of in enumerate(positions)]
    return replace(row, masked_positions=positions, masked_ids=())


def _best_windows(row: Features) -> dict[tuple[int, int], int]:
    """Return, by window and position of a word's start, the window that shows most of what is around it."""
    found: dict[int, list[tuple[int, int, int]]] = {}  # by word: context, window, position
    for window, (words, starts) in enumerate(zip(row.word_indices, row.word_positions, strict=True)):
        last = len(row.input_ids[window]) - 1
        for word, at in zip(words, starts, strict=True):
            found.setdefault(word, []).append((min(at, last - at), window, at))
    return {(window, at): max(places)[1] for places in found.values() for _, window, at in places}


def _chosen(
    ids: NDArray[np.int64],
    starts: Sequence[int] | None,
    vocabulary: Vocabulary,
    probability: float,
    rng: np.random.Generator,
) -> NDArray[np.int64]:
    """Return the chosen positions of a sequence, ascending; those of whole words where their starts are given."""
    ordinary = np.flatnonzero(~np.isin(ids, vocabulary.special_ids))
    num_chosen = max(1, round(probability * len(ordinary)))
    if starts is None:
        return np.sort(rng.permutation(ordinary)[:num_chosen])
    word_of = np.searchsorted(np.asarray(starts), ordinary, side="right")  # of each ordinary token
    order = rng.permutation(np.unique(word_of))
    sizes = np.asarray([np.count_nonzero(word_of == word) for word in order])
    num_words = 1 + int(np.searchsorted(np.cumsum(sizes), num_chosen)) if len(order) else 0
    return ordinary[np.isin(word_of, order[:num_words])]
