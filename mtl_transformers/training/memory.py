"""Memory that runs out, and memory that allocators keep though nothing uses it."""

from __future__ import annotations

import ctypes

import torch

_CPU_ALLOCATOR = ("can't allocate memory", "not enough memory")  # its RuntimeError has no type of its own


def is_out_of_memory(error: Exception | None) -> bool:
    """Tell whether an error says that the device, or the machine, has no memory left."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    return isinstance(error, RuntimeError) and any(words in str(error) for words in _CPU_ALLOCATOR)


def empty_cache(device: torch.device) -> None:
    """Give what the allocator keeps back to the device, or to the system."""
    if device.type == "cuda":
        torch.cuda.empty_cache()
    else:
        trim_heap()


def trim_heap() -> None:
    """Give the free parts of the C library's heap back to the system, where it can (glibc's ``malloc_trim``).

    oneDNN keeps small blocks for every new shape of a micro-batch, and the space between them is not given back by
    itself: with MiniLM in bf16 after 100 steps, 1.2 GB were resident instead of 1.8.
    """
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # musl and macOS have none
    if trim is not None:
        trim(0)
