"""Devices and the precision that they compute in. Weights are always fp32; only the arithmetic changes."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Literal

import torch

from mtl_transformers.errors import ConfigError

Precision = Literal["fp32", "bf16", "fp16"]
DTYPES = {"bf16": torch.bfloat16, "fp16": torch.float16}


def default_device() -> torch.device:
    """Return the GPU where there is one, else the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def named_device(name: str | torch.device) -> torch.device:
    """Return the device of a name, as ``cpu`` or ``cuda:1``.

    Raises:
        ConfigError: this machine has not.
    """
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:  # torch without CUDA asserts
        reason = str(error).partition("\n")[0]
        raise ConfigError(f"device {str(name)!r} cannot be used: {reason}. Expected cpu, cuda or cuda:<n>") from error
    return device


def has_fast_bf16(device: torch.device) -> bool:
    """Return whether a device multiplies bf16 matrices in hardware."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    capabilities = torch.cpu.get_capabilities() if device.type == "cpu" else {}
    return any(capabilities.get(name, False) for name in ("avx512_bf16", "amx_bf16", "bf16"))


def resolve_precision(setting: Literal["auto", "fp32", "bf16", "fp16"], device: torch.device) -> Precision:
    """Return the precision that a setting means on a device.

    Raises:
        ConfigError: fp16 without a GPU.
    """
    if setting == "auto":
        return "bf16" if has_fast_bf16(device) else "fp32"
    if setting == "fp16" and device.type != "cuda":
        raise ConfigError(f"precision fp16 needs a GPU; this is {device.type}. Use bf16, fp32 or auto")
    return setting


def available_precision(stored: Precision, device: torch.device) -> Precision:
    """Return the precision that a model was scored in where a device has it in hardware, else fp32."""
    available = {"fp32": True, "bf16": has_fast_bf16(device), "fp16": device.type == "cuda"}
    return stored if available[stored] else "fp32"


def autocast(precision: Precision, device: torch.device) -> AbstractContextManager[object]:
    """Return the context in which a forward pass computes in a precision."""
    if precision == "fp32":
        return nullcontext()
    return torch.autocast(device.type, dtype=DTYPES[precision])


def named_precision(
    setting: Literal["auto", "fp32", "bf16", "fp16"] | None, device: str | torch.device | None
) -> Precision | None:
    """Return the precision that a setting means on a device, named or not; ``None`` stays what it is.

    Raises:
        ConfigError: the device cannot be used, or not in this precision.
    """
    if setting is None:
        return None
    return resolve_precision(setting, default_device() if device is None else named_device(device))


def limit_threads(num_threads: int | None) -> None:
    """Let forward passes of this process use that many threads of the CPU; ``None``: as many as cores."""
    if num_threads is not None:
        torch.set_num_threads(num_threads)
