"""A head and its encoder as the family's own class: ``AutoModelForSequenceClassification`` and the like.

Owns which heads a family's class can express, and its state, filled by names. Knows no tasks (``lifecycle/split.py``),
and reads no directory (``native_reading.py``).

Shapes: ``C`` outputs of the head.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
import transformers
from torch import Tensor
from transformers import PretrainedConfig, PreTrainedModel

from mtl_transformers.errors import ModelError
from mtl_transformers.model.directory import library_errors, no_progress_bar
from mtl_transformers.model.encoder import Encoder, encoder_state
from mtl_transformers.model.head_spec import HeadForm, HeadSpec, head_spec
from mtl_transformers.model.heads import Head
from mtl_transformers.model.native_names import FAMILIES, names_of, tied_name
from mtl_transformers.model.verifying import WEIGHTS

ProblemType = Literal["regression", "single_label_classification", "multi_label_classification"]

AUTO_CLASSES: Mapping[HeadForm, str] = {
    "sequence": "AutoModelForSequenceClassification",
    "token": "AutoModelForTokenClassification",
    "answer": "AutoModelForQuestionAnswering",
    "choice": "AutoModelForMultipleChoice",
    "masked": "AutoModelForMaskedLM",
    "embedding": "AutoModel",
}
"""The class of transformers that opens a head of each form; an embedding is what the encoder itself gives."""

_SHAPE_FIELDS = ("activation", "dense_features", "dense_bias", "norm_eps", "norm_bias", "output")


@dataclass(frozen=True, slots=True)
class Outputs:
    """What a plain configuration says of a head's outputs.

    Attributes:
        labels: the name of each; empty where outputs have no names.
        problem_type: as transformers calls it, or ``None``.
        scale: ``[C]``, factors that are folded into the last layer; ``None``: 1.
        shift: ``[C]``, what is added behind them; ``None``: 0.
    """

    labels: Sequence[str] = ()
    problem_type: ProblemType | None = None
    scale: Sequence[float] | None = None
    shift: Sequence[float] | None = None

    def folded(self, values: Tensor) -> Tensor:
        """Return logits ``[…, C]`` as the last layer gives them once scale and shift are folded into it."""
        scaled = self.scaled(values)
        return scaled if self.shift is None else scaled + values.new_tensor(self.shift)

    def scaled(self, values: Tensor) -> Tensor:
        """Return values ``[…, C]`` times the scale."""
        return values if self.scale is None else values * values.new_tensor(self.scale)


def auto_class(form: HeadForm) -> Any:
    """Return the class of transformers that opens a head of a form; its own types do not say what it makes."""
    return getattr(transformers, AUTO_CLASSES[form])


def inexpressible(spec: HeadSpec, config: PretrainedConfig, form: HeadForm) -> str | None:
    """Return what of a head the family's own class has no place for, for a message; ``None`` where it has all.

    Args:
        spec: of the head.
        config: of its encoder.
        form: of the class.
    """
    family: str = config.model_type
    if form == "embedding":
        return _problem_of_pooling(spec, config, native=None)
    if family not in FAMILIES:
        return f"the family {family} is not among those whose own classes are known: {', '.join(FAMILIES)}"
    if spec.output == "ordinal":
        return "its cut points (ordinal: true) are compared with one value, and a class has logits of its labels"
    own = head_spec(_with_head(config, spec, form), head=form, vectors=spec.vectors, out_features=spec.out_features)
    if (problem := _problem_of_pooling(spec, config, native=own.pooling)) is not None:
        return problem
    different = [name for name in _SHAPE_FIELDS if getattr(spec, name) != getattr(own, name)]
    if different:
        said = ", ".join(f"{name} {getattr(spec, name)!r} instead of {getattr(own, name)!r}" for name in different)
        return f"its layers are not those of the class ({said})"
    return None


def _problem_of_pooling(spec: HeadSpec, config: PretrainedConfig, *, native: str | None) -> str | None:
    """Return what is read that the class does not read; an embedding may be pooled by whoever opens the encoder."""
    if spec.layer == "mix":
        return "it reads a learned mix of all layers (layer: mix), and a class reads the last one"
    if spec.layer not in (None, config.num_hidden_layers):
        return f"it reads layer {spec.layer} of {config.num_hidden_layers}, and a class reads the last one"
    if native is None and spec.pooling == "attention":
        return "its pooling (attention) has weights of its own, and an encoder has no place for them"
    if native is not None and spec.vectors != "token" and spec.pooling != native:
        return f"it pools by {spec.pooling}, and a class of {config.model_type} by {native}"
    return None


def _with_head(config: PretrainedConfig, spec: HeadSpec, form: HeadForm) -> PretrainedConfig:
    """Return a configuration that says of the head what this family's can say."""
    made: PretrainedConfig = copy.deepcopy(config)
    family, pooling = config.model_type, {"first": "cls", "mean": "mean"}.get(spec.pooling)
    if family == "modernbert" and spec.activation is not None:
        made.classifier_activation, made.classifier_bias = spec.activation, spec.dense_bias
        if spec.vectors != "token" and pooling is not None:
            made.classifier_pooling = pooling
    if family == "deberta-v2" and spec.activation is not None and form in ("sequence", "choice"):
        made.pooler_hidden_act = spec.activation
    return made


