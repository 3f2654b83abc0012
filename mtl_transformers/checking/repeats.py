"""Rows of a split that say the same: duplicates, and texts whose labels disagree.

Owns what is said of them. What makes texts and labels equal is known to ``data.fingerprints`` and ``data.label_codes``,
which rows are meant to ``data.repeats``.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mtl_transformers.checking.findings import SHOWN_ROWS, Finding, graver_above, paired
from mtl_transformers.data.fingerprints import fingerprints, normalized_texts, written_texts
from mtl_transformers.data.label_codes import label_codes
from mtl_transformers.data.preparing import Tables
from mtl_transformers.data.repeats import Found, conflicts_of, duplicates_of
from mtl_transformers.tasks.task import Task

MANY_DUPLICATES = 0.05  # share of the rows

Prints = NDArray[np.uint64]


@dataclass(frozen=True, slots=True)
class Texts:
    """The texts of a split as numbers.

    Attributes:
        normalized: ``[N]`` equal where texts are equal but for case, punctuation and space.
        written: ``[N]`` equal where they are equal as they are written.
    """

    normalized: Prints
    written: Prints


@dataclass(frozen=True, slots=True)
class Repeats:
    """Rows of a split that say the same.

    Attributes:
        duplicates: rows whose text and labels equal those of an earlier row.
        conflicts: by task, rows whose text stands elsewhere in the split with another label.
    """

    duplicates: Found
    conflicts: dict[str, Found]


def texts_of(tables: Tables) -> dict[str, Texts]:
    """Return the texts of each split of a dataset as numbers."""
    text = tables.spec.text
    return {
        split: Texts(fingerprints(normalized_texts(table, text)), fingerprints(written_texts(table, text)))
        for split, table in tables.splits.items()
    }


def repeats_of(tables: Tables, split: str, texts: Texts, tasks: dict[str, Task]) -> Repeats:
    """Find the rows of a split that say the same: duplicates by all labels, conflicts by those of each task."""
    spec = tables.spec
    codes = {column: label_codes(tables.splits[split], column) for column in spec.labels}
    conflicts = {}
    for name, task in tasks.items():
        columns = task.label_columns(task.options)
        compared = texts.written if set(columns) & set(spec.word_labels) else texts.normalized
        conflicts[name] = _united([conflicts_of(compared, codes[column]) for column in columns])
    return Repeats(duplicates_of(texts.normalized, list(codes.values())), conflicts)


def repeat_findings(tables: Tables, split: str, repeats: Repeats) -> Iterator[Finding]:
    """Yield what is to be said of duplicates and conflicts."""
    name, num_rows = tables.spec.name, len(tables.splits[split])
    if number := len(repeats.duplicates):
        yield Finding(
            severity=graver_above(MANY_DUPLICATES, number / num_rows),
            topic="duplicates",
            place=f"data.{name}",
            split=split,
            message=f"rows that repeat the text and the labels of an earlier one: {number:,} "
            f"(data.{name}.filter.drop_duplicates leaves them out)",
            count=number,
            rows=_pairs(tables, split, repeats.duplicates),
        )
    for task, found in repeats.conflicts.items():
        if len(found):
            remedy = f" (data.{name}.filter.drop_conflicts leaves them out)" if split == "train" else ""
            yield Finding(
                severity="warning",
                topic="conflicts",
                place=f"tasks.{task}",
                split=split,
                message=f"rows whose text stands there with another label too: {len(found):,}{remedy}",
                count=len(found),
                rows=_pairs(tables, split, found),
            )


def _united(found: list[Found]) -> Found:
    """Return each row once that is found for any of several columns."""
    empty = np.array([], dtype=np.int64)
    rows = np.concatenate([empty, *(of.rows for of in found)])
    others = np.concatenate([empty, *(of.others for of in found)])
    rows, first = np.unique(rows, return_index=True)
    return Found(rows, others[first])


def _pairs(tables: Tables, split: str, found: Found) -> tuple[str, ...]:
    """Name the first few rows, each with the row that it was found by."""
    places = tables.places[split]
    rows, others = (places.of(part[:SHOWN_ROWS].tolist()) for part in (found.rows, found.others))
    return paired(rows, others)
