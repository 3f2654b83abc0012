"""The encoder in a process of its own, so that HTTP does not hold Python's lock when a pass wants it.

Owns that process and the pipe to it. It loads the model; all of its answering but the forward pass comes here, without
torch. The process ends when its pipe is closed, whatever became of the one at the other end.
"""

from __future__ import annotations

import gc
import pickle
import signal
import threading
import traceback
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from multiprocessing import get_context
from multiprocessing.connection import Connection
from typing import Any, Self

from mtl_transformers.errors import ModelError
from mtl_transformers.runtime.answering import Answering
from mtl_transformers.serving.settings import Info
from mtl_transformers.text.decoders import Logits
from mtl_transformers.text.encoding import Features

GOODBYE_S = 2.0  # for the pass that is running

Load = Callable[[], tuple[Answering, Info]]
"""Loads a model; must be picklable, since it is called in the new process."""


class EncoderGone(ModelError):
    """The encoder's process has ended."""


class EncoderProcess:
    """A process that runs forward passes, from the beginning to the end of a ``with`` block.

    Args:
        load: what it runs.
    """

    def __init__(self, load: Load) -> None:
        context = get_context("spawn")  # a fork would copy locks of libraries that other threads hold
        self._pipe, self._theirs = context.Pipe()
        self._process = context.Process(target=_run, args=(self._theirs, load), name="mtl-encoder", daemon=True)
        self._lock = threading.Lock()

    def __enter__(self) -> Self:
        self._process.start()
        self._theirs.close()  # the process has it now, and its end is the end of the pipe
        return self

    def __exit__(self, *_: object) -> None:
        self._pipe.close()
        self._process.join(GOODBYE_S)
        if self._process.is_alive():  # still loading, or in a long pass
            self._process.kill()
            self._process.join()

    @property
    def exit_code(self) -> int | None:
        """How the process ended, as `multiprocessing` tells it: minus the signal; ``None`` while it runs."""
        return self._process.exitcode

    def load(self) -> tuple[Answering, Info]:
        """Wait for the model; return its answering, which runs passes in the process, and what is said of it.

        Raises:
            EncoderGone: the process ended first.
            Exception: what loading raised there.
        """
        tasks, encoders, vocabulary, info = self._received()
        return Answering(tasks, encoders=encoders, forward=self.forward, vocabulary=vocabulary), info

    def forward(self, rows: Sequence[Features], asking: Mapping[str, Sequence[int]]) -> dict[str, list[Logits]]:
        """Run one pass: see `answering.Forward`. Threads wait for each other.

        Raises:
            EncoderGone: the process has ended.
            Exception: what the pass raised there.
        """
        with self._lock:
            try:
                self._pipe.send((rows, asking))
            except OSError as error:
                raise self.gone() from error
            return self._received()  # type: ignore[no-any-return]

    def gone(self) -> EncoderGone:
        """Return the error of a process that has ended."""
        self._process.join(GOODBYE_S)
        return EncoderGone(f"the encoder's process ended with exit code {self.exit_code}")

    def _received(self) -> Any:
        try:
            found = self._pipe.recv()
        except (EOFError, OSError) as error:
            raise self.gone() from error
        if isinstance(found, Exception):
            raise found
        return found


def _run(pipe: Connection, load: Load) -> None:
    """Load, and run passes until the other end is closed."""
    for number in (signal.SIGINT, signal.SIGTERM):  # which whole groups of processes get: what was taken is answered
        signal.signal(number, signal.SIG_IGN)
    with suppress(EOFError, BrokenPipeError, ConnectionResetError):
        try:
            answering, info = load()
        except Exception as error:  # noqa: BLE001  # whatever it is, it is raised at the other end
            pipe.send(_portable(error))
            return
        pipe.send((answering.tasks, answering.encoders, answering.vocabulary, info))
        gc.collect()
        gc.freeze()  # a model's million objects stay
        while True:
            rows, asking = pipe.recv()
            try:
                found: object = answering.forward(rows, asking)
            except Exception as error:  # noqa: BLE001  # likewise
                found = _portable(error)
            pipe.send(found)


def _portable(error: Exception) -> Exception:
    """Return an exception that survives the pipe, with its trace as a note."""
    trace = "".join(traceback.format_exception(error))
    try:
        found = pickle.loads(pickle.dumps(error))
    except Exception:  # noqa: BLE001  # classes of libraries whose constructors want something else
        found = RuntimeError(f"{type(error).__name__}: {error}")
    found.add_note(f"in the encoder's process:\n{trace}")
    return found  # type: ignore[no-any-return]
