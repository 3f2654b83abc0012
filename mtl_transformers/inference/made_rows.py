"""Rows made of a tokenizer's own vocabulary, for comparing two models where no data are at hand.

A pure function of the inputs, the vocabulary and a seed.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence

from mtl_transformers.runtime.questions import Answerable
from mtl_transformers.runtime.rows import GivenRow
from mtl_transformers.text.inputs import Input

LENGTHS = (1, 2, 3, 5, 8, 13, 21, 34, 55, 89, 144, 233, 377, 610)  # words of a text
OPTIONS = (2, 3, 4)  # of a row that has them in one column, in turn
_MARKS = "#Ġ▁"  # that pieces of words begin with


def made_rows(
    tasks: Mapping[str, Answerable], tokens: Sequence[str], *, seed: int
) -> Iterator[tuple[list[str], list[GivenRow]]]:
    """Yield the tasks that read the same input, and rows for them: texts of one word up to the input's length.

    Args:
        tasks: by name.
        tokens: of the vocabulary.
        seed: of the choice of words.
    """
    words = sorted({token.strip(_MARKS) for token in tokens if token.strip(_MARKS).isalnum()})
    rng = random.Random(seed)
    inputs = list(dict.fromkeys(task.input for task in tasks.values()))
    for given in inputs:
        lengths = [length for length in LENGTHS if length <= given.max_length]
        rows = [_row(given, words, length, options, rng) for length in lengths for options in OPTIONS]
        yield [name for name, task in tasks.items() if task.input == given], rows


def _row(given: Input, words: Sequence[str], length: int, num_options: int, rng: random.Random) -> GivenRow:
    """Return one row; its texts have up to as many words as asked for, the first one exactly."""
    lengths = [length, *(rng.randint(1, length) for _ in given.columns[1:])]
    row: dict[str, object] = {
        column: " ".join(rng.choices(words, k=count)) for column, count in zip(given.columns, lengths, strict=True)
    }
    if given.form == "options" and len(given.columns) == given.num_context + 1:
        row[given.columns[-1]] = [" ".join(rng.choices(words, k=rng.randint(1, length))) for _ in range(num_options)]
    if given.form == "words":
        row[given.columns[0]] = rng.choices(words, k=length)
    return row
