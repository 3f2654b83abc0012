"""What of a row goes into the encoder. Tasks with an equal `Input` share an encoder pass.

Owns what a task reads, and the way from rows (``rows.py``) to features; encoding itself is ``encoding.py``'s.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import islice
from typing import Any

from mtl_transformers.text.edited_rows import Noise, edited_row
from mtl_transformers.text.encoding import Alignment, Features, Form, Row, TextEncoder
from mtl_transformers.text.masking import Vocabulary, masked
from mtl_transformers.text.rows import RowOf


@dataclass(frozen=True, slots=True)
class Input:
    """The columns that are read, in which form, and how many tokens are kept.

    Attributes:
        columns: one column of text or words, two of a pair, or the context and the options.
        form: how they are written.
        max_length: tokens of a sequence, special tokens included.
        aligned: what is known of words: see `TextEncoder.encode`.
        stride: tokens that two windows of a long text share; ``None``: a long text is cut.
        clean: the steps of cleaning before it is encoded (`cleaning.step_of`); characters are counted as before.
        num_context: of options, how many of the columns are the context.
        mask_probability: of a masked input, the share of the tokens that are to be predicted; ``None``: no mask.
        mask_words: whole words are masked.
    """

    columns: tuple[str, ...]
    form: Form
    max_length: int
    aligned: Alignment | None = None
    stride: int | None = None
    clean: tuple[str, ...] = ()
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

    @property
    def as_served(self) -> Input:
        """The input as predictions read it: nothing is hidden, so tasks with and without a mask share a pass.

        Not in windows, where the starts of words say which tokens stand in two of them.
        """
        if self.mask_probability is None or self.stride is not None:
            return self
        return replace(self, aligned=None, mask_probability=None, mask_words=False)

    def to_json(self) -> dict[str, Any]:
        """Return the input as plain JSON."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Input:
        """Rebuild an input from `to_json`."""
        return cls(**{**values, "columns": tuple(values["columns"]), "clean": tuple(values["clean"])})


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


def encode(
    encoder: TextEncoder,
    rows: Sequence[RowOf],
    given: Input,
    *,
    form: Form | None = None,
    noise: Sequence[Noise] | None = None,
) -> list[Features]:
    """Clean and encode rows as an input reads them.

    Words and pieces are told by the characters, and the numbers of the words, that the rows had before.

    Args:
        encoder: of the input's form and length.
        rows: what `row_of` returned.
        given: the input.
        form: how the rows were given, if not in the input's form: raw text for words, or the other way round, or a pair
            for a single option.
        noise: in training, what becomes of the texts of each row after cleaning.
    """
    form = form or given.form
    edited = [edited_row(row, given.clean, None if noise is None else noise[n]) for n, row in enumerate(rows)]
    texts: list[Any] = [of.row for of in edited]
    if form == "options":
        return _encode_options(encoder, texts, given)
    aligned = None if form == "pair" and given.aligned == "words" else given.aligned
    features = encoder.encode(texts, form=form, alignment=aligned, stride=given.stride)
    if not given.clean and noise is None:
        return features
    return [of.located(row) for of, row in zip(edited, features, strict=True)]


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
