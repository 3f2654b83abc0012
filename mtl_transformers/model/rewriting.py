"""Writing a model directory again with other entries of its tasks: weights and tokenizer keep their bytes.

Owns which files are copied and the new manifest, which says of a copied file what the old one said. What stands in the
entries is the caller's; the format is ``directory.py``'s.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mtl_transformers.errors import FileError
from mtl_transformers.model.directory import finite, json_bytes
from mtl_transformers.model.verifying import FILES, METRICS, TASKS, matches
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


def rewrite(source: Path, target: Path, *, tasks: Mapping[str, Any], metrics: Mapping[str, Any]) -> None:
    """Write a verified model directory again, in one step.

    Args:
        source: the model directory.
        target: as of `check_target`; the same place keeps a user's own files too.
        tasks: the content of ``tasks.json``.
        metrics: the content of ``metrics.json``.

    Raises:
        FileError: as `check_target`, or the disk is full, or whatever else the system reports; the old one stays.
    """
    check_target(source, target)
    old = read_manifest(source)
    contents = {TASKS: json_bytes(tasks), METRICS: json_bytes(finite(metrics))}
    written = {*contents, MANIFEST}
    in_place = target.resolve() == source.resolve()
    with replacing(target.resolve(), marker=TASKS) as new:
        for entry in source.iterdir():
            if entry.name not in written and (in_place or matches(entry.name, FILES)):
                with disk_errors(new / entry.name):
                    shutil.copyfile(entry, new / entry.name)
        for name, content in contents.items():
            write_file(new / name, content)
        files = {**old.files, **{name: facts_of(content) for name, content in contents.items()}}
        write_file(new / MANIFEST, Manifest(files, old.facts).to_bytes())
