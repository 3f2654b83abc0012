"""The metadata block of a model card, as the hub reads it: plain values in, YAML out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from huggingface_hub import CardData, EvalResult
from huggingface_hub.repocard_data import eval_results_to_model_index

from mtl_transformers.model.card_content import (
    LIBRARY,
    Card,
    CardDataset,
    CardTask,
    hub_id_of,
    is_hub_id,
    public_metric,
)


def metadata(card: Card) -> str:
    """Return the YAML block.

    The model-index is built task by task: in one call the hub's function merges tasks that share a dataset.
    """
    datasets = {dataset.name: dataset for dataset in card.datasets}
    hub_ids = [hub_id for hub_id in map(hub_id_of, card.datasets) if hub_id is not None]
    words = card.words
    data: dict[str, Any] = {
        "language": list(words.language),
        "license": words.license,
        "license_name": words.license_name,
        "license_link": words.license_link,
        "library_name": LIBRARY,
        "base_model": card.encoder if is_hub_id(card.encoder) else None,
        "datasets": list(dict.fromkeys(hub_ids)),
        "metrics": list(dict.fromkeys(public_metric(score.metric) for task in card.tasks for score in task.scores)),
        "pipeline_tag": _pipeline_tag(card.tasks),
        "tags": ["multi-task", *dict.fromkeys(task.hub_task for task in card.tasks)],
    }
    entries = [entry for task in card.tasks for entry in _index(card.name, _results(task, datasets[task.dataset]))]
    if entries:
        data["model-index"] = [{"name": card.name, "results": entries}]
    return CardData(**{key: value for key, value in data.items() if value}).to_yaml()


def _index(name: str, results: list[EvalResult]) -> list[dict[str, Any]]:
    entries: list[dict[str, Any]] = eval_results_to_model_index(name, results)[0]["results"]
    return entries


def _results(task: CardTask, dataset: CardDataset) -> list[EvalResult]:
    """Return the defined scores of a task as the hub's records."""
    hub_id = hub_id_of(dataset)
    return [
        EvalResult(
            task_type=task.hub_task,
            task_name=task.name,
            dataset_type=hub_id or dataset.name,
            dataset_name=dataset.name,
            dataset_config=dataset.config_name if hub_id else None,
            dataset_revision=dataset.revision if hub_id else None,
            dataset_split=score.split,
            metric_type=public_metric(score.metric),
            metric_name=f"{task.name}/{public_metric(score.metric)}",
            metric_value=score.value,
        )
        for score in task.scores
        if score.value is not None
    ]


def _pipeline_tag(tasks: Sequence[CardTask]) -> str | None:
    """Return what most tasks are to the hub, the first of equals: it lists a model under one tag only."""
    return next((tag for tag, _ in Counter(task.hub_task for task in tasks).most_common(1)), None)
