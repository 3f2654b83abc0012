"""Before a training: may it use its output directory, and where does it begin?"""

from __future__ import annotations

import logging
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


def find_start(
    config: Config, *, overwrite: bool, resume: bool | str | Path, allow_config_change: bool
) -> Checkpoint | None:
    """Check the output directory, and read the checkpoint that a run goes on from.

    Args:
        config: of the run.
        overwrite: an older run may be replaced.
        resume: ``True``: the newest valid checkpoint of the output, or the beginning where there is none yet; a path:
            that checkpoint.
        allow_config_change: the config need not be that of the checkpoint.

    Returns:
        ``None``: the run begins at its first step.

    Raises:
        CheckpointError: the output is taken, the checkpoint has a fault, or the config differs.
    """
    output = Path(config.output)
    tidy_swap(output.resolve(), marker=PLAN)
    check_output(
        output,
        overwrite=overwrite,
        resume=bool(resume),
        reads=[config.encoder.name or "", config.init_from or ""],
    )
    if (output / METRICS).is_file():
        with locked(output / METRICS):  # else another training is at work there
            pass
    if not resume:
        return None
    checkpoint = find_checkpoint(output / CHECKPOINTS) if resume is True else read_checkpoint(Path(resume))
    if checkpoint is None:
        _LOG.info("%s: no checkpoint to go on from, so from the beginning", output)
    stored = checkpoint.state.get("config") if checkpoint else _stored_config(output)
    if stored is not None:
        check_config(config.to_plain(), stored, allow_change=allow_config_change)
    return checkpoint


def _stored_config(output: Path) -> dict[str, Any] | None:
    """Return the config of a run that has no checkpoint yet."""
    if not (output / CONFIG).is_file():
        return None
    try:
        return load_config(output / CONFIG).to_plain()
    except ConfigError as error:
        raise CheckpointError(f"{output}: the run's own config cannot be read; replace it with --overwrite") from error
