"""Weights held in the precision that they are multiplied in, for a model that only answers.

Autocast casts the weights of every linear layer in every pass: of a small encoder and short texts that is half of the
time. Cast once, the products are the same bit for bit. Everything else (embeddings, norms) stays as it is.
"""

from __future__ import annotations

import torch
from torch import nn

from mtl_transformers.inference.multitask import MultiTaskModel
from mtl_transformers.inference.precision import DTYPES


def hold_weights(model: MultiTaskModel) -> None:
    """Cast the weights of a model's linear layers for good; it must not be trained or saved afterwards."""
    dtype = DTYPES.get(model.precision)
    if dtype is None:
        return
    for module in model.network.modules():
        if isinstance(module, nn.Linear):
            _cast(module, dtype)


def _cast(layer: nn.Linear, dtype: torch.dtype) -> None:
    """Give a layer weights of its own: embeddings that share them keep theirs."""
    for name, weight in list(layer.named_parameters(recurse=False)):
        setattr(layer, name, nn.Parameter(weight.detach().to(dtype), requires_grad=False))
