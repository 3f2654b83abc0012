"""Masked language modelling: hidden tokens of the text, an auxiliary task that needs no labels.

Owns its options, loss, decoding and metrics. Which tokens are hidden is ``text/masking.py``'s: anew in every step of
training, always the same in evaluation; a prediction fills the mask tokens that stand in the text.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import chain
from typing import Annotated, Any, ClassVar, Self, final

import torch
import torch.nn.functional as F
from annotated_types import Gt, Lt
from torch import Tensor

from mtl_transformers.batch import Target
from mtl_transformers.errors import ModelError
from mtl_transformers.metrics.named import LabelScore, compute
from mtl_transformers.model.head_spec import HeadForm
from mtl_transformers.tasks.task import Cells, EncodedLabel, EncoderFacts, LabelType, Task, weighed
from mtl_transformers.text.decoders import Prediction, Vectors
from mtl_transformers.text.embeddings import numbered
from mtl_transformers.text.encoding import Features, Form
from mtl_transformers.text.filling import NUM_BEST, UNKNOWN
from mtl_transformers.text.inputs import Input
from mtl_transformers.text.kinds_of_decoder import TokensDecoder
from mtl_transformers.text.masking import Vocabulary


@dataclass(frozen=True, slots=True, kw_only=True)
class MaskedLMOptions:
    """Options of masked language modelling.

    Attributes:
        probability: share of the tokens that are to be predicted.
        whole_words: hide whole words.
    """

    probability: Annotated[float, Gt(0), Lt(1)] = 0.15
    whole_words: bool = False


@final
@dataclass(frozen=True, kw_only=True)
class MaskedLM(Task):
    """A fitted task of masked language modelling.

    Attributes:
        size: vectors of the encoder's vocabulary, ``V``; 0 as long as the encoder is not known.
        counts: training rows.
        vocabulary: of the encoder.
    """

    kind: ClassVar[str] = "masked_lm"
    vectors: ClassVar[Vectors] = "token"
    head: ClassVar[HeadForm] = "masked"
    label_type: ClassVar[LabelType] = "int"
    forms: ClassVar[tuple[Form, ...]] = ("text", "pair", "words", "options")
    hub_task: ClassVar[str] = "fill-mask"
    options_type: ClassVar[type[Any]] = MaskedLMOptions
    unstored: ClassVar[tuple[str, ...]] = ("vocabulary",)

    options: MaskedLMOptions
    size: int = 0
    counts: tuple[int, ...]
    vocabulary: Vocabulary | None = field(default=None, compare=False, repr=False)

    @classmethod
    def label_columns(cls, options: MaskedLMOptions) -> tuple[str, ...]:
        """Return nothing: the text is its own label."""
        return ()

    @classmethod
    def legal_metrics(cls, options: MaskedLMOptions) -> tuple[str, ...]:
        """Return the metrics of this kind."""
        return ("masked_accuracy", "perplexity")

    @classmethod
    def fit(
        cls,
        name: str,
        options: MaskedLMOptions,
        *,
        metrics: Sequence[str],
        cells: Iterable[Cells],
        class_names: Sequence[str] | None,
    ) -> Self:
        """Count the rows; by default both metrics are computed."""
        chosen = tuple(metrics) or cls.legal_metrics(options)
        return cls(name=name, metrics=chosen, options=options, counts=(sum(1 for _ in cells),))

    @classmethod
    def input_of(
        cls, options: MaskedLMOptions, *, text: tuple[str, ...], form: Form, max_length: int, stride: int | None = None
    ) -> Input:
        """Return the whole text, with tokens to be hidden."""
        return Input(
            columns=text,
            form=form,
            max_length=max_length,
            aligned="starts" if options.whole_words or stride is not None else None,
            stride=stride,
            num_context=len(text) - 1 if form == "options" else 0,
            mask_probability=options.probability,
            mask_words=options.whole_words,
        )

    def with_encoder(self, facts: EncoderFacts) -> Self:
        """Return the task with the encoder's vocabulary.

        Raises:
            ModelError: it has no mask token.
        """
        if facts.vocabulary.mask_id is None:
            raise ModelError(
                f"task {self.name!r}: the tokenizer has no mask token, which kind {self.kind} needs. Take another "
                "encoder, or set mask_token in the tokenizer's configuration"
            )
        return replace(self, size=facts.vocabulary.size, vocabulary=facts.vocabulary)

    @property
    def num_outputs(self) -> int:
        """One logit for each vector of the vocabulary."""
        return self.size

    @property
    def output_names(self) -> tuple[str, ...]:
        """Nothing: the tokens are the tokenizer's."""
        return ()

    @property
    def in_words(self) -> str:
        """Hidden tokens."""
        return "the token in each place that is hidden by the mask token"

    @property
    def label_counts(self) -> Mapping[str, int]:
        """Nothing: tokens are no labels."""
        return {}

    def encode(self, cells: Cells, row: Features, *, text: str) -> EncodedLabel:
        """Return a constant: every row has a text."""
        return 1

    def _labels(self, labels: Sequence[int], rows: Sequence[Features]) -> tuple[Tensor, int]:
        """Return the hidden tokens."""
        hidden = _hidden(rows)
        return torch.tensor(hidden, dtype=torch.int64), len(hidden)

    def loss(self, logits: Tensor, target: Target) -> Tensor:
        """Return the summed cross-entropy of the hidden tokens."""
        labels = target.labels
        assert labels is not None  # training targets have labels
        return weighed(F.cross_entropy(logits, labels, reduction="none"), target)

    def condense(self, logits: Tensor, rows: Sequence[Features]) -> Tensor:
        """Return ``[M, 2 + 2K]`` of logits ``[M, V]``, as `decode_tokens` takes them."""
        total = logits.logsumexp(dim=-1, keepdim=True)
        best, tokens = logits.topk(min(NUM_BEST, logits.shape[-1]), dim=-1)
        hidden = _hidden(rows)
        gold = torch.tensor(hidden or [UNKNOWN] * len(logits), device=logits.device).unsqueeze(-1)
        of_gold = logits.gather(-1, gold.clamp(min=0)) - total
        return torch.cat([gold.float(), of_gold, tokens.float(), best - total], dim=-1)

    @cached_property
    def decoder(self) -> TokensDecoder:
        """The most probable token in each place that was hidden."""
        return TokensDecoder(tokens=() if self.vocabulary is None else self.vocabulary.tokens)

    def gold(self, label: EncodedLabel, row: Features, *, text: str, form: Form) -> None:
        """Return nothing: the hidden tokens stand beside the predicted ones."""

    def score(
        self, labels: Sequence[EncodedLabel], predictions: Sequence[Prediction], rows: Sequence[Features]
    ) -> dict[str, float]:
        """Score the hidden tokens of all rows; without one, a guess among all tokens."""
        found = [each for row in predictions if isinstance(row, dict) for each in row["tokens"]]
        if not found:
            guess = {"masked_accuracy": 1 / self.size, "perplexity": float(self.size)}
            return {name: guess[name] for name in self.metrics}
        tokens = numbered([each[key] for key in ("token", "gold") for each in found])
        compared: dict[str, tuple[list[Any], list[Any]]] = {
            "masked_accuracy": (tokens[: len(found)], tokens[len(found) :]),
            "perplexity": ([each["gold_log_probability"] for each in found], [0.0] * len(found)),
        }
        return {
            name: compute(name, predictions=predicted, references=gold)
            for name in self.metrics
            for predicted, gold in [compared.get(name, compared["masked_accuracy"])]
        }

    def score_per_label(
        self, labels: Sequence[EncodedLabel], predictions: Sequence[Prediction], rows: Sequence[Features]
    ) -> list[LabelScore]:
        """Return nothing: tokens are no labels."""
        return []

    def majority(self, row: Features) -> Prediction:
        """Return no token, which is scored as a guess among all of them."""
        return {"tokens": []}


def _hidden(rows: Sequence[Features]) -> list[int]:
    """Return the hidden tokens of some rows, as far as they are known."""
    return list(chain.from_iterable(ids for row in rows for ids in row.masked_ids))
