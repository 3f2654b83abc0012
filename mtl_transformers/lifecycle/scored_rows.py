"""Labelled rows with the logits that a model gives them: what decisions are fitted on and measured by.

Owns the pass over a split, once for each input of its tasks, and the predictions of some rows under a task's decisions.
Of tasks whose head reads one vector of a row.

Shapes: ``N`` labelled rows of a task, ``C`` outputs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mtl_transformers.data.encoded import EncodedSplit
from mtl_transformers.data.fingerprints import normalized_texts
from mtl_transformers.inference.multitask import MultiTaskModel
from mtl_transformers.lifecycle.folds import folds_of
from mtl_transformers.tasks.task import EncodedLabel, Task

_CHUNK_ROWS = 512  # that are in memory at once


@dataclass(frozen=True, slots=True)
class ScoredRows:
    """The labelled rows of a task.

    Attributes:
        logits: ``[N, C]``.
        labels: ``N`` encoded labels.
        folds: ``[N]`` which part each lies in; equal texts in one.
    """

    logits: NDArray[np.float32]
    labels: Sequence[EncodedLabel]
    folds: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.labels)

    def select(self, rows: NDArray[np.int64]) -> ScoredRows:
        """Return some of the rows."""
        return ScoredRows(self.logits[rows], [self.labels[row] for row in rows.tolist()], self.folds[rows])


def scored_rows(model: MultiTaskModel, split: EncodedSplit, *, num_folds: int, seed: int) -> dict[str, ScoredRows]:
    """Return the labelled rows of each task of a split that has any.

    Args:
        model: whose tasks read one vector of a row each.
        split: encoded as the model serves it.
        num_folds: parts.
        seed: of the config.
    """
    order = np.argsort(split.lengths, kind="stable")
    found: dict[str, ScoredRows] = {}
    for given in split.inputs:
        parts: dict[str, list[NDArray[np.float32]]] = {name: [] for name in given.tasks}
        for start in range(0, len(order), _CHUNK_ROWS):
            chunk = order[start : start + _CHUNK_ROWS].tolist()
            for name, logits in model.logits(given.features_of(chunk), given.tasks).items():
                parts[name] += logits
        texts = normalized_texts(split.table, given.given.columns)
        folds = folds_of(texts, num_folds=num_folds, seed=seed)[order]
        labels = split.labels_of(order.tolist())
        for name in given.tasks:
            kept = np.flatnonzero(split.labelled[name][order])
            if len(kept):
                found[name] = ScoredRows(np.concatenate(parts[name]), labels[name], folds).select(kept)
    return found


def predictions_of(task: Task, rows: ScoredRows) -> list[Any]:
    """Return the predictions of some rows as they are served, with the probability of every label."""
    logits = np.split(rows.logits, len(rows))
    return list(task.decode(logits, [], texts=[], form="text", top_k=max(1, len(task.label_counts))))
