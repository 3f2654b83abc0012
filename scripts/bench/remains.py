"""What a killed training left, judged from outside, before anything repairs it.

Owns two questions: is a directory half-written under its own name, and is something gone that was there before? And of
a run that is done: is it equal to another one, byte for byte?
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from mtl_transformers.errors import MTLError
from mtl_transformers.model import directory
from mtl_transformers.training.checkpoint import list_checkpoints, step_of, verify

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tests"))

from resumed import kept_bytes, log_of

_MODELS = ("best", "last")
_FILES = ("config.yaml", "plan.json", "metrics.jsonl")
_STEP = re.compile(r"step-\d+")


@dataclass(frozen=True, slots=True)
class Held:
    """What a run was seen to hold.

    Attributes:
        names: of the run directory's own files and directories.
        newest: step of its newest checkpoint.
    """

    names: frozenset[str] = field(default_factory=frozenset)
    newest: int = 0


def examine(run: Path, before: Held) -> tuple[Held, list[str]]:
    """Look at a run whose training was killed.

    Args:
        run: the run directory.
        before: what an earlier look found; that must still be there.

    Returns:
        What it holds now, and each fault.
    """
    found = run if run.exists() else _old(run)
    if not found.exists():
        return before, [f"{run.name} is gone"] if before.names else []
    held = Held(
        frozenset(_present(found)), max((step_of(path.with_suffix("")) for path in _checkpoints(found)), default=0)
    )
    faults = [*_unreadable(found), *_half_written(found)]
    faults += [f"{name} is gone" for name in sorted(before.names - held.names)]
    if held.newest < before.newest:
        faults.append(f"the checkpoint of step {before.newest} is gone, the newest one is of step {held.newest}")
    return held, faults


def leftovers(run: Path) -> list[str]:
    """Return what an interrupted save or swap left beside its place, and a log whose last line was cut short."""
    places = [run.parent, run, run / "checkpoints"]
    found = [path for place in places if place.is_dir() for path in place.iterdir() if _is_leftover(path, run)]
    log = run / "metrics.jsonl"
    is_torn = log.exists() and not log.read_bytes().endswith(b"\n") and log.stat().st_size > 0
    return [*(str(path.relative_to(run.parent)) for path in found), *(["a line of metrics.jsonl"] if is_torn else [])]


def differences(run: Path, other: Path) -> list[str]:
    """Return what a run that is done does not have in common with an undisturbed one, bit for bit."""
    ours, theirs = kept_bytes(run), kept_bytes(other)
    found = [f"{name} differs" for name in theirs if ours[name] != theirs[name]]
    if log_of(run) != log_of(other):
        found.append("metrics.jsonl differs")
    newest, expected = (list_checkpoints(of / "checkpoints")[0] for of in (run, other))
    names = [path.name for path in sorted(expected.iterdir()) if path.suffix == ".safetensors"]
    found += [f"the last {name} differs" for name in names if _bytes(newest, name) != _bytes(expected, name)]
    if _state(newest) != _state(expected):
        found.append("the ledger, or another part of the last state, differs")
    return found


def _present(run: Path) -> Iterator[str]:
    """Yield what is there, a directory also where an interrupted swap left it under its other name."""
    yield from (name for name in _FILES if (run / name).exists())
    yield from (name for name in _MODELS if (run / name).exists() or _old(run / name).exists())


def _unreadable(run: Path) -> Iterator[str]:
    """Yield the files of a run that do not parse; the log's last line may be cut short."""
    try:
        yaml.safe_load((run / "config.yaml").read_text(encoding="utf-8"))
        json.loads((run / "plan.json").read_text(encoding="utf-8"))
        *lines, _ = (run / "metrics.jsonl").read_text(encoding="utf-8").split("\n")
        for line in lines:
            json.loads(line)
    except (OSError, ValueError, yaml.YAMLError) as error:
        yield f"{run.name}: {type(error).__name__} {error}"


def _half_written(run: Path) -> Iterator[str]:
    """Yield the models and checkpoints that are not complete, under their own name or their old one."""
    for name in _MODELS:
        for path in (run / name, _old(run / name)):
            if path.exists():
                yield from _fault(directory.load, path)
    for path in _checkpoints(run):
        yield from _fault(verify, path)


def _fault(check: Any, path: Path) -> Iterator[str]:
    try:
        check(path)
    except MTLError as error:
        yield f"{path.name}: {error}"


def _checkpoints(run: Path) -> list[Path]:
    """Return the checkpoints of a run, also one that stands under its old name."""
    folder = run / "checkpoints"
    if not folder.is_dir():
        return []
    return [*list_checkpoints(folder), *folder.glob("step-*.old")]


def _is_leftover(path: Path, run: Path) -> bool:
    plain = path.name.removeprefix(".").removesuffix(".tmp").removesuffix(".old")
    ours = {run.name, *_FILES, *_MODELS}
    return plain != path.name and (plain in ours or _STEP.fullmatch(plain) is not None)


def _old(path: Path) -> Path:
    return path.with_name(f"{path.name}.old")


def _bytes(checkpoint: Path, name: str) -> bytes | None:
    path = checkpoint / name
    return path.read_bytes() if path.exists() else None


def _state(checkpoint: Path) -> Any:
    return json.loads((checkpoint / "state.json").read_text(encoding="utf-8"))["state"]
