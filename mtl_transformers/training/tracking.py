"""Accelerate's side of a run: devices and processes, and the trackers that metrics are sent to."""

from __future__ import annotations

import atexit
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from accelerate import Accelerator
from accelerate.tracking import LOGGER_TYPE_TO_CLASS, get_available_trackers
from accelerate.utils import DistributedType

from mtl_transformers.config import Config
from mtl_transformers.errors import ConfigError, nearest


def make_accelerator(config: Config) -> Accelerator:
    """Start the processes' side of a run.

    Raises:
        ConfigError: a tracker that is unknown or not installed, FSDP or DeepSpeed, processes that do not meet.
    """
    _check_trackers(config.tracking.with_)
    accelerator = Accelerator(
        cpu=not torch.cuda.is_available(),  # else it ignores torchrun on a machine without a GPU
        mixed_precision="no",  # the precision is training.precision's; nothing is wrapped
        log_with=list(config.tracking.with_) or None,
        project_dir=config.output,
    )
    check_processes(accelerator)
    if accelerator.num_processes > 1:
        atexit.register(_part)
    return accelerator


def _part() -> None:
    """End the process group with the process, not with a training: another one may follow."""
    if torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()


@contextmanager
def open_trackers(accelerator: Accelerator, config: Config) -> Iterator[None]:
    """Open the trackers with the resolved config, and close them however the run ends; without any, do nothing."""
    if config.tracking.with_:
        accelerator.init_trackers("mtl_transformers", config=_flat(config.to_plain()))
    try:
        yield
    finally:
        for tracker in accelerator.trackers:
            tracker.finish()


def _check_trackers(names: tuple[str, ...]) -> None:
    available = {str(name) for name in get_available_trackers()}
    for name in names:
        if name not in LOGGER_TYPE_TO_CLASS:
            known = ", ".join(LOGGER_TYPE_TO_CLASS)
            hint = nearest(name, LOGGER_TYPE_TO_CLASS)
            raise ConfigError(f"tracking.with: unknown tracker {name!r}; known: {known}{hint}")
        if name not in available:
            raise ConfigError(f"tracking.with: {name} is not installed; install its package, or leave it out")


def check_processes(accelerator: Accelerator) -> None:
    """Refuse FSDP and DeepSpeed, and processes that the launcher started but that do not meet.

    Raises:
        ConfigError: with what to do instead.
    """
    if accelerator.distributed_type in (DistributedType.FSDP, DistributedType.DEEPSPEED):
        raise ConfigError(
            f"{accelerator.distributed_type.value} is not supported: an encoder of up to a billion parameters trains "
            "with data parallelism (plain accelerate launch or torchrun) and encoder.gradient_checkpointing"
        )
    expected = int(os.environ.get("WORLD_SIZE", "1"))
    if accelerator.num_processes != expected:
        raise ConfigError(
            f"the launcher started {expected} processes, but they do not meet ({accelerator.num_processes} here); "
            "start with scripts/launch.sh or torchrun"
        )


def _flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return nested settings by dotted path, as trackers take them."""
    flat: dict[str, Any] = {}
    for key, value in values.items():
        if isinstance(value, Mapping):
            flat |= _flat(value, f"{prefix}{key}.")
        elif isinstance(value, int | float | str | bool):
            flat[f"{prefix}{key}"] = value
        else:
            flat[f"{prefix}{key}"] = str(value)
    return flat
