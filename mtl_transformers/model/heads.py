"""Heads: one task's output module, described by a plain spec that mirrors the family's own head.

Owns `HeadSpec` (what ``tasks.json`` stores), `Head`, and the initialisation of a new head.
Does not know what its logits mean (``tasks/``) and never reads the encoder; it is handed a pooler.

Shapes: ``S`` sequences, ``L`` tokens, ``D`` hidden, ``M`` vectors a target names, ``C`` outputs.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from functools import partial
from hashlib import blake2b
from typing import Literal

import torch
from torch import Tensor, nn
from transformers import PretrainedConfig
from transformers.activations import ACT2FN

from mtl_transformers.batch import Target
from mtl_transformers.errors import ModelError
from mtl_transformers.model.typed import check_fields

Vectors = Literal["sequence", "token"]
Pooling = Literal["first", "mean"]

DROPOUT_TWICE = ("roberta", "xlm-roberta", "xlm-roberta-xl", "camembert", "mpnet", "electra")
DEBERTA_LIKE = ("deberta", "deberta-v2")


@dataclass(frozen=True, slots=True)
class HeadSpec:
    """The parts of a head, in the order in which they are applied.

    pooling → input dropout → dense → activation → norm → output dropout → out. Stored as JSON by `to_json`.

    Attributes:
        vectors: what a target names: pooled sequences or single tokens.
        in_features: ``D``.
        out_features: ``C``.
        pooling: of a sequence: its first token, or the mean of its real tokens. Unused for tokens.
        input_dropout: before the dense layer.
        activation: after the dense layer, by its name in transformers; ``None`` means no dense layer.
        dense_bias: whether the dense layer has a bias.
        norm_eps: of the LayerNorm after the activation; ``None`` means there is no norm.
        norm_bias: whether that norm has a bias.
        output_dropout: before the last layer.
    """

    vectors: Vectors
    in_features: int
    out_features: int
    pooling: Pooling = "first"
    input_dropout: float = 0.0
    activation: str | None = None
    dense_bias: bool = True
    norm_eps: float | None = None
    norm_bias: bool = True
    output_dropout: float = 0.0

    def to_json(self) -> dict[str, object]:
        """Return the spec as plain values."""
        return asdict(self)


def head_spec_from_json(values: Mapping[str, object]) -> HeadSpec:
    """Rebuild a spec from `HeadSpec.to_json`.

    Raises:
        ModelError: keys are missing or unknown, or a value is not of its type.
    """
    known = {field.name for field in fields(HeadSpec)}
    if set(values) != known:
        raise ModelError(
            f"a head's description must have exactly the keys {sorted(known)}: "
            f"missing {sorted(known - set(values))}, unknown {sorted(set(values) - known)}. "
            "Was it written by another version, or edited by hand?"
        )
    spec = HeadSpec(**values)  # type: ignore[arg-type]  # the values come from JSON
    try:
        check_fields(spec)
    except TypeError as error:
        raise ModelError(f"a head's description is malformed: {error}") from error
    return spec


class Head(nn.Module):
    """One task's output layers; parameters ``dense.*``, ``norm.*``, ``out.*`` as far as the spec has them."""

    def __init__(self, spec: HeadSpec) -> None:
        super().__init__()
        self.spec = spec
        size = spec.in_features
        self.input_dropout = nn.Dropout(spec.input_dropout)
        self.dense = None if spec.activation is None else nn.Linear(size, size, bias=spec.dense_bias)
        self.activation = None if spec.activation is None else ACT2FN[spec.activation]
        self.norm = None if spec.norm_eps is None else nn.LayerNorm(size, spec.norm_eps, bias=spec.norm_bias)
        self.output_dropout = nn.Dropout(spec.output_dropout)
        self.out = nn.Linear(size, spec.out_features)

    def forward(self, hidden: Tensor, mask: Tensor, target: Target) -> Tensor:
        """Return logits ``[M, C]`` of the vectors that the target names.

        Args:
            hidden: ``[S, L, D]``, the encoder's last layer.
            mask: ``[S, L]``, 1 on real tokens.
            target: which sequences (and positions) to read.
        """
        vectors = self.input_dropout(self._gather(hidden, mask, target))  # [M, D]
        if self.dense is not None and self.activation is not None:
            vectors = self.activation(self.dense(vectors))
        if self.norm is not None:
            vectors = self.norm(vectors)
        logits: Tensor = self.out(self.output_dropout(vectors))  # [M, C]
        return logits

    def _gather(self, hidden: Tensor, mask: Tensor, target: Target) -> Tensor:
        """Return ``[M, D]``, the vectors that the target names and no others."""
        if self.spec.vectors == "token":
            return hidden[target.sequences, target.positions]
        if self.spec.pooling == "first":
            return hidden[target.sequences, 0]
        real = mask[target.sequences].unsqueeze(-1)  # [M, L, 1]
        return (hidden[target.sequences] * real).sum(dim=1) / real.sum(dim=1)


