"""Windows: a text that is too long for one sequence, read in several that overlap.

Owns which tokens stand in which window, and in which window a word is read. Knows token positions only: no text, no
tokenizer, no labels.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence


def window_positions(owners: Sequence[int | None], max_length: int, *, stride: int) -> tuple[list[list[int]], bool]:
    """Cut the last text of a sequence into windows that fit.

    Every window has the special tokens and, of a pair, the first text, as in BERT's question answering (Devlin et al.
    2019, arXiv:1810.04805, released code). A first text that would leave the second one less than half of the room
    loses its end.

    Args:
        owners: of each token, the number of its text, or ``None`` of a special token; at most two texts.
        max_length: tokens of a window.
        stride: tokens that two windows share; at most half of what a window holds of the text.

    Returns:
        The token positions of each window, ascending, and whether the first text lost tokens.
    """
    num_room = max_length - sum(owner is None for owner in owners)
    last = max((owner for owner in owners if owner is not None), default=0)
    text = [position for position, owner in enumerate(owners) if owner == last]
    before = [position for position in range(text[0]) if owners[position] is not None]
    num_kept = min(len(before), num_room // 2)
    dropped = set(before[num_kept:])
    head = [position for position in range(text[0]) if position not in dropped]
    tail = list(range(text[-1] + 1, len(owners)))
    size = num_room - num_kept
    step = size - min(stride, size // 2)
    starts = range(0, max(1, len(text) - size + step), step)
    return [[*head, *text[start : start + size], *tail] for start in starts], bool(dropped)


def read_positions(
    positions: Sequence[int], windows: Sequence[Sequence[int]], *, everywhere: bool
) -> list[list[tuple[int, int]]]:
    """Find where each word is read.

    Args:
        positions: ``[W]`` token position of each word in the whole sequence, ascending.
        windows: the token positions of each window, ascending.
        everywhere: read a word in every window that it stands in; else once, in the window where it has most tokens on
            its shorter side ("maximum context"), of equal ones the first.

    Returns:
        Per window, (word, position in the window) of the words that are read there, ascending.
    """
    if len(windows) == 1 and len(windows[0]) and windows[0][-1] == len(windows[0]) - 1:  # nothing lost but the end
        num_kept = bisect_left(positions, len(windows[0]))
        return [list(enumerate(positions[:num_kept]))]
    places = [{position: place for place, position in enumerate(window)} for window in windows]
    read: list[list[tuple[int, int]]] = [[] for _ in windows]
    for word, position in enumerate(positions):
        found = [number for number, of_window in enumerate(places) if position in of_window]
        if found and not everywhere:
            found = [max(found, key=lambda number: _context(places[number][position], len(windows[number])))]
        for number in found:
            read[number].append((word, places[number][position]))
    return read


def _context(place: int, length: int) -> int:
    """Return how many tokens stand on the shorter side of a place."""
    return min(place, length - 1 - place)
