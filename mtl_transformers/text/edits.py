"""A text made from another, and the way of characters from the one to the other and back.

Owns the type that cleaning and augmenting share. Does not know why a text is changed. Characters
are Python code points.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

Replacement = tuple[int, int, str]
"""The characters ``[start, end)`` of a text, of which there is at least one, and what takes their place."""


@dataclass(frozen=True, slots=True)
class _Change:
    """The parts of a text that one step replaced, ascending: each one's bounds before and after, in characters.

    A character of a new part stands for the whole old part; one between the parts, for the one that it was.
    """

    old_starts: Sequence[int]
    old_ends: Sequence[int]
    new_starts: Sequence[int]
    new_ends: Sequence[int]

    def back(self, start: int, end: int) -> tuple[int, int]:
        first, _ = _moved(start, self.new_starts, self.new_ends, self.old_starts, self.old_ends)
        _, last = _moved(end - 1, self.new_starts, self.new_ends, self.old_starts, self.old_ends)
        return first, last

    def forth(self, start: int, end: int) -> tuple[int, int]:
        first, _ = _moved(start, self.old_starts, self.old_ends, self.new_starts, self.new_ends)
        _, last = _moved(end - 1, self.old_starts, self.old_ends, self.new_starts, self.new_ends)
        return first, last


def _moved(
    place: int, starts: Sequence[int], ends: Sequence[int], other_starts: Sequence[int], other_ends: Sequence[int]
) -> tuple[int, int]:
    """Return what one character is on the other side: the part it lies in, or itself."""
    part = bisect_right(starts, place) - 1
    if part < 0:
        return place, place + 1
    if place < ends[part]:
        return other_starts[part], other_ends[part]
    moved = place - ends[part] + other_ends[part]
    return moved, moved + 1


@dataclass(frozen=True, slots=True)
class Edited:
    """A text, and what was done to the original, step by step.

    Attributes:
        text: the text as it became.
        changes: the oldest first. None: every character stands for the one at its place, itself or another.
    """

    text: str
    changes: tuple[_Change, ...] = ()

    def back(self, start: int, end: int) -> tuple[int, int]:
        """Return the characters of the original that ``text[start:end]``, which is not empty, stands for."""
        for change in reversed(self.changes):
            start, end = change.back(start, end)
        return start, end

    def forth(self, start: int, end: int) -> tuple[int, int] | None:
        """Return what became of ``[start, end)`` of the original, which is not empty; ``None`` if nothing is left."""
        for change in self.changes:
            start, end = change.forth(start, end)
            if start >= end:
                return None
        return start, end

    def then(self, later: Edited) -> Edited:
        """Return an edit of this text as one of the original."""
        return Edited(later.text, self.changes + later.changes)


def replaced(text: str, replacements: Iterable[Replacement]) -> Edited:
    """Replace parts of a text.

    Args:
        text: the original.
        replacements: ascending, without overlap.
    """
    pieces: list[str] = []
    old_starts: list[int] = []
    old_ends: list[int] = []
    new_starts: list[int] = []
    new_ends: list[int] = []
    behind = 0  # the last part, in the old text
    shift = 0  # of what stands there
    for start, end, new in replacements:
        pieces += text[behind:start], new
        old_starts.append(start)
        old_ends.append(end)
        new_starts.append(start + shift)
        behind, shift = end, shift + len(new) - (end - start)
        new_ends.append(behind + shift)
    if not pieces:
        return Edited(text)
    pieces.append(text[behind:])
    return Edited("".join(pieces), (_Change(old_starts, old_ends, new_starts, new_ends),))
