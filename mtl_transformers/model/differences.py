"""Which tensors of two models differ, and by how much.

Owns the comparison bit for bit, of heads in memory and of encoders on disk, of which two tensors are in memory at once.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from mtl_transformers.model.tensors import read_some, tensor_names
from mtl_transformers.model.verifying import ENCODER_FILES, matches


@dataclass(frozen=True, slots=True)
class TensorDifferences:
    """How the tensors of two models differ.

    Attributes:
        total: tensors that both have.
        largest: of each of these that differs, the largest absolute difference; infinite where shape or type differ.
        only_before: names that the first one has alone.
        only_after: names that the second one has alone.
    """

    total: int
    largest: Mapping[str, float]
    only_before: tuple[str, ...] = ()
    only_after: tuple[str, ...] = ()

    @property
    def is_empty(self) -> bool:
        """Whether they are equal bit for bit."""
        return not (self.largest or self.only_before or self.only_after)


def tensor_differences(before: Mapping[str, Tensor], after: Mapping[str, Tensor]) -> TensorDifferences:
    """Compare tensors by their names."""
    return _found(before, after, ((name, before[name], after[name]) for name in before if name in after))


def encoder_differences(before: Path, after: Path) -> TensorDifferences:
    """Compare the encoders of two model directories, in one file or in several.

    Raises:
        FileError: a file cannot be read.
    """
    files, others = _files(before), _files(after)
    pairs = (
        (name, read_some(files[name], [name])[name], read_some(others[name], [name])[name])
        for name in files
        if name in others
    )
    return _found(files, others, pairs)


def largest_difference(before: Tensor, after: Tensor) -> float:
    """Return the largest absolute difference of two tensors; infinite where they cannot be compared number by number.

    0 does not say that they are equal bit for bit: there are two zeros.
    """
    if before.shape != after.shape or before.dtype != after.dtype:
        return math.inf
    if not before.numel():
        return 0.0
    largest = float((before.double() - after.double()).abs().max())
    return math.inf if math.isnan(largest) else largest


def _files(directory: Path) -> dict[str, Path]:
    """Return the file of each tensor of an encoder."""
    weights = [path for path in sorted(directory.iterdir()) if matches(path.name, ENCODER_FILES)]
    return {name: path for path in weights if path.suffix == ".safetensors" for name in tensor_names(path)}


def _found(
    before: Iterable[str], after: Iterable[str], pairs: Iterable[tuple[str, Tensor, Tensor]]
) -> TensorDifferences:
    first, second = list(before), list(after)
    largest = {name: largest_difference(old, new) for name, old, new in pairs if not _equal_bits(old, new)}
    return TensorDifferences(
        total=len(set(first) & set(second)),
        largest=largest,
        only_before=tuple(name for name in first if name not in second),
        only_after=tuple(name for name in second if name not in first),
    )


def _equal_bits(before: Tensor, after: Tensor) -> bool:
    if before.shape != after.shape or before.dtype != after.dtype:
        return False
    return torch.equal(*(tensor.contiguous().flatten().view(torch.uint8) for tensor in (before, after)))
