"""Looking at the command line as a user does: how a command ended, and what stands on a terminal."""

import fcntl
import io
import os
import pty
import re
import struct
import termios
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Outcome:
    """How a command ended, and what it wrote."""

    code: int
    out: str
    err: str


Mtl = Callable[..., Outcome]
"""Calls the command line with arguments."""


class Terminal(io.TextIOWrapper):
    """A stream on a pseudo-terminal, and what a person would see there."""

    def __init__(self, *, columns: int) -> None:
        self._reader, writer = pty.openpty()
        fcntl.ioctl(writer, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
        super().__init__(os.fdopen(writer, "wb", buffering=0), encoding="utf-8", write_through=True)
        self.columns = columns
        self._seen = b""

    def _written(self) -> str:
        os.set_blocking(self._reader, False)
        while True:
            try:
                self._seen += os.read(self._reader, 1_000_000)
            except BlockingIOError:
                return self._seen.decode("utf-8")

    def screen(self) -> list[str]:
        """Return the lines of the screen after all that was written so far."""
        lines, row, column = [""], 0, 0
        for match in re.finditer(r"\x1b\[(\d*)([A-Za-z])|.", self._written(), re.DOTALL):
            text = match[0]
            if text == "\r":
                column = 0
            elif text == "\n" or column == self.columns:
                row, column = row + 1, 0 if text != "\n" else column
                lines += [""] * (row + 1 - len(lines))
            if match[2] == "A":
                row -= int(match[1] or 1)
            elif match[2] is not None:
                raise AssertionError(f"unknown sequence {text!r}")
            elif text not in "\r\n":
                line = lines[row].ljust(column)
                lines[row] = line[:column] + text + line[column + 1 :]
                column += 1
        return [line.rstrip() for line in lines]


@dataclass(frozen=True)
class Trained:
    """A run of the command line in a process of its own.

    Attributes:
        directory: where it ran.
        config: the config file.
        outcome: how it ended.
    """

    directory: Path
    config: Path
    outcome: Outcome

    @property
    def model(self) -> Path:
        """The model directory."""
        return self.directory / "run" / "best"
