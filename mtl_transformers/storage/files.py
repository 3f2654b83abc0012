"""Files that are written whole or not at all.

Owns how bytes reach the disk: written, synced, renamed, and a fault of the disk as a `FileError` that names the
file. Does not know what is in them.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import logging
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from mtl_transformers.errors import FileError

MODE = 0o644  # readable by whoever serves it
_CHUNK = 2**22  # bytes that are read at once
_LOG = logging.getLogger(__name__)
_REMEDIES = {
    errno.ENOSPC: "the disk is full; free some space",
    errno.EDQUOT: "the quota is used up; free some space",
    errno.EFBIG: "the file is larger than this system or its limits allow",
    errno.EACCES: "permission is missing",
    errno.EPERM: "permission is missing",
    errno.EROFS: "the file system is read-only",
    errno.EIO: "the disk reports an error; try another one",
}
_TOLD = re.compile(r"os error (\d{1,4})\b")  # how libraries written in Rust tell the number


@contextmanager
def disk_errors(path: Path) -> Iterator[None]:
    """Turn an `OSError` into a `FileError` that says which file, and what to do."""
    try:
        yield
    except OSError as error:
        raise FileError(fault_of(path, error)) from error


def fault_of(path: Path, error: Exception) -> str:
    """Return the message of a fault of the disk: the file, what happened, and what to do.

    Args:
        path: the file or directory.
        error: of the system, or of a library that tells the system's number in its text (``os error 28``).
    """
    told = _TOLD.search(str(error))
    number = (error.errno if isinstance(error, OSError) else None) or (int(told[1]) if told else None)
    what = os.strerror(number) if number else str(error)
    return f"{path}: {what}; {remedy(number)}"


def remedy(number: int | None) -> str:
    """Return what can be done about an error number of the operating system."""
    return _REMEDIES.get(number or 0, "check the path and the disk")


def write_file(path: Path, content: bytes) -> None:
    """Write and sync a new file, or all of an old one anew; what is cut short is an error.

    Raises:
        FileError: the disk is full, or whatever else the system reports.
    """
    with disk_errors(path):
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, MODE)
        try:
            _write_all(descriptor, content)
            os.fchmod(descriptor, MODE)  # whatever the umask says
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def replace_file(path: Path, content: bytes) -> None:
    """Write a file beside its place and put it there in one step: a reader sees the old one or the new one.

    Raises:
        FileError: likewise; the old file is as it was.
    """
    new = path.with_name(f".{path.name}.tmp")
    try:
        write_file(new, content)
        with disk_errors(path):
            new.replace(path)
            sync_names(path.parent)
    except FileError:
        with suppress(OSError):  # a full disk gets its room back
            new.unlink(missing_ok=True)
        raise


def append_line(path: Path, line: str) -> None:
    """Append a line to a file.

    Raises:
        FileError: likewise; the file is as it was.
    """
    with disk_errors(path):
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, MODE)
        try:
            size = os.fstat(descriptor).st_size
            try:
                _write_all(descriptor, f"{line}\n".encode())
            except OSError:
                os.ftruncate(descriptor, size)  # half a line would spoil the next one
                raise
        finally:
            os.close(descriptor)


def sync_file(path: Path) -> None:
    """Force what was appended to a file to the disk.

    Raises:
        FileError: the disk is full, or whatever else the system reports.
    """
    with disk_errors(path), path.open("rb") as file:
        os.fsync(file.fileno())


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Keep a file for this process; the system gives it back when the process ends, however it does.

    Raises:
        FileError: another process keeps it.
    """
    with disk_errors(path):
        file = path.open("r+b")  # NFS locks only what is open for writing
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise FileError(
                f"{path.parent}: another training writes there now; wait for it, end it, or choose another output"
            ) from error
        except OSError as error:  # some network file systems know no locks
            _LOG.info("%s cannot be locked (%s): see that no other training writes there", path.parent, error.strerror)
        yield


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file as hexadecimal digits."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def sync_names(directory: Path) -> None:
    """Force the names in a directory to the disk."""
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _write_all(descriptor: int, content: bytes) -> None:
    """Write all bytes: the system may take fewer than it is given."""
    rest = memoryview(content)
    while rest:
        taken = os.write(descriptor, rest)
        if taken == 0:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        rest = rest[taken:]
