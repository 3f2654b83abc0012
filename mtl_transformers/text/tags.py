"""Tags and spans: the schemes of tags in and out, and labelled spans of words and of characters.

Owns the reading and writing of tags, the repair of overlaps, and the alignment of character spans to words. Does not
know tokens, logits or labels' numbers.

Tags are read as conlleval does (Tjong Kim Sang and Buchholz 2000, CoNLL-2000): a tag that continues nothing opens a
span. So any tags are read; those that a scheme's own writer gives are legal, and come back as they were.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from operator import attrgetter, itemgetter
from typing import Literal

from mtl_transformers.errors import DataError

TagScheme = Literal["bio", "iob1", "iobes", "bilou"]

OUTSIDE = "O"

CONTINUING = "IEL"
"""The prefixes that continue a span of their label."""

CLOSING = "ESLU"
"""The prefixes that end a span."""

PREFIXES: dict[TagScheme, str] = {"bio": "BI", "iob1": "BI", "iobes": "BIES", "bilou": "BILU"}
"""The prefixes of each scheme."""

_WRITTEN: dict[TagScheme, tuple[str, str, str, str]] = {
    "bio": ("B", "I", "I", "B"),
    "iob1": ("I", "I", "I", "I"),
    "iobes": ("B", "I", "E", "S"),
    "bilou": ("B", "I", "L", "U"),
}
"""The prefix of a span's first word, of those between, of its last one, and of an only one."""


@dataclass(frozen=True, slots=True)
class Span:
    """A label on the words ``[start_word, end_word)``."""

    label: str
    start_word: int
    end_word: int


@dataclass(frozen=True, slots=True)
class CharSpan:
    """A label on the characters ``[start, end)``, counted in Python code points."""

    label: str
    start: int
    end: int


def tags_to_spans(tags: Sequence[str], scheme: TagScheme) -> list[Span]:
    """Read the spans of one row, ascending; a tag that continues nothing opens a span.

    Raises:
        DataError: a tag is neither ``O`` nor a legal prefix of the scheme with a label.
    """
    spans: list[Span] = []
    open_label: str | None = None  # of the span that the next tag may continue
    for word, tag in enumerate(tags):
        if tag == OUTSIDE:
            open_label = None
            continue
        prefix, label = _split_tag(tag, word, scheme)
        if label == open_label and prefix in CONTINUING:
            spans[-1] = Span(label, spans[-1].start_word, word + 1)
        else:
            spans.append(Span(label, word, word + 1))
        open_label = None if prefix in CLOSING else label
    return spans


def spans_to_tags(spans: Sequence[Span], num_words: int, scheme: TagScheme) -> list[str]:
    """Write spans that do not overlap as one tag for each word.

    IOB1 opens a span with ``B-`` only where it follows a span of its label at once.
    """
    tags = [OUTSIDE] * num_words
    first, between, last, only = _WRITTEN[scheme]
    for span in spans:
        length = span.end_word - span.start_word
        prefixes = only if length == 1 else first + between * (length - 2) + last
        tags[span.start_word : span.end_word] = [f"{prefix}-{span.label}" for prefix in prefixes]
    if scheme == "iob1":
        for left, right in pairwise(sorted(spans, key=attrgetter("start_word"))):
            if (left.end_word, left.label) == (right.start_word, right.label):
                tags[right.start_word] = f"B-{right.label}"
    return tags


def all_tags(labels: Iterable[str], scheme: TagScheme) -> tuple[str, ...]:
    """Return the tags that spans of some labels can have: ``O``, then those of each label."""
    return (OUTSIDE, *(f"{prefix}-{label}" for label in labels for prefix in PREFIXES[scheme]))


def without_overlaps(spans: Iterable[CharSpan], keep: Literal["longest", "first"]) -> list[CharSpan]:
    """Drop spans until no two of them share a character; of equal ones one is left.

    Args:
        spans: spans of one row, in any order.
        keep: which of two spans stays. ``longest``: the longer one, else that which begins first; ``first``: that
            which begins first, else the longer one. Of two labels on the same characters the one given first.

    Returns:
        The spans that stay, in the order in which they were chosen.
    """
    kept: list[CharSpan] = []
    for span in sorted(dict.fromkeys(spans), key=_longest if keep == "longest" else _first):
        if all(span.end <= other.start or other.end <= span.start for other in kept):
            kept.append(span)
    return kept


def chars_to_words(spans: Iterable[CharSpan], word_spans: Sequence[tuple[int, int]]) -> tuple[list[Span], int]:
    """Find the words of character spans, widening each span to whole words.

    A word that two spans share goes to the earlier one. A span that is left without a word is not returned.

    Args:
        spans: spans of one row, in any order.
        word_spans: characters ``[start, end)`` of each word of the row, ascending (`Features.word_spans`).

    Returns:
        The spans in words, ascending, and how many of the given spans do not begin and end where their words
        do.

    Raises:
        DataError: a span is empty or begins before the text, or two spans overlap.
    """
    ordered = sorted(spans, key=attrgetter("start", "end"))
    _check_char_spans(ordered)
    found: list[Span] = []
    num_unaligned = 0
    next_free = 0
    for span in ordered:
        first = bisect_right(word_spans, span.start, key=itemgetter(1))
        last = bisect_left(word_spans, span.end, key=itemgetter(0))
        begin = max(first, next_free)
        if begin < last:
            found.append(Span(span.label, begin, last))
            next_free = last
        aligned = begin < last and (word_spans[begin][0], word_spans[last - 1][1]) == (span.start, span.end)
        num_unaligned += not aligned
    return found, num_unaligned


def _split_tag(tag: str, word: int, scheme: TagScheme) -> tuple[str, str]:
    prefix, dash, label = tag.partition("-")
    if len(prefix) != 1 or prefix not in PREFIXES[scheme] or not dash or not label:
        legal = ", ".join(f"{letter}-<label>" for letter in PREFIXES[scheme])
        raise DataError(
            f"word {word}: {tag!r} is no tag of the scheme {scheme}; expected {OUTSIDE} or one of {legal}. "
            f"Fix the data, or set the task's scheme"
        )
    return prefix, label


def _longest(span: CharSpan) -> tuple[int, int]:
    return span.start - span.end, span.start


def _first(span: CharSpan) -> tuple[int, int]:
    return span.start, -span.end


def _check_char_spans(ordered: Sequence[CharSpan]) -> None:
    for span in ordered:
        if not 0 <= span.start < span.end:
            raise DataError(
                f"span {span.label!r} from character {span.start} to {span.end}: expected 0 <= start < end. "
                f"Fix the data"
            )
    for left, right in pairwise(ordered):
        if right.start < left.end:
            raise DataError(
                f"spans {left.label!r} from character {left.start} to {left.end} and {right.label!r} from "
                f"{right.start} to {right.end} overlap, but a word has one tag. Remove one of the two, or set the "
                f"task's overlaps to longest or first"
            )
