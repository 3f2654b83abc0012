"""Writing a changed model directory: where to, with which card, and never over what is not meant.

Owns the places beside a model that a change uses. What changes is ``contents.py``'s.
"""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path

from mtl_transformers.errors import CheckpointError, ConfigError, ModelError
from mtl_transformers.inference.described import card_of_directory, model_name
from mtl_transformers.lifecycle.cards import merged_card, name_in
from mtl_transformers.lifecycle.contents import Content, content_of
from mtl_transformers.model.card import render_card
from mtl_transformers.model.directory import ModelDirectory, load
from mtl_transformers.model.rewriting import check_target, rewrite
from mtl_transformers.model.verifying import CARD, TASKS
from mtl_transformers.storage.files import disk_errors, replace_file
from mtl_transformers.storage.manifest import MANIFEST
from mtl_transformers.storage.swap import discard

_START = "start.json"  # in the run directory of a change: the manifest of the model that it began with
_LOG = logging.getLogger(__name__)


def open_model(model: str | Path, out: str | Path | None) -> tuple[ModelDirectory, Path]:
    """Read a model directory that is to be changed, and return it with the place where the changed one goes.

    Args:
        model: a directory, or a hub id.
        out: the place; ``None``: that of the model.

    Raises:
        ModelError: it is no model directory.
        ConfigError: a model of the hub without a place.
        FileError: the place is taken.
    """
    stored = load(model)
    if out is None:
        if not Path(model).is_dir():
            raise ConfigError(f"{model} lies on the hub and is not changed there; say with --out where it goes")
        check_target(stored.path, stored.path)
        return stored, stored.path.resolve()
    place = Path(out).resolve()
    check_target(stored.path, place)
    return stored, place


def candidate_of(place: Path) -> Path:
    """Return where a changed model lies until it may replace the old one."""
    return place.with_name(f"{place.name}.candidate")


def clear_candidate(candidate: Path) -> None:
    """Remove the candidate of an earlier change; what else lies there stays, and will be refused."""
    if (candidate / TASKS).is_file():
        discard(candidate)


def training_of(place: Path) -> Path:
    """Return where the training of a change leaves its run directory until it is done."""
    return place.with_name(f"{place.name}.training")


def shown(path: Path) -> str:
    """Return a path as a person would type it: relative where it lies below the working directory."""
    here = Path.cwd()
    return str(path.relative_to(here) if path.is_relative_to(here) and path != here else path)


def store(place: Path, stored: ModelDirectory, content: Content, *, encoder: Path | None = None) -> None:
    """Write a changed model directory; the tokenizer, and unless told otherwise the encoder, byte for byte.

    Args:
        place: where it goes.
        stored: the model as it was read.
        content: what it holds now.
        encoder: the directory that the encoder is copied from; ``None``: the model's own.

    Raises:
        FileError: it cannot be written; the old one is as it was.
    """
    rewrite(
        stored.path,
        place,
        tasks=content.tasks,
        metrics=content.metrics,
        heads=content.heads,
        encoder=encoder,
        card=retold_card(place, stored, content),
    )


def check_unchanged(stored: ModelDirectory, *, manifest: bytes) -> None:
    """Refuse to replace a model that somebody changed since it was read.

    Raises:
        ModelError: its manifest is another one.
    """
    if manifest_of(stored.path) != manifest:
        raise ModelError(f"{stored.path}: was changed by somebody else meanwhile, and stays as it is now")


def check_start(training: Path, manifest: bytes, *, resume: bool) -> None:
    """Refuse to go on with a training that began with another model than the one that lies there now.

    Args:
        training: its run directory.
        manifest: what identifies the model.
        resume: it is to go on.

    Raises:
        CheckpointError: it did.
    """
    if not (resume and training.exists()):
        return
    begun = training / _START
    with disk_errors(begun):
        if not begun.is_file() or begun.read_bytes() != manifest:
            raise CheckpointError(
                f"{training}: was begun with another model than the one that lies there now; --overwrite begins anew"
            )


def write_start(training: Path, manifest: bytes) -> None:
    """Note which model a training began with."""
    replace_file(training / _START, manifest)


def manifest_of(path: Path) -> bytes:
    """Return what identifies the whole content of a model directory."""
    with disk_errors(path / MANIFEST):
        return (path / MANIFEST).read_bytes()


def retold_card(place: Path, stored: ModelDirectory, content: Content) -> str:
    """Return the card of a changed model, with what a person wrote into the old one.

    Args:
        place: where the changed model goes.
        stored: the model as it was read.
        content: what it holds now.
    """
    path = stored.path / CARD
    with disk_errors(path):
        found = path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""
    name = name_in(found) or model_name(place)
    after = _told(name, stored, content)
    if not found:
        return after
    merged = merged_card(found, before=_told(name, stored, content_of(stored)), after=after)
    if merged.stale:
        _LOG.warning(
            "%s: these parts were edited by hand and stay; see whether they still hold: %s",
            place / CARD,
            ", ".join(merged.stale),
        )
    return merged.text


def _told(name: str, stored: ModelDirectory, content: Content) -> str:
    return render_card(
        card_of_directory(replace(stored, tasks=dict(content.tasks), metrics=dict(content.metrics)), name=name)
    )
