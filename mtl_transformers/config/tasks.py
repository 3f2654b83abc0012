"""The sections ``tasks.<name>``: what every kind has, and beside it the options that the kind itself brings.

Owns the way from a kind's options (a plain dataclass in ``tasks/``) to a strict section. Knows no other section.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, fields
from typing import Annotated, Any, Literal, get_type_hints

from pydantic import BeforeValidator, ConfigDict, Field, ValidationError, create_model

from mtl_transformers.config.values import NotNegative, Positive, Section, Text, Whole, exact
from mtl_transformers.errors import nearest
from mtl_transformers.metrics.named import FOREIGN
from mtl_transformers.model.head_spec import Pooling
from mtl_transformers.tasks.kinds import KINDS


class ReviewConfig(Section):
    """Labels of train rows that ``mtl clean-labels`` called wrong, and a person did not keep."""

    file: Text
    """The review file."""
    weight: Annotated[NotNegative, Field(lt=1)] = 0.0
    """What these labels weigh in the loss; 0 leaves them out, as if they were null."""


class TaskConfig(Section):
    """What every kind of task has; the kind's options stand beside it."""

    data: Text
    """The dataset that it is predicted from."""
    kind: str
    """The kind of task: classification, multi_label, regression, token_classification, …"""
    weight: Positive = 1.0
    """Factor of its loss."""
    metrics: tuple[Text, ...] = ()
    """What it is scored by; the first one counts in ``mean``. Empty: the kind's own."""
    layer: Annotated[Whole, Field(ge=0)] | Literal["mix"] | None = None
    """The encoder's layer that the head reads, 0 for the embeddings; mix: a learned mix of all; null: the last one."""
    pooling: Pooling | None = None
    """How a sequence becomes one vector: first, mean, max, or attention to a learned query; null: the family's."""
    row_weight: Text | None = None
    """A column with the weight of each row in the task's loss; null cells weigh 1."""
    review: ReviewConfig | None = None
    """A review file; null: every label counts."""

    @property
    def kind_options(self) -> Any:
        """The options of the kind, as its dataclass."""
        options_type = KINDS[self.kind].options_type
        return options_type(**{field.name: getattr(self, field.name) for field in fields(options_type)})


def _known_kind(value: object) -> object:
    if value in list(KINDS):
        return value
    raise ValueError(f"unknown kind {value!r}; expected one of {', '.join(KINDS)}{nearest(str(value), KINDS)}")


class _UnknownKind(TaskConfig):
    """Finds what else is wrong beside the kind; options cannot be judged."""

    model_config = ConfigDict(extra="ignore")

    kind: Annotated[str, BeforeValidator(_known_kind)]


def _of_kind(kind: str) -> type[TaskConfig]:
    """Return the section of a kind: the common keys and its options."""
    options_type = KINDS[kind].options_type
    hints = get_type_hints(options_type, include_extras=True)
    keys: dict[str, Any] = {"kind": (Literal[kind], Field(description="The kind of the task."))}
    for field in fields(options_type):
        keys[field.name] = (exact(hints[field.name]), ... if field.default is MISSING else field.default)
    return create_model(f"{KINDS[kind].__name__}Config", __base__=TaskConfig, **keys)


_SECTIONS: Mapping[str, type[TaskConfig]] = {kind: _of_kind(kind) for kind in KINDS}


def task_section(entry: Mapping[Any, Any]) -> type[TaskConfig]:
    """Return the section that reads a task: its kind's."""
    kind = entry.get("kind")
    return _SECTIONS.get(kind, _UnknownKind) if isinstance(kind, str) else _UnknownKind


def _by_kind(entry: object) -> object:
    if isinstance(entry, Mapping):
        return task_section(entry).model_validate(entry)
    if isinstance(entry, TaskConfig):
        return entry
    raise ValueError("expected a mapping with data, kind and the kind's options, as {data: …, kind: …, label: …}")


AnyTask = Annotated[TaskConfig, BeforeValidator(_by_kind)]
"""A task's section, read by its kind."""


def readable_task(entry: object) -> TaskConfig | None:
    """Read a task's section without its broken keys, for checks that need only the others.

    A required key that is broken is a placeholder. Returns ``None`` where the kind is unknown.
    """
    if not isinstance(entry, Mapping) or task_section(entry) is _UnknownKind:
        return None
    section = task_section(entry)
    try:
        return section.model_validate(entry)
    except ValidationError as error:
        broken = {problem["loc"][0] for problem in error.errors()}
    kept = {key: value for key, value in entry.items() if key not in broken}
    required = {name: "?" for name, field in section.model_fields.items() if field.is_required()}
    return section.model_validate({**required, **kept})


def legal_metrics(task: TaskConfig) -> tuple[str, ...]:
    """Return the metrics of ours that can score a task; the first one is the default."""
    return KINDS[task.kind].legal_metrics(task.kind_options)


def option_problems(task: TaskConfig) -> Mapping[str, str]:
    """Return what one option of a task says against another, by the option to change."""
    return KINDS[task.kind].option_problems(task.kind_options)


def rows_of_unit(task: TaskConfig) -> int:
    """Return how many rows of a step a task compares with each other."""
    return KINDS[task.kind].rows_of_unit(task.kind_options)


def is_legal(metric: str, task: TaskConfig) -> bool:
    """Tell whether a metric can score a task; of a foreign one (``evaluate:…``) nobody knows."""
    return metric in legal_metrics(task) or (metric.startswith(FOREIGN) and metric != FOREIGN)


def first_metric(task: TaskConfig) -> str:
    """Return the metric that counts for a task."""
    return (task.metrics or legal_metrics(task))[0]
