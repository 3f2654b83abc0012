"""What of a model directory must not change when one of its tasks does: bytes of files, of heads, and answers."""

import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from little import tickets
from safetensors.torch import load_file

from mtl_transformers import MultiTaskModel

TEXTS = [row["body"] for row in tickets(25, seed=3)]


def bytes_of(directory: Path, names: Iterable[str]) -> dict[str, str]:
    """Return the SHA-256 of some files of a directory."""
    return {name: hashlib.sha256((directory / name).read_bytes()).hexdigest() for name in names}


def head_bytes(directory: Path) -> dict[str, bytes]:
    """Return the bytes of each tensor of the heads."""
    heads = load_file(directory / "heads.safetensors")
    return {name: tensor.contiguous().numpy().tobytes() for name, tensor in heads.items()}


def answers(directory: Path) -> list[dict[str, Any]]:
    """Return what a model says of some texts."""
    return MultiTaskModel.from_pretrained(directory).predict(TEXTS)
