"""What identifies a model's answers: weights, tokenizer, tasks and precision.

Two models with an equal fingerprint give the same answers, up to rounding on another machine.
"""

from __future__ import annotations

import hashlib
import json

import torch

from mtl_transformers.inference.multitask import MultiTaskModel
from mtl_transformers.model.tokenizer import text_backend


def fingerprint(model: MultiTaskModel) -> dict[str, str]:
    """Return the SHA-256 of each part of a model that its answers depend on, and the precision."""
    described = model.tasks_json()
    return {
        "weights": _weights(model.network),
        "tokenizer": hashlib.sha256(text_backend(model.tokenizer).to_str().encode()).hexdigest(),
        "tasks": hashlib.sha256(json.dumps(described["tasks"], sort_keys=True).encode()).hexdigest(),
        "precision": str(model.precision),
    }


def _weights(network: torch.nn.Module) -> str:
    digest = hashlib.sha256()
    for name, tensor in sorted(network.state_dict().items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        digest.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()
