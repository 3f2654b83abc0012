"""Texts of test that stand in train or validation, and of validation that stand in train: known before they are scored.

Owns what is counted and said of them, over all pairs of datasets: tasks share an encoder, so a text of one dataset's
train is known wherever it is evaluated. Seen from the evaluated split; ``data.leaks`` leaves out rows of train.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from mtl_transformers.checking.findings import SHOWN_ROWS, Finding, paired
from mtl_transformers.checking.repeats import Texts
from mtl_transformers.data.leaks import rows_within
from mtl_transformers.data.preparing import Tables

_KNOWN = {"validation": ("train",), "test": ("train", "validation")}  # what is looked at before a split is scored


@dataclass(frozen=True, slots=True)
class Leakage:
    """Texts of an evaluated split that are known by then.

    Attributes:
        dataset: that is evaluated.
        split: validation or test of it.
        known_dataset: in whose split they stand; often the same.
        known_split: train, which is learnt, or validation, by which the best model is chosen.
        texts: different texts, equal but for case, punctuation and space.
        rows: rows of the evaluated split with such a text.
        rows_as_written: those of them whose text stands there exactly as it is written.
        known_rows: rows of the known split with such a text.
        examples: places of the first few rows, each with its first equal in the known split.
    """

    dataset: str
    split: str
    known_dataset: str
    known_split: str
    texts: int
    rows: int
    rows_as_written: int
    known_rows: int
    examples: tuple[str, ...]


def leakage_of(tables: Mapping[str, Tables], texts: Mapping[str, Mapping[str, Texts]]) -> list[Leakage]:
    """Compare every validation and test split with the splits of all datasets that come before it.

    Args:
        tables: the datasets.
        texts: theirs, by dataset and split.
    """
    found = (
        _between(tables, texts, evaluated=(name, split), known=(other, before))
        for name, splits in texts.items()
        for split in splits
        for before in _KNOWN.get(split, ())
        for other in texts
        if before in texts[other]
    )
    return [leakage for leakage in found if leakage.rows]


def rows_in_train(texts: Mapping[str, Mapping[str, Texts]]) -> dict[str, dict[str, int]]:
    """Count, by dataset and evaluated split, the rows whose text stands in the train split of any dataset."""
    train = np.concatenate([splits["train"].normalized for splits in texts.values()])
    return {
        name: {split: len(rows_within(of.normalized, train)) for split, of in splits.items() if split in _KNOWN}
        for name, splits in texts.items()
    }


def _between(
    tables: Mapping[str, Tables],
    texts: Mapping[str, Mapping[str, Texts]],
    *,
    evaluated: tuple[str, str],
    known: tuple[str, str],
) -> Leakage:
    (dataset, split), (other, before) = evaluated, known
    of, of_known = texts[dataset][split], texts[other][before]
    found = rows_within(of.normalized, of_known.normalized)
    rows = tables[dataset].places[split].of(found.rows[:SHOWN_ROWS].tolist())
    others = tables[other].places[before].of(found.others[:SHOWN_ROWS].tolist())
    return Leakage(
        dataset=dataset,
        split=split,
        known_dataset=other,
        known_split=before,
        texts=len(np.unique(of.normalized[found.rows])),
        rows=len(found),
        rows_as_written=len(rows_within(of.written, of_known.written)),
        known_rows=len(rows_within(of_known.normalized, of.normalized)),
        examples=paired(rows, others),
    )


def leakage_findings(leakage: Sequence[Leakage]) -> Iterator[Finding]:
    """Yield a finding for each pair of splits that share texts: a warning where the known one is train."""
    for of in leakage:
        is_learnt = of.known_split == "train"
        remedy = f" (data.{of.known_dataset}.filter.drop_leaks leaves them out there)" if is_learnt else ""
        where = f"{of.known_split} of {of.known_dataset}"
        yield Finding(
            severity="warning" if is_learnt else "note",
            topic="leakage",
            place=f"data.{of.dataset}",
            split=of.split,
            message=f"texts that stand in {where}: {of.texts:,}, in {of.rows:,} rows{remedy}",
            count=of.rows,
            rows=of.examples,
        )
