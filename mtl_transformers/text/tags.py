"""Tags and spans: the schemes that datasets use, as BIO and as labelled spans of words.

Owns the reading of tags, the way back, and the alignment of character spans to words. Does not know tokens,
logits or labels' numbers.

Spans are read as conlleval does (Tjong Kim Sang and Buchholz 2000, CoNLL-2000): a tag that continues nothing
opens a span. BIO and IOB1 then read alike; what differs is which spans a writer opens with ``B-``.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from operator import attrgetter, itemgetter
from typing import Literal

from mtl_transformers.errors import DataError

Scheme = Literal["bio", "iob1", "iobes"]

OUTSIDE = "O"

_PREFIXES: dict[Scheme, str] = {"bio": "BI", "iob1": "BI", "iobes": "BIES"}


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


def to_bio(tags: Sequence[str], scheme: Scheme) -> list[str]:
    """Rewrite the tags of one row as BIO, where every span opens with ``B-``.

    Raises:
        DataError: a tag is neither ``O`` nor a legal prefix of the scheme with a label.
    """
    return spans_to_bio(_read_spans(tags, scheme), len(tags))


def bio_to_spans(tags: Sequence[str]) -> list[Span]:
    """Read the spans of one row's BIO tags; an ``I-`` that continues nothing opens a span.

    Raises:
        DataError: a tag is neither ``O`` nor ``B-`` or ``I-`` with a label.
    """
    return _read_spans(tags, "bio")


def spans_to_bio(spans: Iterable[Span], num_words: int) -> list[str]:
    """Write spans that do not overlap as one BIO tag per word."""
    tags = [OUTSIDE] * num_words
    for span in spans:
        tags[span.start_word] = f"B-{span.label}"
        for word in range(span.start_word + 1, span.end_word):
            tags[word] = f"I-{span.label}"
    return tags


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


def _read_spans(tags: Sequence[str], scheme: Scheme) -> list[Span]:
    """Read the spans of one row; the rules for ``E-`` and ``S-`` are conlleval's too."""
    spans: list[Span] = []
    open_label: str | None = None  # of the span that the next tag may continue
    for word, tag in enumerate(tags):
        if tag == OUTSIDE:
            open_label = None
            continue
        prefix, label = _split_tag(tag, word, scheme)
        if label == open_label and prefix in "IE":
            spans[-1] = Span(label, spans[-1].start_word, word + 1)
        else:
            spans.append(Span(label, word, word + 1))
        open_label = None if prefix in "ES" else label
    return spans


def _split_tag(tag: str, word: int, scheme: Scheme) -> tuple[str, str]:
    prefix, dash, label = tag.partition("-")
    if len(prefix) != 1 or prefix not in _PREFIXES[scheme] or not dash or not label:
        legal = ", ".join(f"{letter}-<label>" for letter in _PREFIXES[scheme])
        raise DataError(
            f"word {word}: {tag!r} is no tag of the scheme {scheme}; expected {OUTSIDE} or one of {legal}. "
            f"Fix the data, or set the task's scheme"
        )
    return prefix, label


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
                f"{right.start} to {right.end} overlap, but a word has one tag. Remove one of the two"
            )
