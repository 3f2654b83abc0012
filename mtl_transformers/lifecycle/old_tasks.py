"""Where the data of a model's tasks are, and the scores of these tasks on their validation splits.

Owns the search: the config of the change, configs that the user names, the run that the model lies in.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from mtl_transformers.config import Config, DataConfig, load_config
from mtl_transformers.config.overrides import Raw
from mtl_transformers.config.reading import read_raw
from mtl_transformers.errors import ConfigError, DataError
from mtl_transformers.inference.multitask import MultiTaskModel
from mtl_transformers.lifecycle.start_config import Source
from mtl_transformers.training.evaluation import TaskScores
from mtl_transformers.training.saving import CONFIG, PLAN
from mtl_transformers.training.scoring import evaluate_directory

_REMEDY = (
    "The encoder moves, so the model's tasks are scored before and after: give configs of their data with --data, or "
    "leave the encoder as it is with --freeze all"
)
_LOG = logging.getLogger(__name__)


def run_config(model: Path) -> Config | None:
    """Return the config of the run that a model directory lies in; ``None`` where it lies elsewhere."""
    path = model.parent / CONFIG
    if not (path.is_file() and (model.parent / PLAN).is_file()):
        return None
    try:
        return load_config(path)
    except ConfigError as error:
        _LOG.warning("the run's own config is not used: %s", error)
        return None


def data_config(source: Source, *, model: Path) -> Config:
    """Read a config of which only data and tasks are of use: it may be one that was for `add-task`.

    Raises:
        ConfigError: all its problems.
    """
    unused = {"output": "unused", "init_from": str(model), "encoder.name": None, "encoder.revision": None}
    return load_config(source, unused)


def find_data(tasks: Iterable[str], configs: Sequence[Config]) -> list[Config]:
    """Return the configs with the tasks that each is the first one to have, and the datasets of these.

    Raises:
        ConfigError: a task is in none of them.
    """
    wanted, parts = list(tasks), []
    for config in configs:
        found = [name for name in wanted if name in config.tasks]
        wanted = [name for name in wanted if name not in found]
        if found:
            parts.append(_only(config, found))
    if wanted:
        known = dict.fromkeys(name for config in configs for name in config.tasks)
        raise ConfigError(
            f"no data of {', '.join(wanted)}: the configs at hand have {', '.join(known) or 'no tasks'}. {_REMEDY}"
        )
    return parts


def score_tasks(model: MultiTaskModel, parts: Iterable[Config]) -> dict[str, TaskScores]:
    """Return the scores of the tasks of some configs on their validation splits.

    Raises:
        DataError: data that cannot be read, or a task without labels there.
    """
    scores: dict[str, TaskScores] = {}
    for part in parts:
        try:
            scores |= evaluate_directory(model, part, split="validation").scores
        except (DataError, ConfigError) as error:
            raise DataError(f"{', '.join(part.tasks)} cannot be scored: {error}. {_REMEDY}") from error
        if without := [name for name in part.tasks if name not in scores]:
            raise DataError(f"{', '.join(without)} cannot be scored: no labels in validation. {_REMEDY}")
    return scores


def with_old_tasks(source: Source, parts: Iterable[Config], *, data: Mapping[str, DataConfig]) -> Raw:
    """Return a config with the tasks of others, and their datasets, besides its own.

    Args:
        source: the config.
        parts: the others.
        data: the datasets of the config, as they were read.

    Raises:
        ConfigError: two datasets have one name.
    """
    raw = read_raw(source)
    datasets, tasks = _mapping(raw, "data"), _mapping(raw, "tasks")
    for part in parts:
        plain = part.to_plain()
        for name, section in part.data.items():
            if name in data and data[name] != section:
                raise ConfigError(f"data.{name}: is another dataset for {', '.join(part.tasks)}; give it another name")
            datasets.setdefault(name, plain["data"][name])
        tasks |= plain["tasks"]
    return {**raw, "data": datasets, "tasks": tasks}


def _mapping(raw: Raw, key: str) -> dict[str, object]:
    value = raw.get(key)
    return dict(value) if isinstance(value, Mapping) else {}


def _only(config: Config, tasks: Sequence[str]) -> Config:
    kept = {name: config.tasks[name] for name in tasks}
    read = {section.data for section in kept.values()}
    data = {name: section for name, section in config.data.items() if name in read}
    return config.model_copy(update={"tasks": kept, "data": data})
