"""Evaluated texts that stand in a train split: what a model has seen before it is scored on it.

Owns what is counted and said of them, over all pairs of datasets: tasks share an encoder, so a text of one dataset's
train is known wherever it is evaluated. Seen from the evaluated split; ``data.leaks`` leaves out rows of train.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from mtl_transformers.checking.findings import SHOWN_ROWS, Finding
from mtl_transformers.checking.repeats import Texts
from mtl_transformers.data.leaks import rows_within
from mtl_transformers.data.preparing import Tables


@dataclass(frozen=True, slots=True)
class Leakage:
    """Texts of an evaluated split that stand in a train split.

    Attributes:
        dataset: that is evaluated.
        split: validation or test of it.
        train_dataset: in whose train split they stand; often the same.
        texts: different texts, equal but for case, punctuation and space.
        rows: rows of the evaluated split with such a text.
        rows_as_written: those of them whose text stands in train exactly as it is written.
        train_rows: rows of train with such a text.
        examples: places of the first few rows, each with its first equal in train.
    """

    dataset: str
    split: str
    train_dataset: str
    texts: int
    rows: int
    rows_as_written: int
    train_rows: int
    examples: tuple[str, ...]


def leakage_of(tables: Mapping[str, Tables], texts: Mapping[str, Mapping[str, Texts]]) -> list[Leakage]:
    """Find the texts of every validation and test split that stand in the train split of any dataset.

    Args:
        tables: the datasets.
        texts: theirs, by dataset and split.
    """
    pairs = [
        (name, split, other)
        for name, splits in texts.items()
        for split in splits
        if split != "train"
        for other in texts
        if "train" in texts[other]
    ]
    found = (_between(tables, texts, *pair) for pair in pairs)
    return [leakage for leakage in found if leakage.rows]


def _between(
    tables: Mapping[str, Tables], texts: Mapping[str, Mapping[str, Texts]], dataset: str, split: str, other: str
) -> Leakage:
    evaluated, train = texts[dataset][split], texts[other]["train"]
    found = rows_within(evaluated.normalized, train.normalized)
    places = tables[dataset].places[split].of(found.rows[:SHOWN_ROWS].tolist())
    in_train = tables[other].places["train"].of(found.others[:SHOWN_ROWS].tolist())
    return Leakage(
        dataset=dataset,
        split=split,
        train_dataset=other,
        texts=len(np.unique(evaluated.normalized[found.rows])),
        rows=len(found),
        rows_as_written=len(rows_within(evaluated.written, train.written)),
        train_rows=len(rows_within(train.normalized, evaluated.normalized)),
        examples=tuple(f"{place} = {known}" for place, known in zip(places, in_train, strict=True)),
    )


def leakage_findings(leakage: list[Leakage]) -> Iterator[Finding]:
    """Yield a warning for each pair of splits that share texts."""
    for of in leakage:
        rows = "row has a text" if of.rows == 1 else "rows have a text"
        texts = "" if of.texts == of.rows else f" ({of.texts:,} different ones)"
        yield Finding(
            severity="warning",
            topic="leakage",
            place=f"data.{of.dataset}",
            split=of.split,
            message=f"{of.rows:,} {rows} that stands in train of {of.train_dataset}{texts}; "
            f"data.{of.train_dataset}.filter.drop_leaks leaves it out there",
            count=of.rows,
            rows=of.examples,
        )
