"""Edits against the simplest model of one: a list of characters, each with the set of those that it stands for."""

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mtl_transformers.text.edits import Edited, replaced
from mtl_transformers.text.word import WORD

Model = list[tuple[str, frozenset[int]]]


def model_of(text):
    return [(character, frozenset([place])) for place, character in enumerate(text)]


def model_replaced(model, replacements):
    """Replace parts from the last to the first."""
    model = list(model)
    for start, end, new in reversed(replacements):
        whole = frozenset().union(*(origins for _, origins in model[start:end]))
        model[start:end] = [(character, whole) for character in new]
    return model


@st.composite
def replacements_in(draw, length):
    bounds = sorted(draw(st.sets(st.integers(0, length), max_size=8)))
    parts = zip(bounds[::2], bounds[1::2], strict=False)
    touching = draw(st.booleans())  # parts that follow each other without a character between
    parts = list(pairwise(bounds)) if touching else list(parts)
    return [(start, end, draw(st.text("xyz", max_size=3))) for start, end in parts]


@st.composite
def edits(draw):
    """A text, its edit by a few steps, and the model of the result."""
    text = draw(st.text("abcdef", max_size=12))
    edited, model = Edited(text), model_of(text)
    for _ in range(draw(st.integers(0, 3))):
        parts = draw(replacements_in(len(edited.text)))
        edited, model = edited.then(replaced(edited.text, parts)), model_replaced(model, parts)
    return text, edited, model


def spans(length):
    return [(start, end) for start in range(length) for end in range(start + 1, length + 1)]


@settings(deadline=None)
@given(edits())
def test_every_span_goes_back_to_what_its_characters_stand_for(given_edit):
    _, edited, model = given_edit
    assert edited.text == "".join(character for character, _ in model)
    for start, end in spans(len(model)):
        assert edited.back(start, end) == (min(model[start][1]), max(model[end - 1][1]) + 1)


@settings(deadline=None)
@given(edits())
def test_every_span_goes_forth_to_the_characters_that_stand_for_any_of_it(given_edit):
    text, edited, model = given_edit
    for start, end in spans(len(text)):
        left = [place for place, (_, origins) in enumerate(model) if origins & set(range(start, end))]
        assert edited.forth(start, end) == ((left[0], left[-1] + 1) if left else None)


@settings(deadline=None)
@given(edits())
def test_what_comes_back_from_a_span_that_went_forth_covers_what_is_left_of_it(given_edit):
    text, edited, model = given_edit
    for start, end in spans(len(text)):
        there = edited.forth(start, end)
        if there is not None:
            first, last = edited.back(*there)
            left = set().union(*(origins for _, origins in model)) & set(range(start, end))
            assert left <= set(range(first, last))


def test_an_edit_by_hand():
    edited = replaced("a big cat", [(2, 6, ""), (6, 9, "lion")])
    assert edited.text == "a lion"
    assert [edited.back(place, place + 1) for place in range(6)] == [(0, 1), (1, 2)] + [(6, 9)] * 4
    assert edited.forth(0, 1) == (0, 1)
    assert edited.forth(2, 6) is None
    assert edited.forth(2, 7) == edited.forth(8, 9) == (2, 6)


def test_a_text_that_is_not_changed_holds_nothing_but_itself():
    assert replaced("a text", []) == Edited("a text") == Edited("a text").then(Edited("a text"))
    assert Edited("a text").changes == ()
    assert replaced("a text", [(0, 1, "A")]).changes != ()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("I don't e-mail, John’s!", ["I", "don't", "e-mail", "John’s"]),
        ("'quoted' -x- a--b", ["quoted", "x", "a", "b"]),
        ("हिन्दी cafe\u0301 9.5 🙂", ["हिन्दी", "cafe\u0301", "9", "5"]),
        ("... !", []),
    ],
)
def test_words_are_letters_digits_and_marks_with_what_joins_them(text, words):
    assert WORD.findall(text) == words
