"""Windows of long texts: nothing is lost, every word is read, and a text that fits is one window."""

from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny import tiny_tokenizer

from mtl_transformers.model.tokenizer import text_backend, words_backend
from mtl_transformers.text.encoding import TextEncoder
from mtl_transformers.text.tags import Span, spans_to_tags, tags_to_spans
from mtl_transformers.text.windows import read_positions, window_positions

CLS = SEP = None
LENGTHS = st.tuples(st.integers(0, 40), st.integers(1, 200), st.integers(12, 40), st.integers(1, 60))


def owners(question: int, text: int) -> list[int | None]:
    """The owners of a BERT-like sequence: [CLS] question [SEP] text [SEP], or [CLS] text [SEP]."""
    if not question:
        return [CLS, *[0] * text, SEP]
    return [CLS, *[0] * question, SEP, *[1] * text, SEP]


@given(LENGTHS)
def test_every_token_of_the_text_stands_in_a_window_and_every_window_fits(lengths: tuple[int, int, int, int]) -> None:
    question, text, max_length, stride = lengths
    sequence = owners(question, text)
    windows, _ = window_positions(sequence, max_length, stride=stride)
    last = max(owner for owner in sequence if owner is not None)
    positions = {position for position, owner in enumerate(sequence) if owner == last}
    assert positions <= {position for window in windows for position in window}
    for window in windows:
        assert len(window) <= max_length
        assert window == sorted(set(window))
        assert {position for position, owner in enumerate(sequence) if owner is None} <= set(window)


@given(LENGTHS)
def test_windows_share_the_stride_and_none_is_needless(lengths: tuple[int, int, int, int]) -> None:
    question, text, max_length, stride = lengths
    sequence = owners(question, text)
    windows, lost = window_positions(sequence, max_length, stride=stride)
    last = max(owner for owner in sequence if owner is not None)
    parts = [[position for position in window if sequence[position] == last] for window in windows]
    for one, other in pairwise(parts):
        assert len(set(one) & set(other)) == min(stride, len(one) // 2)
        assert one[0] < other[0]
        assert one[-1] < other[-1]  # else the window before it would do
    if question:
        heads = {tuple(position for position in window if sequence[position] == 0) for window in windows}
        (kept,) = heads
        assert lost == (len(kept) < question)
        assert len(kept) <= (max_length - 3) // 2


@given(LENGTHS, st.data())
def test_every_word_is_read_once_where_it_has_most_context(lengths: tuple[int, int, int, int], data: Any) -> None:
    _, text, max_length, stride = lengths
    windows, _ = window_positions(owners(0, text), max_length, stride=stride)
    words = sorted(data.draw(st.sets(st.integers(1, text), min_size=1)))
    read = read_positions(words, windows, everywhere=False)
    seen = [word for of_window in read for word, _ in of_window]
    assert seen == list(range(len(words)))  # each once, and ascending over the windows
    for window, of_window in zip(windows, read, strict=True):
        for word, place in of_window:
            assert window[place] == words[word]
            found = [other.index(words[word]) for other in windows if words[word] in other]
            best = max(
                min(at, len(other) - 1 - at)
                for at, other in zip(found, [other for other in windows if words[word] in other], strict=True)
            )
            assert min(place, len(window) - 1 - place) == best


@given(LENGTHS, st.data())
def test_pieces_are_read_in_every_window_that_they_stand_in(lengths: tuple[int, int, int, int], data: Any) -> None:
    _, text, max_length, stride = lengths
    windows, _ = window_positions(owners(0, text), max_length, stride=stride)
    words = list(range(1, text + 1))
    read = read_positions(words, windows, everywhere=True)
    assert [[words[word] for word, _ in of_window] for of_window in read] == [
        [position for position in window if 1 <= position <= text] for window in windows
    ]


WORDS = st.lists(
    st.sampled_from(["refund", "card", "Berlin", "Zurich", "unbelievable", "the", "of"]), min_size=1, max_size=80
)


def encoder(form: str, max_length: int) -> TextEncoder:
    backend = words_backend if form == "words" else text_backend
    return TextEncoder(backend(tiny_tokenizer("bert")), max_length=max_length, uses_token_types=True)


@settings(max_examples=30, deadline=None)
@given(WORDS, st.integers(8, 20), st.integers(1, 12))
def test_a_long_text_has_every_word_again_when_its_windows_rejoin(
    words: list[str], max_length: int, stride: int
) -> None:
    text = " ".join(words)
    for form, row in (("text", text), ("words", words)):
        (row_,) = encoder(form, max_length).encode([row], form=form, alignment="words", stride=stride)
        assert [index for of_window in row_.word_indices for index in of_window] == list(range(len(words)))
        assert [text[start:end] for start, end in row_.word_spans] == words
        assert not row_.truncated


@settings(max_examples=30, deadline=None)
@given(WORDS, st.integers(8, 20))
def test_without_a_stride_the_end_is_lost(words: list[str], max_length: int) -> None:
    """Negative control."""
    (whole,) = encoder("words", 500).encode([words], form="words", alignment="words")
    (cut,) = encoder("words", max_length).encode([words], form="words", alignment="words")
    assert cut.truncated == (whole.length > max_length)
    assert cut.num_sequences == 1
    assert len(cut.word_indices[0]) <= len(words)


def test_a_text_that_fits_is_encoded_as_without_a_stride() -> None:
    rows = ["my card was charged", "the app"]
    one = encoder("text", 16)
    assert one.encode(rows, form="text", alignment="words", stride=4) == one.encode(
        rows, form="text", alignment="words"
    )


def test_windows_by_hand() -> None:
    """Of 8 tokens 3 are special and 2 the question's: 3 are left for the 7 of the text, of which 1 is shared."""
    windows, lost = window_positions(owners(2, 7), 8, stride=1)
    head, tail = [0, 1, 2, 3], [11]
    assert windows == [[*head, 4, 5, 6, *tail], [*head, 6, 7, 8, *tail], [*head, 8, 9, 10, *tail]]
    assert not lost


def test_spans_that_rejoin_are_those_of_the_whole_text() -> None:
    """A span whose words are read in two windows is one span."""
    words = ["the"] * 9 + ["New", "York"] + ["of"] * 9
    tags = spans_to_tags([Span("PLACE", 9, 11)], len(words), "bio")
    (row,) = encoder("words", 12).encode([words], form="words", alignment="words", stride=4)
    read = [tags[word] for of_window in row.word_indices for word in of_window]
    assert row.num_sequences > 1
    assert tags_to_spans(read, "bio") == [Span("PLACE", 9, 11)]


@pytest.mark.parametrize("max_length", [6, 7, 12])
def test_a_question_that_fills_the_room_loses_its_end(max_length: int) -> None:
    windows, lost = window_positions(owners(50, 20), max_length, stride=2)
    assert lost
    assert all(len(window) <= max_length for window in windows)
