"""Labels that are not trained as they were given, and the rows they stand in.

Owns what is said of them; a kind with such labels has a case in `altered_of`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from mtl_transformers.checking.findings import Finding, named
from mtl_transformers.data.cells import cells_of
from mtl_transformers.data.encoded import EncodedSplit
from mtl_transformers.data.labelling import texts_of, words_in
from mtl_transformers.data.origins import Places
from mtl_transformers.data.preparing import Tables
from mtl_transformers.tasks.question_answering import QuestionAnswering
from mtl_transformers.tasks.task import Task
from mtl_transformers.tasks.token_classification import TokenClassification
from mtl_transformers.text.encoding import Features
from mtl_transformers.text.inputs import Input

CHUNK_ROWS = 1000  # rows that are in memory at once
WIDENED = "spans that do not end at the edges of words, and are widened to whole words"
DROPPED = "spans that overlap one that is kept, and are dropped"
REPAIRED = "answers that do not stand where the data say, and are repaired"
LOST = "answers that are not in their context, and are left out"


@dataclass(frozen=True, slots=True)
class Altered:
    """How many labels, and the rows of a table that they stand in."""

    count: int
    rows: Sequence[int]
    places: Places


def altered_of(task: Task, encoded: EncodedSplit, tables: Tables) -> dict[str, Altered]:
    """Return the labels of a split that are not trained as they were given, by what becomes of them.

    Args:
        task: the task.
        encoded: the split.
        tables: of its dataset, with the rows that have no label that could be trained.
    """
    match task:
        case TokenClassification() if task.options.scheme == "spans":
            places, by_row = encoded.places, _spans(task, encoded)
        case QuestionAnswering():
            given = encoded.input_of(task.name).given
            places, by_row = tables.places[encoded.split], _answers(task, tables, encoded.split, given)
        case _:
            return {}
    return {
        what: Altered(sum(numbers), [row for row, number in enumerate(numbers) if number], places)
        for what, numbers in by_row.items()
        if any(numbers)
    }


def _spans(task: TokenClassification, encoded: EncodedSplit) -> dict[str, list[int]]:
    cells = cells_of(encoded.table, task.label_columns(task.options))
    counts = [task.span_counts(of_row, row) for of_row, row in zip(cells, _words(task, encoded), strict=True)]
    return {WIDENED: [of.widened for of in counts], DROPPED: [of.dropped for of in counts]}


def _answers(task: QuestionAnswering, tables: Tables, split: str, given: Input) -> dict[str, list[int]]:
    table = tables.splits[split]
    cells = cells_of(table, task.label_columns(task.options))
    starts = range(0, len(table), CHUNK_ROWS)
    contexts = (text for start in starts for text in texts_of(table, slice(start, start + CHUNK_ROWS), given))
    counts = [task.answer_counts(of_row, text=text) for of_row, text in zip(cells, contexts, strict=True)]
    return {REPAIRED: [of.repaired for of in counts], LOST: [of.lost for of in counts]}


def altered_findings(task: Task, encoded: EncodedSplit, altered: Mapping[str, Altered]) -> Iterator[Finding]:
    """Yield a warning for each of them."""
    for what, of in altered.items():
        yield Finding(
            severity="warning",
            topic="spans" if isinstance(task, TokenClassification) else "answers",
            place=f"tasks.{task.name}",
            split=encoded.split,
            message=f"{what}: {of.count:,}",
            count=of.count,
            rows=named(of.places, of.rows),
        )


def _words(task: Task, encoded: EncodedSplit) -> Iterator[Features]:
    """Yield where the words of each row stand."""
    features = encoded.input_of(task.name).features
    for start in range(0, len(encoded), CHUNK_ROWS):
        yield from words_in(features, start, min(start + CHUNK_ROWS, len(encoded)))
