"""What of a row goes into the encoder. Tasks with an equal `Input` share an encoder pass.

Owns the way from a row's columns to what is encoded; encoding itself is ``encoding.py``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import islice
from typing import Any

from mtl_transformers.errors import DataError
from mtl_transformers.text.encoding import Alignment, Features, Form, Row, TextEncoder
from mtl_transformers.text.masking import Vocabulary, masked


@dataclass(frozen=True, slots=True)
class Options:
    """A row of several sequences: each option behind the row's context, if it has one.

    Attributes:
        context: no text, one, or two, of which the second one opens the second text of each pair.
        options: the options' texts, at least one.
    """

    context: tuple[str, ...]
    options: tuple[str, ...]


RowOf = Row | Options


@dataclass(frozen=True, slots=True)
class Input:
    """The columns that are read, in which form, and how many tokens are kept.

    Attributes:
        columns: one column of text or words, two of a pair, or the context and the options.
        form: how they are written.
        max_length: tokens of a sequence, special tokens included.
        aligned: what is known of words: see `TextEncoder.encode`.
        stride: tokens that two windows of a long text share; ``None``: a long text is cut.
        num_context: of options, how many of the columns are the context.
        mask_probability: of a masked input, the share of the tokens that are to be predicted; ``None``: no mask.
        mask_words: whole words are masked.
    """

    columns: tuple[str, ...]
    form: Form
    max_length: int
    aligned: Alignment | None = None
    stride: int | None = None
    num_context: int = 0
    mask_probability: float | None = None
    mask_words: bool = False

    @property
    def required(self) -> tuple[str, ...]:
        """The columns that a row must have: of options the context and the first one."""
        return self.columns[: self.num_context + 1] if self.form == "options" else self.columns

    @property
    def sequences(self) -> Input:
        """The input without its alignment: where it is equal, the encoder reads the same."""
        return replace(self, aligned=None)

    def to_json(self) -> dict[str, Any]:
        """Return the input as plain JSON."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Input:
        """Rebuild an input from `to_json`."""
        return cls(**{**values, "columns": tuple(values["columns"])})


@dataclass(frozen=True, slots=True)
class Encoding:
    """How the texts of an input become features.

    Attributes:
        encoder: of the input's form and length.
        key: what identifies the encoder's behaviour.
    """

    encoder: TextEncoder
    key: str


def shared(inputs: Sequence[Input]) -> Input:
    """Return one input for several that differ in their alignment only."""
    aligned = {given.aligned for given in inputs} - {None}
    assert len(aligned) <= 1  # kinds that align differently read different columns
    return replace(inputs[0], aligned=next(iter(aligned), None))


def row_of(cells: Sequence[Any], *, form: Form, num_context: int = 0) -> RowOf:
    """Return what is encoded of a row's text columns.

    Raises:
        DataError: a cell is null or not of the form.
    """
    if form == "pair":
        first, second = (_text(cell) for cell in cells)
        return first, second
    if form == "text":
        return _text(cells[0])
    if form == "options":
        return Options(tuple(map(_text, cells[:num_context])), tuple(_options(cells[num_context:])))
    words = cells[0]
    if not isinstance(words, list | tuple) or not words or not all(isinstance(word, str) for word in words):
        raise DataError(f"{_shown(words)}: expected a list of words")
    return list(words)


def _options(cells: Sequence[Any]) -> list[str]:
    """Return the options of a row: those of a list, or of several columns, of which empty ones have none."""
    found: list[str] = []
    for cell in cells:
        if isinstance(cell, list | tuple):
            found += map(_text, cell)
        elif cell is not None:
            found.append(_text(cell))
    if not found:
        raise DataError(f"{_shown(cells[0] if len(cells) == 1 else list(cells))}: expected at least one text")
    return found


def _text(cell: Any) -> str:
    if not isinstance(cell, str) or not cell.strip():
        raise DataError(f"{_shown(cell)}: expected a text that is not empty")
    return cell


def _shown(value: Any) -> str:
    shown = repr(value)
    return shown if len(shown) <= 60 else f"{shown[:60]}…"


def text_of(row: RowOf) -> str:
    """Return the text that character offsets count in: the raw text, of a pair the second one, or the words joined."""
    match row:
        case str():
            return row
        case (_, second) if isinstance(row, tuple):
            return second
        case Options():
            return ""
    return " ".join(row)


def excerpt_of(row: RowOf) -> str:
    """Return a row's texts in one, for people."""
    if isinstance(row, Options):
        return " ".join([*row.context, *row.options])
    return row if isinstance(row, str) else " ".join(row)


def encode(encoder: TextEncoder, rows: Sequence[RowOf], given: Input, *, form: Form | None = None) -> list[Features]:
    """Encode rows as an input reads them.

    Args:
        encoder: of the input's form and length.
        rows: what `row_of` returned.
        given: the input.
        form: how the rows were given, if not in the input's form: raw text for words, or the other way round, or a pair
            for a single option.
    """
    form = form or given.form
    if form == "options":
        return _encode_options(encoder, rows, given)
    aligned = None if form == "pair" and given.aligned == "words" else given.aligned
    texts: Any = rows
    return encoder.encode(texts, form=form, alignment=aligned, stride=given.stride)


def hidden(row: Features, given: Input, vocabulary: Vocabulary, *, seed: int) -> Features:
    """Return a row of a masked input with the tokens hidden that are to be predicted."""
    assert given.mask_probability is not None
    return masked(row, vocabulary, probability=given.mask_probability, words=given.mask_words, seed=seed)


def _encode_options(encoder: TextEncoder, rows: Sequence[Any], given: Input) -> list[Features]:
    """Encode every option as a sequence, and put those of a row together."""
    pairs: dict[bool, list[Any]] = {False: [], True: []}
    for row in rows:
        pairs[bool(row.context)] += (_sequence(row.context, option) for option in row.options)
    encoded = {
        paired: iter(encoder.encode(texts, form="pair" if paired else "text", alignment=given.aligned))
        for paired, texts in pairs.items()
        if texts
    }
    return [_joined(list(islice(encoded[bool(row.context)], len(row.options)))) for row in rows]


def _sequence(context: Sequence[str], option: str) -> Row:
    match context:
        case ():
            return option
        case (first,):
            return first, option
        case _:
            return context[0], " ".join([*context[1:], option])


def _joined(options: Sequence[Features]) -> Features:
    return Features(
        input_ids=tuple(ids for option in options for ids in option.input_ids),
        token_type_ids=tuple(types for option in options for types in option.token_type_ids),
        word_indices=tuple(words for option in options for words in option.word_indices),
        word_positions=tuple(positions for option in options for positions in option.word_positions),
        truncated=any(option.truncated for option in options),
    )
