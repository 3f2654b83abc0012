"""The text encoders of a model: one tokenizer, for every form and length that its tasks read."""

from __future__ import annotations

from tokenizers import Tokenizer

from mtl_transformers.text.encoding import Form, TextEncoder
from mtl_transformers.text.inputs import Encoding, Input


class TextEncoders:
    """The text encoders of one tokenizer, by form and length, made when they are first needed; threads may share them.

    Args:
        text: the tokenizer for raw texts and pairs.
        words: the tokenizer for lists of words.
        uses_token_types: whether features carry ``token_type_ids``.
    """

    def __init__(self, *, text: Tokenizer, words: Tokenizer, uses_token_types: bool) -> None:
        self._backends = {"words": words, "text": text}
        self._uses_token_types = uses_token_types
        self._made: dict[tuple[str, int], TextEncoder] = {}

    def get(self, form: Form, *, max_length: int) -> TextEncoder:
        """Return the encoder of a form at a length."""
        backend = "words" if form == "words" else "text"
        if (backend, max_length) not in self._made:
            self._made[backend, max_length] = TextEncoder(
                self._backends[backend], max_length=max_length, uses_token_types=self._uses_token_types
            )
        return self._made[backend, max_length]

    def key(self, form: Form) -> str:
        """Return what identifies the behaviour of a form's encoders."""
        return self._backends["words" if form == "words" else "text"].to_str() + str(self._uses_token_types)

    def encoding(self, given: Input) -> Encoding:
        """Return how the texts of an input become features."""
        return Encoding(self.get(given.form, max_length=given.max_length), self.key(given.form))
