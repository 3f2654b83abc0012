"""Labels that are not trained as they were given, and the rows they stand in.

Owns what is said of them; a kind with such labels has a case in `altered_of`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from mtl_transformers.checking.findings import Finding, named
from mtl_transformers.data.cells import cells_of
from mtl_transformers.data.encoded import EncodedSplit
from mtl_transformers.data.labelling import words_in
from mtl_transformers.tasks.task import Task
from mtl_transformers.tasks.token_classification import TokenClassification
from mtl_transformers.text.encoding import Features

CHUNK_ROWS = 1000  # rows that are in memory at once
WIDENED = "spans that do not end at the edges of words, and are widened to whole words"
DROPPED = "spans that overlap one that is kept, and are dropped"


@dataclass(frozen=True, slots=True)
class Altered:
    """How many labels, and the rows that they stand in."""

    count: int
    rows: Sequence[int]


def altered_of(task: Task, encoded: EncodedSplit) -> dict[str, Altered]:
    """Return the labels of a split that are not trained as they were given, by what becomes of them."""
    if not isinstance(task, TokenClassification) or task.options.scheme != "spans":
        return {}
    cells = cells_of(encoded.table, task.label_columns(task.options))
    counts = [task.span_counts(of_row, row) for of_row, row in zip(cells, _words(task, encoded), strict=True)]
    by_row = {WIDENED: [of.widened for of in counts], DROPPED: [of.dropped for of in counts]}
    return {
        what: Altered(sum(numbers), [row for row, number in enumerate(numbers) if number])
        for what, numbers in by_row.items()
        if any(numbers)
    }


def altered_findings(task: Task, encoded: EncodedSplit, altered: Mapping[str, Altered]) -> Iterator[Finding]:
    """Yield a warning for each of them."""
    for what, of in altered.items():
        yield Finding(
            severity="warning",
            topic="spans",
            place=f"tasks.{task.name}",
            split=encoded.split,
            message=f"{what}: {of.count:,}",
            count=of.count,
            rows=named(encoded.places, of.rows),
        )


def _words(task: Task, encoded: EncodedSplit) -> Iterator[Features]:
    """Yield where the words of each row stand."""
    features = encoded.input_of(task.name).features
    for start in range(0, len(encoded), CHUNK_ROWS):
        yield from words_in(features, start, min(start + CHUNK_ROWS, len(encoded)))
