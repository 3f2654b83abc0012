"""Tensors are compared bit for bit, and what differs by its largest difference."""

import math
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from mtl_transformers.model.differences import encoder_differences, largest_difference, tensor_differences


def test_equal_tensors_do_not_differ():
    tensors = {"a": torch.randn(3, 2), "b": torch.tensor(1.0), "c": torch.tensor([math.nan]), "d": torch.empty(0)}
    found = tensor_differences(tensors, {name: tensor.clone() for name, tensor in tensors.items()})
    assert found.is_empty
    assert found.total == 4


@pytest.mark.parametrize(
    ("before", "after", "largest"),
    [
        (torch.tensor([1.0, 2.0]), torch.tensor([1.5, 2.25]), 0.5),
        (torch.tensor([0.0]), torch.tensor([-0.0]), 0.0),
        (torch.ones(2), torch.ones(3), math.inf),
        (torch.ones(2), torch.ones(2, dtype=torch.bfloat16), math.inf),
        (torch.ones(1), torch.tensor([math.nan]), math.inf),
        (torch.tensor([1, 7]), torch.tensor([1, 3]), 4.0),
    ],
)
def test_the_largest_difference_of_what_is_not_equal(before: Tensor, after: Tensor, largest: float):
    assert largest_difference(before, after) == largest
    found = tensor_differences({"a": before}, {"a": after})
    assert dict(found.largest) == {"a": largest}
    assert not found.is_empty


def test_names_of_one_side_are_told():
    found = tensor_differences({"a": torch.ones(1), "b": torch.ones(1)}, {"b": torch.ones(1), "c": torch.ones(1)})
    assert (found.only_before, found.only_after, found.total) == (("a",), ("c",), 1)
    assert not found.is_empty


def test_encoders_are_compared_on_disk_in_one_file_or_several(tiny_bert: Path, tmp_path: Path):
    weights = load_file(tiny_bert / "model.safetensors")
    parts = shutil.copytree(tiny_bert, tmp_path / "parts")
    (parts / "model.safetensors").unlink()
    names = sorted(weights)
    for number, some in enumerate((names[:5], names[5:]), start=1):
        save_file({name: weights[name] for name in some}, parts / f"model-0000{number}-of-00002.safetensors")
    assert encoder_differences(tiny_bert, parts).is_empty

    weights[names[0]] = weights[names[0]] + 0.25
    other = shutil.copytree(tiny_bert, tmp_path / "other")
    save_file(weights, other / "model.safetensors")
    found = encoder_differences(parts, other)
    assert list(found.largest) == [names[0]]
    assert found.largest[names[0]] == pytest.approx(0.25, abs=1e-6)
    assert found.total == len(names)
