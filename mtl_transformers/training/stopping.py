"""Ending a training before its time: signals, and a limit of minutes.

The first SIGTERM or SIGINT asks for a stop after the step that runs; the second one ends the process at once. Under
a launcher one key press arrives several times (from the terminal, and again from the launcher), so signals within
a second are one there.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from enum import IntEnum
from types import FrameType

_ECHO_S = 1.0  # under a launcher, the same signal again
_SIGNALS = (signal.SIGTERM, signal.SIGINT)


class Request(IntEnum):
    """What a process is asked for; the larger one is the more urgent."""

    NONE = 0
    TIME = 1
    INTERRUPT = 2
    TERMINATE = 3

    @property
    def exit_code(self) -> int:
        """Of the process: as a shell gives it for the signal; for a limit of time, as ``timeout`` does."""
        return {Request.NONE: 0, Request.TIME: 124, Request.INTERRUPT: 130, Request.TERMINATE: 143}[self]

    @property
    def reason(self) -> str:
        """In words."""
        words = {Request.TIME: "training.max_minutes", Request.INTERRUPT: "SIGINT", Request.TERMINATE: "SIGTERM"}
        return words.get(self, "")


class Stops:
    """What was asked of this process so far.

    Args:
        max_minutes: from now on; ``None``: no limit.
    """

    def __init__(self, *, max_minutes: float | None) -> None:
        self._deadline = None if max_minutes is None else time.monotonic() + 60 * max_minutes
        self._asked = Request.NONE
        self._asked_at = 0.0

    @property
    def request(self) -> Request:
        """What is asked."""
        if self._asked is not Request.NONE:
            return self._asked
        is_over = self._deadline is not None and time.monotonic() >= self._deadline
        return Request.TIME if is_over else Request.NONE

    def receive(self, number: int, _: FrameType | None = None) -> None:
        """Take a signal: note the first one, and let the next one end the process."""
        now = time.monotonic()
        is_first = self._asked is Request.NONE
        if is_first:
            self._asked = Request.TERMINATE if number == signal.SIGTERM else Request.INTERRUPT
            self._asked_at = now
        elif not _is_launched() or now - self._asked_at > _ECHO_S:
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)


@contextmanager
def listening(*, max_minutes: float | None = None) -> Iterator[Stops]:
    """Take SIGTERM and SIGINT as requests, and give the handlers of before back at the end.

    Python lets only the main thread do so; in another one only the limit of time holds.
    """
    stops = Stops(max_minutes=max_minutes)
    if threading.current_thread() is not threading.main_thread():
        yield stops
        return
    before = {number: signal.signal(number, stops.receive) for number in _SIGNALS}
    try:
        yield stops
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _is_launched() -> bool:
    return "LOCAL_RANK" in os.environ
