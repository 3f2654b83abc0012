"""Scoring a model directory on a split of a config's datasets: what ``mtl evaluate`` does."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from mtl_transformers.config import Config, dataset_spec
from mtl_transformers.data.preparing import EncodedSplit, Tables, check_columns, encode_split, load_tables
from mtl_transformers.errors import ConfigError, DataError, ModelError, nearest
from mtl_transformers.inference.multitask import MultiTaskModel
from mtl_transformers.metrics import LabelScore
from mtl_transformers.tasks.task import Task
from mtl_transformers.training.evaluation import TaskScores, predict_split, prediction_lines, score_labels, score_split

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class SplitReport:
    """Scores of a model on one split of several datasets.

    Attributes:
        scores: by task.
        labels: precision, recall, F1 and support of each label, by task.
    """

    scores: Mapping[str, TaskScores]
    labels: Mapping[str, list[LabelScore]]


def evaluate_directory(
    model: MultiTaskModel, config: Config, *, split: str, predictions: Path | None = None
) -> SplitReport:
    """Score a model on one split of every dataset of a config that has it.

    Args:
        model: answers the config's tasks; labels are mapped by the names that it was trained with.
        config: where the data lie; its metrics are the ones computed.
        split: train, validation or test.
        predictions: a JSON lines file to write: row id, and gold and prediction of each task.

    Raises:
        ModelError: the model lacks a task of the config.
        DataError: no dataset has the split; a label that the model never saw.
    """
    if split not in ("train", "validation", "test"):
        raise ConfigError(f"--split {split}: expected train, validation or test")
    tasks = _tasks(model, config)
    scores: dict[str, TaskScores] = {}
    labels: dict[str, list[LabelScore]] = {}
    lines: list[str] = []
    scored = MultiTaskModel(
        model.network,
        model.tokenizer,
        {name: replace(model.tasks[name], task=task) for name, task in tasks.items()},
        precision=model.precision,
        max_tokens=model.max_tokens,
    )
    for encoded in _splits(model, config, tasks, split):
        answers = predict_split(scored, encoded)
        scores |= score_split(scored, encoded, answers)
        labels |= score_labels(scored, encoded, answers)
        if predictions is not None:
            lines += [json.dumps(line, ensure_ascii=False) for line in prediction_lines(scored, encoded, answers)]
    if predictions is not None:
        predictions.parent.mkdir(parents=True, exist_ok=True)
        predictions.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return SplitReport(scores, labels)


def _tasks(model: MultiTaskModel, config: Config) -> dict[str, Task]:
    """Return the model's tasks that the config names, with the config's metrics."""
    tasks = {}
    for name, section in config.tasks.items():
        if name not in model.tasks:
            known = ", ".join(model.tasks)
            raise ModelError(f"tasks.{name}: the model has no such task; it has {known}{nearest(name, model.tasks)}")
        task = model.tasks[name].task
        if task.kind != section.kind:
            raise ModelError(f"tasks.{name}.kind: {section.kind}, but the model holds it as {task.kind}")
        tasks[name] = replace(task, options=section.options, metrics=section.metrics or task.metrics)
    return tasks


def _splits(model: MultiTaskModel, config: Config, tasks: Mapping[str, Task], split: str) -> list[EncodedSplit]:
    """Encode the split of every dataset that has it."""
    found, without = [], []
    for dataset, section in config.data.items():
        tables = load_tables(dataset_spec(dataset, section), seed=config.seed)
        if split not in tables.splits:
            without.append(dataset)
            continue
        here = {name: task for name, task in tasks.items() if config.tasks[name].data == dataset}
        found.append(_encoded(model, tables, here, split, id_column=section.id))
    if not found:
        raise DataError(f"no dataset has a {split} split ({', '.join(without)})")
    if without:
        _LOG.warning("no %s split, so not scored: %s", split, ", ".join(without))
    return found


def _encoded(
    model: MultiTaskModel, tables: Tables, tasks: Mapping[str, Task], split: str, *, id_column: str | None
) -> EncodedSplit:
    for name, task in tasks.items():
        check_columns(tables, type(task).label_columns(task.options), needed_by=f"tasks.{name}")
    if id_column is not None:
        check_columns(tables, [id_column], needed_by=f"data.{tables.spec.name}.id")
    max_length = model.tasks[next(iter(tasks))].input.max_length
    encoded = encode_split(
        tables,
        split,
        tasks,
        encoder=model.encoders.get(tables.form, max_length=max_length),
        encoder_key=model.encoders.key(tables.form),
        max_length=max_length,
    )
    if not len(encoded):
        raise DataError(f"dataset {tables.spec.name!r}, split {split!r}: no row has a label of {', '.join(tasks)}")
    return encoded
