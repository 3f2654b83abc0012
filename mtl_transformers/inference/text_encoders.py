"""The text encoders of a model, from the tokenizer that transformers loaded."""

from __future__ import annotations

from mtl_transformers.model.tokenizer import Tokenizer, text_backend, words_backend
from mtl_transformers.runtime.text_encoders import TextEncoders


def text_encoders(tokenizer: Tokenizer, *, uses_token_types: bool) -> TextEncoders:
    """Return the encoders of a tokenizer for raw texts and for lists of words."""
    return TextEncoders(text=text_backend(tokenizer), words=words_backend(tokenizer), uses_token_types=uses_token_types)
