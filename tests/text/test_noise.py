import pytest

from mtl_transformers.text.edits import replaced
from mtl_transformers.text.noise import misspelt, recased, renamed

SUBSTITUTED, LEFT_OUT, TRANSPOSED, DOUBLED = 0.0, 0.25, 0.5, 0.75


def changed(word, replacements):
    return replaced(word, replacements).text


@pytest.mark.parametrize(
    ("word", "mistake", "place", "new"),
    [
        ("card", SUBSTITUTED, 0.0, "dard"),
        ("Card", SUBSTITUTED, 0.0, "Dard"),
        ("card", SUBSTITUTED, 0.99, "care"),
        ("card", LEFT_OUT, 0.5, "cad"),
        ("card", TRANSPOSED, 0.0, "acrd"),
        ("card", DOUBLED, 0.25, "caard"),
        ("é", SUBSTITUTED, 0.0, "éé"),
        ("a", LEFT_OUT, 0.0, "aa"),
        ("card", TRANSPOSED, 0.99, "cardd"),
        ("aab", TRANSPOSED, 0.0, "aaab"),
    ],
)
def test_a_mistake_is_made_or_else_the_character_is_typed_twice(word, mistake, place, new):
    assert changed(word, misspelt(word, [mistake, place, 0.0])) == new


def test_a_key_lies_beside_the_other_one_both_ways():
    beside = {
        letter: {misspelt(letter, [0.0, 0.0, draw / 8])[0][2] for draw in range(8)}
        for letter in "qwertzuiopasdfghjklyxcvbnm"
    }
    assert all(letter in beside[other] for letter, others in beside.items() for other in others)


@pytest.mark.parametrize(
    ("word", "draw", "new"),
    [
        ("card", 0.0, "CARD"),
        ("card", 0.5, "Card"),
        ("McCoy", 0.0, "mccoy"),
        ("McCoy", 0.25, "MCCOY"),
        ("McCoy", 0.5, "Mccoy"),
        ("McCoy", 0.99, "mCcOY"),
        ("123", 0.0, "123"),
        ("ß", 0.0, "ß"),
    ],
)
def test_another_case_is_drawn_from_those_that_differ_and_keep_the_length(word, draw, new):
    assert changed(word, recased(word, [draw])) == new


@pytest.mark.parametrize(
    ("word", "draw", "new"),
    [
        ("card", 0.0, "pass"),
        ("card", 0.5, "bank card"),
        ("Card", 0.5, "Bank card"),
        ("CARD", 0.5, "BANK CARD"),
        ("cards", 0.0, "cards"),
    ],
)
def test_a_synonym_is_written_as_the_word_is(word, draw, new):
    assert changed(word, renamed(word, [draw], {"card": ["pass", "bank card"]})) == new
