"""The head of masked language modelling that an encoder was pretrained with, where its file still holds it.

Owns the names under which families keep it in transformers 5.23 (``modeling_<family>.py``). `AutoModel` leaves it out,
so it is read from the file.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor
from transformers.utils.hub import cached_file

from mtl_transformers.model.encoder import Encoder
from mtl_transformers.model.heads import Head
from mtl_transformers.model.tensors import read_some

_FILE = "model.safetensors"
_BERT = {"dense": "cls.predictions.transform.dense", "norm": "cls.predictions.transform.LayerNorm"}
_ROBERTA = {"dense": "lm_head.dense", "norm": "lm_head.layer_norm"}
_LAYERS: Mapping[str, Mapping[str, str]] = {
    "bert": _BERT,
    "deberta-v2": _BERT,
    "roberta": _ROBERTA,
    "xlm-roberta": _ROBERTA,
    "camembert": _ROBERTA,
    "mpnet": _ROBERTA,
    "distilbert": {"dense": "vocab_transform", "norm": "vocab_layer_norm"},
    "electra": {"dense": "generator_predictions.dense", "norm": "generator_predictions.LayerNorm"},
    "albert": {"dense": "predictions.dense", "norm": "predictions.LayerNorm"},
    "modernbert": {"dense": "head.dense", "norm": "head.norm"},
}
_DECODER: Mapping[str, str] = {  # whose weight is the tied one
    "bert": "cls.predictions.decoder",
    "deberta-v2": "cls.predictions.decoder",
    "distilbert": "vocab_projector",
    "electra": "generator_lm_head",
    "albert": "predictions.decoder",
    "modernbert": "decoder",
}


def start_from_pretrained(head: Head, encoder: Encoder) -> bool:
    """Copy the pretrained head of an encoder into ours; tell whether its file holds one.

    Args:
        head: described by `head_spec` as "masked"; unchanged where the file holds none, or one of another form.
        encoder: of the family.
    """
    family, path = encoder.config.model_type, _file_of(encoder)
    if family not in _LAYERS or path is None:
        return False
    own = head.state_dict()
    theirs = {name: _names(name, family) for name in own}
    stored = read_some(path, [name for names in theirs.values() for name in names])
    found: dict[str, Tensor] = {
        name: next(stored[each] for each in names if each in stored)
        for name, names in theirs.items()
        if any(each in stored for each in names)
    }
    if any(name not in found or found[name].shape != tensor.shape for name, tensor in own.items()):
        return False
    with torch.no_grad():
        head.load_state_dict(found)
    return True


def _names(parameter: str, family: str) -> tuple[str, ...]:
    """Return what a family calls one of our parameters; a bias that it has under two names is stored under one."""
    layer, _, part = parameter.rpartition(".")
    if layer in _LAYERS[family]:
        return (f"{_LAYERS[family][layer]}.{part}",)
    decoder = _DECODER.get(family, "lm_head.decoder")
    if part == "weight":
        return (f"{decoder}.weight",)
    return f"{decoder}.bias", f"{decoder.rpartition('.')[0]}.bias"


def _file_of(encoder: Encoder) -> Path | None:
    """Return the file that an encoder was read from; ``None`` where it lies in several."""
    if encoder.path is not None:
        path = encoder.path / _FILE
        return path if path.is_file() else None
    commit: str | None = getattr(encoder.config, "_commit_hash", None)
    found = cached_file(
        encoder.source, _FILE, revision=commit, local_files_only=True, _raise_exceptions_for_missing_entries=False
    )
    return None if found is None else Path(found)
