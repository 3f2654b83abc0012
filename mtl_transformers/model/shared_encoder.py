"""Do two plain directories share an encoder? Owns the comparison of weights, settings and tokenizers, and its words.

Weights are compared byte by byte. A setting that a head reads, or that only training does, may differ.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor
from transformers import PretrainedConfig

from mtl_transformers.errors import ModelError
from mtl_transformers.model.encoder import Encoder
from mtl_transformers.model.native_reading import NativeModel
from mtl_transformers.model.tokenizer import same_tokenizer

SHOWN = 5  # names in a message

# of a configuration: what says nothing of the encoder's forward pass
_OF_HEADS = ("classifier", "pooler", "summary", "seq_classif", "qa_dropout", "cls_dropout", "problem_type", "id2label")
_OF_FILES = (
    *("architectures", "label2id", "num_labels", "finetuning_task", "dtype", "torch_dtype", "transformers_version"),
    *("_name_or_path", "use_cache", "gradient_checkpointing"),
)


def check_shared(first: NativeModel, other: NativeModel, *, names: tuple[str, str]) -> None:
    """Refuse two models whose encoders or tokenizers differ.

    Args:
        first: one of them.
        other: the other one.
        names: of both, for the message.

    Raises:
        ModelError: with what differs: tensors with their largest difference, settings, or the tokenizer.
    """
    both = f"the encoders of {names[0]!r} ({first.path}) and {names[1]!r} ({other.path})"
    if different := _settings(first.encoder.config, other.encoder.config):
        raise ModelError(f"{both} have other settings: {_listed(different)}. {_ADVICE}")
    if different := _tensors(first.encoder, other.encoder):
        count = len(first.encoder.model.state_dict())
        raise ModelError(f"{both} differ in {len(different)} of {count} tensors: {_listed(different)}. {_ADVICE}")
    if not same_tokenizer(first.tokenizer, other.tokenizer):
        raise ModelError(
            f"the tokenizers of {names[0]!r} ({first.path}) and {names[1]!r} ({other.path}) differ. One encoder pass "
            "needs the same tokens for both: see that the tokenizer.json of both directories is the one that their "
            "encoder came with."
        )


_ADVICE = (
    "Only heads that were trained on one frozen encoder can share it. Train them together instead: mtl train with each "
    "model's data."
)


def _settings(one: PretrainedConfig, other: PretrainedConfig) -> dict[str, str]:
    """Return the settings of the encoder that differ, with both values."""
    ours, theirs = _of_encoder(one), _of_encoder(other)
    return {
        name: f"{ours.get(name)!r} and {theirs.get(name)!r}"
        for name in sorted(ours.keys() | theirs.keys())
        if ours.get(name) != theirs.get(name)
    }


def _of_encoder(config: PretrainedConfig) -> dict[str, Any]:
    values: dict[str, Any] = config.to_dict()
    return {name: of for name, of in values.items() if not _is_beside(name)}


def _is_beside(name: str) -> bool:
    return "dropout" in name or name in _OF_FILES or name.startswith(_OF_HEADS)


def _tensors(one: Encoder, other: Encoder) -> dict[str, str]:
    """Return the tensors that differ, with their largest difference, the largest one first."""
    ours, theirs = one.model.state_dict(), other.model.state_dict()
    found: dict[str, float] = {}
    for name in ours.keys() | theirs.keys():
        if name not in ours or name not in theirs or ours[name].shape != theirs[name].shape:
            found[name] = torch.inf
        elif not _same_bytes(ours[name], theirs[name]):
            found[name] = float((ours[name].double() - theirs[name].double()).abs().max())
    ordered = sorted(found.items(), key=lambda of: (-of[1], of[0]))
    return {name: "another shape" if of == torch.inf else f"up to {of:.2g}" for name, of in ordered}


def _same_bytes(one: Tensor, other: Tensor) -> bool:
    return torch.equal(*(each.detach().contiguous().reshape(-1).view(torch.uint8) for each in (one, other)))


def _listed(different: Mapping[str, str]) -> str:
    shown = [f"{name} ({how})" for name, how in list(different.items())[:SHOWN]]
    more = len(different) - len(shown)
    return ", ".join(shown) + (f" and {more} more" if more else "")
