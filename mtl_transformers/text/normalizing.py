"""What makes two texts equal.

Owns the one notion of equality that splits, filters and checks share: letters, their marks and digits count; case,
width, punctuation, symbols and space do not. Does not know what equal texts are used for.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

import regex

Cell = str | Sequence[str | None] | None
_BETWEEN_WORDS = regex.compile(r"(?:[^\p{L}\p{M}\p{N}]|\p{Variation_Selector})+")


def normalize(text: Cell) -> str:
    """Return what of a text counts: its words of letters, marks and digits, casefolded, by single spaces.

    A text without a letter or digit is itself, casefolded, so that ``:)`` and ``?`` differ.
    """
    if not isinstance(text, str):
        text = joined(text)
    folded = unicodedata.normalize("NFKC", text).casefold()
    return _BETWEEN_WORDS.sub(" ", folded).strip() or " ".join(folded.split())


def joined(words: Sequence[str | None] | None) -> str:
    """Return words by single spaces, without nulls and empty ones."""
    return " ".join(word for word in words or () if word)
