"""Heads as plain values: which parts a task's head has, as the encoder's family itself would build it.

Owns `HeadSpec`, which ``tasks.json`` stores, and what each family's own heads look like. The module that a spec
describes is ``heads.py``'s; this file imports neither torch nor transformers, so that reading a config is quick.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields, replace
from functools import partial
from typing import TYPE_CHECKING, Literal

from mtl_transformers.errors import ModelError
from mtl_transformers.model.typed import check_fields
from mtl_transformers.text.decoders import Vectors

if TYPE_CHECKING:
    from transformers import PretrainedConfig

HeadForm = Literal["sequence", "token", "answer", "choice", "ordinal", "embedding", "masked"]
Pooling = Literal["first", "mean", "max", "attention"]
Output = Literal["linear", "ordinal", "tied", "none"]
Layer = int | Literal["mix"]

DROPOUT_TWICE = ("roberta", "xlm-roberta", "xlm-roberta-xl", "camembert", "mpnet", "electra")
DEBERTA_LIKE = ("deberta", "deberta-v2")


@dataclass(frozen=True, slots=True)
class HeadSpec:
    """The parts of a head, in the order in which they are applied.

    layer → pooling → input dropout → dense → activation → norm → output dropout → output. Stored as JSON by `to_json`.

    Attributes:
        vectors: what a target names: pooled sequences (the first one of a row, or each) or single tokens.
        in_features: ``D``.
        out_features: ``C``.
        pooling: of a sequence: its first token, the mean or the maximum of its real tokens, or their mean weighted by
            attention to a learned query. Unused for tokens.
        layer: whose output is read: 0 is the embeddings', 1 the first layer's; ``mix``: a learned mix of all (ELMo,
            Peters et al. 2018, arXiv:1802.05365, equation 1); ``None``: the last one.
        num_mixed: how many layers are mixed, that of the embeddings included; 0 without a mix.
        input_dropout: before the dense layer.
        activation: after the dense layer, by its name in transformers; ``None`` means no dense layer.
        dense_features: what the dense layer gives; ``None``: ``D``.
        dense_bias: whether the dense layer has a bias.
        norm_eps: of the LayerNorm after the activation; ``None`` means there is no norm.
        norm_bias: whether that norm has a bias.
        output_dropout: before the output.
        output: a linear layer; ``ordinal``: one value against ``C`` ascending cut points (McCullagh 1980, section 2);
            ``tied``: the encoder's own token vectors and a bias; ``none``: the vector itself.
    """

    vectors: Vectors
    in_features: int
    out_features: int
    pooling: Pooling = "first"
    layer: Layer | None = None
    num_mixed: int = 0
    input_dropout: float = 0.0
    activation: str | None = None
    dense_features: int | None = None
    dense_bias: bool = True
    norm_eps: float | None = None
    norm_bias: bool = True
    output_dropout: float = 0.0
    output: Output = "linear"

    def to_json(self) -> dict[str, object]:
        """Return the spec as plain values."""
        return asdict(self)


def has_parameters(values: object) -> bool:
    """Tell whether a head, as `HeadSpec.to_json` gives it, has weights: not where it is the pooled vector itself."""
    if not isinstance(values, Mapping):
        return True
    return values.get("output") != "none" or values.get("pooling") == "attention" or values.get("layer") == "mix"


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


def head_spec(
    config: PretrainedConfig,
    *,
    head: HeadForm,
    vectors: Vectors,
    out_features: int,
    pooling: Pooling | None = None,
    layer: Layer | None = None,
) -> HeadSpec:
    """Describe the head that the encoder's family itself would use.

    Args:
        config: the encoder's configuration.
        head: "sequence" mirrors AutoModelForSequenceClassification, "token" AutoModelForTokenClassification, "answer"
            AutoModelForQuestionAnswering, "choice" AutoModelForMultipleChoice, "masked" AutoModelForMaskedLM. "ordinal"
            is "sequence" with cut points; "embedding" is the pooled vector itself.
        vectors: what is read.
        out_features: number of logits.
        pooling: instead of the family's own.
        layer: instead of the last one.

    Returns:
        The layers and dropouts of the family's class in transformers 5.23 (``modeling_<family>.py``); of a
        family not named here, BERT's.
    """
    spec = replace(
        _of_family(config, head, vectors=vectors, out_features=out_features),
        layer=layer,
        num_mixed=config.num_hidden_layers + 1 if layer == "mix" else 0,
    )
    if head == "ordinal":
        spec = replace(spec, output="ordinal")
    return spec if pooling is None else replace(spec, pooling=pooling)


def _of_family(config: PretrainedConfig, head: HeadForm, *, vectors: Vectors, out_features: int) -> HeadSpec:
    build = partial(HeadSpec, vectors=vectors, in_features=config.hidden_size, out_features=out_features)
    if head == "embedding":
        return build(pooling="mean", output="none")
    if head == "masked":
        return _masked(config, build)
    family: str = config.model_type
    if family == "modernbert":  # the one family with a dense layer before token logits too
        return build(
            pooling="mean" if config.classifier_pooling == "mean" and vectors != "token" else "first",
            activation=config.classifier_activation,
            dense_bias=config.classifier_bias,
            norm_eps=config.norm_eps,
            norm_bias=config.norm_bias,
            output_dropout=config.classifier_dropout,
        )
    if head == "answer":
        return build(output_dropout=config.qa_dropout if family == "distilbert" else 0.0)
    dropout = _dropout(config)
    if head == "token":
        return build(output_dropout=config.dropout if family == "distilbert" else dropout)
    if head == "choice" and family == "electra":
        return build(activation=config.summary_activation or "linear", output_dropout=config.summary_last_dropout)
    if family == "distilbert":
        return build(activation="relu", output_dropout=config.seq_classif_dropout)
    if family in DEBERTA_LIKE:
        output_dropout = getattr(config, "cls_dropout", None)  # a field of some published configurations only
        return build(
            input_dropout=config.pooler_dropout,
            activation=config.pooler_hidden_act,
            output_dropout=dropout if output_dropout is None else output_dropout,
        )
    if family in DROPOUT_TWICE and head == "choice":  # reads the pooler, as BERT's, and drops as the encoder does
        return build(activation="tanh", output_dropout=config.hidden_dropout_prob)
    if family in DROPOUT_TWICE:
        return build(
            input_dropout=dropout,
            activation="gelu" if family == "electra" else "tanh",
            output_dropout=dropout,
        )
    return build(activation="tanh", output_dropout=dropout)


def _masked(config: PretrainedConfig, build: Callable[..., HeadSpec]) -> HeadSpec:
    """Describe a family's head of masked language modelling: dense, activation, norm, and the token vectors."""
    family: str = config.model_type
    size: int = getattr(config, "embedding_size", None) or config.hidden_size
    output = "tied" if getattr(config, "tie_word_embeddings", True) else "linear"
    if family == "modernbert":
        return build(
            activation=config.classifier_activation,
            dense_bias=config.classifier_bias,
            norm_eps=config.norm_eps,
            norm_bias=config.norm_bias,
            output=output,
        )
    activation = "gelu" if family in DROPOUT_TWICE else getattr(config, "hidden_act", None) or config.activation
    eps = getattr(config, "layer_norm_eps", 1e-12)  # DistilBERT's is no field
    return build(activation=activation, dense_features=size, norm_eps=eps, output=output)


def _dropout(config: PretrainedConfig) -> float:
    """Return a classifier's dropout, which families write under different names."""
    for name in ("classifier_dropout_prob", "classifier_dropout", "hidden_dropout_prob"):
        value: float | None = getattr(config, name, None)
        if value is not None:
            return value
    return 0.0
