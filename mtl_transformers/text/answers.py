"""Answers in a context: where a given one stands, and logits to the best spans over all windows of a question.

Owns what a prediction of question answering looks like. Numpy only, as ``decoding.py``. Does not know the cells of a
table or compare answers (``squad.py``).

Shapes: ``P`` pieces of a row's context, ``A`` pieces of the longest answer, ``M`` vectors of a row: in each of its
windows the first token, then the window's pieces.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NotRequired, TypedDict

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from mtl_transformers.text.encoding import Features

Scores = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Place:
    """Where an answer stands.

    Attributes:
        start: its first character.
        end: the character behind its last one.
        repaired: it was not found as it was given.
    """

    start: int
    end: int
    repaired: bool


class AnswerCandidate(TypedDict):
    """One of the best answers; ``answer`` is the characters ``[start, end)`` of the context."""

    answer: str
    start: int | None
    end: int | None
    score: float


class AnswerPrediction(AnswerCandidate):
    """The answer; no answer is an empty one without a place. ``n_best`` where several were asked for, best first."""

    n_best: NotRequired[list[AnswerCandidate]]


def find_answer(answer: str, context: str, *, start: int | None) -> Place | None:
    """Find an answer in its context.

    It is believed where it stands at ``start``. Else the same text nearest to ``start`` (or the first one) is taken,
    else a text that differs in case and white space only. ``None``: there is none.
    """
    if start is not None and start >= 0 and context.startswith(answer, start):
        return Place(start, start + len(answer), repaired=False)
    loosely = r"\s+".join(map(re.escape, answer.split()))
    for pattern, flags, repaired in ((re.escape(answer), 0, start is not None), (loosely, re.IGNORECASE, True)):
        found = [match.span(1) for match in re.finditer(f"(?=({pattern}))", context, flags)]
        if found:
            return Place(*min(found, key=lambda span: abs(span[0] - (start or 0))), repaired=repaired)
    return None


def pieces_of(start: int, end: int, spans: NDArray[np.int64]) -> tuple[int, int] | None:
    """Return the first and the last piece that characters ``[start, end)`` touch; ``None``: no piece.

    Args:
        start: of the characters.
        end: likewise.
        spans: ``[P, 2]`` characters of each piece.
    """
    touched = np.flatnonzero((spans[:, 0] < end) & (spans[:, 1] > start) & (spans[:, 0] < spans[:, 1]))
    return (int(touched[0]), int(touched[-1])) if len(touched) else None


def spans_array(row: Features) -> NDArray[np.int64]:
    """Return the characters ``[P, 2]`` of the pieces of a row's context."""
    return np.array(row.word_spans, dtype=np.int64).reshape(-1, 2)


def decode_answers(
    logits: Sequence[NDArray[np.floating]],
    rows: Sequence[Features],
    contexts: Sequence[str],
    *,
    max_pieces: int,
    num_best: int,
    threshold: float | None,
) -> list[AnswerPrediction]:
    """Choose the best span over all windows of each question, or that there is no answer.

    A span's logit is that of its start plus that of its end, both in the same window, and the highest of its windows'.
    No answer has the lowest sum of the windows' first tokens (Devlin et al. 2019, arXiv:1810.04805, section 4.3, and
    the released code). A score is the softmax over all spans of at most ``max_pieces``, and no answer where there may
    be none.

    Args:
        logits: of each row ``[M, 2]``: start and end.
        rows: the rows' features, aligned to pieces.
        contexts: the rows' contexts.
        max_pieces: ``A``.
        num_best: how many answers a prediction names; of those with equal text the best one. Above 1: in ``n_best``.
        threshold: there is no answer where its logit is higher than the best span's by more than this; ``None``: there
            is always one, as far as the context has any piece.
    """
    return [
        _decoded(_Spans(*of_row, max_pieces=max_pieces), num_best=num_best, threshold=threshold)
        for of_row in zip(logits, rows, contexts, strict=True)
    ]


class _Spans:
    """The candidate spans of a row: ``logits`` ``[P, A]`` by first piece and further pieces, and ``null``."""

    def __init__(self, logits: NDArray[np.floating], row: Features, context: str, *, max_pieces: int) -> None:
        self._context = context
        self._characters = spans_array(row)
        self._width = max(1, min(max_pieces, len(self._characters)))
        blank = self._characters[:, 0] >= self._characters[:, 1]  # no span begins or ends there
        self.logits: Scores = np.full((len(self._characters), self._width), -np.inf)
        self.null = np.inf
        first = 0
        for pieces in row.word_indices:
            window = logits[first : first + 1 + len(pieces)].astype(np.float64)
            first += len(window)
            self.null = min(self.null, float(window[0].sum()))
            if len(pieces):
                place = slice(pieces[0], pieces[-1] + 1)
                starts, ends = np.where(blank[place, None], -np.inf, window[1:]).T
                ends = np.pad(ends, (0, self._width - 1), constant_values=-np.inf)
                best = self.logits[place]
                np.maximum(best, starts[:, None] + sliding_window_view(ends, self._width), out=best)

    def ranked(self) -> Iterator[tuple[str, int, int, float]]:
        """Yield text, characters and logit of the spans, best first; of equal ones the first and shortest."""
        left = self.logits.flatten()
        for _ in range(left.size):
            number = int(left.argmax())  # few are asked for: quicker than to sort them all
            logit, left[number] = float(left[number]), -np.inf
            if logit == -np.inf:
                return
            piece, more = divmod(number, self._width)
            start, end = int(self._characters[piece, 0]), int(self._characters[piece + more, 1])
            yield self._context[start:end], start, end, logit


def _decoded(spans: _Spans, *, num_best: int, threshold: float | None) -> AnswerPrediction:
    best: dict[str, tuple[int, int, float]] = {}
    for text, start, end, logit in spans.ranked():
        best.setdefault(text, (start, end, logit))
        if len(best) == num_best:
            break
    top = next((logit for *_, logit in best.values()), -np.inf)
    known = threshold is not None or not best  # whether there may be no answer
    highest = max(top, spans.null) if known else top
    total = np.exp(spans.logits - highest).sum() + (np.exp(spans.null - highest) if known else 0.0)

    def score(logit: float) -> float:
        return float(np.exp(logit - highest) / total)

    found = [AnswerCandidate(answer=t, start=s, end=e, score=score(logit)) for t, (s, e, logit) in best.items()]
    none = AnswerCandidate(answer="", start=None, end=None, score=score(spans.null) if known else 0.0)
    is_none = not found or (threshold is not None and spans.null - top > threshold)
    chosen = none if is_none else found[0]
    if num_best == 1:
        return AnswerPrediction(**chosen)  # type: ignore[typeddict-item]  # mypy misses that n_best may be missing
    ranked = sorted([*found, *([none] if known else [])], key=lambda candidate: -candidate["score"])
    return AnswerPrediction(**chosen, n_best=ranked[:num_best])
