"""Augmented texts and words: labels follow, seeds decide, probabilities are what they say."""

from collections import Counter
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mtl_transformers.errors import ConfigError
from mtl_transformers.text.augmenting import CHANGES, Augment, Augmenter
from mtl_transformers.text.word import WORD

SYNONYMS = {"card": ["bank card", "pass"], "york": ["Leeds"]}
NOTHING = Augment(share=1)
ALL = Augment(share=1, **dict.fromkeys(CHANGES, 0.3))
TEXTS = st.lists(
    st.sampled_from(["card", "Card,", "York", "I", "don't", "(a)", "...", "🙂", "é", " ", "", "12", "-"])
    | st.text(max_size=3),
    max_size=12,
).map(" ".join)
WORD_LISTS = st.lists(
    st.sampled_from(["card", "York", "I", ",", "", "...", "é", "a b"]) | st.text(max_size=3), max_size=10
)
SEEDS = st.tuples(st.integers(0, 2**63), st.integers(0, 9))
HOWS = st.builds(Augment, share=st.just(1.0), **dict.fromkeys(CHANGES, st.sampled_from([0.0, 0.3, 1.0])))
QUICK = settings(deadline=None)


def augmenter(how=ALL):
    return Augmenter(how, mask_token="[MASK]", synonyms=SYNONYMS)


def only(change, probability=1.0):
    return augmenter(replace(NOTHING, **{change: probability}))


def labels_in(data, length):
    """Draw spans that do not overlap."""
    bounds = sorted(data.draw(st.sets(st.integers(0, length), max_size=6)))
    return list(zip(bounds[::2], bounds[1::2], strict=False))


@QUICK
@given(TEXTS, HOWS, SEEDS, st.data())
def test_what_is_left_of_a_labelled_span_stays_in_it_and_its_words_stay(text, how, seed, data):
    labelled = labels_in(data, len(text))
    edited = augmenter(how).augment(text, seed=seed, labelled=labelled)
    for start, end in labelled:
        left = [place for place in range(start, end) if edited.forth(place, place + 1)]
        there = edited.forth(start, end)
        if there is not None:
            first, last = edited.back(*there)
            assert first <= left[0]
            assert left[-1] < last
        for word in WORD.finditer(text):
            if word.start() < end and start < word.end():
                assert edited.forth(*word.span()) is not None
    assert not WORD.search(text) or WORD.search(edited.text)


@QUICK
@given(TEXTS, HOWS, SEEDS)
def test_every_character_stands_for_some_of_the_original_in_its_order(text, how, seed):
    edited = augmenter(how).augment(text, seed=seed)
    bounds = [edited.back(place, place + 1) for place in range(len(edited.text))]
    assert all(0 <= start < end <= len(text) for start, end in bounds)
    assert bounds == sorted(bounds)


def test_a_label_follows_by_hand():
    text = "My card was lost in New York yesterday, sadly."
    place = text.index("New York")
    for number in range(200):
        edited = augmenter().augment(text, seed=(number,), labelled=[(place, place + 8)])
        first, last = edited.forth(place, place + 8)
        words = edited.text[first:last].split(" ")
        assert len(words) == 2
        assert edited.text[first - 1] == " "
        assert edited.text[last : last + 1] in " .,"
        left = [at for at in range(place, place + 8) if edited.forth(at, at + 1)]  # a typo may leave out the first
        assert edited.back(first, last) == (left[0], left[-1] + 1)


@pytest.mark.parametrize("change", ["word_swap", "token_dropout"])
def test_labelled_words_are_neither_moved_nor_dropped(change):
    text = "one two three four"
    assert only(change).augment(text, seed=(1,), labelled=[(0, len(text))]).text == text
    assert only(change).augment(text, seed=(1,)).text != text  # negative control
    words = text.split()
    assert only(change).augment_words(words, seed=(1,), labelled=[(0, 4)]) == (words, [0, 1, 2, 3])
    assert only(change).augment_words(words, seed=(1,))[0] != words


def test_no_word_moves_over_a_label():
    """A labelled sign between two words, which is no word itself."""
    assert only("word_swap").augment("one 🙂 two", seed=(1,), labelled=[(4, 5)]).text == "one 🙂 two"
    assert only("word_swap").augment("one 🙂 two", seed=(1,)).text == "two 🙂 one"
    assert only("word_swap").augment_words(["one", "🙂", "two"], seed=(1,), labelled=[(1, 2)])[1] == [0, 1, 2]
    assert only("word_swap").augment_words(["one", "🙂", "two"], seed=(1,))[1] == [2, 1, 0]


@QUICK
@given(WORD_LISTS, HOWS, SEEDS, st.data())
def test_words_and_indices_stay_in_step(words, how, seed, data):
    labelled = labels_in(data, len(words))
    new, indices = augmenter(how).augment_words(words, seed=seed, labelled=labelled)
    assert len(new) == len(indices) == len(set(indices))
    assert set(indices) <= set(range(len(words)))
    assert bool(new) == bool(words)
    held = {place for start, end in labelled for place in range(start, end)}
    assert held <= set(indices)
    assert [place for place in indices if place in held] == sorted(held)
    for start, end in labelled:  # its words stay together
        where = [indices.index(place) for place in range(start, end)]
        assert where == list(range(where[0], where[0] + end - start))


