"""What a model card tells, read from the content of a model directory: so it can be told again when that changes.

Owns the way from tasks, metrics, training datasets and a person's words to a `Card`, and the entries ``datasets`` and
``card`` of ``tasks.json``. The words are ``model/card.py``'s.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from mtl_transformers.errors import ModelError
from mtl_transformers.inference.served import ServedTask, read_entry
from mtl_transformers.metrics.named import METRICS
from mtl_transformers.model.card import NO_WORDS, Card, CardDataset, CardScore, CardTask, CardWords
from mtl_transformers.model.directory import ModelDirectory
from mtl_transformers.model.typed import check_fields
from mtl_transformers.model.verifying import AGAIN

DATASETS = "datasets"
WORDS = "card"
NUM_ROWS = "num_rows"  # among the metrics of a split: how many rows were scored
BASELINE = "baseline"  # likewise: the metrics of a prediction that ignores the text


def card_of_directory(stored: ModelDirectory, *, name: str | None = None) -> Card:
    """Return what the card of a model directory tells, from its own JSON files alone.

    Args:
        stored: the directory as read, or with another content.
        name: of the model, where nobody gave it one; by default that of the directory and the one around it.

    Raises:
        ModelError: an entry is malformed.
    """
    encoder = stored.tasks.get("encoder")
    return card_of(
        name or model_name(stored.path),
        encoder=encoder if isinstance(encoder, str) else "local",
        tasks={task: _served(task, entry) for task, entry in stored.tasks["tasks"].items()},
        metrics=stored.metrics,
        datasets=read_datasets(stored.tasks),
        words=read_words(stored.tasks),
    )


def card_of(
    name: str,
    *,
    encoder: str,
    tasks: Mapping[str, ServedTask],
    metrics: Mapping[str, Any],
    datasets: Sequence[CardDataset],
    words: CardWords = NO_WORDS,
) -> Card:
    """Return what the card of a model tells.

    Args:
        name: of the model, no path; that of `words` comes first.
        encoder: the name of the pretrained encoder that it began with.
        tasks: by name.
        metrics: the content of ``metrics.json``.
        datasets: that it was trained on; of a task whose dataset is not among them only the name is known.
        words: what a person says of it.

    Raises:
        ModelError: the metrics are malformed.
    """
    known = {dataset.name for dataset in datasets}
    seen: dict[str, int] = {}
    for served in tasks.values():
        if served.dataset not in known:
            seen[served.dataset] = max(seen.get(served.dataset, 0), served.rows_seen)
    return Card(
        name=words.name or name,
        encoder=encoder,
        max_length=max(served.input.max_length for served in tasks.values()),
        tasks=[_task(task, served, metrics.get(task, {})) for task, served in tasks.items()],
        datasets=[*datasets, *(CardDataset(dataset, None, rows) for dataset, rows in seen.items())],
        words=words,
    )


def model_name(path: Path) -> str:
    """Return the name of a model that nobody gave one: that of its run, and which of its models it is."""
    place = path.resolve()
    return f"{place.parent.name}-{place.name}"


def _task(name: str, served: ServedTask, metrics: object) -> CardTask:
    task = served.task
    counts = task.label_counts if served.rows_seen else {}  # of a task that was not trained here nothing was counted
    return CardTask(
        name=name,
        kind=task.kind,
        hub_task=task.hub_task,
        dataset=served.dataset,
        labels=task.output_names,
        scores=_scores(name, metrics),
        answers=task.in_words,
        input=served.input,
        rows_seen=served.rows_seen,
        label_counts={label: counts[label] for label in task.output_names if label in counts},
        decisions=task.decisions,
    )


def _scores(task: str, of_task: object) -> list[CardScore]:
    """Return a task's scores; a split without the number of its rows is not told of."""
    try:
        scores = [
            score
            for split, of_split in dict(of_task).items()  # type: ignore[call-overload]  # what it may not be
            if NUM_ROWS in of_split
            for score in _of_split(split, of_split)
        ]
        for score in scores:
            check_fields(score)
    except (TypeError, ValueError, AttributeError, IndexError, KeyError) as error:
        raise ModelError(f"metrics.json: task {task!r} is malformed: {error}. {AGAIN}") from error
    return scores


def _of_split(split: str, scores: Mapping[str, Any]) -> Iterator[CardScore]:
    baseline = scores.get(BASELINE, {})
    for metric, value in scores.items():
        if metric not in (NUM_ROWS, BASELINE):
            yield CardScore(
                split,
                metric,
                value,
                scores[NUM_ROWS],
                baseline=baseline.get(metric),
                lower_is_better=_is_better_when_lower(metric),
            )


def _is_better_when_lower(name: str) -> bool:
    """Tell the direction of a metric, or of the same of one target, ``<metric>_<target>``."""
    return any(
        not known.higher_is_better and (name == metric or name.startswith(f"{metric}_"))
        for metric, known in METRICS.items()
    )


def split_json(metrics: Mapping[str, float], *, baseline: Mapping[str, float], num_rows: int) -> dict[str, Any]:
    """Return a task's scores on one split as ``metrics.json`` holds them."""
    return {**defined(metrics), NUM_ROWS: num_rows, BASELINE: defined(baseline)}


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


def words_json(words: CardWords) -> dict[str, Any]:
    """Return the entry ``card`` of ``tasks.json``: what was given of it."""
    return {name: value for name, value in asdict(words).items() if value}


def read_words(tasks_json: Mapping[str, Any]) -> CardWords:
    """Return what a person said of the model; nothing where ``tasks.json`` tells of nothing.

    Raises:
        ModelError: the entry is malformed.
    """
    try:
        given: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value
            for name, value in tasks_json.get(WORDS, {}).items()
        }
        words = CardWords(**given)
        check_fields(words)
    except (TypeError, ValueError, AttributeError) as error:
        raise ModelError(f"tasks.json: {WORDS} is malformed: {error}. {AGAIN}") from error
    return words


def _served(name: str, entry: Mapping[str, Any]) -> ServedTask:
    head = entry["head"]
    size = head.get("in_features") if isinstance(head, Mapping) else None  # as much as the encoder gives
    return read_entry(name, entry, max_length=None, hidden_size=size if isinstance(size, int) else 0)[0]
