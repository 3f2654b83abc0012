"""Tensor files: equal bytes for equal tensors, tensors that own their memory, and no other error than a FileError."""

import json
import random
import struct
from collections.abc import Mapping
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file
from torch import Tensor

from mtl_transformers.errors import FileError
from mtl_transformers.model.tensors import check_tensors, read_tensors, tensors_to_bytes

TENSORS = {
    "b": torch.arange(7, dtype=torch.int64),
    "a": torch.linspace(-1, 1, 15).reshape(3, 5),
    "half": torch.ones(3, dtype=torch.bfloat16),
    "empty": torch.zeros(0, 4),
    "scalar": torch.tensor(0.5),
    "flags": torch.tensor([True, False]),
}


def file_with_header(header: object, data: bytes = b"") -> bytes:
    content = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(content)) + content + data


def write(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


def equal(one: Mapping[str, Tensor], other: Mapping[str, Tensor]) -> bool:
    return one.keys() == other.keys() and all(
        one[name].dtype == other[name].dtype and torch.equal(one[name], other[name]) for name in one
    )


def test_what_is_written_comes_back(tmp_path: Path) -> None:
    path = write(tmp_path / "x.safetensors", tensors_to_bytes(TENSORS))

    assert equal(read_tensors(path), TENSORS)
    assert equal(load_file(path), TENSORS)  # as any other reader sees it
    with safe_open(path, "pt") as file:
        assert file.metadata() == {"format": "pt"}


def test_the_order_of_the_names_and_strides_do_not_change_the_bytes() -> None:
    shuffled = {name: TENSORS[name] for name in sorted(TENSORS, reverse=True)}
    shuffled["a"] = TENSORS["a"].t().contiguous().t()
    assert not shuffled["a"].is_contiguous()

    assert tensors_to_bytes(shuffled) == tensors_to_bytes(TENSORS)


def test_parameters_and_tensors_that_share_memory_are_written(tmp_path: Path) -> None:
    weight = torch.nn.Parameter(torch.ones(4, 2))
    path = write(tmp_path / "x.safetensors", tensors_to_bytes({"a": weight, "b": weight, "part": weight[1:3]}))

    assert equal(read_tensors(path), {"a": weight.detach(), "b": weight.detach(), "part": torch.ones(2, 2)})


@pytest.mark.parametrize("length", range(1, 9))  # of a name: it moves where the tensors of the file begin
def test_tensors_own_aligned_memory(tmp_path: Path, length: int) -> None:
    tensors = {"x" * length: torch.ones(3), "y": torch.ones(5, 5), "z": torch.ones(1, dtype=torch.uint8)}
    path = write(tmp_path / "x.safetensors", tensors_to_bytes(tensors))

    found = read_tensors(path)
    path.write_bytes(b"")  # a mapped file would be gone now

    assert equal(found, tensors)
    assert {tensor.data_ptr() % 64 for tensor in found.values()} == {0}
    assert len({tensor.untyped_storage().data_ptr() for tensor in found.values()}) == len(tensors)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\x00" * 7,
        struct.pack("<Q", 2**63) + b"{}",
        struct.pack("<Q", 10 * 2**30) + b"{}",
        struct.pack("<Q", 2**64 - 1) + b"{}",
        file_with_header(b"[" * 100_000 + b"]" * 100_000),
        file_with_header(b'{"a":' * 100_000 + b"1" + b"}" * 100_000),
        file_with_header({"a": {"dtype": "F32", "shape": [2**62], "data_offsets": [0, 0]}}),
        file_with_header({"a": {"dtype": "F32", "shape": [2**63, 0], "data_offsets": [0, 0]}}),
        file_with_header({"a": {"dtype": "F32", "shape": [2**62, 2**62, 0], "data_offsets": [0, 0]}}),
        file_with_header({"a": {"dtype": "F32", "shape": [-1], "data_offsets": [0, 4]}}, b"1234"),
        file_with_header({"a": {"dtype": "F6_E2M3", "shape": [8], "data_offsets": [0, 6]}}, b"123456"),
        file_with_header({"a": {"dtype": "PICKLE", "shape": [4], "data_offsets": [0, 4]}}, b"1234"),
        file_with_header({"a": {"dtype": "U8", "shape": [4], "data_offsets": [0, 4]}}, b"12345"),
        b"\x80\x04cos\nsystem\n(S'touch canary'\ntR.",
    ],
)
def test_a_file_that_is_none_is_a_file_error(tmp_path: Path, content: bytes) -> None:
    path = write(tmp_path / "x.safetensors", content)

    with pytest.raises(FileError, match=r"x\.safetensors is malformed: [^\n]+$"):
        read_tensors(path)


def test_every_truncation_and_any_flipped_bit_is_read_or_a_file_error(tmp_path: Path) -> None:
    content, path, rng = tensors_to_bytes(TENSORS), tmp_path / "x.safetensors", random.Random(0)
    for length in range(len(content)):
        with pytest.raises(FileError):
            read_tensors(write(path, content[:length]))
        with pytest.raises(FileError):
            check_tensors(path)
    outcomes = set()
    for _ in range(500):
        changed = bytearray(content)
        changed[rng.randrange(len(content))] ^= 1 << rng.randrange(8)
        try:
            read_tensors(write(path, bytes(changed)))
            outcomes.add("read")
        except FileError:
            outcomes.add("refused")
    assert outcomes == {"read", "refused"}  # hence the manifest


def test_a_missing_file_and_a_directory_are_file_errors(tmp_path: Path) -> None:
    for path in (tmp_path / "nothing", tmp_path):
        with pytest.raises(FileError, match=str(path)):
            read_tensors(path)
