"""Equal texts, and numbers that stand for texts."""

import unicodedata
from collections.abc import Callable

import datasets
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mtl_transformers.data.fingerprints import fingerprints, normalized_texts, places, written_texts
from mtl_transformers.text.normalizing import normalize


@pytest.mark.parametrize(
    ("text", "normal"),
    [
        ("  My\tCARD \n was", "my card was"),
        ("ﬁne Straße", "fine strasse"),
        ("e\u0301", "\u00e9"),
        (["My", "CARD"], "my card"),
        (["a", None, ""], "a"),
        ("Can I, please, pay - today?", "can i please pay today"),
        (["what", "'s", "up", "?"], "what s up"),
        ("snake_case C# 5%", "snake case c 5"),
        ("so good 😀❤️", "so good"),
        ("\u0915\u093f \u0915\u0940", "\u0915\u093f \u0915\u0940"),
        (":)  ?", ":) ?"),
        ("😀", "😀"),
        (None, ""),
        ([], ""),
    ],
)
def test_letters_marks_and_digits_count_and_case_width_punctuation_and_space_do_not(text: object, normal: str) -> None:
    assert normalize(text) == normal


@settings(max_examples=100, deadline=None)
@given(st.text(max_size=30), st.sampled_from([str.swapcase, str.upper, lambda s: s.replace(" ", " \t ")]))
def test_normalisation_does_not_see_space_and_ascii_case(text: str, change: Callable[[str], str]) -> None:
    plain = unicodedata.normalize("NFKC", text).encode("ascii", "ignore").decode()
    assert normalize(change(plain)) == normalize(plain)


def test_vowel_signs_tell_words_apart() -> None:
    """Negative control for dropping all that is no letter: they are marks."""
    assert normalize("\u0915\u093f") != normalize("\u0915\u0940")


def test_a_row_is_its_text_columns_and_where_one_ends_counts() -> None:
    table = datasets.Dataset.from_dict({"a": ["X y", "x"], "b": [["Z", "!"], ["y", "Z"]]})
    assert list(normalized_texts(table, ["a", "b"])) == ["x y\x1fz", "x\x1fy z"]
    assert list(written_texts(table, ["a", "b"])) == ["X y\x1fZ !", "x\x1fy Z"]


def test_fingerprints_are_equal_where_texts_are() -> None:
    texts = ["a", "b", "a", "", "\ud800"]
    prints = fingerprints(texts)
    assert prints.dtype == np.uint64
    assert (prints[:, None] == prints).tolist() == [[first == second for second in texts] for first in texts]
    assert fingerprints([]).shape == (0,)


def test_places_are_spread_evenly_and_follow_the_seed() -> None:
    found = places(map(str, range(10_000)), seed=1)
    assert np.histogram(found, bins=10, range=(0, 1))[0] == pytest.approx(1000, abs=4 * 30)
    assert (found != places(map(str, range(10_000)), seed=2)).all()
