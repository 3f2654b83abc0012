"""Text to features: token ids, token types, and where each word of a row went.

Owns the calls into a `tokenizers.Tokenizer`, truncation, and the alignment of words to tokens and characters.
Does not load tokenizers (``model/tokenizer.py``), clean text, pad (``batch.py``) or know what a label is.

A word of raw text is what the tokenizer's own pre-tokenizer makes of it, without the white space around it,
cut at the white space inside it (some pre-tokenizers keep a whole text together), and with the combining
marks that normalisation took off its end. Text that yields no token (control characters, under BERT) holds
no word. Characters are Python code points.
"""

from __future__ import annotations

import unicodedata
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Literal

from tokenizers import Encoding, Tokenizer

from mtl_transformers.errors import ConfigError, DataError

Form = Literal["text", "pair", "words"]
WordForm = Literal["text", "words"]
Row = str | tuple[str, str] | list[str]


@dataclass(frozen=True, slots=True)
class Features:
    """One encoded, unpadded row.

    Attributes:
        input_ids: token ids of each of the row's sequences.
        token_type_ids: as ``input_ids``; empty where the tokenizer has no token types.
        word_indices: per sequence, the index of each word whose first piece was kept, ascending.
        word_positions: per sequence, the token position of that first piece.
        word_spans: characters ``[start, end)`` of every word of the row, also of words that truncation lost
            and of words that yield no token.
        truncated: whether tokens were lost.
    """

    input_ids: Sequence[Sequence[int]]
    token_type_ids: Sequence[Sequence[int]]
    word_indices: Sequence[Sequence[int]] = ()
    word_positions: Sequence[Sequence[int]] = ()
    word_spans: Sequence[tuple[int, int]] = ()
    truncated: bool = False

    @property
    def length(self) -> int:
        """Tokens of the longest sequence."""
        return max((len(sequence) for sequence in self.input_ids), default=0)

    @property
    def num_sequences(self) -> int:
        """Sequences of the row."""
        return len(self.input_ids)


class TextEncoder:
    """A tokenizer at one maximal length.

    Takes its own copy of the tokenizer and never changes it afterwards, so threads may share a `TextEncoder`.
    Texts lose their end where they are too long; pairs lose the end of the longer text first.

    Args:
        tokenizer: any `tokenizers.Tokenizer`; its own padding and truncation are ignored.
        max_length: tokens of a sequence, special tokens included.
        uses_token_types: whether features carry ``token_type_ids``.

    Raises:
        ConfigError: ``max_length`` leaves no room for text beside the special tokens.
    """

    def __init__(self, tokenizer: Tokenizer, *, max_length: int, uses_token_types: bool):
        self._tokenizer = Tokenizer.from_str(tokenizer.to_str())
        self._tokenizer.no_padding()
        self._tokenizer.no_truncation()  # rows are cut by _kept_positions
        self._max_length = max_length
        self._uses_token_types = uses_token_types
        self._check_room(num_texts=1)

    def encode(self, rows: Sequence[Row], *, form: Form) -> list[Features]:
        """Encode rows without aligning words (the fast path).

        Args:
            rows: texts (form ``text``), pairs of texts (``pair``) or lists of words (``words``). An empty
                text or list gives the special tokens alone.
            form: which of the three.

        Raises:
            ConfigError: ``max_length`` leaves no room for a pair beside its special tokens.
            DataError: a row is or holds null, or text that is no valid Unicode.
        """
        if form == "pair":
            self._check_room(num_texts=2)
        try:
            encodings = self._tokenizer.encode_batch_fast(rows, is_pretokenized=form == "words")
        except TypeError as error:
            raise DataError(_explain(rows, form)) from error
        return [self._features(encoding) for encoding in encodings]

    def encode_words(self, rows: Sequence[Row], *, form: WordForm) -> list[Features]:
        """Encode rows and align their words with tokens and characters.

        Args:
            rows: texts (form ``text``; characters count in the text as given) or lists of words (``words``;
                characters count in the words joined by one space).
            form: which of the two.

        Raises:
            DataError: a row is or holds null, or text that is no valid Unicode.
        """
        try:
            encodings = self._tokenizer.encode_batch(rows, is_pretokenized=form == "words")
        except TypeError as error:
            raise DataError(_explain(rows, form)) from error
        return [self._aligned(row, encoding) for row, encoding in zip(rows, encodings, strict=True)]

    def _aligned(self, row: Row, encoding: Encoding) -> Features:
        words = _words_of_text(row, encoding) if isinstance(row, str) else _words_of_list(row, encoding)
        return self._features(encoding, words)

    def _features(self, encoding: Encoding, words: _Words | None = None) -> Features:
        ids = encoding.ids
        types = encoding.type_ids if self._uses_token_types else None
        cut = len(ids)  # tokens before the first one lost
        truncated = cut > self._max_length
        if truncated:
            kept = _kept_positions(encoding, self._max_length)
            cut = next((index for index, position in enumerate(kept) if index != position), len(kept))
            ids = [ids[position] for position in kept]
            types = types and [types[position] for position in kept]
        token_type_ids = () if types is None else (types,)
        if words is None:
            return Features((ids,), token_type_ids, truncated=truncated)
        num_kept = bisect_left(words.positions, cut)
        return Features(
            input_ids=(ids,),
            token_type_ids=token_type_ids,
            word_indices=(words.indices[:num_kept],),
            word_positions=(words.positions[:num_kept],),
            word_spans=words.spans,
            truncated=truncated,
        )

    def _check_room(self, *, num_texts: int) -> None:
        num_special = self._tokenizer.num_special_tokens_to_add(num_texts == 2)
        if self._max_length < num_special + num_texts:
            what = "a pair" if num_texts == 2 else "a text"
            raise ConfigError(
                f"max_length {self._max_length} leaves no room for {what}: the tokenizer adds {num_special} "
                f"special tokens. Set max_length to {num_special + num_texts} or more"
            )


