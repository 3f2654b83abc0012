"""Before a training: may it use its output directory, and where does it begin?"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mtl_transformers.config import Config, load_config
from mtl_transformers.errors import CheckpointError, ConfigError
from mtl_transformers.storage.files import locked
from mtl_transformers.storage.swap import tidy_swap
from mtl_transformers.training.checkpoint import Checkpoint, read_checkpoint
from mtl_transformers.training.resume import check_config, find_checkpoint
from mtl_transformers.training.saving import CHECKPOINTS, CONFIG, METRICS, PLAN, check_output

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Start:
    """Where a run begins.

    Attributes:
        checkpoint: that it goes on from; ``None``: its first step.
        is_continued: the output holds the run already.
        is_named: the checkpoint was named, and later ones are of a branch that is left.
    """

    checkpoint: Checkpoint | None
    is_continued: bool
    is_named: bool


def find_start(
    config: Config, *, overwrite: bool, resume: bool | str | Path, allow_config_change: bool, locks: ExitStack
) -> Start:
    """Look at the output directory, finish what a killed run left there, and read the checkpoint to go on from.

    Args:
        config: of the run.
        overwrite: an older run may be replaced.
        resume: ``True``: the newest valid checkpoint of the output, or the beginning where there is none yet; a path:
            that checkpoint.
        allow_config_change: the config need not be that of the checkpoint.
        locks: keeps the run that lies there from other trainings until it is closed.

    Raises:
        CheckpointError: the output is taken, the checkpoint has a fault, or the config differs.
        FileError: another training is at work there.
    """
    output = Path(config.output)
    if not output.exists():  # an interrupted swap may have left the run beside its name
        tidy_swap(output.resolve(), marker=PLAN)
    lock_run(output, locks)
    check_output(output, overwrite=overwrite, resume=bool(resume), reads=_reads(config))
    tidy_swap(output.resolve(), marker=PLAN)
    if not resume:
        return Start(None, is_continued=False, is_named=False)
    is_continued, named = (output / PLAN).is_file(), None if isinstance(resume, bool) else Path(resume)
    if named and is_continued and named.resolve().parent != (output / CHECKPOINTS).resolve():
        raise CheckpointError(f"{named} is no checkpoint of the run in {output}; choose a new output to go on from it")
    checkpoint = read_checkpoint(named) if named else find_checkpoint(output / CHECKPOINTS)
    stored = checkpoint.state.get("config") if checkpoint else _stored_config(output)
    if checkpoint is None:
        _check_nothing_lost(output, stored)
        _LOG.info("%s: no checkpoint to go on from, so from the beginning", output)
    if stored is not None:
        check_config(config.to_plain(), stored, allow_change=allow_config_change)
    return Start(checkpoint, is_continued=is_continued, is_named=named is not None)


def lock_run(output: Path, locks: ExitStack) -> None:
    """Keep a run from other trainings, where there is one."""
    if (output / METRICS).is_file():
        locks.enter_context(locked(output / METRICS))


def _reads(config: Config) -> list[str]:
    """Return what the run reads on this machine: none of it may lie in a run that is replaced."""
    reads = [config.encoder.name or "", config.init_from or ""]
    reads += [task.review.file for task in config.tasks.values() if task.review is not None]
    for section in config.data.values():
        reads += [section.path, *_paths(section.files)]
    return reads


def _paths(files: object) -> Iterator[str]:
    """Yield the paths of ``files``, however they are nested."""
    if isinstance(files, str):
        yield files
    elif isinstance(files, Mapping | tuple):
        for inner in files.values() if isinstance(files, Mapping) else files:
            yield from _paths(inner)


def _check_nothing_lost(output: Path, stored: Mapping[str, Any] | None) -> None:
    """Refuse to begin anew where the log says that there must have been a checkpoint."""
    log = output / METRICS
    every = stored["training"]["save_every_steps"] if stored else None
    if every is None or not log.is_file():
        return
    steps = [int(number) for number in re.findall(r'^\{"step": (\d+)', log.read_text(encoding="utf-8"), re.MULTILINE)]
    if max(steps, default=0) > every:
        raise CheckpointError(
            f"{output / CHECKPOINTS}: the run came to step {max(steps)}, but its checkpoints are gone; bring them "
            "back, or train anew with --overwrite"
        )


def _stored_config(output: Path) -> dict[str, Any] | None:
    """Return the config of a run that has no checkpoint yet."""
    if not (output / CONFIG).is_file():
        return None
    try:
        return load_config(output / CONFIG).to_plain()
    except ConfigError as error:
        raise CheckpointError(f"{output}: the run's own config cannot be read; replace it with --overwrite") from error
