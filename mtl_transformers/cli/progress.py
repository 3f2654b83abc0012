"""The progress of a training on stderr: a bar on a terminal, plain lines elsewhere. Results are ``tables.py``'s."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from tqdm import tqdm

if TYPE_CHECKING:  # heavy, and only named here
    from mtl_transformers.training.run import Evaluated
    from mtl_transformers.training.window import Logged

LINES = 20  # of a training, where there is no bar


class Bar:
    """A bar with speed, and the losses of all tasks below it.

    Args:
        tasks: whose losses will come.
        num_steps: of the plan.
        first_step: steps that were done before.
    """

    def __init__(self, tasks: Sequence[str], *, num_steps: int, first_step: int) -> None:
        form = "{percentage:3.0f}%|{bar}| step {n_fmt}/{total_fmt} [{elapsed}<{remaining}{postfix}]"
        self._bar = tqdm(total=num_steps, initial=first_step, bar_format=form, dynamic_ncols=True)
        width = os.get_terminal_size(sys.stderr.fileno()).columns
        num_lines = len(wrapped([f"{task} 00.000" for task in tasks], width=width))
        self._losses = [
            tqdm(position=1 + number, bar_format="{desc}", dynamic_ncols=True, leave=False)
            for number in range(num_lines)
        ]

    def logged(self, line: Logged) -> None:
        """Move the bar and show the losses."""
        lines = wrapped(_losses(line), width=self._bar.ncols)
        for place, text in zip(self._losses, lines, strict=False):
            place.set_description_str(text)
        self._bar.set_postfix_str(f"{line.tokens_per_s:,.0f} tokens/s", refresh=False)
        self._bar.update(line.step - self._bar.n)
        self._bar.refresh()

    def evaluated(self, event: Evaluated) -> None:
        """Write the scores above the bar."""
        for text in wrapped(_scores(event), width=self._bar.ncols):
            tqdm.write(text, file=sys.stderr)

    def close(self) -> None:
        """Leave the bar as it stands, without the losses."""
        for place in reversed(self._losses):
            place.close()
        self._bar.close()


class Lines:
    """A line now and then, and one for each evaluation.

    Args:
        num_steps: of the plan.
    """

    def __init__(self, *, num_steps: int) -> None:
        self._num_steps = num_steps
        self._next = 0.0

    def logged(self, line: Logged) -> None:
        """Print a line where one is due."""
        if line.step < self._next and line.step != self._num_steps:
            return
        self._next = line.step + self._num_steps / LINES
        _say(f"step {line.step}/{self._num_steps}  {line.tokens_per_s:,.0f} tokens/s  loss: {'  '.join(_losses(line))}")

    def evaluated(self, event: Evaluated) -> None:
        """Print the scores."""
        _say("  ".join(_scores(event)))

    def close(self) -> None:
        """Do nothing: every line is complete."""


def progress_of(tasks: Sequence[str], *, num_steps: int, first_step: int = 0) -> Bar | Lines:
    """Return a bar where stderr is a terminal, else lines."""
    return Bar(tasks, num_steps=num_steps, first_step=first_step) if sys.stderr.isatty() else Lines(num_steps=num_steps)


class Messages(logging.Handler):
    """Writes the log to stderr, above a bar where there is one."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write one message; warnings and errors are called so."""
        level = "" if record.levelno < logging.WARNING else f"{record.levelname.lower()}: "
        tqdm.write(f"{level}{self.format(record)}", file=sys.stderr)


def wrapped(cells: Iterable[str], *, width: int) -> list[str]:
    """Join cells into lines of less than a width, the second and later ones indented; a cell is not broken."""
    lines: list[str] = []
    for cell in cells:
        if lines and len(lines[-1]) + 2 + len(cell) < width:
            lines[-1] += f"  {cell}"
        else:
            lines.append(f"  {cell}" if lines else cell)
    return lines


def _losses(line: Logged) -> list[str]:
    return [f"{task} {loss:.3f}" for task, loss in line.losses.items()]


def _scores(event: Evaluated) -> list[str]:
    """Return the mean and each task's first metric."""
    scores = (f"{task} {next(iter(of.metrics.values())):.4f}" for task, of in event.scores.items())
    return [f"step {event.step}: mean {event.mean:.4f}{' (best)' if event.is_best else ''}", *scores]


def _say(text: str) -> None:
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()
