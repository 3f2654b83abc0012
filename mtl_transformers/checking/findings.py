"""Findings: what a user should look at, in words, with some of the rows that show it.

Owns the form of a finding, and how labels and rows are listed. What is found is known to the files beside this one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from mtl_transformers.data.origins import Places

SHOWN_LABELS = 8
SHOWN_ROWS = 3

Severity = Literal["warning", "note"]
Topic = Literal[
    "run", "nulls", "labels", "numbers", "spans", "answers", "lengths", "duplicates", "conflicts", "leakage", "start"
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing to look at.

    Attributes:
        severity: a warning is likely to cost quality; a note is good to know.
        topic: what it is about.
        place: the key of the config that it belongs to, as ``tasks.intent``.
        split: where it was found; ``None`` where it is about no split.
        message: what was found, and what to do where that is known.
        count: how many rows, labels or values.
        rows: the places of the first few of the rows.
    """

    severity: Severity
    topic: Topic
    place: str
    message: str
    split: str | None = None
    count: int = 0
    rows: tuple[str, ...] = ()

    def __str__(self) -> str:
        """Say it in one line, without the rows."""
        where = self.place if self.split is None else f"{self.place}, {self.split}"
        return f"{where}: {self.message}"


def graver_above(threshold: float, share: float) -> Severity:
    """Return a warning for a share above a threshold, else a note."""
    return "warning" if share > threshold else "note"


def named(places: Places, rows: Sequence[int]) -> tuple[str, ...]:
    """Name the first few of some rows."""
    return tuple(places.of([int(row) for row in rows[:SHOWN_ROWS]]))


def paired(rows: Sequence[str], others: Sequence[str]) -> tuple[str, ...]:
    """Name rows each with the one that it was found by; a file that both stand in is named once."""
    pairs = []
    for row, other in zip(rows, others, strict=True):
        file, _, at = other.rpartition(", ")
        pairs.append(f"{row} = {at if file and row.startswith(f'{file}, ') else other}")
    return tuple(pairs)


def listed(labels: Sequence[str]) -> str:
    """List labels; of many the first few, and how many there are."""
    more = f", … ({len(labels)} in all)" if len(labels) > SHOWN_LABELS else ""
    return ", ".join(labels[:SHOWN_LABELS]) + more
