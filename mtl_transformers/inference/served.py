"""A task as a model serves it, and its entry in ``tasks.json``.

Owns reading an entry strictly: whatever is missing, unknown or does not fit is a `ModelError` that names the task.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from mtl_transformers.errors import ConfigError, ModelError
from mtl_transformers.model.head_spec import HeadSpec, head_spec_from_json
from mtl_transformers.model.heads import Head
from mtl_transformers.model.typed import check_fields
from mtl_transformers.runtime.questions import Answerable
from mtl_transformers.tasks.kinds import task_from_json
from mtl_transformers.tasks.task import Task
from mtl_transformers.text.cleaning import step_of
from mtl_transformers.text.inputs import Input

_PER_OUTPUT = {"labels", "targets", "thresholds", "mean", "scale"}  # what a fitted task has for each of its outputs
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

    @property
    def answerable(self) -> Answerable:
        """The task as it is answered."""
        return Answerable(self.task.kind, self.dataset, self.input, self.task.decoder)

    def to_json(self, head: HeadSpec) -> dict[str, Any]:
        """Return the task's entry in ``tasks.json``."""
        return {
            **self.task.to_json(),
            "dataset": self.dataset,
            "input": self.input.to_json(),
            "head": head.to_json(),
            "rows_seen": self.rows_seen,
        }


def read_entry(
    name: str, entry: Mapping[str, Any], *, max_length: int | None, hidden_size: int
) -> tuple[ServedTask, Head]:
    """Rebuild a task and its head, without weights, from its entry.

    Args:
        name: the task's.
        entry: of ``tasks.json``.
        max_length: the most tokens that the encoder takes.
        hidden_size: of the encoder.

    Raises:
        ModelError: a key is missing, unknown or malformed, or the parts do not fit each other.
    """
    try:
        spec = _read_spec(name, entry["head"])
        served = ServedTask(
            task=task_from_json({key: value for key, value in entry.items() if key not in _OWN}),
            dataset=entry["dataset"],
            input=Input.from_json(entry["input"]),
            rows_seen=entry["rows_seen"],
        )
        for part in (served, served.task, served.task.options, served.input):
            check_fields(part)
        problem = _problem(name, served, spec, max_length=max_length, hidden_size=hidden_size)
        head = None if problem is not None else Head(spec)  # which takes the memory that the spec asks for
    except KeyError as error:
        raise ModelError(f"tasks.json: task {name!r}: the key {error} is missing or its value unknown") from error
    except (ConfigError, TypeError, ValueError, AttributeError, RuntimeError, OverflowError) as error:
        raise ModelError(f"tasks.json: task {name!r} is malformed: {error}") from error
    if head is None:
        raise ModelError(f"tasks.json: task {name!r}: {problem}. Copy or fetch the directory again")
    return served, head


def _read_spec(name: str, values: Mapping[str, Any]) -> HeadSpec:
    try:
        return head_spec_from_json(values)
    except ModelError as error:
        raise ModelError(f"tasks.json: task {name!r}: {error}") from error


def _problem(name: str, served: ServedTask, head: HeadSpec, *, max_length: int | None, hidden_size: int) -> str | None:
    """Return what does not fit in an entry whose parts could be read."""
    task, given = served.task, served.input
    if task.name != name:
        return f"its entry is that of {task.name!r}"
    if task.num_outputs != head.out_features:
        return f"it has {task.num_outputs} outputs, its head has {head.out_features}"
    if (mismatch := _mismatch(task)) is not None:
        return mismatch
    if head.in_features != hidden_size:
        return f"its head reads {head.in_features} features, the encoder gives {hidden_size}"
    if task.vectors != head.vectors:
        return f"kind {task.kind} reads a {task.vectors}, its head reads a {head.vectors}"
    if given.form not in (("options",) if task.vectors == "sequences" else task.forms):
        return f"kind {task.kind} cannot read the form {given.form!r}"
    if not _fits_columns(given) or not all(map(_is_name, given.columns)):
        return f"the form {given.form} does not read the columns {list(given.columns)}"
    for step in given.clean:
        if step_of(step) != step:
            return f"the step {step!r} of cleaning is not in the form that a model has it in"
    if given.stride is not None and given.stride < 1:
        return f"stride {given.stride} is below 1"
    if given.mask_probability is not None and not 0 < given.mask_probability < 1:
        return f"mask_probability {given.mask_probability} does not lie between 0 and 1"
    if given.max_length < 1 or (max_length is not None and given.max_length > max_length):
        return f"max_length {given.max_length} does not lie between 1 and the encoder's {max_length}"
    return None


def _mismatch(task: Task) -> str | None:
    """Return what does not fit within a fitted task."""
    values = asdict(task)
    for field in _PER_OUTPUT & values.keys():
        if len(values[field]) != task.num_fitted:
            return f"it has {task.num_fitted} outputs, and {len(values[field])} {field}"
    if len(task.output_names) != len(task.label_counts or task.output_names):
        return "two of its labels have the same name"
    counts = values.get("counts", (1,))
    if min(counts, default=0) < 0 or not any(counts) or values.get("num_rows", 1) < 1:
        return "its counts are not those of training rows"
    if not 1e-3 <= values.get("temperature", 1.0) <= 1e3:
        return f"temperature {values['temperature']} does not lie between 0.001 and 1,000"
    for share in (*values.get("thresholds", ()), values.get("min_score") or 0.0):
        if not 0 <= share <= 1:
            return f"{share} is no probability from which a label could be predicted"
    return None


def _fits_columns(given: Input) -> bool:
    if given.form == "options":
        return 0 <= given.num_context < len(given.columns)
    return given.num_context == 0 and len(given.columns) == (2 if given.form == "pair" else 1)


def _is_name(column: object) -> bool:
    return isinstance(column, str) and column != ""
