"""Scoring a model directory on a split of a config's datasets: what ``mtl evaluate`` does."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from mtl_transformers.config import Config, dataset_spec
from mtl_transformers.data.encoded import EncodedSplit, encode_split
from mtl_transformers.data.leaks import without_leaks
from mtl_transformers.data.preparing import check_columns, check_form, load_tables
from mtl_transformers.errors import ConfigError, DataError, ModelError, nearest
from mtl_transformers.inference.files import complete_file
from mtl_transformers.inference.multitask import MultiTaskModel, ServedTask
from mtl_transformers.metrics.named import FOREIGN, LabelScore
from mtl_transformers.tasks.task import Task
from mtl_transformers.text.inputs import Input
from mtl_transformers.training.evaluation import TaskScores, predict_split, prediction_lines, score_labels, score_split
from mtl_transformers.training.experiment import input_of

SPLITS = ("train", "validation", "test")

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class SplitReport:
    """Scores of a model on one split of several datasets.

    Attributes:
        scores: by task, in the config's order; a task without a labelled row there is left out.
        labels: precision, recall, F1 and support of each label, by task.
    """

    scores: Mapping[str, TaskScores]
    labels: Mapping[str, list[LabelScore]]


def evaluate_directory(
    model: MultiTaskModel, config: Config, *, split: str, predictions: Path | None = None
) -> SplitReport:
    """Score a model on one split of every dataset of a config that has it.

    Args:
        model: answers the config's tasks; labels are mapped by the names that it was trained with, and texts are read
            as it serves them.
        config: where the data lie; its metrics are the ones computed.
        split: train, validation or test.
        predictions: a JSON lines file to write: dataset, row id, and gold and prediction of each task.

    Raises:
        ModelError: the model lacks a task of the config.
        DataError: no dataset has the split, or a label there; a label that the model never saw.
    """
    check_split(split)
    scored = scored_model(model, config)
    scores: dict[str, TaskScores] = {}
    labels: dict[str, list[LabelScore]] = {}
    lines: list[str] = []
    for encoded in encoded_splits(scored, config, split):
        answers = predict_split(scored, encoded)
        scores |= score_split(scored, encoded, answers)
        labels |= score_labels(scored, encoded, answers)
        if predictions is not None:
            lines += [
                json.dumps(line, ensure_ascii=False, default=str) for line in prediction_lines(scored, encoded, answers)
            ]
    if not scores:
        raise DataError(f"nothing to score: no dataset has a {split} split with labels")
    if predictions is not None:
        with complete_file(predictions) as temporary:
            temporary.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    in_order = [name for name in config.tasks if name in scores]
    if without := [name for name in config.tasks if name not in scores]:
        _LOG.warning("not scored, because %s has no labels for them: %s", split, ", ".join(without))
    return SplitReport({name: scores[name] for name in in_order}, {name: labels[name] for name in in_order})


def check_split(split: str) -> None:
    """Raise ConfigError for a name that no split has."""
    if split not in SPLITS:
        raise ConfigError(f"split {split!r}: expected {', '.join(SPLITS)}{nearest(split, SPLITS)}")


def scored_model(model: MultiTaskModel, config: Config) -> MultiTaskModel:
    """Return a model with the tasks of a config only, with the config's columns and metrics.

    Raises:
        ModelError: the model lacks a task of the config, or holds it as another kind.
        ConfigError: the config means another head, or a metric would be loaded with its code.
    """
    return _with_tasks(model, _scored_tasks(model, config))


def _scored_tasks(model: MultiTaskModel, config: Config) -> dict[str, ServedTask]:
    """Return the model's tasks that the config names, with the config's columns and metrics."""
    tasks = {}
    for name, section in config.tasks.items():
        if name not in model.tasks:
            known = ", ".join(model.tasks)
            raise ModelError(f"tasks.{name}: the model has no such task; it has {known}{nearest(name, model.tasks)}")
        task = model.tasks[name].task
        if task.kind != section.kind:
            raise ModelError(f"tasks.{name}.kind: {section.kind}, but the model holds it as {task.kind}")
        task.check_meaning(section.kind_options)
        metrics = tuple(section.metrics) or _own_metrics(task)
        fitted = replace(task, options=section.kind_options, metrics=metrics)
        tasks[name] = replace(model.tasks[name], task=fitted)
    return tasks


def _own_metrics(task: Task) -> tuple[str, ...]:
    """Return the metrics that a model directory names; code is run only where the user's own config names it.

    Raises:
        ConfigError: one of them would be loaded with its code.
    """
    for name in task.metrics:
        if name.startswith(FOREIGN):
            raise ConfigError(
                f"tasks.{task.name}.metrics: the model directory names {name!r}, whose code would be run. Name the "
                "metrics in the config; this one too, if you trust it"
            )
    return task.metrics


def _with_tasks(model: MultiTaskModel, tasks: Mapping[str, ServedTask]) -> MultiTaskModel:
    return MultiTaskModel(model.network, model.tokenizer, tasks, precision=model.precision, max_tokens=model.max_tokens)


def encoded_splits(model: MultiTaskModel, config: Config, split: str) -> Iterator[EncodedSplit]:
    """Yield the split of every dataset that has it, encoded as its tasks are served.

    Args:
        model: of `scored_model`.
        config: where the data lie.
        split: train, validation or test.
    """
    loaded = {
        name: load_tables(dataset_spec(name, section, config.tasks), seed=config.seed)
        for name, section in config.data.items()
    }
    for dataset, tables in (without_leaks(loaded) if split == "train" else loaded).items():
        section = config.data[dataset]
        if split not in tables.splits:
            _LOG.warning("data.%s has no %s split; it has %s", dataset, split, ", ".join(tables.splits))
            continue
        if section.id is not None:
            check_columns(tables, [section.id], needed_by=f"data.{dataset}.id")
        tasks, inputs = {}, {}
        for name, task in config.tasks.items():
            if task.data == dataset:
                served = model.tasks[name]
                check_columns(tables, type(served.task).label_columns(task.kind_options), needed_by=f"tasks.{name}")
                check_form(tables.form, type(served.task), task=name, dataset=dataset)
                tasks[name] = served.task
                inputs[name] = _as_served(input_of(tables, task, served.input.max_length), served.input)
        if tasks:
            encoded = encode_split(tables, split, tasks, inputs, encoding=model.encoders.encoding)
            if len(encoded):
                yield encoded


def _as_served(given: Input, served: Input) -> Input:
    """Return the config's columns as the model reads them: in its windows, and with its masks."""
    return replace(
        given,
        stride=served.stride,
        clean=served.clean,
        mask_probability=served.mask_probability,
        mask_words=served.mask_words,
    )
