"""Dropping and renaming a task of a model directory: nothing is trained, and no byte of the encoder changes."""

from __future__ import annotations

from pathlib import Path

from mtl_transformers.lifecycle.contents import content_of, with_name, without_task
from mtl_transformers.lifecycle.storing import open_model, store


def drop_task(model: str | Path, task: str, *, out: str | Path | None = None) -> Path:
    """Remove a task from a model directory; encoder and other heads stay byte for byte.

    Args:
        model: a directory; or a hub id, with `out`.
        task: its name.
        out: where the changed model goes; ``None``: in the place of the old one, in one step.

    Returns:
        Where the changed model lies.

    Raises:
        ConfigError: there is no such task, or it is the last one.
        ModelError: it is no model directory.
        FileError: it cannot be written, or `out` is taken.
    """
    stored, place = open_model(model, out)
    store(place, stored, without_task(content_of(stored), task))
    return place


def rename_task(model: str | Path, old: str, new: str, *, out: str | Path | None = None) -> Path:
    """Give a task of a model directory another name; encoder and heads stay byte for byte.

    Args:
        model: a directory; or a hub id, with `out`.
        old: the name of the task.
        new: the name that it gets; 1 to 64 of ``a-z``, ``0-9``, ``_`` and ``-``.
        out: where the changed model goes; ``None``: in the place of the old one, in one step.

    Returns:
        Where the changed model lies.

    Raises:
        ConfigError: there is no such task, or one of the new name.
        ModelError: the name is not legal, or it is no model directory.
        FileError: it cannot be written, or `out` is taken.
    """
    stored, place = open_model(model, out)
    store(place, stored, with_name(content_of(stored), old, new))
    return place
