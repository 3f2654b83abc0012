"""A training that ends itself by a signal at a precise call of the system. What is trained does not know of it.

Owns the child of `kill.py`: which calls there are, how they are counted, and the end at one of them. A call is told by
what it touches, as seen from the directory that the run directory stands in:

    call              anything that writes, syncs, makes, renames or removes in the run directory, or makes its siblings
    swap <what>       the renames that put best, last, a checkpoint or the run in its place, and the removal of what was
                      there before
    prune             the rename and the removal of a checkpoint that is not needed any more
    log               opening, writing and replacing metrics.jsonl
    step              the begin of a micro-batch's forward pass
"""

from __future__ import annotations

import json
import multiprocessing
import os
import re
import signal
import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import wraps
from pathlib import Path
from typing import Any

import datasets

from mtl_transformers.config import load_config
from mtl_transformers.errors import Interrupted
from mtl_transformers.training import loop, update
from mtl_transformers.training.steps import StepReader

CALLS = ("open", "write", "fsync", "fchmod", "chmod", "mkdir", "rename", "replace", "unlink", "rmdir")
RUN, CONFIG, HIT, COUNTS, TALK = "run", "config.yaml", "hit.json", "counts.json", "talk.txt"
INTERRUPTED = 143
_CHECKPOINT = re.compile(r"step-\d+")
_kill, _write_text = os.kill, Path.write_text


@dataclass(frozen=True, slots=True)
class Aim:
    """Where a training ends.

    Attributes:
        kind: of the calls, as above.
        number: of the call among those of its kind, from 1.
        when: ``before`` or ``after`` the call, or ``within``: half of what is written is written.
        signal: SIGKILL, or SIGTERM, which asks the training to save and end.
    """

    kind: str
    number: int
    when: str = "before"
    signal: int = signal.SIGKILL


def kinds_of(call: str, *paths: Path, run: Path) -> set[str]:
    """Return the kinds of a call by the paths it touches; none where it is not about the run.

    Args:
        call: its name.
        paths: one, or two of a rename.
        run: the run directory.
    """
    parts = [path.relative_to(run.parent).parts for path in paths if path.is_relative_to(run.parent)]
    parts = [names for names in parts if names and _plain(names[0]) == run.name]
    if not parts:
        return set()
    kinds = {"call"}
    names = [names[-1] for names in parts]
    if any(_plain(name) == "metrics.jsonl" for name in names):
        kinds.add("log")
    if call in ("rename", "replace"):
        first, second = names[0], names[-1]
        what = _what(first, run)
        if what == "checkpoint" and second.startswith(".") and not first.endswith(".old"):
            kinds.add("prune")
        elif what is not None:
            kinds.add(f"swap {what}")
    elif call in ("unlink", "rmdir"):
        trash = next((name for name in reversed(parts[0]) if name.endswith(".tmp")), None)
        what = _what(trash, run) if trash else None
        if what is not None:
            kinds.add("prune" if what == "checkpoint" else f"swap {what}")
    return kinds


def _plain(name: str) -> str:
    return name.removeprefix(".").removesuffix(".tmp").removesuffix(".old")


def _what(name: str, run: Path) -> str | None:
    """Return which directory of a run a name stands for: its own, the temporary one or the old one."""
    plain = _plain(name)
    if _CHECKPOINT.fullmatch(plain):
        return "checkpoint"
    return {"best": "best", "last": "last", run.name: "run"}.get(plain)


class Counted:
    """Counts the calls of a training, and ends it at the one that is aimed at.

    Args:
        place: of the run directory; what was hit is noted there.
        aim: ``None``: calls are only counted.
    """

    def __init__(self, place: Path, aim: Aim | None) -> None:
        self.counts: Counter[str] = Counter()
        self._place = place
        self._run = place / RUN
        self._aim = aim

    def install(self) -> None:
        """Put the counting around the calls, for the rest of this process's life."""
        for name in CALLS:
            setattr(os, name, self._around(name, getattr(os, name)))
        seed = update.seed_dropout

        def seed_dropout(*numbers: int) -> None:
            self.counts["step"] += 1
            if self._is_aim({"step"}):
                self._end(f"step {numbers[1]}")
            seed(*numbers)

        update.seed_dropout = seed_dropout

    def _around(self, name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(call)
        def counted(*given: Any, **named: Any) -> Any:
            paths = _paths(name, given, named)
            kinds = kinds_of(name, *paths, run=self._run)
            for kind in kinds:
                self.counts[kind] += 1
            hit = f"{name} {' '.join(os.path.relpath(path, self._place) for path in paths)}"
            is_aim = self._is_aim(kinds)
            if is_aim and name == "write" and self._aim.when == "within":
                call(given[0], given[1][: len(given[1]) // 2])
                hit += ", half of it"
            if is_aim and self._aim.when != "after":
                self._end(hit)
            result = call(*given, **named)
            if is_aim and self._aim.when == "after":
                self._end(hit)
            return result

        return counted

    def _is_aim(self, kinds: set[str]) -> bool:
        aim = self._aim
        return aim is not None and aim.kind in kinds and self.counts[aim.kind] == aim.number

    def _end(self, hit: str) -> None:
        aim, self._aim = self._aim, None
        _write_text(self._place / HIT, json.dumps({**asdict(aim), "hit": hit}))
        _kill(os.getpid(), aim.signal)


def _paths(name: str, given: tuple[Any, ...], named: dict[str, Any]) -> list[Path]:
    """Return the absolute paths that a call touches; what is given as a number is an open file."""
    folder = named.get("dir_fd")
    base = Path(os.readlink(f"/proc/self/fd/{folder}")) if folder is not None else Path.cwd()
    found = given[:2] if name in ("rename", "replace") else given[:1]
    return [
        Path(os.readlink(f"/proc/self/fd/{path}")) if isinstance(path, int) else base / os.fspath(path)
        for path in found
    ]


def one_step_off() -> None:
    """Let the rows of each step be those of the next one, and nobody count them."""
    read = StepReader._collated

    def off(self: StepReader, step: int, max_tokens: int) -> Any:
        return read(self, min(step + 1, self._plan.num_steps - 1), max_tokens)

    StepReader._collated = off
    loop.check_ledger = lambda ledger, promised: None


SABOTAGE: dict[str, Callable[[], None]] = {"one step off": one_step_off}


def child(place: Path, aim: Aim | None, *, resume: bool, overwrite: bool, sabotage: str | None) -> None:
    """Train in this process, which ends then.

    Args:
        place: holds ``config.yaml``; all that the training leaves goes there too.
        aim: where it ends before its time.
        resume: go on with the run.
        overwrite: replace it.
        sabotage: breaks something, by its name.
    """
    talk = os.open(place / TALK, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(talk, 1)
    os.dup2(talk, 2)
    multiprocessing.set_start_method("fork", force=True)  # else the names of tqdm's locks outlive a killed process
    datasets.config.HF_DATASETS_CACHE = place / "cache"
    if sabotage is not None:
        SABOTAGE[sabotage]()
    counted = Counted(place, aim)
    counted.install()
    try:
        loop.train(load_config(place / CONFIG), resume=resume, overwrite=overwrite)
    except Interrupted:
        sys.exit(INTERRUPTED)
    _write_text(place / COUNTS, json.dumps(counted.counts))
