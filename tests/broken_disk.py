"""A disk that fails where a test wants it: at the n-th call that changes it, or with less taken than was given."""

import errno
import os
import resource
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Any

import pytest

CHANGES = ("open", "write", "fsync", "fchmod", "chmod", "mkdir", "rename", "replace", "unlink", "rmdir")
"""The calls of the system through which our own code writes; libraries in Rust do not use them."""


class Disk:
    """Counts calls, and fails at one of them.

    Args:
        fail_at: number of the call that fails, from 1.
        error: the system's number for it.
    """

    def __init__(self, *, fail_at: int | None = None, error: int = errno.ENOSPC) -> None:
        self.fail_at = fail_at
        self.error = error
        self.calls = 0
        self.failed_in: str | None = None

    def counted(self, call: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(call)
        def step(*args: Any, **keywords: Any) -> Any:
            self.calls += 1
            if self.calls == self.fail_at:
                self.failed_in = call.__name__
                raise OSError(self.error, os.strerror(self.error))
            return call(*args, **keywords)

        return step


@contextmanager
def failing_disk(*, fail_at: int | None = None, error: int = errno.ENOSPC) -> Iterator[Disk]:
    """Let one call fail while the block runs."""
    disk = Disk(fail_at=fail_at, error=error)
    with pytest.MonkeyPatch.context() as patch:
        for name in CHANGES:
            patch.setattr(os, name, disk.counted(getattr(os, name)))
        yield disk


@contextmanager
def short_writes(*, full_after: int | None = None) -> Iterator[None]:
    """Let the system take half of what it is given; after that many bytes it has no space left."""
    taken, write = 0, os.write

    def step(descriptor: int, content: memoryview) -> int:
        nonlocal taken
        if full_after is not None and taken >= full_after:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        number = write(descriptor, content[: max(1, len(content) // 2)])
        taken += number
        return number

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "write", step)
        yield


@contextmanager
def largest_file(size: int) -> Iterator[None]:
    """Let the system itself refuse files of more bytes, whoever writes them; Python ignores the signal."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
