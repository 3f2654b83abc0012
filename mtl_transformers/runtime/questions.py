"""Questions: what one encoder pass reads of a row, and which tasks are answered from it.

Owns the way from rows as a user gives them to questions, with the error of each row that cannot be read. Running the
encoder and choosing the tasks is ``answering.py``'s.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from mtl_transformers.errors import DataError
from mtl_transformers.runtime.rows import GivenRow, listed, read_row
from mtl_transformers.runtime.text_encoders import TextEncoders
from mtl_transformers.text.decoders import Decoder
from mtl_transformers.text.encoding import Features, Form
from mtl_transformers.text.inputs import Input, encode, shared
from mtl_transformers.text.masking import Vocabulary, with_blanks
from mtl_transformers.text.rows import RowOf, text_of

Errors = Literal["raise", "keep"]
"""What becomes of a row that cannot be read: an exception, or an answer that is its message."""


@dataclass(frozen=True, slots=True)
class Answerable:
    """A task as it is answered.

    Attributes:
        kind: of the task.
        dataset: that it was trained on.
        input: what it reads of a row.
        decoder: what it reads of the encoder's output, and how that becomes a prediction.
    """

    kind: str
    dataset: str
    input: Input
    decoder: Decoder


@dataclass(frozen=True, slots=True)
class Question:
    """A row as one encoder pass reads it.

    Attributes:
        features: the row, encoded in one input.
        text: what character offsets count in.
        form: how the row was given.
        tasks: that are answered from it.
    """

    features: Features
    text: str
    form: Form
    tasks: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class AskedRow:
    """A row and its questions, or what is wrong with it.

    Attributes:
        questions: one for each input that the tasks read.
        error: says why the row cannot be read; then there are no questions.
    """

    questions: list[Question] = field(default_factory=list)
    error: str | None = None


def ask(
    rows: Sequence[GivenRow],
    tasks: Mapping[str, Answerable],
    *,
    encoders: TextEncoders,
    vocabulary: Vocabulary | None = None,
    first_row: int = 0,
    errors: Errors = "raise",
) -> list[AskedRow]:
    """Encode rows once for each input that some tasks read.

    Args:
        rows: texts, or mappings of columns.
        tasks: that are to be answered, by name.
        encoders: of the model.
        vocabulary: of the encoder, for tasks that fill masks.
        first_row: number from 0 of the first row, for messages.
        errors: what becomes of a row that cannot be read.

    Raises:
        DataError: a row cannot be read, if `errors` says so; with its number from 1.
    """
    asked = [AskedRow() for _ in rows]
    for names in _by_input(tasks, are_texts=any(isinstance(row, str) for row in rows)):
        inputs = [tasks[name].input for name in names]
        for form, numbered in _by_form(rows, asked, inputs[0], first_row=first_row, errors=errors).items():
            read = list(numbered.values())
            features = _encode(read, inputs, encoders, vocabulary, form=form)
            for number, row, cells in zip(numbered, features, read, strict=True):
                asked[number].questions.append(Question(row, text_of(cells), form, tuple(names)))
    return [AskedRow(error=row.error) if row.error is not None else row for row in asked]


def _by_input(tasks: Mapping[str, Answerable], *, are_texts: bool) -> list[list[str]]:
    """Group tasks that read the same of these rows: they share an encoder pass."""
    groups: dict[object, list[str]] = {}
    for name, task in tasks.items():
        groups.setdefault(_sharing(task.input, are_texts=are_texts), []).append(name)
    return list(groups.values())


def _sharing(given: Input, *, are_texts: bool) -> object:
    """Return what is equal for tasks that share an encoder pass; a plain text is read by all that read one text."""
    given = given.as_served
    if given.form not in ("text", "words"):
        return given.sequences
    return replace(given.sequences, form="text", columns=() if are_texts else given.columns)


def _by_form(
    rows: Sequence[GivenRow], asked: list[AskedRow], given: Input, *, first_row: int, errors: Errors
) -> dict[Form, dict[int, RowOf]]:
    """Return what an input reads of each row by its number, by the form it was given in; keep the errors of others."""
    found: dict[Form, dict[int, RowOf]] = {}
    for number, row in enumerate(rows):
        try:
            cells, form = read_row(row, given)
        except DataError as error:
            message = f"{listed(given.columns)}: {error}"
            if errors == "raise":
                raise DataError(f"row {first_row + number + 1}, {message}") from error
            asked[number] = replace(asked[number], error=asked[number].error or message)
        else:
            found.setdefault(form, {})[number] = cells
    return found


def _encode(
    rows: Sequence[RowOf], inputs: Iterable[Input], encoders: TextEncoders, vocabulary: Vocabulary | None, *, form: Form
) -> list[Features]:
    """Encode rows for tasks that share an encoder pass."""
    inputs = list(inputs)
    given = shared([each.as_served for each in inputs])
    features = encode(encoders.get(form, max_length=given.max_length), rows, given, form=form)
    if vocabulary is not None and any(each.mask_probability is not None for each in inputs):
        features = [with_blanks(row, vocabulary) for row in features]
    return features
