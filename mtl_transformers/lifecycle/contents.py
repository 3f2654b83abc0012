"""The content of a model directory as a value, and what becomes of it when a task is dropped, renamed or taken over.

Owns the consistency of ``tasks.json``, ``metrics.json`` and the heads: a task is in all of them under one name. Pure:
touches no file, and no tensor of another task.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from torch import Tensor

from mtl_transformers.errors import ConfigError, nearest
from mtl_transformers.inference.described import DATASETS, WORDS, datasets_json, read_datasets
from mtl_transformers.model.card import CardDataset
from mtl_transformers.model.directory import ModelDirectory, check_task_name
from mtl_transformers.text.inputs import Input


@dataclass(frozen=True, slots=True)
class Content:
    """What a model directory holds besides encoder and tokenizer.

    Attributes:
        tasks: of ``tasks.json``.
        metrics: of ``metrics.json``.
        heads: ``heads.<task>.<parameter>``.
    """

    tasks: Mapping[str, Any]
    metrics: Mapping[str, Any]
    heads: Mapping[str, Tensor]

    @property
    def entries(self) -> dict[str, Any]:
        """The entry of each task, in order."""
        return dict(self.tasks["tasks"])

    def head(self, task: str) -> dict[str, Tensor]:
        """Return the parameters of a task's head by their names in it."""
        prefix = f"heads.{task}."
        return {name.removeprefix(prefix): of for name, of in self.heads.items() if name.startswith(prefix)}


def content_of(stored: ModelDirectory) -> Content:
    """Return the content of a directory that was read."""
    return Content(stored.tasks, stored.metrics, stored.heads)


def without_task(content: Content, name: str) -> Content:
    """Return the content without a task.

    Raises:
        ConfigError: there is no such task, or no other.
    """
    check_known(content, name)
    if len(content.entries) == 1:
        raise ConfigError(f"task {name!r} is the last one, and a model has at least one; remove the directory instead")
    return Content(
        tasks=_with_entries(content, {task: entry for task, entry in content.entries.items() if task != name}),
        metrics={task: of for task, of in content.metrics.items() if task != name},
        heads={key: of for key, of in content.heads.items() if not key.startswith(f"heads.{name}.")},
    )


def with_name(content: Content, old: str, new: str) -> Content:
    """Return the content with another name of a task, in the same place.

    Raises:
        ConfigError: there is no such task, or one of the new name.
        ModelError: the new name is not legal.
    """
    check_known(content, old)
    check_task_name(new, place=f"rename {old!r}")
    if new in content.entries:
        raise ConfigError(f"there is a task {new!r} already; choose another name, or drop that task first")
    entries = {
        (new if task == old else task): ({**entry, "name": new} if task == old else entry)
        for task, entry in content.entries.items()
    }
    others = {key: of for key, of in content.heads.items() if not key.startswith(f"heads.{old}.")}
    return Content(
        tasks=_with_entries(content, entries),
        metrics={(new if task == old else task): of for task, of in content.metrics.items()},
        heads={**others, **{f"heads.{new}.{name}": of for name, of in content.head(old).items()}},
    )


def with_tasks(content: Content, trained: Content, *, rehearsed: Iterable[str] = ()) -> Content:
    """Return the content with all tasks of another one, in the places of those of the same names, or at the end.

    What the config of the training says for the card comes before what the model's said.

    Args:
        content: of the model.
        trained: of a training that began with it.
        rehearsed: tasks of both that went on from where they were: their rows are counted together.
    """
    seen = {name: content.entries[name]["rows_seen"] for name in rehearsed}
    entries = {
        name: {**entry, "rows_seen": entry["rows_seen"] + seen.get(name, 0)} for name, entry in trained.entries.items()
    }
    others = {
        key: of for key, of in content.heads.items() if not any(key.startswith(f"heads.{name}.") for name in entries)
    }
    datasets = datasets_json(_together(read_datasets(content.tasks), read_datasets(trained.tasks)))
    return Content(
        tasks={
            **_with_entries(content, {**content.entries, **entries}),
            DATASETS: datasets,
            **_words(content, trained),
        },
        metrics={**content.metrics, **trained.metrics},
        heads={**others, **trained.heads},
    )


def inputs_of(content: Content) -> dict[str, Input]:
    """Return what each task of a model that loads reads of a row."""
    return {name: Input.from_json(entry["input"]) for name, entry in content.entries.items()}


def check_known(content: Content, name: str) -> None:
    """Refuse the name of a task that is not there.

    Raises:
        ConfigError: with the nearest one.
    """
    if name not in content.entries:
        known = ", ".join(content.entries)
        raise ConfigError(f"there is no task {name!r}; the model has {known}{nearest(name, content.entries)}")


def _with_entries(content: Content, entries: Mapping[str, Any]) -> dict[str, Any]:
    return {**content.tasks, "tasks": dict(entries)}


def _words(content: Content, trained: Content) -> dict[str, Any]:
    """Return what a person says of the model: of what both configs say the newer, where they say anything."""
    said = {**content.tasks.get(WORDS, {}), **trained.tasks.get(WORDS, {})}
    return {WORDS: said} if said else {}


def _together(before: Iterable[CardDataset], now: Iterable[CardDataset]) -> list[CardDataset]:
    """Return the datasets of two trainings; the rows of one that both took are counted together."""
    found = {dataset.name: dataset for dataset in before}
    for dataset in now:
        earlier = found.get(dataset.name)
        rows = dataset.rows_seen + (earlier.rows_seen if earlier else 0)
        found[dataset.name] = replace(dataset, rows_seen=rows)
    return list(found.values())
