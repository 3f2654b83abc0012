"""What of an encoder is not trained, and what is computed twice to save memory: where the families keep their parts."""

from __future__ import annotations

from typing import Literal

from torch import nn
from transformers import PreTrainedModel

from mtl_transformers.errors import ModelError
from mtl_transformers.model.encoder import Encoder

Freeze = Literal["all", "embeddings"] | int | None


def freeze(encoder: Encoder, setting: Freeze) -> None:
    """Stop training parts of the encoder.

    Args:
        encoder: changed in place.
        setting: None, "all", "embeddings", or the number of lower layers (embeddings included).

    Raises:
        ModelError: more layers than there are, or layers that the family shares.
    """
    modules: list[nn.Module] = []
    if setting == "all":
        modules = [encoder]
    elif setting is not None:
        layers = [] if setting == "embeddings" else _lower_layers(encoder, setting)
        modules = [*_embeddings(encoder.model), *layers]
    for module in modules:
        module.requires_grad_(requires_grad=False)


def _embeddings(model: PreTrainedModel) -> list[nn.Module]:
    """Return what gives vectors or positions to the layers: every table, its norm and its projection."""
    below = ("embeddings", "embeddings_project", "embedding_hidden_mapping_in")  # BERT, ELECTRA, ALBERT
    modules = []
    for name, module in model.named_modules():
        if isinstance(module, nn.Embedding) or name.split(".")[-1] in below:
            modules.append(module)
        children = dict(module.named_children())
        if {"rel_embeddings", "LayerNorm"} <= set(children):  # DeBERTa's norm of its relative positions
            modules.append(children["LayerNorm"])
    return modules


def _lower_layers(encoder: Encoder, count: int) -> list[nn.Module]:
    family, total = encoder.config.model_type, encoder.config.num_hidden_layers
    refusal = f"encoder.freeze: {count} cannot be honoured by {encoder.source!r} ({family}): "
    if not 0 <= count <= total:
        raise ModelError(f"{refusal}it has {total} layers. Use a number from 0 to {total}.")
    for module in encoder.model.modules():
        if isinstance(module, nn.ModuleList) and len(module) == total and family != "albert":
            return list(module)[:count]
    raise ModelError(f"{refusal}its layers share their weights. Use null, embeddings or all.")


def enable_gradient_checkpointing(encoder: Encoder) -> None:
    """Recompute activations in the backward pass instead of keeping them.

    Raises:
        ModelError: the family cannot.
    """
    model = encoder.model
    if not model.supports_gradient_checkpointing:
        raise ModelError(
            f"gradient_checkpointing cannot be honoured by {encoder.source!r}: transformers has none "
            f"for {model.config.model_type}. Set it to false; training.max_tokens saves memory too."
        )
    model.activation_checkpointing_enable({"use_reentrant": False})
    # it makes the embeddings' output need gradients, for reentrant checkpoints: ours are not
    model.disable_input_require_grads()  # type: ignore[no-untyped-call]  # their gap
