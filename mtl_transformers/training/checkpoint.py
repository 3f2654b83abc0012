"""Checkpoints: everything that a training needs to go on, so that it gives the weights that it would have given.

Owns the public format below, which checkpoints there are, and which of them are kept. Does not choose (`resume.py`).

    checkpoints/step-000500/
    ├── weights.safetensors      every parameter and buffer by its name in the network
    ├── optimizer.safetensors    <moment>.<parameter>
    ├── state.json               step, plan, ledger, best model, scale of fp16, fingerprints of the data, config
    └── manifest.json            sizes and SHA-256 of the files above, step, processes, threads, versions

There is no state of a random generator: randomness is a function of (seed, step, micro-batch). A checkpoint is
written beside its place, synced, and renamed when all of it is there. JSON and safetensors only: reading one runs no
code.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from mtl_transformers.errors import CheckpointError, FileError
from mtl_transformers.model.tensors import read_tensors, tensors_to_bytes
from mtl_transformers.storage.files import disk_errors, sync_names, write_file
from mtl_transformers.storage.manifest import MANIFEST, FileFacts, Manifest, facts_of, faults, read_manifest
from mtl_transformers.storage.swap import discard, finish_swap, replacing

FORMAT_VERSION = 1
WEIGHTS, OPTIMIZER, STATE = "weights.safetensors", "optimizer.safetensors", "state.json"
_FILES = {WEIGHTS, OPTIMIZER, STATE, MANIFEST}
_NAME = re.compile(r"step-(\d{6,})")


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """What is in a checkpoint.

    Attributes:
        weights: by name in the network.
        moments: of the optimizer, ``<moment>.<parameter>``.
        state: the content of ``state.json``.
        facts: of the manifest: step, processes, threads, versions.
    """

    weights: Mapping[str, Tensor]
    moments: Mapping[str, Tensor]
    state: Mapping[str, Any]
    facts: Mapping[str, Any]


def checkpoint_path(folder: Path, step: int) -> Path:
    """Return where the checkpoint of a step lies."""
    return folder / f"step-{step:06d}"


def write_checkpoint(path: Path, checkpoint: Checkpoint) -> None:
    """Write a checkpoint; one that lies there is replaced in one step.

    Raises:
        FileError: the disk is full, or whatever else the system reports; what was there is as it was.
        CheckpointError: something that is none of ours lies there.
    """
    path = path.resolve()
    _clear_incomplete(path)
    with replacing(path, marker=MANIFEST) as new:
        files: dict[str, FileFacts] = {}
        for name, content in _contents(checkpoint):
            write_file(new / name, content)
            files[name] = facts_of(content)  # of what was meant to be written, not of what the disk has
        facts = {"checkpoint_version": FORMAT_VERSION, **checkpoint.facts}
        write_file(new / MANIFEST, Manifest(files, facts).to_bytes())
    with disk_errors(path):
        sync_names(path.parent.parent)  # of checkpoints/ itself, when this is the first one


def _contents(checkpoint: Checkpoint) -> Iterable[tuple[str, bytes]]:
    """Yield the files, each in memory only while it is written."""
    yield WEIGHTS, tensors_to_bytes(checkpoint.weights)
    yield OPTIMIZER, tensors_to_bytes(checkpoint.moments)
    yield STATE, f"{json.dumps(checkpoint.state, indent=2, allow_nan=False)}\n".encode()


def verify(path: Path) -> Manifest:
    """Check every file of a checkpoint against its manifest.

    Raises:
        CheckpointError: it is not there, was not written to its end, or was changed; names each file.
    """
    if not path.is_dir():
        raise CheckpointError(f"{path}: there is no such checkpoint{_known(path)}")
    if not any((path / name).exists() for name in _FILES):
        raise CheckpointError(
            f"{path} is no checkpoint; one is a directory as <run>/checkpoints/step-000500{_known(path)}"
        )
    try:
        manifest = read_manifest(path)
    except FileError as error:
        raise CheckpointError(str(error)) from error
    version, step = manifest.facts.get("checkpoint_version"), manifest.facts.get("step")
    if version != FORMAT_VERSION:
        raise CheckpointError(f"{path}: a checkpoint of version {version!r}; expected {FORMAT_VERSION}")
    if _NAME.fullmatch(path.name) and step != step_of(path):
        raise CheckpointError(f"{path}: its manifest is that of step {step}; give it back its name")
    unlisted = sorted(_FILES - {MANIFEST} - manifest.files.keys())
    if found := [*(f"{name} is not in its manifest" for name in unlisted), *faults(path, manifest)]:
        raise CheckpointError(f"{path}: {'; '.join(found)}")
    return manifest


def read_checkpoint(path: Path) -> Checkpoint:
    """Read a checkpoint that verifies.

    Raises:
        CheckpointError: it does not.
    """
    manifest = verify(path)
    try:
        state = json.loads((path / STATE).read_text(encoding="utf-8"))
        return Checkpoint(read_tensors(path / WEIGHTS), read_tensors(path / OPTIMIZER), state, manifest.facts)
    except (FileError, ValueError, OSError, RecursionError) as error:
        raise CheckpointError(f"{path} cannot be read: {error}") from error


def tidy(folder: Path) -> None:
    """Finish what a killed run left: an interrupted swap, a checkpoint that was not written to its end."""
    with disk_errors(folder):
        for old in folder.glob("step-*.old"):
            finish_swap(old.with_name(old.name.removesuffix(".old")), marker=MANIFEST)
        for unfinished in folder.glob(".step-*.tmp"):
            if unfinished.is_dir():
                shutil.rmtree(unfinished)


def list_checkpoints(folder: Path) -> list[Path]:
    """Return the checkpoints of a run, the newest first, whether or not they are valid."""
    if not folder.is_dir():
        return []
    found = [path for path in folder.iterdir() if _NAME.fullmatch(path.name) and path.is_dir()]
    return sorted(found, key=step_of, reverse=True)


def step_of(path: Path) -> int:
    """Return the step of a checkpoint by its name."""
    return int(path.name.removeprefix("step-"))


def prune(folder: Path, *, newest: int, keep: int | None, also: Iterable[int]) -> None:
    """Remove the checkpoints that are not needed any more.

    Args:
        folder: of the checkpoints.
        newest: step of the one that was just written; later ones are of a run that this one took the place of.
        keep: how many stay, the newest one among them; ``None``: all up to it.
        also: steps whose checkpoints stay besides.
    """
    found = list_checkpoints(folder)
    until = [path for path in found if step_of(path) <= newest]
    kept = {*until[:keep], *(path for path in until if step_of(path) in set(also))}
    for path in found:
        if path not in kept:
            discard(path)


def newest_valid(folder: Path, *, until: int | None = None) -> tuple[Path | None, list[str]]:
    """Return the newest checkpoint that verifies, of a step or before it, and why each newer one does not."""
    skipped = []
    for path in list_checkpoints(folder):
        if until is not None and step_of(path) > until:
            continue
        try:
            verify(path)
        except CheckpointError as error:
            skipped.append(str(error))
        else:
            return path, skipped
    return None, skipped


def _known(path: Path) -> str:
    """Return the checkpoints beside or below a path, for a message."""
    found = list_checkpoints(path) or list_checkpoints(path.parent)
    return f"; there are {', '.join(other.name for other in found)}" if found else ""


def _clear_incomplete(path: Path) -> None:
    """Remove what lies in a checkpoint's place without a manifest, where all of it is ours."""
    with disk_errors(path):
        if path.is_dir() and not (path / MANIFEST).exists() and {entry.name for entry in path.iterdir()} <= _FILES:
            discard(path)
