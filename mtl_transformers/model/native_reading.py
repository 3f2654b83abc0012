"""A plain transformers directory as an encoder of ours with a head on it.

Owns reading the class that a directory names, strictly, and its head by names. Which task a head means is
``lifecycle/``'s.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from transformers import PretrainedConfig, PreTrainedModel

from mtl_transformers.errors import ModelError
from mtl_transformers.model.encoder import LOADING_ERRORS, Encoder, load_encoder, load_encoder_config, quiet
from mtl_transformers.model.head_spec import HeadForm, head_spec
from mtl_transformers.model.heads import Head
from mtl_transformers.model.native import AUTO_CLASSES, Outputs, auto_class
from mtl_transformers.model.native_names import FAMILIES, names_of, tied_name
from mtl_transformers.model.native_parity import Parity, check_parity, parity
from mtl_transformers.model.tokenizer import Tokenizer, check_vocabulary, load_tokenizer, pad_id
from mtl_transformers.text.decoders import Vectors

_VECTORS: Mapping[HeadForm, Vectors] = {
    "sequence": "sequence",
    "token": "token",
    "answer": "token",
    "choice": "sequences",
    "masked": "token",
}


@dataclass(frozen=True, slots=True)
class NativeModel:
    """What lies in a plain directory.

    Attributes:
        path: the directory.
        encoder: of it, without a pooler: the one that lies there belongs to the head.
        head: of it.
        form: of the head.
        labels: names of the head's outputs in order; empty where outputs have none.
        problem_type: of its configuration.
        tokenizer: of it.
        max_length: tokens of the longest text, by tokenizer and encoder.
        parity: between the logits of its own class and ours.
    """

    path: Path
    encoder: Encoder
    head: Head
    form: HeadForm
    labels: tuple[str, ...]
    problem_type: str | None
    tokenizer: Tokenizer
    max_length: int
    parity: Parity


def read_native(path: Path) -> NativeModel:
    """Read a directory that ``save_pretrained`` of a class with a head wrote.

    Raises:
        ModelError: there is no such directory, it holds no class with a head that is known here, its weights are not
            complete or not safetensors, or its class computes something that ours does not.
    """
    if not path.is_dir():
        raise ModelError(f"{path} is no directory. Expected one that save_pretrained of transformers wrote.")
    encoder = load_encoder(str(path))
    config, place = encoder.config, str(path)
    form = _form(config, place)
    tokenizer = load_tokenizer(place)
    check_vocabulary(tokenizer, size=len(encoder.embeddings), place=place)
    labels = _labels(config, place) if form in ("sequence", "token") else ()
    max_length = _max_length(tokenizer, encoder, place)
    native = load_native(path, form)
    head = _head(native, encoder, form, place)
    bare = Encoder(encoder.model, pooler={}, source=place, path=path)
    found = parity(native, bare, head, form=form, outputs=Outputs(), pad_id=pad_id(tokenizer))
    check_parity(found, place=place)
    made = NativeModel(
        path=path,
        encoder=bare,
        head=head,
        form=form,
        labels=labels,
        problem_type=config.problem_type,
        tokenizer=tokenizer,
        max_length=max_length,
        parity=found,
    )
    config.id2label, config.problem_type = {0: "LABEL_0", 1: "LABEL_1"}, None  # as an encoder's own says
    return made


def _form(config: PretrainedConfig, place: str) -> HeadForm:
    """Return the form of the class that a configuration names."""
    if config.model_type not in FAMILIES:
        raise ModelError(f"{place}: the family {config.model_type} is not among those known: {', '.join(FAMILIES)}.")
    named = str(next(iter(config.architectures or ()), "none"))
    endings: dict[str, HeadForm] = {
        name.removeprefix("AutoModel"): form for form, name in AUTO_CLASSES.items() if form != "embedding"
    }
    form = next((form for ending, form in endings.items() if named.endswith(ending)), None)
    if form is None:
        raise ModelError(
            f"{place}: its config.json names the class {named}; expected one that ends in {', '.join(endings)}. An "
            "encoder without a head holds no task: name it under encoder.name and train tasks on it."
        )
    return form


def load_native(path: Path, form: HeadForm) -> PreTrainedModel:
    """Load a directory of safetensors as the family's own class, in fp32; every weight must be there.

    Raises:
        ModelError: one is missing or of another shape, or transformers cannot read the directory.
    """
    try:
        with quiet():
            model, info = auto_class(form).from_pretrained(
                path,
                config=load_encoder_config(str(path), str(path)),
                dtype=torch.float32,
                use_safetensors=True,
                trust_remote_code=False,
                ignore_mismatched_sizes=True,  # reported in info, and refused below
                output_loading_info=True,
            )
    except LOADING_ERRORS as error:
        raise ModelError(f"{path} cannot be loaded as {AUTO_CLASSES[form]}: {error}") from error
    faults = [*info["missing_keys"], *(key for key, *_ in info["mismatched_keys"])]
    if faults:
        raise ModelError(
            f"{path}: {type(model).__name__} lacks weights, or has them in another shape: "
            f"{', '.join(sorted(faults))}. Was the head ever trained and saved?"
        )
    loaded: PreTrainedModel = model
    return loaded


def _head(native: PreTrainedModel, encoder: Encoder, form: HeadForm, place: str) -> Head:
    """Return our head with the weights of theirs."""
    state, family = native.state_dict(), encoder.config.model_type
    spec = head_spec(encoder.config, head=form, vectors=_VECTORS[form], out_features=_num_outputs(native, form))
    head = Head(spec)
    places = {name: names_of(name, family=family, form=form) for name in head.state_dict()}
    used = {name for names in places.values() for name in names}
    used |= {f"{native.base_model_prefix}.{key}" for key in encoder.model.state_dict()}
    if form == "masked" and spec.output == "tied":
        used.add(tied_name(family))
    lacking = [name for names in places.values() for name in names[:1] if name not in state]
    odd = [*lacking, *sorted(state.keys() - used)]
    if odd:
        raise ModelError(
            f"{place}: {type(native).__name__} has another form than that of its family: {', '.join(odd)}."
        )
    head.load_state_dict({name: _copy(state[names[0]]) for name, names in places.items()})
    return head


def _num_outputs(native: PreTrainedModel, form: HeadForm) -> int:
    match form:
        case "answer":
            return 2
        case "choice":
            return 1
        case "masked":
            size: int = native.config.vocab_size
            return size
    count: Any = native.config.num_labels
    return int(count)


def _labels(config: PretrainedConfig, place: str) -> tuple[str, ...]:
    """Return the labels in order, checked: what a stranger's file says of them may be anything."""
    found: Any = config.id2label
    count: Any = config.num_labels  # which is the length of id2label
    labels = tuple(str(found[number]) for number in range(count) if number in found)
    if not labels or len(labels) != count or len(set(labels)) != len(labels):
        raise ModelError(
            f"{place}: id2label of its config.json names {len(set(labels))} labels for {count} outputs: "
            f"{', '.join(map(repr, labels[:10]))}. Expected one name for each, all different."
        )
    return labels


def _max_length(tokenizer: Tokenizer, encoder: Encoder, place: str) -> int:
    """Return the tokens of the longest text, with room for a pair."""
    told: Any = tokenizer.model_max_length
    least = tokenizer.num_special_tokens_to_add(pair=True) + 2
    if not isinstance(told, int | float) or told < least:
        raise ModelError(
            f"{place}: model_max_length {told!r} of its tokenizer_config.json is no length; expected {least} or more."
        )
    return int(told) if encoder.max_length is None else int(min(told, encoder.max_length))


def _copy(tensor: Tensor) -> Tensor:
    """Return a tensor that owns its memory: mapped files are misaligned, and alignment changes bits."""
    return tensor.detach().clone()
