"""The decoder of each kind of task, and the table of them. Numpy only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, ClassVar, final

import numpy as np

from mtl_transformers.errors import DataError, ModelError
from mtl_transformers.text.answers import decode_answers
from mtl_transformers.text.choosing import decode_candidates, decode_choices, decode_rankings
from mtl_transformers.text.decoders import Decoder, Logits, Prediction, Vectors
from mtl_transformers.text.decoding import (
    Decoding,
    decode_classification,
    decode_multi_label,
    decode_ordinal,
    decode_regression,
    decode_spans,
    decode_tags,
    decode_word_spans,
)
from mtl_transformers.text.embeddings import decode_embeddings
from mtl_transformers.text.encoding import Features, Form
from mtl_transformers.text.filling import decode_tokens
from mtl_transformers.text.tags import TagScheme


@final
@dataclass(frozen=True, kw_only=True)
class LabelDecoder(Decoder):
    """The most probable label of each row, or none where even that is not probable enough.

    Attributes:
        labels: in order.
        ordinal: the labels are steps of a scale, and the logits those of lying above each cut.
        temperature: what logits are divided by.
        min_score: probability below which there is no label; ``None``: there always is one.
    """

    vectors: ClassVar[Vectors] = "sequence"
    labels: tuple[str | int, ...]
    ordinal: bool = False
    temperature: float = 1.0
    min_score: float | None = None

    def decode(
        self,
        logits: Sequence[Logits],
        rows: Sequence[Features],
        *,
        texts: Sequence[str],
        form: Form,
        top_k: int | None = None,
    ) -> list[Prediction]:
        """Return the most probable label of each row."""
        decode = decode_ordinal if self.ordinal else decode_classification
        found = decode(
            np.concatenate(logits), self.labels, top_k=top_k, temperature=self.temperature, min_score=self.min_score
        )
        return [dict(prediction) for prediction in found]


@final
@dataclass(frozen=True, kw_only=True)
class LabelsDecoder(Decoder):
    """The labels whose probability reaches their threshold, and every label's probability."""

    vectors: ClassVar[Vectors] = "sequence"
    labels: tuple[str | int, ...]
    thresholds: tuple[float, ...]

    def decode(
        self,
        logits: Sequence[Logits],
        rows: Sequence[Features],
        *,
        texts: Sequence[str],
        form: Form,
        top_k: int | None = None,
    ) -> list[Prediction]:
        """Return each row's labels."""
        found = decode_multi_label(np.concatenate(logits), self.labels, thresholds=self.thresholds)
        return [dict(prediction) for prediction in found]


@final
@dataclass(frozen=True, kw_only=True)
class ValuesDecoder(Decoder):
    """Values of targets in the unit of the data."""

    vectors: ClassVar[Vectors] = "sequence"
    targets: tuple[str, ...]
    mean: tuple[float, ...]
    scale: tuple[float, ...]

    def decode(
        self,
        logits: Sequence[Logits],
        rows: Sequence[Features],
        *,
        texts: Sequence[str],
        form: Form,
        top_k: int | None = None,
    ) -> list[Prediction]:
        """Return the targets of each row."""
        found = decode_regression(np.concatenate(logits), self.targets, mean=self.mean, scale=self.scale)
        return [dict(prediction) for prediction in found]


@final
@dataclass(frozen=True, kw_only=True)
class TagsDecoder(Decoder):
    """One plain tag for each word."""

    vectors: ClassVar[Vectors] = "token"
    labels: tuple[str, ...]

    def decode(
        self,
        logits: Sequence[Logits],
        rows: Sequence[Features],
        *,
        texts: Sequence[str],
        form: Form,
        top_k: int | None = None,
    ) -> list[Prediction]:
        """Return each row's tags."""
        return [dict(prediction) for prediction in decode_tags(logits, self.labels, rows)]


@final
@dataclass(frozen=True, kw_only=True)
class SpansDecoder(Decoder):
    """Spans with character offsets, and of words the numbers of the words too.

    Attributes:
        labels: the tags in order.
        scheme: of the tags.
        decoding: how the tags are chosen.
    """

    vectors: ClassVar[Vectors] = "token"
    labels: tuple[str, ...]
    scheme: TagScheme
    decoding: Decoding

    def decode(
        self,
        logits: Sequence[Logits],
        rows: Sequence[Features],
        *,
        texts: Sequence[str],
        form: Form,
        top_k: int | None = None,
    ) -> list[Prediction]:
        """Return each row's spans."""
        decode = decode_word_spans if form == "words" else decode_spans
        found = decode(logits, self.labels, rows, texts, scheme=self.scheme, decoding=self.decoding)
        return [[dict(span) for span in spans] for spans in found]


