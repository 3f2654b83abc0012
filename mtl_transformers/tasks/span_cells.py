"""Label cells of spans: one tag for each word, or character spans. Owns what a cell must look like, and its errors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mtl_transformers.errors import DataError
from mtl_transformers.tasks.labels import plain
from mtl_transformers.text.tags import CharSpan, Span, TagScheme, tags_to_spans


@dataclass(frozen=True, slots=True)
class SpanCounts:
    """Character spans that are not trained as they were given.

    Attributes:
        widened: those that do not begin and end where words do, and are widened to whole words.
        dropped: those that overlap one that is kept; of equal ones the others are not counted.
    """

    widened: int = 0
    dropped: int = 0

    def __add__(self, other: SpanCounts) -> SpanCounts:
        return SpanCounts(self.widened + other.widened, self.dropped + other.dropped)


def tags_in(cell: Any) -> list[str | None]:
    """Return the tags of one row; ``None`` is null.

    Raises:
        DataError: for a cell that is no list of tags.
    """
    if not isinstance(cell, list | tuple):
        raise DataError(f"tags {cell!r} are a {type(cell).__name__}; expected a list with one tag for each word")
    return [None if tag is None else str(tag) for tag in map(plain, cell)]


def spans_of(tags: Sequence[str | None], scheme: TagScheme) -> list[Span]:
    """Return the spans of one row's tags.

    Raises:
        DataError: for a tag that is null or not of the scheme.
    """
    if any(tag is None for tag in tags):
        raise DataError("a tag is null; in a scheme of spans every word has a tag, O outside of spans")
    return tags_to_spans([tag for tag in tags if tag is not None], scheme)


def char_spans_in(cell: Any) -> list[CharSpan]:
    """Return a row's character spans, as they are given.

    Raises:
        DataError: for a cell that is no list of spans.
    """
    if not isinstance(cell, list | tuple):
        raise DataError(f"spans {cell!r} are a {type(cell).__name__}; expected a list of {{label, start, end}}")
    spans = []
    for span in cell:
        if not isinstance(span, Mapping) or not {"label", "start", "end"} <= span.keys():
            raise DataError(f"span {span!r}: expected an object with label, start and end")
        label, start, end = span["label"], whole(span["start"]), whole(span["end"])
        if not isinstance(label, str) or not label or start is None or end is None or not 0 <= start < end:
            raise DataError(f"span {dict(span)!r}: expected a name and characters 0 ≤ start < end")
        spans.append(CharSpan(label, start, end))
    return spans


def check_ends(spans: Sequence[CharSpan], text: str) -> None:
    """Refuse a span that ends after the text.

    Raises:
        DataError: with the span.
    """
    for span in spans:
        if span.end > len(text):
            raise DataError(
                f"span {span.label!r} from character {span.start} to {span.end} ends after the text, which has "
                f"{len(text)} characters. Fix the data: offsets count characters of the text column as it is"
            )


def whole(offset: Any) -> int | None:
    """Return a character offset; one fraction in a column of JSON turned the others into 1.0."""
    if isinstance(offset, float) and offset.is_integer():
        return int(offset)
    return offset if isinstance(offset, int) and not isinstance(offset, bool) else None
