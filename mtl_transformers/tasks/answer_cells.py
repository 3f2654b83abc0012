"""Label cells of answers. Owns what a cell must look like, its errors, and the counts of answers that are wrong."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mtl_transformers.errors import DataError
from mtl_transformers.tasks.span_cells import whole
from mtl_transformers.text.answers import find_answer

_EXPECTED = "expected a list of {text, answer_start}, {text: […], answer_start: […]}, a text or a list of texts"


@dataclass(frozen=True, slots=True)
class AnswerCounts:
    """Answers that are not trained as they were given.

    Attributes:
        repaired: those that do not stand where their offset says, or not in this case and white space, but elsewhere in
            the context.
        lost: those that do not stand in the context at all.
    """

    repaired: int = 0
    lost: int = 0

    def __add__(self, other: AnswerCounts) -> AnswerCounts:
        return AnswerCounts(self.repaired + other.repaired, self.lost + other.lost)


@dataclass(frozen=True, slots=True)
class GivenAnswer:
    """An answer as a cell gives it; ``start`` is its first character, if the cell says it."""

    text: str
    start: int | None


def answers_in(cell: Any) -> list[GivenAnswer] | None:
    """Return the answers of one row, none for ``[]``; ``None`` is null.

    Raises:
        DataError: for a cell of another form, or an answer without text.
    """
    match cell:
        case None | {"text": None}:
            return None
        case str():
            return [_answer(cell, None)]
        case {"text": [*texts]}:
            return _side_by_side(texts, cell.get("answer_start"))
        case list() | tuple():
            return [_of_item(item) for item in cell]
    raise DataError(f"answers {cell!r:.80}: {_EXPECTED}")


def found_answers(given: Sequence[GivenAnswer], context: str) -> tuple[list[dict[str, Any]], AnswerCounts]:
    """Return the answers that stand in a context as {text, start}, and the counts of those that are wrong."""
    places = [find_answer(answer.text, context, start=answer.start) for answer in given]
    found = [{"text": context[place.start : place.end], "start": place.start} for place in places if place is not None]
    return found, AnswerCounts(
        repaired=sum(place is not None and place.repaired for place in places), lost=places.count(None)
    )


def _side_by_side(texts: Sequence[Any], starts: Any) -> list[GivenAnswer]:
    """Read the form that `datasets` gives to SQuAD: a list of texts and one of offsets."""
    starts = [None] * len(texts) if starts is None else starts
    if not isinstance(starts, list | tuple) or len(starts) != len(texts):
        raise DataError(f"answer_start {starts!r:.80}: expected an offset for each of the {len(texts)} texts")
    return [_answer(text, start) for text, start in zip(texts, starts, strict=True)]


def _of_item(item: Any) -> GivenAnswer:
    if isinstance(item, Mapping) and "text" in item:
        return _answer(item["text"], item.get("answer_start"))
    if isinstance(item, str):
        return _answer(item, None)
    raise DataError(f"answer {item!r:.80}: {_EXPECTED}")


def _answer(text: Any, start: Any) -> GivenAnswer:
    if not isinstance(text, str) or not text.strip():
        raise DataError(f"answer {text!r:.80}: expected a text that is not empty; a question without an answer has []")
    offset = whole(start)
    if start is not None and offset is None:
        raise DataError(f"answer {text!r:.80}: answer_start {start!r:.80} is no whole number of characters")
    return GivenAnswer(text, offset)
