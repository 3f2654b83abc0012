"""Tokenizers: loading a fast one, and the backends that text and words are encoded with.

Owns the choice of file and the quirks of tokenizers that mark the start of a word with a space.
Encoding itself is ``text/encoding.py``.
"""

import copy
import json
from pathlib import Path

import tokenizers
from transformers import AutoTokenizer, PreTrainedTokenizerFast

from mtl_transformers.errors import ModelError
from mtl_transformers.model.encoder import LOADING_ERRORS, resolve
from mtl_transformers.model.vetting import vet
from mtl_transformers.text.masking import Vocabulary

Tokenizer = PreTrainedTokenizerFast
"""What other packages call the tokenizer: this package is the door to transformers."""


def load_tokenizer(name: str, *, revision: str | None = None) -> PreTrainedTokenizerFast:
    """Load the fast tokenizer of an encoder.

    Args:
        name: as `encoder.resolve` takes it.
        revision: of a hub id.

    Raises:
        ModelError: there is none, it is not a fast one, it needs foreign code, or it has no padding token.
    """
    place = resolve(name)
    if Path(place).is_dir():
        vet(Path(place))
    try:
        tokenizer = AutoTokenizer.from_pretrained(place, revision=revision, trust_remote_code=False)
    except Exception as error:
        if not isinstance(error, LOADING_ERRORS) and type(error) is not Exception:  # which is what tokenizers raises
            raise
        raise ModelError(f"the tokenizer of {name!r} cannot be loaded: {error}") from error
    if not isinstance(tokenizer, PreTrainedTokenizerFast):
        raise ModelError(
            f"the tokenizer of {name!r} ({type(tokenizer).__name__}) is not a fast one: offsets need a "
            "tokenizer.json. Use an encoder that has one, or convert it with transformers."
        )
    ordinary = set(tokenizer.get_vocab()).difference(tokenizer.all_special_tokens)
    if not any(character.isalnum() for token in ordinary for character in token):
        # transformers makes a tokenizer of special tokens alone where the files are missing
        raise ModelError(f"the tokenizer of {name!r} has no vocabulary: is its tokenizer.json missing?")
    if tokenizer.pad_token_id is None:
        raise ModelError(f"the tokenizer of {name!r} has no padding token. Set pad_token in its configuration.")
    return tokenizer


def check_vocabulary(tokenizer: PreTrainedTokenizerFast, *, size: int, place: str) -> None:
    """Refuse a tokenizer with a token that an encoder has no vector for.

    Args:
        tokenizer: one that `load_tokenizer` returned.
        size: vectors of the encoder.
        place: where both were read, for the message.

    Raises:
        ModelError: with the id.
    """
    largest = max(tokenizer.get_vocab().values())
    if largest >= size:
        raise ModelError(
            f"{place}: its tokenizer has a token with id {largest}, and its encoder has vectors for {size}. Copy or "
            "fetch the directory again."
        )


def text_backend(tokenizer: PreTrainedTokenizerFast) -> tokenizers.Tokenizer:
    """Return a copy of the tokenizer's backend without padding and truncation, for raw texts and pairs."""
    backend = tokenizers.Tokenizer.from_str(tokenizer.backend_tokenizer.to_str())
    backend.no_padding()
    backend.no_truncation()
    return backend


def words_backend(tokenizer: PreTrainedTokenizerFast) -> tokenizers.Tokenizer:
    """Return the same for lists of words: each starts with a space where the tokenizer marks word starts.

    Without it a byte-level tokenizer glues pre-split words together, as ``add_prefix_space=True`` avoids.
    """
    state = json.loads(text_backend(tokenizer).to_str())
    _mark_every_word(state["pre_tokenizer"])
    return tokenizers.Tokenizer.from_str(json.dumps(state))


def _mark_every_word(pre_tokenizer: dict[str, object] | None) -> None:
    """Set the prefix space of a serialised pre-tokenizer, and of those a sequence of them holds."""
    if pre_tokenizer is None:
        return
    match pre_tokenizer:
        case {"type": "Sequence", "pretokenizers": list(parts)}:
            for part in parts:
                _mark_every_word(part)
        case {"type": "ByteLevel"}:
            pre_tokenizer["add_prefix_space"] = True
        case {"type": "Metaspace"}:
            pre_tokenizer["prepend_scheme"] = "always"


def vocabulary(tokenizer: PreTrainedTokenizerFast, *, size: int) -> Vocabulary:
    """Return what masking knows of a tokenizer.

    Args:
        tokenizer: one that `load_tokenizer` returned.
        size: vectors of its encoder.
    """
    by_id = {number: token for token, number in tokenizer.get_vocab().items()}
    mask_id: int | None = tokenizer.mask_token_id
    return Vocabulary(
        size=size,
        mask_id=mask_id,
        special_ids=tuple(sorted(set(tokenizer.all_special_ids))),
        tokens=[by_id.get(number, "") for number in range(max(by_id) + 1)],
    )


def plain_tokenizer(
    tokenizer: PreTrainedTokenizerFast, *, max_length: int, uses_token_types: bool
) -> PreTrainedTokenizerFast:
    """Return a copy that gives a plain model of transformers what our encoding gives it.

    Args:
        tokenizer: one that `load_tokenizer` returned.
        max_length: where it truncates when it is asked to.
        uses_token_types: whether the encoder tells the two texts of a pair apart by token types: the class of a
            tokenizer may give them or not, whatever the encoder reads.
    """
    made = copy.deepcopy(tokenizer)
    made.model_max_length = max_length
    made.model_input_names = ["input_ids", *(["token_type_ids"] if uses_token_types else []), "attention_mask"]
    made.init_kwargs["model_input_names"] = made.model_input_names  # which is what is saved
    return made


def same_tokenizer(one: PreTrainedTokenizerFast, other: PreTrainedTokenizerFast) -> bool:
    """Tell whether two tokenizers encode every text alike, and pad and mask with the same tokens."""
    special = [(each.pad_token_id, each.mask_token_id) for each in (one, other)]
    return special[0] == special[1] and text_backend(one).to_str() == text_backend(other).to_str()


def glues_words(tokenizer: PreTrainedTokenizerFast) -> bool:
    """Tell whether transformers glues given words together with this tokenizer, unless it is told not to."""
    return text_backend(tokenizer).to_str() != words_backend(tokenizer).to_str()


def pad_id(tokenizer: PreTrainedTokenizerFast) -> int:
    """Return the id of the padding token of a tokenizer that `load_tokenizer` returned."""
    value = tokenizer.pad_token_id
    if not isinstance(value, int):
        raise ModelError("the tokenizer has no padding token. Set pad_token in its configuration.")
    return value
