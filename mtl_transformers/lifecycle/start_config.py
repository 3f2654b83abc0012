"""From the config of a task that is added, or trained anew, to the config of the training that does it.

Owns what such a config may say, what it leaves to the model, and which of its tasks are trained. Trains nothing.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mtl_transformers.config import Config, load_config
from mtl_transformers.config.overrides import Raw, apply_override
from mtl_transformers.config.reading import read_raw
from mtl_transformers.errors import ConfigError, nearest
from mtl_transformers.model.card import public_name

Source = str | Path | Mapping[str, object]
"""A config: a YAML file, or its content."""


@dataclass(frozen=True, slots=True)
class Origin:
    """What a training takes from the model that it begins with, where its config is silent.

    Attributes:
        model: its directory.
        encoder: the name of the pretrained encoder that it began with.
        tasks: the names of its tasks.
        precision: that it answers in.
        max_length: tokens of its tasks' inputs, so that a task that reads the same shares an encoder pass.
        seed: of the run that trained it; ``None`` where that is not known.
    """

    model: Path
    encoder: str
    tasks: Collection[str]
    precision: str
    max_length: int
    seed: int | None


@dataclass(frozen=True, slots=True)
class Start:
    """A training that changes a model.

    Attributes:
        config: of the training.
        new: the tasks whose heads begin anew.
        rehearsed: the model's tasks that are trained on.
        left: the model's tasks that the config has and that stay as they are, because the encoder is frozen.
    """

    config: Config
    new: tuple[str, ...]
    rehearsed: tuple[str, ...]
    left: tuple[str, ...]

    @property
    def output(self) -> Path:
        """The run directory of the training."""
        return Path(self.config.output)


def start_of(
    source: Source,
    overrides: Mapping[str, object],
    *,
    origin: Origin,
    output: Path,
    replaced: Collection[str] | None = None,
) -> Start:
    """Return the training that adds a config's tasks to a model, or trains some of them anew.

    Args:
        source: the config; `output` is not read, and of `encoder` neither name nor revision is needed.
        overrides: values by dotted path.
        origin: the model.
        output: the run directory of the training.
        replaced: the tasks to train anew; nothing: all of the config; ``None``: those are added that the model lacks.

    Raises:
        ConfigError: all problems of the config; another encoder or another start; no task to add, or none of the name.
    """
    given = {**overrides, "output": str(output), "init_from": str(origin.model), "encoder.name": None}
    checked = load_config(source, {**given, "encoder.revision": None})
    raw = _with(read_raw(source), overrides)
    _check_start(raw, origin)
    new = _added(checked, origin) if replaced is None else _replaced(checked, replaced, origin)
    rehearsed = tuple(name for name in checked.tasks if name not in new)
    left = rehearsed if checked.encoder.freeze == "all" else ()
    if left:
        raw, rehearsed = _only(raw, new), ()
    return Start(load_config(raw, {**given, "encoder.revision": None, **_of_origin(raw, origin)}), new, rehearsed, left)


def _with(raw: Raw, overrides: Mapping[str, object]) -> Raw:
    for path, value in overrides.items():
        apply_override(raw, path, value)  # the config was checked: each path is legal
    return raw


def _check_start(raw: Mapping[str, Any], origin: Origin) -> None:
    """Refuse a config that asks for another start than the model, or another precision.

    Raises:
        ConfigError: with the key.
    """
    start, encoder = raw.get("init_from"), _section(raw, "encoder").get("name")
    if start is not None and Path(str(start)).resolve() != origin.model:
        raise ConfigError(f"init_from: {start}, but {origin.model} is what is changed; remove the key")
    if encoder is not None and public_name(str(encoder)) != origin.encoder:
        raise ConfigError(
            f"encoder.name: {encoder}, but the encoder is that of {origin.model}, which began as {origin.encoder}; "
            "remove the key"
        )
    precision = _section(raw, "training").get("precision", "auto")
    if precision not in ("auto", origin.precision):
        raise ConfigError(
            f"training.precision: {precision}, but {origin.model} answers in {origin.precision} here, and what is "
            "scored is what is served; remove the key"
        )


def _added(config: Config, origin: Origin) -> tuple[str, ...]:
    new = tuple(name for name in config.tasks if name not in origin.tasks)
    if not new:
        raise ConfigError(
            f"nothing to add: the model has {', '.join(config.tasks)} already; replace-task trains a task anew"
        )
    return new


def _replaced(config: Config, replaced: Collection[str], origin: Origin) -> tuple[str, ...]:
    for name in replaced:
        if name not in config.tasks:
            raise ConfigError(
                f"task {name!r} is not in the config; it has {', '.join(config.tasks)}{nearest(name, config.tasks)}"
            )
    for name in config.tasks:
        if name not in origin.tasks:
            raise ConfigError(
                f"tasks.{name}: the model has no such task to replace; it has {', '.join(origin.tasks)}"
                f"{nearest(name, origin.tasks)}. add-task adds one"
            )
    return tuple(name for name in config.tasks if not replaced or name in replaced)


def _only(raw: Raw, tasks: Collection[str]) -> Raw:
    """Return a config with some of its tasks, and the datasets that they read."""
    kept = {name: of for name, of in _section(raw, "tasks").items() if name in tasks}
    read = {of["data"] for of in kept.values()}
    return {**raw, "tasks": kept, "data": {name: of for name, of in _section(raw, "data").items() if name in read}}


def _of_origin(raw: Mapping[str, Any], origin: Origin) -> dict[str, object]:
    """Return the settings that a config leaves to the model."""
    settings: dict[str, object] = {"training.precision": origin.precision}
    if _section(raw, "encoder").get("max_length") is None:
        settings["encoder.max_length"] = origin.max_length
    if raw.get("seed") is None and origin.seed is not None:
        settings["seed"] = origin.seed
    return settings


def _section(raw: Mapping[str, Any], name: str) -> dict[str, Any]:
    section = raw.get(name)
    return dict(section) if isinstance(section, Mapping) else {}
