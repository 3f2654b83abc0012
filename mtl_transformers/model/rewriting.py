"""Writing a model directory again with other entries of its tasks, or other heads: the rest keeps its bytes.

Owns which files are copied and the new manifest, which says of a copied file what the old one said. What stands in the
entries is the caller's; the format is ``directory.py``'s.
"""

from __future__ import annotations

import shutil
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from mtl_transformers.errors import FileError
from mtl_transformers.model.directory import check_tasks, finite, json_bytes
from mtl_transformers.model.tensors import tensors_to_bytes
from mtl_transformers.model.verifying import CARD, ENCODER_FILES, FILES, HEADS, METRICS, TASKS, matches
from mtl_transformers.storage.files import disk_errors, write_file
from mtl_transformers.storage.manifest import MANIFEST, Manifest, facts_of, read_manifest
from mtl_transformers.storage.swap import replacing


def check_target(source: Path, target: Path) -> None:
    """Refuse a place that holds anything but the model itself, before anything is computed.

    Args:
        source: the model directory that is written again.
        target: where it goes: the same place, or one where nothing lies.

    Raises:
        FileError: something lies there, or the directory holds others, which a replacement would lose.
    """
    with disk_errors(target):
        if target.resolve() != source.resolve():
            if target.exists() and (not target.is_dir() or any(target.iterdir())):
                raise FileError(f"{target}: something lies there; choose another place")
            return
        inner = sorted(entry.name for entry in source.iterdir() if entry.is_dir())
    if inner:
        raise FileError(
            f"{source}: holds the directory {inner[0]!r}, which would be lost with the old model; move it away, or "
            "write the new one elsewhere"
        )


def rewrite(
    source: Path,
    target: Path,
    *,
    tasks: Mapping[str, Any],
    metrics: Mapping[str, Any],
    heads: Mapping[str, Tensor] | None = None,
    encoder: Path | None = None,
    card: str | None = None,
) -> None:
    """Write a verified model directory again, in one step.

    Args:
        source: the model directory.
        target: as of `check_target`; the same place keeps a user's own files too.
        tasks: the content of ``tasks.json``.
        metrics: the content of ``metrics.json``.
        heads: of these tasks; ``None``: as they are.
        encoder: a verified model directory whose encoder takes the place of the old one; ``None``: as it is.
        card: the text of README.md; ``None``: as it is.

    Raises:
        ModelError: tasks and heads do not fit each other.
        FileError: as `check_target`, or the disk is full, or whatever else the system reports; the old one stays.
    """
    check_target(source, target)
    contents = {TASKS: json_bytes(tasks), METRICS: json_bytes(finite(metrics))}
    if heads is not None:
        check_tasks(tasks, heads, place=str(target))
        contents[HEADS] = tensors_to_bytes(heads)
    text = {} if card is None else {CARD: card.encode()}
    kept = _kept(source, [*contents, *text, MANIFEST], in_place=target.resolve() == source.resolve())
    if encoder is not None:
        kept = [path for path in kept if not matches(path.name, ENCODER_FILES)] + _encoder_files(encoder)
    known = {place: read_manifest(place).files for place in {path.parent for path in kept}}
    files = {path.name: known[path.parent][path.name] for path in kept if path.name in known[path.parent]}
    files |= {name: facts_of(content) for name, content in contents.items()}
    with replacing(target.resolve(), marker=TASKS) as new:
        for path in kept:
            with disk_errors(new / path.name):
                shutil.copyfile(path, new / path.name)
        for name, content in {**contents, **text}.items():
            write_file(new / name, content)
        write_file(new / MANIFEST, Manifest(files, read_manifest(source).facts).to_bytes())


def _kept(source: Path, written: Collection[str], *, in_place: bool) -> list[Path]:
    """Return the files that are copied: in the same place a user's own too."""
    return [
        path
        for path in sorted(source.iterdir())
        if path.name not in written and (in_place or matches(path.name, FILES))
    ]


def _encoder_files(directory: Path) -> list[Path]:
    return [path for path in sorted(directory.iterdir()) if matches(path.name, ENCODER_FILES)]