def native_model(
    encoder: Encoder, head: Head, *, form: HeadForm, outputs: Outputs
) -> tuple[PreTrainedModel, dict[str, Tensor]]:
    """Return a family's own class, without weights, and its state.

    Args:
        encoder: on the CPU.
        head: on it; `inexpressible` has no objection.
        form: of the class.
        outputs: what is said of them, and folded into the last layer.

    Raises:
        ModelError: the class has other weights, so that its configuration must mean something that ours does not.
    """
    config = _with_head(encoder.config, head.spec, form)
    _say_outputs(config, outputs, head.spec.out_features, form)
    with torch.device("meta"):
        model: PreTrainedModel = auto_class(form).from_config(config)
    state = encoder_state(encoder) if form == "embedding" else _state(model, encoder, head, form, outputs)
    if problems := _misfits(model.state_dict(), state):
        raise ModelError(
            f"{type(model).__name__} of transformers {transformers.__version__} has other weights than encoder and "
            f"head: {'; '.join(problems)}"
        )
    return model, state


def save_native(path: Path, model: PreTrainedModel, state: Mapping[str, Tensor]) -> None:
    """Write what `native_model` returned, as safetensors with its config.json, into an empty directory."""
    with library_errors(path / WEIGHTS), no_progress_bar():
        model.save_pretrained(path, state_dict=dict(state))


def _say_outputs(config: PretrainedConfig, outputs: Outputs, num_outputs: int, form: HeadForm) -> None:
    if form in ("choice", "masked", "embedding"):
        return
    labels = outputs.labels or [f"LABEL_{number}" for number in range(num_outputs)]
    config.id2label = dict(enumerate(labels))
    config.label2id = {label: number for number, label in enumerate(labels)}
    if outputs.problem_type is not None:
        config.problem_type = outputs.problem_type


def _state(model: PreTrainedModel, encoder: Encoder, head: Head, form: HeadForm, outputs: Outputs) -> dict[str, Tensor]:
    family: str = encoder.config.model_type
    known = model.state_dict().keys()
    state = {f"{model.base_model_prefix}.{key}": tensor for key, tensor in encoder.model.state_dict().items()}
    for parameter, tensor in _folded_state(head, outputs).items():
        names = names_of(parameter, family=family, form=form) or (parameter,)  # which is left over then
        state |= {name: tensor for name in names if name in known or name == names[0]}
    if form == "masked" and head.spec.output == "tied":
        state[tied_name(family)] = encoder.embeddings
    return state


def _folded_state(head: Head, outputs: Outputs) -> dict[str, Tensor]:
    """Return the head's state with scale and shift in its last layer, computed in double precision."""
    state = {name: tensor.detach() for name, tensor in head.state_dict().items()}
    if outputs.scale is None and outputs.shift is None:
        return state
    weight, bias = state["out.weight"].double(), state["out.bias"].double()  # [C, D], [C]
    folded = {"out.weight": outputs.scaled(weight.T).T, "out.bias": outputs.folded(bias)}
    return state | {name: tensor.float().contiguous() for name, tensor in folded.items()}


def _misfits(own: Mapping[str, Tensor], given: Mapping[str, Tensor]) -> list[str]:
    """Return how two sets of weights differ in their names and shapes."""
    shapes = [
        f"{key} {list(given[key].shape)} instead of {list(own[key].shape)}"
        for key in own.keys() & given.keys()
        if given[key].shape != own[key].shape
    ]
    parts = {"lacking": own.keys() - given.keys(), "left over": given.keys() - own.keys(), "of another shape": shapes}
    return [f"{what}: {', '.join(sorted(keys))}" for what, keys in parts.items() if keys]
