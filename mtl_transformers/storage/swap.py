"""Putting a directory in its place in one step.

Owns the protocol: a directory is written to the sibling ``.<name>.tmp``, synced and renamed; one that it
replaces is first renamed to ``<name>.old`` and removed afterwards. Killed at any moment, the old one or the
new one is complete, and `finish_swap` brings it back to its name. Does not know what is in the directory,
except a marker: the file without which it is none of ours and is never replaced, renamed or removed.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mtl_transformers.errors import FileError
from mtl_transformers.storage.files import MODE, disk_errors, sync_names

_REPLACED = ".replaced"  # the mark in a directory that a swap set aside


def start_swap(path: Path, *, marker: str) -> Path:
    """Make the empty temporary sibling that a directory is written to.

    Args:
        path: where the directory will stand, absolute.
        marker: name of the file that a directory of ours holds.

    Raises:
        FileError: another content stands there or under ``<name>.old``, or it cannot be made.
    """
    finish_swap(path, marker=marker)
    new = _temporary(path)
    with disk_errors(path):
        for place in (path, _old(path)):
            _refuse_other_content(place, marker)
        if (_old(path) / marker).is_file():
            raise _not_ours(_old(path), "no replacement put it there")
        if new.exists():
            shutil.rmtree(new)
        new.mkdir(parents=True)
    return new


def sync(directory: Path) -> None:
    """Make every file of a flat directory readable by all (mode 0644) and force it to the disk."""
    for path in directory.iterdir():
        with disk_errors(path):
            path.chmod(MODE)
            with path.open("rb") as file:
                os.fsync(file.fileno())
    with disk_errors(directory):
        sync_names(directory)


@contextmanager
def replacing(path: Path, *, marker: str) -> Iterator[Path]:
    """Yield an empty directory to be filled, and put it in the place of the one that stands there, if any.

    Args:
        path: where the directory will stand, absolute.
        marker: name of the file that a directory of ours holds.

    Raises:
        FileError: as `start_swap`, `sync` and `swap`; what was written is removed, so that a full disk has room again.
    """
    new = start_swap(path, marker=marker)
    try:
        yield new
        sync(new)
        swap(new, path)
    except BaseException:
        shutil.rmtree(new, ignore_errors=True)
        raise


def swap(new: Path, path: Path) -> None:
    """Put a complete, synced directory in the place of the one that stands there, if any.

    Args:
        new: what `start_swap` returned, filled.
        path: where it goes.

    Raises:
        FileError: the directory that stood there stands there again, or the new one does and the old one is left
            beside it, to be removed by the next swap.
    """
    with disk_errors(path):
        replaces = path.exists() and any(path.iterdir())
        if replaces:
            _set_aside(path)
        try:
            new.rename(path)
        except OSError:
            if not replaces:
                raise
            if _old(path).exists():
                (_old(path) / _REPLACED).unlink(missing_ok=True)
                _old(path).rename(path)
                raise
            _set_aside(path)  # a reader took the instant between the renames for an interrupted swap
            new.rename(path)
        sync_names(path.parent)
        if replaces:
            _discard(_old(path), path)


def finish_swap(path: Path, *, marker: str) -> None:
    """Finish an interrupted swap: rename ``<name>.old`` back when it is alone, else remove it.

    A directory of that name which a user made, as a backup, is never removed: it lacks the mark of a replaced one.
    """
    old = _old(path)
    with disk_errors(path):
        if (path / marker).is_file() and (path / _REPLACED).exists():
            (path / _REPLACED).unlink()  # it was to be set aside, and was not
        if not (old / marker).is_file():
            return
        if (path / marker).is_file() and (old / _REPLACED).exists():
            _discard(old, path)
        elif not path.exists():
            (old / _REPLACED).unlink(missing_ok=True)
            old.rename(path)
            sync_names(path.parent)


def tidy_swap(path: Path, *, marker: str) -> None:
    """Finish an interrupted swap as `finish_swap` does, and remove what it left half-written or half-removed.

    For the one process that writes there: a reader must not remove anything under a writer.
    """
    finish_swap(path, marker=marker)
    with disk_errors(path):
        if _temporary(path).exists():
            shutil.rmtree(_temporary(path))


def discard(path: Path) -> None:
    """Remove a directory in one step: under its name it is complete or gone.

    Raises:
        FileError: it cannot be renamed or removed.
    """
    with disk_errors(path):
        _discard(path, path)


def _set_aside(path: Path) -> None:
    """Rename a directory that is to be replaced, with a mark by which it is known later."""
    (path / _REPLACED).touch()
    try:
        path.rename(_old(path))
    except OSError:
        (path / _REPLACED).unlink()
        raise


def _old(path: Path) -> Path:
    return path.with_name(f"{path.name}.old")


def _temporary(path: Path) -> Path:
    return path.with_name(f".{path.name}.tmp")


def _discard(old: Path, path: Path) -> None:
    """Remove a directory under the temporary name, so that under its own it is complete or gone."""
    trash = _temporary(path)
    if trash.exists():
        shutil.rmtree(trash)
    old.rename(trash)
    shutil.rmtree(trash)


def _refuse_other_content(path: Path, marker: str) -> None:
    if not path.exists() or (path / marker).is_file() or (path.is_dir() and not any(path.iterdir())):
        return
    raise _not_ours(path, f"{marker} is missing")


def _not_ours(path: Path, why: str) -> FileError:
    return FileError(
        f"{path} holds something that is not ours ({why}) and is not replaced. Move it away, or choose another "
        "directory."
    )