def head_spec(config: PretrainedConfig, *, vectors: Vectors, out_features: int) -> HeadSpec:
    """Describe the head that the encoder's family itself would use.

    Args:
        config: the encoder's configuration.
        vectors: "sequence" mirrors AutoModelForSequenceClassification, "token"
            AutoModelForTokenClassification.
        out_features: number of logits.

    Returns:
        The layers and dropouts of the family's class in transformers 5.23 (``modeling_<family>.py``); of a
        family not named here, BERT's: dense and tanh for sequences, a plain layer for tokens.
    """
    build = partial(HeadSpec, vectors=vectors, in_features=config.hidden_size, out_features=out_features)
    family: str = config.model_type
    if family == "modernbert":  # the one family with a dense layer before token logits too
        return build(
            pooling="mean" if config.classifier_pooling == "mean" and vectors == "sequence" else "first",
            activation=config.classifier_activation,
            dense_bias=config.classifier_bias,
            norm_eps=config.norm_eps,
            norm_bias=config.norm_bias,
            output_dropout=config.classifier_dropout,
        )
    dropout = _dropout(config)
    if vectors == "token":
        return build(output_dropout=config.dropout if family == "distilbert" else dropout)
    if family == "distilbert":
        return build(activation="relu", output_dropout=config.seq_classif_dropout)
    if family in DEBERTA_LIKE:
        output_dropout = getattr(config, "cls_dropout", None)  # a field of some published configurations only
        return build(
            input_dropout=config.pooler_dropout,
            activation=config.pooler_hidden_act,
            output_dropout=dropout if output_dropout is None else output_dropout,
        )
    if family in DROPOUT_TWICE:
        return build(
            input_dropout=dropout,
            activation="gelu" if family == "electra" else "tanh",
            output_dropout=dropout,
        )
    return build(activation="tanh", output_dropout=dropout)


def _dropout(config: PretrainedConfig) -> float:
    """Return a classifier's dropout, which families write under different names."""
    for name in ("classifier_dropout_prob", "classifier_dropout", "hidden_dropout_prob"):
        value: float | None = getattr(config, name, None)
        if value is not None:
            return value
    return 0.0


def build_head(
    spec: HeadSpec,
    *,
    seed: int,
    task: str,
    initializer_range: float,
    pooler: Mapping[str, Tensor] | None = None,
) -> Head:
    """Build a head whose weights depend on (seed, task name) only: normal weights, zero biases, unit norms.

    Args:
        spec: its parts.
        seed: of the run.
        task: its name.
        initializer_range: standard deviation of the weights (the encoder's ``config.initializer_range``).
        pooler: ``weight`` and ``bias`` of a pretrained dense (`encoder.head_pooler`), copied into the head's
            own when it reads sequences.
    """
    with torch.device("meta"):  # layers would initialise themselves from the global generator
        head = Head(spec)
    head.to_empty(device="cpu")
    digest = blake2b(f"{seed}/head/{task}".encode(), digest_size=8).digest()
    generator = torch.Generator().manual_seed(int.from_bytes(digest, "big") >> 1)
    with torch.no_grad():
        for name, parameter in head.named_parameters():
            if name.startswith("norm."):
                parameter.fill_(1.0 if name == "norm.weight" else 0.0)
            elif name.endswith(".bias"):
                parameter.zero_()
            else:
                parameter.normal_(0.0, initializer_range, generator=generator)
        if pooler is not None and head.dense is not None and spec.vectors == "sequence":
            head.dense.load_state_dict(dict(pooler))
    return head
