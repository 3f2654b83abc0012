"""Masking: BERT's shares, no special tokens, whole words, at least one token, and all of it a function of a seed."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tiny import FAMILIES, tiny_tokenizer

from mtl_transformers.model.tokenizer import text_backend, vocabulary
from mtl_transformers.text.encoding import Features, TextEncoder
from mtl_transformers.text.masking import Vocabulary, masked, with_blanks

CLS, SEP, MASK = 0, 1, 2
VOCABULARY = Vocabulary(size=1000, mask_id=MASK, special_ids=(CLS, SEP, MASK), tokens=[str(n) for n in range(1000)])
LONG = Features(([CLS, *range(3, 503), SEP],), ())


def hidden(row: Features, *, seed: int = 0, probability: float = 0.15, words: bool = False) -> Features:
    return masked(row, VOCABULARY, probability=probability, words=words, seed=seed)


def changes(row: Features, seeds: range) -> tuple[np.ndarray, np.ndarray]:
    """Return what stood in all chosen places over many seeds, and what stands there now."""
    found = [hidden(row, seed=seed) for seed in seeds]
    before = [token for each in found for token in each.masked_ids[0]]
    after = [each.input_ids[0][at] for each in found for at in each.masked_positions[0]]
    return np.asarray(before), np.asarray(after)


def test_of_the_chosen_tokens_80_percent_are_masked_10_replaced_and_10_kept() -> None:
    before, after = changes(LONG, range(200))
    assert len(before) == 200 * 75  # 15 % of 500
    assert (after == MASK).mean() == pytest.approx(0.8, abs=0.015)
    assert (after == before).mean() == pytest.approx(0.1, abs=0.01)
    replaced = after[(after != MASK) & (after != before)]
    assert len(replaced) / len(after) == pytest.approx(0.1, abs=0.01)
    assert replaced.min() > MASK  # no special token is put in
    assert replaced.max() > 900  # from the whole vocabulary


def test_every_place_is_chosen_as_often_as_another() -> None:
    chosen = np.concatenate([hidden(LONG, seed=seed).masked_positions[0] for seed in range(400)])
    counts = np.bincount(chosen, minlength=502)[1:501]
    assert counts.mean() == 60
    assert counts.std() == pytest.approx(np.sqrt(400 * 0.15 * 0.85), rel=0.15)


@given(
    ids=st.lists(st.integers(0, 20), min_size=1, max_size=30),
    probability=st.floats(0.01, 0.99),
    seed=st.integers(0, 2**64),
    words=st.booleans(),
)
def test_a_masked_row_is_the_row_but_for_the_chosen_tokens(
    ids: list[int], probability: float, seed: int, words: bool
) -> None:
    row = Features((ids,), (), word_positions=([at for at in range(len(ids)) if at % 3 == 0],))
    found = hidden(row, seed=seed, probability=probability, words=words)
    (positions,), (originals,) = found.masked_positions, found.masked_ids
    assert positions == sorted(set(positions))
    assert [ids[at] for at in positions] == originals
    assert not set(originals) & set(VOCABULARY.special_ids)
    ordinary = [token for token in ids if token > MASK]
    assert len(positions) >= min(1, len(ordinary))
    if not words:
        assert len(positions) == (max(1, round(probability * len(ordinary))) if ordinary else 0)
    restored = list(found.input_ids[0])
    for at, token in zip(positions, originals, strict=True):
        restored[at] = token
    assert restored == ids
    assert found == hidden(row, seed=seed, probability=probability, words=words)


def test_another_seed_hides_other_tokens() -> None:
    assert hidden(LONG, seed=1).masked_positions != hidden(LONG, seed=2).masked_positions


@pytest.mark.parametrize("family", FAMILIES)
def test_whole_words_are_hidden_whole_and_single_tokens_are_not(family: str) -> None:
    tokenizer = tiny_tokenizer(family)
    known = vocabulary(tokenizer, size=len(tokenizer))
    encoder = TextEncoder(text_backend(tokenizer), max_length=256, uses_token_types=False)
    texts = ["My telephone crashes whenever I unfortunately reconsider the incomprehensible settings."] * 20
    rows = encoder.encode(texts, form="text", alignment="starts")
    backend = text_backend(tokenizer)
    of_text = backend.encode(texts[0])
    words: dict[Any, set[int]] = {}
    for at, (owner, word) in enumerate(zip(of_text.sequence_ids, of_text.word_ids, strict=True)):
        if owner is not None and of_text.ids[at] not in known.special_ids:
            words.setdefault(word, set()).add(at)
    assert max(map(len, words.values())) > 3

    def cut(*, whole: bool) -> int:
        """Return how many words are hidden in part."""
        chosen = [
            set(masked(row, known, probability=0.3, words=whole, seed=seed).masked_positions[0])
            for seed, row in enumerate(rows)
        ]
        return sum(0 < len(places & of_row) < len(places) for of_row in chosen for places in words.values())

    assert cut(whole=True) == 0
    assert cut(whole=False) > 0


def test_each_sequence_of_a_row_is_masked() -> None:
    row = Features(([CLS, 5, 6, SEP], [CLS, 7, SEP]), ())
    found = hidden(row)
    assert [len(of) for of in found.masked_positions] == [1, 1]


def windows_of(text: str) -> tuple[Features, Vocabulary]:
    tokenizer = tiny_tokenizer("bert")
    encoder = TextEncoder(text_backend(tokenizer), max_length=10, uses_token_types=False)
    (row,) = encoder.encode([text], form="text", alignment="starts", stride=4)
    return row, vocabulary(tokenizer, size=len(tokenizer))


def test_a_blank_of_a_user_is_filled_once_wherever_windows_overlap() -> None:
    row, known = windows_of("a b c d e f [MASK] g h i j [MASK][MASK] k l m n o p q r s [MASK]")
    assert row.num_sequences > 3
    found = with_blanks(row, known)
    assert sum(map(len, found.masked_positions)) == 4
    everywhere = with_blanks(replace(row, word_positions=(), word_indices=()), known)
    assert sum(map(len, everywhere.masked_positions)) > 4
    for ids, positions in zip(row.input_ids, found.masked_positions, strict=True):
        assert all(ids[at] == known.mask_id for at in positions)


def test_whole_words_do_not_grow_where_windows_overlap() -> None:
    row, known = windows_of("a b c d e f g h i j k l m n o p q r s t u v w")
    for seed in range(20):
        found = masked(row, known, probability=0.15, words=True, seed=seed)
        assert max(map(len, found.masked_positions)) == 1  # words of one letter


def test_a_text_without_a_blank_has_none() -> None:
    assert with_blanks(LONG, VOCABULARY).masked_positions == [[]]
