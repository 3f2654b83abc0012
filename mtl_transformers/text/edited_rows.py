"""Rows as they become by cleaning and noise, and the way back to the rows as they were given.

Owns the words of an encoded row in characters, and numbers, of the row before. What is changed is ``cleaning.py``'s and
``augmenting.py``'s.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import accumulate
from typing import Protocol

from mtl_transformers.text.edits import Edited
from mtl_transformers.text.encoding import Features
from mtl_transformers.text.rows import Options, RowOf


class Noise(Protocol):
    """What augmentation does to one row."""

    def of_text(self, text: Edited) -> Edited:
        """Return an edit of a cleaned text."""

    def of_words(self, words: Sequence[str]) -> tuple[list[str], list[int]]:
        """Return other words, and for each the number of the word that it was."""


@dataclass(frozen=True, slots=True)
class EditedRow:
    """A row as it is encoded, and the way back to the row as it was given.

    Attributes:
        row: cleaned and augmented.
        last: the edit of the text that characters count in.
        length: of that text as it was given, in characters.
        words: the words as they were given.
        numbers: of each word of `row`, the number of the word that it was.
    """

    row: RowOf
    last: Edited | None = None
    length: int = 0
    words: Sequence[str] = ()
    numbers: Sequence[int] = ()

    def located(self, features: Features) -> Features:
        """Return features whose words have the characters and the numbers of the row as it was given."""
        if not features.word_spans:
            return features
        if self.last is not None:
            spans = [self._back(self.last, start, end) for start, end in features.word_spans]
            return replace(features, word_spans=spans)
        starts = accumulate((len(word) + 1 for word in self.words), initial=0)
        return replace(
            features,
            word_indices=[[self.numbers[word] for word in of_sequence] for of_sequence in features.word_indices],
            word_spans=[(start, start + len(word)) for start, word in zip(starts, self.words, strict=False)],
        )

    def _back(self, edited: Edited, start: int, end: int) -> tuple[int, int]:
        """Return the characters that some of the edited text stand for; a piece may have none."""
        if start < end:
            return edited.back(start, end)
        place = edited.back(start, start + 1)[0] if start < len(edited.text) else self.length
        return place, place


def edited_row(row: RowOf, steps: Sequence[str], noise: Noise | None) -> EditedRow:
    """Clean a row, and add noise to it.

    Args:
        row: as it was given.
        steps: of cleaning.
        noise: in training, what augmentation does to it.
    """
    if not steps and noise is None:
        return EditedRow(row)
    if isinstance(row, list):
        words, numbers = [_cleaned(word, steps).text for word in row], list(range(len(row)))
        if noise is not None:
            words, numbers = noise.of_words(words)
        return EditedRow(words, words=row, numbers=numbers)
    if isinstance(row, Options):
        return EditedRow(
            Options(*(tuple(_edit(text, steps, noise).text for text in of) for of in (row.context, row.options)))
        )
    if isinstance(row, str):
        edited = _edit(row, steps, noise)
        return EditedRow(edited.text, last=edited, length=len(row))
    first, second = (_edit(text, steps, noise) for text in row)
    return EditedRow((first.text, second.text), last=second, length=len(row[1]))


def _edit(text: str, steps: Sequence[str], noise: Noise | None) -> Edited:
    cleaned = _cleaned(text, steps)
    return cleaned if noise is None else cleaned.then(noise.of_text(cleaned))


def _cleaned(text: str, steps: Sequence[str]) -> Edited:
    if not steps:
        return Edited(text)
    from mtl_transformers.text.cleaning import clean  # whose libraries a model without cleaning does not need

    return clean(text, steps)
