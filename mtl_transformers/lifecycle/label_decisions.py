"""What a multi-label task decides, and how well: the threshold of each label.

Owns fitting them on some rows, and the figures of some predictions. The search is ``thresholds.py``'s.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from mtl_transformers.lifecycle.scored_rows import ScoredRows
from mtl_transformers.lifecycle.thresholds import Target, fit_thresholds
from mtl_transformers.tasks.multi_label import MultiLabel
from mtl_transformers.tasks.task import EncodedLabel
from mtl_transformers.text.decoding import sigmoid

FIGURES = ("f1_micro", "f1_macro", "precision", "recall")


def fit_label_decisions(task: MultiLabel, rows: ScoredRows, *, target: Target) -> tuple[MultiLabel, tuple[str, ...]]:
    """Return the task with new thresholds, and which labels keep theirs and why."""
    gold = np.asarray(rows.labels, dtype=np.float64)
    found = fit_thresholds(
        sigmoid(rows.logits), gold, current=task.thresholds, usual=task.options.threshold, target=target
    )
    why: dict[str, list[str]] = {}
    for name, of in zip(task.output_names, found, strict=True):
        if of.note is not None:
            why.setdefault(of.note, []).append(name)
    notes = tuple(f"as before, because {note}: {', '.join(names)}" for note, names in why.items())
    return replace(task, thresholds=tuple(of.value for of in found)), notes


def label_figures(task: MultiLabel, labels: Sequence[EncodedLabel], predictions: Sequence[Any]) -> dict[str, float]:
    """Return F1 over all cells and over labels, precision and recall over labels; null cells count nowhere."""
    return replace(task, metrics=FIGURES).score(labels, predictions, [])
