"""What a model card tells, read from the content of a model directory: so it can be told again when that changes.

Owns the way from tasks, metrics and training datasets to a `Card`, and the entry ``datasets`` of ``tasks.json``. The
words are ``model/card.py``'s.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from mtl_transformers.errors import ModelError
from mtl_transformers.inference.served import ServedTask
from mtl_transformers.model.card import Card, CardDataset, CardScore, CardTask
from mtl_transformers.model.typed import check_fields
from mtl_transformers.model.verifying import AGAIN

DATASETS = "datasets"
NUM_ROWS = "num_rows"  # among the metrics of a split: how many rows were scored


def card_of(
    name: str,
    *,
    encoder: str,
    tasks: Mapping[str, ServedTask],
    metrics: Mapping[str, Any],
    datasets: Sequence[CardDataset],
) -> Card:
    """Return what the card of a model tells.

    Args:
        name: of the model, no path.
        encoder: the name of the pretrained encoder that it began with.
        tasks: by name.
        metrics: the content of ``metrics.json``.
        datasets: that it was trained on; of a task whose dataset is not among them only the name is known.

    Raises:
        ModelError: the metrics are malformed.
    """
    known = {dataset.name for dataset in datasets}
    seen: dict[str, int] = {}
    for served in tasks.values():
        if served.dataset not in known:
            seen[served.dataset] = max(seen.get(served.dataset, 0), served.rows_seen)
    return Card(
        name=name,
        encoder=encoder,
        max_length=max(served.input.max_length for served in tasks.values()),
        tasks=[
            CardTask(
                name=task,
                kind=served.task.kind,
                hub_task=served.task.hub_task,
                dataset=served.dataset,
                labels=served.task.output_names,
                scores=_scores(task, metrics.get(task, {})),
            )
            for task, served in tasks.items()
        ],
        datasets=[*datasets, *(CardDataset(dataset, None, rows) for dataset, rows in seen.items())],
    )


def _scores(task: str, of_task: object) -> list[CardScore]:
    """Return a task's scores; a split without the number of its rows is not told of."""
    try:
        scores = [
            CardScore(split, metric, value, scores[NUM_ROWS])
            for split, scores in dict(of_task).items()  # type: ignore[call-overload]  # what it may not be
            if NUM_ROWS in scores
            for metric, value in scores.items()
            if metric != NUM_ROWS
        ]
        for score in scores:
            check_fields(score)
    except (TypeError, ValueError, AttributeError, IndexError, KeyError) as error:
        raise ModelError(f"metrics.json: task {task!r} is malformed: {error}. {AGAIN}") from error
    return scores


def defined(metrics: Mapping[str, float]) -> dict[str, float | None]:
    """Return metrics as JSON holds them: null where one is undefined."""
    return {name: value if math.isfinite(value) else None for name, value in metrics.items()}


def datasets_json(datasets: Sequence[CardDataset]) -> list[dict[str, Any]]:
    """Return the entry ``datasets`` of ``tasks.json``."""
    return [asdict(dataset) for dataset in datasets]


def read_datasets(tasks_json: Mapping[str, Any]) -> list[CardDataset]:
    """Return the training datasets that ``tasks.json`` tells of; none where it tells of none.

    Raises:
        ModelError: the entry is malformed.
    """
    try:
        datasets = [CardDataset(**values) for values in tasks_json.get(DATASETS, ())]
        for dataset in datasets:
            check_fields(dataset)
    except (TypeError, ValueError) as error:
        raise ModelError(f"tasks.json: {DATASETS} is malformed: {error}. {AGAIN}") from error
    return datasets
