"""Going on where a run was: which checkpoint, and whether the config that is given still means the same run."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Iterable, Mapping
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from mtl_transformers.errors import CheckpointError
from mtl_transformers.training.checkpoint import Checkpoint, newest_valid, read_checkpoint, tidy
from mtl_transformers.training.experiment import Experiment

HARMLESS = (
    "output",
    "encoder.gradient_checkpointing",
    "training.max_tokens",
    "training.save_every_steps",
    "training.keep_checkpoints",
    "training.on_failed_save",
    "training.on_bad_numbers",
    "training.max_bad_steps",
    "training.max_minutes",
    "tracking.*",
    "data.*.path",
    "data.*.files",
    "data.*.files.*",
    "data.*.license",
    "card.*",
)
"""Keys that change where things lie and how a run is watched, not what it learns: the data's content is compared."""
FIXED = ("seed", "training.epochs", "training.steps", "training.batch_size", "training.batch_tokens", "mixing.*")
"""Keys of the plan, which a run cannot change."""
_NOT_COMPUTED = ("transformers_version", "_name_or_path", "dtype", "torch_dtype", "architectures")
_ANEW = (
    "Restore the data and the config, or begin a new run from its weights: set init_from: <run>/last and leave "
    "encoder.name out"
)

_LOG = logging.getLogger(__name__)


def find_checkpoint(folder: Path, *, until: int | None = None) -> Checkpoint | None:
    """Read the newest checkpoint that verifies, and name each newer one and why it is skipped.

    Args:
        folder: of the checkpoints.
        until: the last step whose checkpoint is looked at; ``None``: all.

    Returns:
        The checkpoint; ``None`` where there is none at all.

    Raises:
        CheckpointError: there are some, and none is valid.
    """
    tidy(folder)
    path, skipped = newest_valid(folder, until=until)
    for reason in skipped:
        _LOG.warning("skipped a checkpoint: %s", reason)
    if path is not None:
        _LOG.info("going on from %s", path)
        return read_checkpoint(path)
    if skipped:
        raise CheckpointError(
            f"{folder}: none of the {len(skipped)} checkpoints is valid: {'; '.join(skipped)}. "
            "Train anew with --overwrite, or restore one from a backup"
        )
    return None


def check_config(given: Mapping[str, Any], stored: Mapping[str, Any], *, allow_change: bool) -> None:
    """Refuse a config under which the run would go on otherwise than it began; a change that is allowed is logged.

    Args:
        given: the config, as nested plain values.
        stored: that of the checkpoint.
        allow_change: of keys that are not harmless.

    Raises:
        CheckpointError: with each difference.
    """
    changed = [line for line in differences(stored, given) if not _matches(line, HARMLESS)]
    if not changed:
        return
    fixed = [line for line in changed if _matches(line, FIXED)]
    if fixed:
        raise CheckpointError(f"the run would be another one: {'; '.join(fixed)}. {_ANEW}")
    if not allow_change:
        raise CheckpointError(
            f"the config is not that of the checkpoint: {'; '.join(changed)}. Restore it, or go on with the change "
            "by --allow-config-change"
        )
    _LOG.warning("going on with a changed config: %s", "; ".join(changed))


def identity(experiment: Experiment) -> dict[str, Any]:
    """Return what a run cannot change and still be the same: its plan, its data, what its outputs mean."""
    content = {
        "encoder": _digest_of(experiment.network.encoder.config),
        "plan": experiment.plan.identity(),
        "data": {
            dataset: {split: of.fingerprint for split, of in splits.items() if split in ("train", "validation")}
            for dataset, splits in experiment.splits.items()
        },
        "tasks": {
            name: {"kind": served.task.kind, "outputs": list(served.task.output_names)}
            for name, served in experiment.tasks.items()
        },
    }
    plain: dict[str, Any] = json.loads(json.dumps(content))  # tuples are lists, as in a checkpoint
    return plain


def _digest_of(config: Any) -> str:
    """Return a digest of what an encoder's configuration says of its computation, wherever it lies."""
    settings = {key: value for key, value in config.to_dict().items() if key not in _NOT_COMPUTED}
    return hashlib.sha256(json.dumps(settings, sort_keys=True, default=str).encode()).hexdigest()


def check_identity(given: Mapping[str, Any], stored: Mapping[str, Any]) -> None:
    """Refuse a plan, data or tasks that are not those of the checkpoint.

    Raises:
        CheckpointError: with each difference.
    """
    changed = [_in_words(line) for line in differences(stored, given) if not line.startswith("plan.segments")]
    if changed:
        raise CheckpointError(f"the run would be another one: {'; '.join(changed)}. {_ANEW}")


def differences(stored: Mapping[str, Any], given: Mapping[str, Any]) -> list[str]:
    """Return a line for each key of nested values that differs, as ``training.epochs: 3 in the checkpoint, now 5``."""
    before, now = _flat(stored), _flat(given)
    return [
        f"{key}: {_shown(before.get(key))} in the checkpoint, now {_shown(now.get(key))}"
        for key in {**before, **now}
        if before.get(key) != now.get(key)
    ]


def _flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in values.items():
        flat |= _flat(value, f"{prefix}{key}.") if isinstance(value, Mapping) else {f"{prefix}{key}": value}
    return flat


def _matches(line: str, patterns: Iterable[str]) -> bool:
    key = line.split(": ", 1)[0]
    return any(fnmatch(key, pattern) for pattern in patterns)


def _in_words(line: str) -> str:
    """Return a difference without the digests that tell nobody anything."""
    key = line.split(": ", 1)[0]
    if key == "encoder":
        return "encoder: its configuration is another one"
    return f"{key}: its rows, labels or tokens are others" if key.startswith("data.") else line


def _shown(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 60 else f"{text[:57]}…"
