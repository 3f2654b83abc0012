"""The best legal tags: Viterbi's search (1967) over the transitions that a scheme of tags allows.

Owns what may follow what, and the search. Numpy only. Does not know rows, spans or words without a token.

A transition costs nothing or is forbidden, and there are two kinds of tags: one that continues a span follows the
beginning or the inside of a span of its label; any other follows a tag after which no span is left open. So a step
needs no table of ``C × C`` transitions.

Shapes: ``M`` words of all sequences, one after the other; ``S`` sequences; ``C`` tags.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mtl_transformers.text.tags import CLOSING, CONTINUING, OUTSIDE, PREFIXES, TagScheme

Array = NDArray[np.floating]
Indices = NDArray[np.int64]


def best_legal_tags(logits: Array, starts: Indices, tags: Sequence[str], scheme: TagScheme) -> Indices:
    """Choose the most probable tags of each sequence among those that are legal.

    Logits differ from log-probabilities by a constant of each word, so the largest sum of either is the same one. A
    sequence whose most probable tags are legal has these.

    Args:
        logits: ``[M, C]``, of one word or more.
        starts: the first word of each sequence ``[S]``, ascending from 0; no sequence is empty.
        tags: ``C`` tags, as `all_tags` gives them: ``O`` is the first.
        scheme: of the tags; not IOB1, in which a span's first tag hangs on the span before it.

    Returns:
        The chosen tag of each word ``[M]``.
    """
    rules = _rules(tags, scheme)
    choices: Indices = logits.argmax(axis=1)
    illegal = ~_are_legal(choices, starts, rules)
    if illegal.any():
        lengths = np.diff(starts, append=len(logits))
        for words, chosen in _search(logits, starts[illegal], lengths[illegal], rules):
            choices[words] = chosen
    return choices


@dataclass(frozen=True, slots=True)
class _Rules:
    """What may stand before each tag.

    Attributes:
        closed: whether no span is left open after a tag ``[C]``; in BIO none ever is.
        continuing: whether a tag continues a span of its label ``[C]``.
        begin: the tag that begins a span of that label ``[C]``; of ``O`` any.
        inside: the tag inside of it ``[C]``; likewise.
    """

    closed: NDArray[np.bool_]
    continuing: NDArray[np.bool_]
    begin: Indices
    inside: Indices

    def may_follow(self, before: Indices, tags: Indices) -> NDArray[np.bool_]:
        """Tell of each pair whether the second tag may follow the first."""
        continued = (self.begin[tags] == before) | (self.inside[tags] == before)
        return np.where(self.continuing[tags], continued, self.closed[before])


def _rules(tags: Sequence[str], scheme: TagScheme) -> _Rules:
    place = {tag: number for number, tag in enumerate(tags)}
    prefixes, labels = zip(*((tag[:1], tag[2:]) for tag in tags), strict=True)
    always_closed = not set(CLOSING) & set(PREFIXES[scheme])
    return _Rules(
        closed=np.array([always_closed or prefix in f"{OUTSIDE}{CLOSING}" for prefix in prefixes]),
        continuing=np.array([prefix in CONTINUING for prefix in prefixes]),
        begin=np.array([place.get(f"B-{label}", 0) for label in labels]),
        inside=np.array([place.get(f"I-{label}", 0) for label in labels]),
    )


def _are_legal(choices: Indices, starts: Indices, rules: _Rules) -> NDArray[np.bool_]:
    """Tell of each sequence ``[S]`` whether its tags ``[M]`` are legal; outside of it all is ``O``."""
    before, after = np.roll(choices, 1), np.roll(choices, -1)
    before[starts] = after[starts - 1] = 0  # O; starts - 1: the last words, and -1 the very last
    legal = rules.may_follow(before, choices) & rules.may_follow(choices, after)
    return np.logical_and.reduceat(legal, starts)


def _search(logits: Array, starts: Indices, lengths: Indices, rules: _Rules) -> Iterator[tuple[Indices, Indices]]:
    """Yield words and their tags in the best legal sequences, the last words first.

    The longest sequences stand first, so that step t works on those that have a word t.
    """
    order = np.argsort(-lengths, kind="stable")
    starts, lengths = starts[order], lengths[order]
    best = logits[starts].astype(np.float64)  # of the sequences that end in each tag, [S, C]
    best[:, rules.continuing] = -np.inf
    came_from = []
    for step in range(1, lengths[0]):
        active = np.count_nonzero(lengths > step)
        before = _best_before(best[:active], rules)
        best[:active] = np.take_along_axis(best[:active], before, axis=1) + logits[starts[:active] + step]
        came_from.append(before)
    chosen = np.where(rules.closed, best, -np.inf).argmax(axis=1)
    for step in range(lengths[0] - 1, 0, -1):
        active = np.count_nonzero(lengths > step)
        yield starts[:active] + step, chosen[:active].copy()
        chosen[:active] = came_from[step - 1][np.arange(active), chosen[:active]]
    yield starts, chosen


def _best_before(best: Array, rules: _Rules) -> NDArray[np.int32]:
    """Return the best tag before each tag ``[S, C]``."""
    closed = np.where(rules.closed, best, -np.inf).argmax(axis=1)
    opened = np.where(best[:, rules.begin] >= best[:, rules.inside], rules.begin, rules.inside)
    return np.where(rules.continuing, opened, closed[:, None]).astype(np.int32)
