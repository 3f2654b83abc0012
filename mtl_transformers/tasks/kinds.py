"""The kinds of task by name. A new kind is a file beside this one and a line here."""

from collections.abc import Mapping
from typing import Any

from mtl_transformers.errors import ConfigError, nearest
from mtl_transformers.tasks.classification import Classification
from mtl_transformers.tasks.multi_label import MultiLabel
from mtl_transformers.tasks.regression import Regression
from mtl_transformers.tasks.task import Task
from mtl_transformers.tasks.token_classification import TokenClassification

KINDS: Mapping[str, type[Task]] = {
    "classification": Classification,
    "multi_label": MultiLabel,
    "regression": Regression,
    "token_classification": TokenClassification,
}


def kind(name: str) -> type[Task]:
    """Return the class of a kind.

    Raises:
        ConfigError: for an unknown kind, with the nearest known one.
    """
    if name not in KINDS:
        raise ConfigError(f"unknown kind {name!r}; known kinds: {', '.join(KINDS)}{nearest(name, KINDS)}")
    return KINDS[name]


def task_from_json(values: Mapping[str, Any]) -> Task:
    """Rebuild a fitted task from its entry in ``tasks.json``."""
    return kind(str(values.get("kind"))).from_json(values)