@QUICK
@given(WORD_LISTS, SEEDS)
def test_moved_and_kept_words_are_those_of_their_indices(words, seed):
    how = replace(NOTHING, word_swap=0.4, token_dropout=0.3)
    new, indices = augmenter(how).augment_words(words, seed=seed)
    assert new == [words[place] for place in indices]


@QUICK
@given(TEXTS, WORD_LISTS, HOWS, SEEDS)
def test_the_same_seed_gives_the_same_result(text, words, how, seed):
    assert augmenter(how).augment(text, seed=seed) == augmenter(how).augment(text, seed=list(seed))
    assert augmenter(how).augment_words(words, seed=seed) == augmenter(how).augment_words(words, seed=seed)


def test_another_seed_gives_another_result():
    text = " ".join(["card"] * 50)
    assert len({augmenter().augment(text, seed=(number,)).text for number in range(50)}) == 50
    assert augmenter().augment(text, seed=(1, 23)).text != augmenter().augment(text, seed=(12, 3)).text


@QUICK
@given(TEXTS, WORD_LISTS, SEEDS)
def test_probability_zero_is_the_identity(text, words, seed):
    assert augmenter(NOTHING).augment(text, seed=seed).text == text
    assert augmenter(NOTHING).augment(text, seed=seed).changes == ()
    assert augmenter(NOTHING).augment_words(words, seed=seed) == (words, list(range(len(words))))


def test_a_share_of_the_texts_is_augmented():
    counted = Counter(
        augmenter(replace(ALL, share=0.3)).augment("card " * 20, seed=(number,)).text == "card " * 20
        for number in range(2_000)
    )
    assert counted[False] / 2_000 == pytest.approx(0.3, abs=0.04)  # 4 standard deviations: 0.041


MANY = 20_000
NEAR = {"abs": 0.012}  # 4 standard deviations at 0.2 of 20,000: 0.0113


@pytest.mark.parametrize("change", ["random_mask", "synonyms", "typos", "casing"])
def test_words_are_changed_as_often_as_their_probability_says(change):
    words = ["card"] * MANY
    new, _ = only(change, 0.2).augment_words(words, seed=(7,))
    assert sum(word != "card" for word in new) / MANY == pytest.approx(0.2, **NEAR)


def test_words_are_dropped_as_often_as_their_probability_says():
    new, _ = only("token_dropout", 0.2).augment_words(["card"] * MANY, seed=(7,))
    assert 1 - len(new) / MANY == pytest.approx(0.2, **NEAR)


def test_words_that_were_not_moved_swap_as_often_as_their_probability_says():
    """Of n words s swap with the next, so n - s are drawn: s = p (n - s)."""
    _, indices = only("word_swap", 0.2).augment_words([str(number) for number in range(MANY)], seed=(7,))
    swaps = sum(left > right for left, right in pairwise(indices))
    assert swaps / (MANY - swaps) == pytest.approx(0.2, **NEAR)


def test_changes_are_drawn_apart_and_the_first_in_order_is_taken():
    """With p = 0.3 each: masked 0.3, else a synonym 0.7 · 0.3."""
    how = replace(NOTHING, random_mask=0.3, synonyms=0.3)
    new, _ = augmenter(how).augment_words(["york"] * MANY, seed=(7,))
    counted = Counter(new)
    assert counted["[MASK]"] / MANY == pytest.approx(0.3, abs=0.013)
    assert counted["Leeds"] / MANY == pytest.approx(0.21, abs=0.012)


@pytest.mark.parametrize("text", ["one", "one two three", "(one), two!"])
def test_one_word_always_stays(text):
    for number in range(20):
        edited = only("token_dropout").augment(text, seed=(number,))
        assert len(WORD.findall(edited.text)) == 1
        new, indices = only("token_dropout").augment_words(text.split(), seed=(number,))
        assert len(new) == len(indices) == 1


def test_texts_without_words_stay_as_they_are():
    augment = augmenter(replace(ALL, token_dropout=1.0))
    assert augment.augment("... 🙂!", seed=(1,)).text == "... 🙂!"
    assert augment.augment("", seed=(1,)).text == ""
    assert augment.augment_words(["...", ""], seed=(1,)) == (["...", ""], [0, 1])
    assert augment.augment_words([], seed=(1,)) == ([], [])


@pytest.mark.parametrize(
    ("change", "augmented"),
    [
        ("word_swap", "card My, was."),
        ("random_mask", "[MASK] [MASK], [MASK]."),
        ("casing", None),
        ("typos", None),
    ],
)
def test_punctuation_stays_where_it_is(change, augmented):
    text = only(change).augment("My card, was.", seed=(3,)).text
    assert WORD.sub("x", text).replace("[x]", "x") == "x x, x."
    assert augmented in (None, text)


def test_a_mask_needs_a_mask_token():
    with pytest.raises(ConfigError, match="no mask token; remove the key"):
        Augmenter(replace(NOTHING, random_mask=0.1))
    assert Augmenter(NOTHING).augment("one", seed=(1,)).text == "one"
