"""A server as a process runs it: its socket, its thread of HTTP, and an end in which nobody's answer is lost."""

from __future__ import annotations

import gc
import logging
import os
import signal
import socket
import threading
from time import monotonic, sleep
from types import FrameType

import uvicorn
from fastapi import FastAPI

from mtl_transformers.errors import ConfigError
from mtl_transformers.serving.encoder_process import EncoderProcess
from mtl_transformers.serving.service import Service

BACKLOG = 2048  # connections that wait to be accepted
KEEP_ALIVE_S = 75  # of a connection without a request; longer than most load balancers'
POLL_S = 0.02
WATCH_S = 0.2  # between looks at what may have ended
GOODBYE_S = 5  # for responses that are being sent
SIGNALS = (signal.SIGTERM, signal.SIGINT)
_LOG = logging.getLogger(__name__)


def bound(host: str, port: int) -> socket.socket:
    """Return a socket at an address: taken now, so that a wrong address is told before a model is loaded.

    Raises:
        ConfigError: the address is unknown, taken or not ours.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (socket.gaierror, UnicodeError) as error:
        raise ConfigError(f"host {host!r} is unknown: {error}. Expected an address of this machine") from error
    family, kind, _, _, address = found[0]
    made = socket.socket(family, kind)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        made.bind(address)
    except (OSError, OverflowError) as error:
        made.close()
        raise _unusable(host, port, error) from error
    return made


def _unusable(host: str, port: int, error: Exception) -> ConfigError:
    return ConfigError(
        f"cannot listen at {host}, port {port}: {error}. Choose another --port or --host, or end what listens there"
    )


def url_of(listener: socket.socket) -> str:
    """Return where a socket listens, as a browser takes it."""
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


class Server:
    """An application that listens, at `url`.

    Args:
        app: what `create_app` returned.
        listener: a bound socket.
    """

    def __init__(self, app: FastAPI, listener: socket.socket) -> None:
        self.url = url_of(listener)
        self._listener = listener
        self._service: Service = app.state.service
        self._uvicorn = uvicorn.Server(
            uvicorn.Config(
                app,
                log_config=None,
                access_log=False,
                server_header=False,
                timeout_keep_alive=KEEP_ALIVE_S,
                timeout_graceful_shutdown=GOODBYE_S,
                backlog=BACKLOG,
                ws="none",
            )
        )
        self._thread = threading.Thread(  # in a thread, uvicorn leaves signals alone
            target=self._uvicorn.run, args=([listener],), name="mtl-http", daemon=True
        )

    def start(self) -> None:
        """Listen; return when it answers.

        Raises:
            ConfigError: another process has begun to listen at the address meanwhile.
        """
        host, port = self._listener.getsockname()[:2]
        try:
            self._listener.listen(BACKLOG)
        except OSError as error:
            raise _unusable(host, port, error) from error
        self._thread.start()
        while self._thread.is_alive() and not self._uvicorn.started:
            sleep(POLL_S)
        self._service.start().result()
        gc.collect()
        gc.freeze()  # a model's million objects stay; looking through them again and again would stop every thread

    def wait(self, encoder: EncoderProcess | None = None) -> None:
        """Serve until SIGTERM or SIGINT comes, or a process that is needed has ended; a second signal ends at once.

        Args:
            encoder: the process that is needed.
        """
        came = threading.Event()

        def note(number: int, frame: FrameType | None) -> None:
            if came.is_set():
                os._exit(128 + number)
            came.set()

        for number in SIGNALS:
            signal.signal(number, note)
        while self._thread.is_alive() and not came.wait(WATCH_S):
            if encoder is not None and encoder.exit_code is not None:
                return

    def stop(self, *, drain_s: float) -> bool:
        """Take no more requests, answer those that were taken, and end.

        Args:
            drain_s: seconds that this may take.

        Returns:
            Whether all were answered.
        """
        self._service.drain()
        end = monotonic() + drain_s
        while self._service.num_active and monotonic() < end:
            sleep(POLL_S)
        all_answered = not self._service.num_active
        self._uvicorn.should_exit = True
        self._thread.join()
        return all_answered
