"""Tensors as safetensors files: bytes that are the same for the same tensors, and tensors that own their memory."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save as to_safetensors
from torch import Tensor

from mtl_transformers.errors import FileError
from mtl_transformers.storage.files import disk_errors

_METADATA = {"format": "pt"}  # transformers asks for it; with several keys the bytes differ from save to save


def tensors_to_bytes(tensors: Mapping[str, Tensor]) -> bytes:
    """Return the content of a safetensors file, whatever the order of the names.

    Args:
        tensors: on any device, of any strides; two that share memory are written one by one.
    """
    plain: dict[str, Tensor] = {}
    seen: set[int] = set()
    for name in sorted(tensors):
        tensor = tensors[name].detach().cpu().contiguous()
        place = tensor.untyped_storage().data_ptr()
        plain[name] = tensor.clone() if place in seen else tensor
        seen.add(place)
    return to_safetensors(plain, metadata=_METADATA)


def read_tensors(path: Path) -> dict[str, Tensor]:
    """Read a safetensors file, strictly.

    Returns:
        Tensors on the CPU that own their memory, aligned as torch allocates it: the misaligned ones of a mapped file
        change the bits of small products.

    Raises:
        FileError: it cannot be read, is truncated, or its header is malformed or larger than the file.
    """
    with _reading(path), safe_open(path, "pt") as file:
        return {name: _copy(file.get_tensor(name)) for name in sorted(file.keys())}


def read_some(path: Path, names: Iterable[str]) -> dict[str, Tensor]:
    """Read those tensors of some names that a safetensors file has.

    Raises:
        FileError: as `read_tensors`.
    """
    with _reading(path), safe_open(path, "pt") as file:
        there = set(file.keys())
        return {name: _copy(file.get_tensor(name)) for name in names if name in there}


def tensor_names(path: Path) -> list[str]:
    """Return the names of the tensors in a safetensors file, without reading them.

    Raises:
        FileError: as `read_tensors`.
    """
    with _reading(path), safe_open(path, "pt") as file:
        return sorted(file.keys())


def check_tensors(path: Path) -> None:
    """Refuse a safetensors file that is truncated or none at all, without reading its tensors.

    Raises:
        FileError: as `read_tensors`.
    """
    with _reading(path), safe_open(path, "pt"):
        return


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    try:
        with disk_errors(path):
            yield
    except (SafetensorError, TypeError) as error:  # a shape beyond 64 bits is a TypeError of torch, of many lines
        raise FileError(f"{path} is malformed: {str(error).splitlines()[0]}") from error


def _copy(tensor: Tensor) -> Tensor:
    return torch.empty(tensor.shape, dtype=tensor.dtype).copy_(tensor)
