"""What identifies a model's answers: weights, tokenizer, tasks and precision.

Two models with an equal fingerprint give the same answers, up to rounding on another machine.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

import torch

from mtl_transformers.inference.precision import Precision
from mtl_transformers.model.tokenizer import Tokenizer, text_backend


def fingerprint(
    network: torch.nn.Module, tokenizer: Tokenizer, tasks: Mapping[str, Any], precision: Precision
) -> dict[str, str]:
    """Return the SHA-256 of each part of a model that its answers depend on, and the precision."""
    return {
        "weights": _weights(network),
        "tokenizer": hashlib.sha256(text_backend(tokenizer).to_str().encode()).hexdigest(),
        "tasks": hashlib.sha256(json.dumps(tasks, sort_keys=True).encode()).hexdigest(),
        "precision": str(precision),
    }


def _weights(network: torch.nn.Module) -> str:
    digest = hashlib.sha256()
    for name, tensor in sorted(network.state_dict().items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        digest.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()
