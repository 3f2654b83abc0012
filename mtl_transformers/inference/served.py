"""A task as a model serves it, and its entry in ``tasks.json``.

Owns reading an entry strictly: whatever is missing, unknown or does not fit is a `ModelError` that names the task.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, get_args

from mtl_transformers.errors import ConfigError, ModelError
from mtl_transformers.model.heads import Head, HeadSpec, head_spec_from_json
from mtl_transformers.tasks.kinds import task_from_json
from mtl_transformers.tasks.task import Task
from mtl_transformers.text.encoding import Form
from mtl_transformers.text.inputs import Input

_OWN = ("dataset", "input", "head", "rows_seen")  # keys of an entry that are not the fitted task's


@dataclass(frozen=True, slots=True)
class ServedTask:
    """A fitted task, what it reads of a row, and how much it was trained.

    Attributes:
        task: the fitted task.
        dataset: the dataset that it was trained on.
        input: what it reads of a row.
        rows_seen: labelled rows that training took, repeats counted.
    """

    task: Task
    dataset: str
    input: Input
    rows_seen: int = 0

    def to_json(self, head: HeadSpec) -> dict[str, Any]:
        """Return the task's entry in ``tasks.json``."""
        return {
            **self.task.to_json(),
            "dataset": self.dataset,
            "input": self.input.to_json(),
            "head": head.to_json(),
            "rows_seen": self.rows_seen,
        }


def read_entry(name: str, entry: Mapping[str, Any], *, max_length: int | None) -> tuple[ServedTask, Head]:
    """Rebuild a task and its head, without weights, from its entry.

    Args:
        name: the task's.
        entry: of ``tasks.json``.
        max_length: the most tokens that the encoder takes.

    Raises:
        ModelError: a key is missing, unknown or malformed, or the parts do not fit each other.
    """
    try:
        head = _read_head(name, entry["head"])
        served = ServedTask(
            task=task_from_json({key: value for key, value in entry.items() if key not in _OWN}),
            dataset=entry["dataset"],
            input=Input.from_json(entry["input"]),
            rows_seen=entry["rows_seen"],
        )
        problem = _problem(name, served, head.spec, max_length=max_length)
    except KeyError as error:
        raise ModelError(f"tasks.json: task {name!r}: the key {error} is missing or its value unknown") from error
    except (ConfigError, TypeError, ValueError, AttributeError, RuntimeError) as error:
        raise ModelError(f"tasks.json: task {name!r} is malformed: {error}") from error
    if problem is not None:
        raise ModelError(f"tasks.json: task {name!r}: {problem}. Copy or fetch the directory again")
    return served, head


def _read_head(name: str, values: Mapping[str, Any]) -> Head:
    try:
        spec = head_spec_from_json(values)
    except ModelError as error:
        raise ModelError(f"tasks.json: task {name!r}: {error}") from error
    return Head(spec)


def _problem(name: str, served: ServedTask, head: HeadSpec, *, max_length: int | None) -> str | None:
    """Return what does not fit in an entry whose parts could be read."""
    task, given = served.task, served.input
    if task.name != name:
        return f"its entry is that of {task.name!r}"
    if task.num_outputs != head.out_features:
        return f"it has {task.num_outputs} outputs, its head has {head.out_features}"
    if task.vectors != head.vectors:
        return f"kind {task.kind} reads a {task.vectors}, its head reads a {head.vectors}"
    if given.form not in get_args(Form) or given.form not in task.forms:
        return f"kind {task.kind} cannot read the form {given.form!r}"
    if len(given.columns) != (2 if given.form == "pair" else 1) or not all(map(_is_name, given.columns)):
        return f"the form {given.form} does not read the columns {list(given.columns)}"
    if given.max_length < 1 or (max_length is not None and given.max_length > max_length):
        return f"max_length {given.max_length} does not lie between 1 and the encoder's {max_length}"
    return None


def _is_name(column: object) -> bool:
    return isinstance(column, str) and column != ""
