"""Text to features: token ids, token types, and where each word of a row went.

Owns the calls into a `tokenizers.Tokenizer`, truncation, and the alignment of words to tokens and characters.
Does not load tokenizers (``model/tokenizer.py``), cut windows (``windows.py``), clean text, pad (``batch.py``) or
know what a label is.

A word of raw text is what the tokenizer's own pre-tokenizer makes of it, without the white space around it,
cut at the white space inside it (some pre-tokenizers keep a whole text together), and with the combining
marks that normalisation took off its end. Text that yields no token (control characters, under BERT) holds
no word. Characters are Python code points.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Literal

from tokenizers import Encoding, Tokenizer

from mtl_transformers.errors import ConfigError, DataError
from mtl_transformers.text.windows import read_positions, window_positions

Form = Literal["text", "pair", "words", "options", "each"]
Alignment = Literal["words", "pieces", "starts"]
Row = str | tuple[str, str] | list[str]


@dataclass(frozen=True, slots=True)
class Features:
    """One encoded, unpadded row.

    Attributes:
        input_ids: token ids of each of the row's sequences.
        token_type_ids: as ``input_ids``; empty where the tokenizer has no token types.
        word_indices: per sequence, the index of each word whose first piece is read there, ascending.
        word_positions: per sequence, the token position of that first piece.
        word_spans: characters ``[start, end)`` of every word of the row, also of words that truncation lost
            and of words that yield no token.
        truncated: whether tokens were lost.
        masked_positions: per sequence, the token positions that were chosen to be predicted (``masking.py``).
        masked_ids: per sequence, the tokens that stood there; empty where nobody knows them.
    """

    input_ids: Sequence[Sequence[int]]
    token_type_ids: Sequence[Sequence[int]]
    word_indices: Sequence[Sequence[int]] = ()
    word_positions: Sequence[Sequence[int]] = ()
    word_spans: Sequence[tuple[int, int]] = ()
    truncated: bool = False
    masked_positions: Sequence[Sequence[int]] = ()
    masked_ids: Sequence[Sequence[int]] = ()

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
    Texts lose their end where they are too long, pairs the end of the longer text first; or, with a ``stride``,
    the text (of a pair the second one) is read in windows, each a sequence.

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

    def encode(
        self, rows: Sequence[Row], *, form: Form, alignment: Alignment | None = None, stride: int | None = None
    ) -> list[Features]:
        """Encode rows.

        Args:
            rows: texts (form ``text``), pairs of texts (``pair``) or lists of words (``words``). An empty
                text or list gives the special tokens alone.
            form: which of the three.
            alignment: what `Features` says of words. ``words``: the words of a text (characters count in the
                text as given) or of a list (in the words joined by one space). ``pieces``: each piece of the
                text, of a pair of the second one, counts as a word, in every window that it stands in.
                ``starts``: the first piece of each word of all texts, without characters. ``None``: nothing,
                which is quickest.
            stride: tokens that two windows share; ``None``: a long text is cut.

        Raises:
            ConfigError: ``max_length`` leaves no room for a pair beside its special tokens.
            DataError: a row is or holds null, or text that is no valid Unicode.
        """
        if form == "pair":
            self._check_room(num_texts=2)
        encode = self._tokenizer.encode_batch_fast if alignment is None else self._tokenizer.encode_batch
        try:
            encodings = encode(rows, is_pretokenized=form == "words")
        except TypeError as error:
            raise DataError(_explain(rows, form)) from error
        return [
            self._features(encoding, _words(row, encoding, alignment), alignment=alignment, stride=stride)
            for row, encoding in zip(rows, encodings, strict=True)
        ]

    def _features(
        self, encoding: Encoding, words: _Words | None, *, alignment: Alignment | None, stride: int | None
    ) -> Features:
        num_tokens, truncated = len(encoding.ids), False
        kept: Sequence[Sequence[int]] = [range(num_tokens)]
        if num_tokens > self._max_length:
            if stride is None:
                kept, truncated = [_kept_positions(encoding, self._max_length)], True
            else:
                kept, truncated = window_positions(encoding.sequence_ids, self._max_length, stride=stride)
        ids, types = encoding.ids, encoding.type_ids if self._uses_token_types else None
        read = (
            [] if words is None else read_positions(words.positions, kept, everywhere=alignment in ("pieces", "starts"))
        )
        return Features(
            input_ids=tuple(ids if len(window) == num_tokens else [ids[at] for at in window] for window in kept),
            token_type_ids=() if types is None else tuple([types[at] for at in window] for window in kept),
            word_indices=() if words is None else tuple([words.indices[word] for word, _ in of] for of in read),
            word_positions=tuple([position for _, position in of] for of in read),
            word_spans=() if words is None else words.spans,
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
    expected = {"pair": "a pair of texts", "words": "a list of words"}.get(form, "a text")
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


def _words(row: Row, encoding: Encoding, alignment: Alignment | None) -> _Words | None:
    match alignment:
        case None:
            return None
        case "pieces":
            return _pieces(row if isinstance(row, str) else row[-1], encoding)
        case "starts":
            return _starts(encoding)
    return _words_of_text(row, encoding) if isinstance(row, str) else _words_of_list(row, encoding)


def _pieces(text: str, encoding: Encoding) -> _Words:
    """Take every piece of the last text for a word, without the white space around it."""
    owners = encoding.sequence_ids
    last = max((owner for owner in owners if owner is not None), default=0)
    positions = [position for position, owner in enumerate(owners) if owner == last]
    spans = [_trim(text, *encoding.offsets[position]) for position in positions]
    return _Words(list(range(len(spans))), positions, spans)


def _starts(encoding: Encoding) -> _Words:
    """Find the first piece of each word of all texts."""
    owners = list(zip(encoding.sequence_ids, encoding.word_ids, strict=True))
    positions = [
        position
        for position, owner in enumerate(owners)
        if owner[0] is not None and (position == 0 or owners[position - 1] != owner)
    ]
    return _Words(list(range(len(positions))), positions, [])


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