def _explain(rows: Sequence[Row], form: Form) -> str:
    """Say which row the tokenizer refused, whose own message names none."""
    expected = {"text": "a text", "pair": "a pair of texts", "words": "a list of words"}[form]
    for index, row in enumerate(rows):
        texts = (row,) if form == "text" else row
        if not isinstance(texts, list | tuple) or not all(_is_text(text) for text in texts):
            return (
                f"row {index} of {len(rows)}, {row!r:.80}: expected {expected}, without nulls and without "
                f"halves of surrogate pairs (U+D800 to U+DFFF are no characters). Fix or leave out the row"
            )
    return f"expected each row to be {expected}"


def _is_text(value: object) -> bool:
    return isinstance(value, str) and not any("\ud800" <= character <= "\udfff" for character in value)


@dataclass(frozen=True, slots=True)
class _Words:
    """The words of an untruncated encoding: which have a first piece, where, and the characters of all."""

    indices: list[int]
    positions: list[int]
    spans: list[tuple[int, int]]


def _kept_positions(encoding: Encoding, max_length: int) -> list[int]:
    """Return the token positions that remain after truncation, ascending; special tokens always do.

    Done here and not by the tokenizer because its overflow of a pair grows with the product of the two
    lengths (19 s for two texts of 20,000 words), and because it leaves a row whole where ``max_length`` is
    too small.
    """
    owners = encoding.sequence_ids
    left = _longest_first(owners.count(0), owners.count(1), max_length - owners.count(None))
    kept = []
    for position, owner in enumerate(owners):
        if owner is None:
            kept.append(position)
        elif left[owner]:
            left[owner] -= 1
            kept.append(position)
    return kept


def _longest_first(first: int, second: int, room: int) -> list[int]:
    """Share too little room between two texts, shortening the longer one first (as `tokenizers` does)."""
    shorter = min(first, second, room // 2)
    return [shorter, room - shorter] if first <= second else [room - shorter, shorter]


def _words_of_list(words: Sequence[str], encoding: Encoding) -> _Words:
    """Find the first piece of each given word; words may be without."""
    indices: list[int] = []
    positions: list[int] = []
    last = None
    for position, word in enumerate(encoding.word_ids):
        if word is not None and word != last:
            indices.append(word)
            positions.append(position)
            last = word
    starts = accumulate((len(word) + 1 for word in words), initial=0)
    spans = [(start, start + len(word)) for start, word in zip(starts, words, strict=False)]
    return _Words(indices, positions, spans)


def _words_of_text(text: str, encoding: Encoding) -> _Words:
    """Group the pieces of a text into words.

    A piece of white space alone (the ``Ġ`` of a byte-level, the ``▁`` of a Unigram tokenizer) is the first
    piece of the word that follows it where the pre-tokenizer kept the two together, as it is when words are
    given. Else it is no word.
    """
    positions: list[int] = []
    spans: list[tuple[int, int]] = []
    current = blank = None  # the pre-tokenizer's number of the last word, and of a blank piece that waits for its word
    blank_position = 0
    for position, (word, (start, end)) in enumerate(zip(encoding.word_ids, encoding.offsets, strict=True)):
        if word is None:
            continue
        start, end = _trim(text, start, end)
        if start >= end:
            if blank != word:
                blank, blank_position = word, position
            continue
        if word == current and not _has_space(text, spans[-1][1], start):
            spans[-1] = (spans[-1][0], max(end, spans[-1][1]))
        else:
            positions.append(blank_position if blank == word else position)
            spans.append((start, end))
        current, blank = word, None
    if not text.isascii():
        spans = _with_marks(text, spans)
    return _Words(list(range(len(spans))), positions, spans)


def _trim(text: str, start: int, end: int) -> tuple[int, int]:
    """Leave out the white space at both ends of ``text[start:end]``."""
    while start < end and text[start].isspace():
        start += 1
    while start < end and text[end - 1].isspace():
        end -= 1
    return start, end


def _has_space(text: str, start: int, end: int) -> bool:
    return start < end and any(character.isspace() for character in text[start:end])


def _with_marks(text: str, spans: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Give the combining marks (Unicode categories M) that follow a word and are in no other to that word."""
    widened = []
    for index, (start, end) in enumerate(spans):
        limit = spans[index + 1][0] if index + 1 < len(spans) else len(text)
        last = end
        while last < limit and unicodedata.category(text[last])[0] == "M":
            last += 1
        widened.append((start, last))
    return widened
