"""What changed between two model directories: what ``mtl diff`` tells.

Owns the parts that are compared (encoder, tokenizer, each task by its name) and which tasks are the same under another
name. Knows no key of a task's entry but its head and its labels: whatever else differs is told as it stands.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from math import isfinite
from pathlib import Path
from typing import Any, Literal

from mtl_transformers.lifecycle.contents import Content, content_of
from mtl_transformers.lifecycle.values import Names, Value, name_differences, value_differences
from mtl_transformers.model.differences import TensorDifferences, encoder_differences, tensor_differences
from mtl_transformers.model.directory import ModelDirectory, load, read_json
from mtl_transformers.model.verifying import CONFIG, TOKENIZER_FILES, matches
from mtl_transformers.storage.manifest import read_manifest

_OUTPUTS = ("labels", "targets")  # keys of an entry that name the outputs of a head
_OWN = (*_OUTPUTS, "name")  # compared apart from the others
_COMPUTED = ("transformers_version", "_name_or_path", "dtype", "torch_dtype")  # of config.json: not of the encoder

How = Literal["same", "changed", "added", "dropped", "renamed"]


@dataclass(frozen=True, slots=True)
class TaskDiff:
    """What changed in a task.

    Attributes:
        task: its name, of one that was dropped the old one.
        change: in a word.
        was: the old name of one that was renamed.
        head: its weights; ``None`` of a task that only one model has.
        labels: what its outputs are called.
        entry: what else ``tasks.json`` says of it.
        metrics: its scores, as ``validation.accuracy``.
    """

    task: str
    change: How
    was: str | None
    head: TensorDifferences | None
    labels: Names
    entry: Sequence[Value]
    metrics: Sequence[Value]


@dataclass(frozen=True, slots=True)
class Diff:
    """What changed between two model directories.

    Attributes:
        encoder: its weights.
        config: its configuration.
        tokenizer: files of it that differ.
        model: what ``tasks.json`` says besides the tasks.
        tasks: of both models, in the order of the second one, those that were dropped last.
    """

    encoder: TensorDifferences
    config: Sequence[Value]
    tokenizer: Sequence[str]
    model: Sequence[Value]
    tasks: Sequence[TaskDiff]

    @property
    def is_empty(self) -> bool:
        """Whether the two answer the same, and say the same of themselves."""
        same = all(task.change == "same" for task in self.tasks)
        return self.encoder.is_empty and same and not (self.config or self.tokenizer or self.model)

    def to_json(self) -> dict[str, Any]:
        """Return it as plain JSON; a difference that is no number is null."""
        plain: dict[str, Any] = _finite({"is_empty": self.is_empty, **asdict(self)})
        return plain


def diff(before: str | Path, after: str | Path) -> Diff:
    """Compare two model directories.

    Args:
        before: a directory, or a hub id.
        after: likewise.

    Raises:
        ModelError: one of them is no model directory, or not as it was written.
    """
    old, new = load(before), load(after)
    return Diff(
        encoder=encoder_differences(old.path, new.path),
        config=value_differences(*(read_json(of.path / CONFIG) for of in (old, new)), without=_COMPUTED),
        tokenizer=_different_files(old, new, TOKENIZER_FILES),
        model=value_differences(old.tasks, new.tasks, without=("tasks",)),
        tasks=task_differences(content_of(old), content_of(new)),
    )


def task_differences(before: Content, after: Content) -> list[TaskDiff]:
    """Return what changed in each task."""
    was = _renamed(before, after)
    found = [_compared(before, after, name, was.get(name)) for name in after.entries]
    gone = [name for name in before.entries if name not in after.entries and name not in was.values()]
    return [*found, *(_alone(before, name, "dropped") for name in gone)]


def _renamed(before: Content, after: Content) -> dict[str, str]:
    """Return the old names of tasks that are there under another one: the head's bytes and the labels are equal."""
    old = [name for name in before.entries if name not in after.entries]
    found: dict[str, str] = {}
    for name in after.entries:
        if name not in before.entries:
            same = [other for other in old if other not in found.values() and _is_same(before, other, after, name)]
            if same:
                found[name] = same[0]
    return found


def _is_same(before: Content, old: str, after: Content, new: str) -> bool:
    first, second = before.entries[old], after.entries[new]
    if not tensor_differences(before.head(old), after.head(new)).is_empty:
        return False
    if before.head(old):
        return _outputs(first) == _outputs(second) and first.get("kind") == second.get("kind")
    return not value_differences(first, second, without=("name",))  # without weights of their own, by all that is said


def _compared(before: Content, after: Content, name: str, was: str | None) -> TaskDiff:
    old = was or name
    if old not in before.entries:
        return _alone(after, name, "added")
    first, second = before.entries[old], after.entries[name]
    labels = name_differences(_outputs(first), _outputs(second))
    named: tuple[str, ...] = _outputs(first) if labels.is_empty else ()
    head = tensor_differences(before.head(old), after.head(name))
    entry = value_differences(first, second, without=_OWN, names=named)
    metrics = value_differences(_scores(before, old), _scores(after, name))
    is_same = labels.is_empty and head.is_empty and not entry and not metrics
    change: How = "renamed" if was else "same" if is_same else "changed"
    return TaskDiff(name, change, was, head, labels, entry, metrics)


def _alone(content: Content, name: str, change: Literal["added", "dropped"]) -> TaskDiff:
    """Return what is told of a task that only one model has."""
    entry, metrics = content.entries[name], _scores(content, name)
    said = {"kind": entry.get("kind"), "dataset": entry.get("dataset")}
    pair = ({}, said) if change == "added" else (said, {})
    scores = ({}, metrics) if change == "added" else (metrics, {})
    labels = Names(added=_outputs(entry)) if change == "added" else Names(removed=_outputs(entry))
    return TaskDiff(name, change, None, None, labels, value_differences(*pair), value_differences(*scores))


def _scores(content: Content, task: str) -> Mapping[str, Any]:
    scores = content.metrics.get(task)
    return scores if isinstance(scores, Mapping) else {}


def _outputs(entry: Mapping[str, Any]) -> tuple[str, ...]:
    named: list[Any] = next((entry[key] for key in _OUTPUTS if isinstance(entry.get(key), list)), [])
    return tuple(map(str, named))


def _different_files(before: ModelDirectory, after: ModelDirectory, patterns: tuple[str, ...]) -> list[str]:
    """Return the files that differ, by their manifests, which were verified."""
    old, new = (read_manifest(of.path).files for of in (before, after))
    return [name for name in sorted({**old, **new}) if matches(name, patterns) and old.get(name) != new.get(name)]


def _finite(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _finite(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(inner) for inner in value]
    return None if isinstance(value, float) and not isfinite(value) else value