@final
@dataclass(frozen=True, kw_only=True)
class AnswerDecoder(Decoder):
    """The best answer over all windows.

    Attributes:
        max_answer_length: pieces of the longest answer.
        n_best: how many answers a prediction names.
        threshold: there is no answer where its logit is higher than the best answer's by more than this; ``None``:
            there always is one.
    """

    vectors: ClassVar[Vectors] = "token"
    max_answer_length: int
    n_best: int
    threshold: float | None

    def positions(self, row: Features) -> Sequence[Sequence[int]]:
        """Return each window's first token and its pieces."""
        return [[0, *positions] for positions in row.word_positions]

    def decode(
        self,
        logits: Sequence[Logits],
        rows: Sequence[Features],
        *,
        texts: Sequence[str],
        form: Form,
        top_k: int | None = None,
    ) -> list[Prediction]:
        """Return each row's answer; ``top_k`` asks for more of the best ones than ``n_best``."""
        found = decode_answers(
            logits,
            rows,
            texts,
            max_pieces=self.max_answer_length,
            num_best=max(self.n_best, top_k or 1),
            threshold=self.threshold,
        )
        return [dict(prediction) for prediction in found]


@final
@dataclass(frozen=True, kw_only=True)
class ChoiceDecoder(Decoder):
    """The most probable option of each row.

    Attributes:
        columns: that hold the options, for the message where there is a single one.
    """

    vectors: ClassVar[Vectors] = "sequences"
    columns: tuple[str, ...]

    def decode(
        self,
        logits: Sequence[Logits],
        rows: Sequence[Features],
        *,
        texts: Sequence[str],
        form: Form,
        top_k: int | None = None,
    ) -> list[Prediction]:
        """Return each row's choice."""
        if form == "pair":
            columns = ", ".join(map(repr, self.columns))
            raise DataError(f"{columns} is a single text; expected a list of options")
        return [dict(prediction) for prediction in decode_choices([of_row[:, 0] for of_row in logits])]


@final
@dataclass(frozen=True, kw_only=True)
class RankingDecoder(Decoder):
    """The scores of each query's candidates and their order; of a pair the score alone."""

    vectors: ClassVar[Vectors] = "sequences"
    as_probability: bool

    def decode(
        self,
        logits: Sequence[Logits],
        rows: Sequence[Features],
        *,
        texts: Sequence[str],
        form: Form,
        top_k: int | None = None,
    ) -> list[Prediction]:
        """Return each query's ranking."""
        flat = [of_row[:, 0] for of_row in logits]
        decode = decode_candidates if form == "pair" else decode_rankings
        return [dict(prediction) for prediction in decode(flat, as_probability=self.as_probability)]


@final
@dataclass(frozen=True, kw_only=True)
class EmbeddingDecoder(Decoder):
    """The embedding of each text, and of two the cosine."""

    vectors: ClassVar[Vectors] = "sequences"

    def decode(
        self,
        logits: Sequence[Logits],
        rows: Sequence[Features],
        *,
        texts: Sequence[str],
        form: Form,
        top_k: int | None = None,
    ) -> list[Prediction]:
        """Return each row's embeddings."""
        return [dict(prediction) for prediction in decode_embeddings(logits)]


@final
@dataclass(frozen=True, kw_only=True)
class TokensDecoder(Decoder):
    """The most probable token in each place that was hidden.

    Attributes:
        tokens: the vocabulary's by their ids.
    """

    vectors: ClassVar[Vectors] = "token"
    tokens: Sequence[str] = field(repr=False)

    def positions(self, row: Features) -> Sequence[Sequence[int]]:
        """Return the hidden tokens."""
        return row.masked_positions

    def decode(
        self,
        logits: Sequence[Logits],
        rows: Sequence[Features],
        *,
        texts: Sequence[str],
        form: Form,
        top_k: int | None = None,
    ) -> list[Prediction]:
        """Return each row's tokens, of logits that were condensed as `decode_tokens` takes them."""
        return [dict(prediction) for prediction in decode_tokens(logits, self.tokens, top_k=top_k)]


DECODERS: Mapping[str, type[Decoder]] = {
    decoder.__name__: decoder
    for decoder in (
        LabelDecoder,
        LabelsDecoder,
        ValuesDecoder,
        TagsDecoder,
        SpansDecoder,
        AnswerDecoder,
        ChoiceDecoder,
        RankingDecoder,
        EmbeddingDecoder,
    )
}
"""The decoders that are written to JSON, by their names."""


def decoder_from_json(values: Mapping[str, Any]) -> Decoder:
    """Rebuild a decoder from `Decoder.to_json`.

    Raises:
        ModelError: its type or its keys are unknown to this version.
    """
    decoder = DECODERS.get(values.get("type", ""))
    given = {key: tuple(value) if isinstance(value, list) else value for key, value in values.items() if key != "type"}
    if decoder is None or given.keys() != {each.name for each in fields(decoder)}:
        raise ModelError(
            f"the decoder {values.get('type')!r} with the keys {sorted(given)} is unknown; it was written by another "
            "version of mtl_transformers. Export the model again"
        )
    return decoder(**given)
