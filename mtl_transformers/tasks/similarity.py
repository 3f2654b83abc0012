"""Similarity: sentence embeddings, learnt from pairs with a score or from positive pairs alone.

Owns its options, losses, decoding and metrics. The texts of a pair are sequences of their own, so that each has an
embedding that can be computed without the other (Reimers & Gurevych 2019, arXiv:1908.10084). Pairs with a score: the
squared error of the cosine (their section 3). Positive pairs: each row's second text against those of the other rows of
its unit (Henderson et al. 2017, arXiv:1705.00652, section 4; InfoNCE of van den Oord et al. 2018, arXiv:1807.03748,
equation 4).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Annotated, Any, ClassVar, Self, final

import numpy as np
import torch
import torch.nn.functional as F
from annotated_types import Ge, Gt
from torch import Tensor

from mtl_transformers.batch import Target
from mtl_transformers.errors import ConfigError, DataError
from mtl_transformers.metrics.named import LabelScore, compute
from mtl_transformers.model.head_spec import HeadForm
from mtl_transformers.tasks.labels import ALL_NULL, number
from mtl_transformers.tasks.task import Cells, EncodedLabel, EncoderFacts, LabelType, Task, weighed
from mtl_transformers.text.decoders import Prediction, Vectors
from mtl_transformers.text.embeddings import nearest, numbered
from mtl_transformers.text.encoding import Features, Form
from mtl_transformers.text.inputs import Input
from mtl_transformers.text.kinds_of_decoder import EmbeddingDecoder

GROUP_SIZE = 16
TEMPERATURE = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class SimilarityOptions:
    """Options of a similarity task.

    Attributes:
        label: a column of scores; ``None``: every pair is a positive one.
        scale: the lowest and the highest score, which become the cosines 0 and 1; ``None``: those of the training rows.
        group_size: of positive pairs, how many rows are each other's negatives, at most; ``None``: 16.
        temperature: of positive pairs, what cosines are divided by; ``None``: 0.05.
    """

    label: str | None = None
    scale: tuple[float, float] | None = None
    group_size: Annotated[int, Ge(2)] | None = None
    temperature: Annotated[float, Gt(0)] | None = None


@final
@dataclass(frozen=True, kw_only=True)
class Similarity(Task):
    """A fitted similarity task.

    Attributes:
        size: numbers of an embedding, ``D``; 0 as long as the encoder is not known.
        counts: training pairs.
        low: the score that becomes the cosine 0.
        high: the score that becomes the cosine 1.
    """

    kind: ClassVar[str] = "similarity"
    vectors: ClassVar[Vectors] = "sequences"
    head: ClassVar[HeadForm] = "embedding"
    label_type: ClassVar[LabelType] = "floats"
    forms: ClassVar[tuple[Form, ...]] = ("pair",)
    hub_task: ClassVar[str] = "sentence-similarity"
    options_type: ClassVar[type[Any]] = SimilarityOptions

    options: SimilarityOptions
    size: int = 0
    counts: tuple[int, ...]
    low: float
    high: float

    @classmethod
    def label_columns(cls, options: SimilarityOptions) -> tuple[str, ...]:
        """Return the column of scores, if there is one."""
        return () if options.label is None else (options.label,)

    @classmethod
    def legal_metrics(cls, options: SimilarityOptions) -> tuple[str, ...]:
        """Return the correlations with the scores, or how often a text finds the one that it stands with."""
        return ("retrieval_accuracy",) if options.label is None else ("spearman", "pearson")

    @classmethod
    def fit(
        cls,
        name: str,
        options: SimilarityOptions,
        *,
        metrics: Sequence[str],
        cells: Iterable[Cells],
        class_names: Sequence[str] | None,
    ) -> Self:
        """Count the pairs, and find the lowest and the highest score."""
        scores = np.fromiter((number(row[0]) if row else 1.0 for row in cells), dtype=np.float64)
        known = scores[~np.isnan(scores)]
        if not len(known):
            raise DataError(ALL_NULL)
        low, high = (0.0, 1.0) if options.label is None else options.scale or (float(known.min()), float(known.max()))
        if low == high:
            raise DataError(f"every score is {low:g}; similarity needs scores that differ, or a scale")
        return cls(
            name=name,
            metrics=tuple(metrics) or cls.legal_metrics(options)[:1],
            options=options,
            counts=(len(known),),
            low=float(low),
            high=float(high),
        )

    @classmethod
    def input_of(
        cls,
        options: SimilarityOptions,
        *,
        text: tuple[str, ...],
        form: Form,
        max_length: int,
        stride: int | None = None,
    ) -> Input:
        """Return the two texts, each a sequence of its own."""
        if stride is not None:
            raise ConfigError("kind similarity reads each text in one sequence; remove stride from its dataset")
        return Input(columns=text, form="options", max_length=max_length)

    def with_encoder(self, facts: EncoderFacts) -> Self:
        """Return the task with the size of its embeddings."""
        return replace(self, size=facts.hidden_size)

    @classmethod
    def rows_of_unit(cls, options: SimilarityOptions) -> int:
        """Return the group's size; rows with scores are not compared."""
        return (options.group_size or GROUP_SIZE) if options.label is None else 1

    @classmethod
    def meaning(cls, options: SimilarityOptions) -> dict[str, object]:
        """Return the scale, which says what a cosine stands for."""
        return {"scale": options.scale}

    @classmethod
    def option_problems(cls, options: SimilarityOptions) -> Mapping[str, str]:
        """Refuse what only the other of the two losses uses, and a scale that does not ascend."""
        if options.label is None:
            return {} if options.scale is None else {"scale": "is one of scores; name their column as label"}
        problems = {
            name: "belongs to positive pairs, which have no label; remove one of the two"
            for name in ("group_size", "temperature")
            if getattr(options, name) is not None
        }
        if options.scale is not None and not options.scale[0] < options.scale[1]:
            problems["scale"] = f"{list(options.scale)} does not ascend; give the lowest and the highest score"
        return problems

    @property
    def num_outputs(self) -> int:
        """The numbers of an embedding."""
        return self.size

    @property
    def output_names(self) -> tuple[str, ...]:
        """Nothing: the numbers of an embedding have no names."""
        return ()

    @property
    def in_words(self) -> str:
        """Embeddings."""
        return "an embedding of each text, and the cosine of two"

    @property
    def label_counts(self) -> Mapping[str, int]:
        """Nothing: pairs have no label set."""
        return {}

    def encode(self, cells: Cells, row: Features, *, text: str) -> EncodedLabel:
        """Return the cosine that the score stands for; 1 of a positive pair."""
        if not cells:
            return [1.0]
        score = number(cells[0])
        if np.isnan(score):
            return None
        if self.options.scale is not None and not self.low <= score <= self.high:
            raise DataError(f"score {score:g} does not lie on the scale from {self.low:g} to {self.high:g}")
        return [(score - self.low) / (self.high - self.low)]

    def _labels(self, labels: Sequence[Sequence[float]], rows: Sequence[Features]) -> tuple[Tensor, int]:
        """Return ``[M]``: of a pair with a score the cosine at each text; else a number for each text."""
        if self.options.label is not None:
            return torch.tensor([cosine for (cosine,) in labels for _ in range(2)]), len(labels)
        texts = [tuple(ids) for row in rows for ids in row.input_ids]
        return torch.tensor(numbered(texts)), len(labels)

    def _groups(self, rows: Sequence[Features], units: Sequence[int]) -> Tensor:
        times = torch.tensor([row.num_sequences for row in rows])
        return torch.tensor(units, dtype=torch.int64).repeat_interleave(times)

    def loss(self, logits: Tensor, target: Target) -> Tensor:
        """Return the summed squared errors of the cosines, or cross-entropies of finding the second texts."""
        labels, groups = target.labels, target.groups
        assert labels is not None  # training targets have labels
        assert groups is not None  # of their unit
        first, second = F.normalize(logits[0::2], dim=-1), F.normalize(logits[1::2], dim=-1)  # [rows, D]
        if self.options.label is not None:
            losses = ((first * second).sum(dim=-1) - labels[0::2]).square()
        else:
            losses = self._finding(first, second, labels, groups[0::2])
        of_rows = replace(target, weights=None if target.weights is None else target.weights[0::2])
        return weighed(losses, of_rows)

    def _finding(self, first: Tensor, second: Tensor, texts: Tensor, units: Tensor) -> Tensor:
        """Return ``[rows]``, the cross-entropy of each first text's own second one among those of its unit.

        A row with an equal first or second text is no negative: its second text would be right too.
        """
        equal = _equal(texts[0::2]) | _equal(texts[1::2])
        own = torch.eye(len(first), dtype=torch.bool, device=first.device)
        compared = (_equal(units) & ~equal) | own
        scores = first @ second.T / (self.options.temperature or TEMPERATURE)
        right = torch.arange(len(first), device=first.device)
        return F.cross_entropy(scores.masked_fill(~compared, -torch.inf), right, reduction="none")

    @cached_property
    def decoder(self) -> EmbeddingDecoder:
        """The embedding of each text, and of two the cosine."""
        return EmbeddingDecoder()

    def gold(self, label: EncodedLabel, row: Features, *, text: str, form: Form) -> dict[str, float]:
        """Return the cosine that the score stands for."""
        assert isinstance(label, Sequence)  # encoded by this task
        return {"score": label[0]}

    def score(
        self, labels: Sequence[EncodedLabel], predictions: Sequence[Prediction], rows: Sequence[Features]
    ) -> dict[str, float]:
        """Compare cosines with scores, or the nearest second text of all rows with the row's own."""
        if self.options.label is not None:
            predicted, gold = [each["score"] for each in _dicts(predictions)], [label[0] for label in _lists(labels)]
        else:
            predicted, gold = _retrieved(predictions, rows)
        return {name: compute(name, predictions=predicted, references=gold) for name in self.metrics}

    def score_per_label(
        self, labels: Sequence[EncodedLabel], predictions: Sequence[Prediction], rows: Sequence[Features]
    ) -> list[LabelScore]:
        """Return nothing: pairs have no labels."""
        return []

    def majority(self, row: Features) -> Prediction:
        """Return one embedding for all texts."""
        return {"embeddings": [self._constant, self._constant], "score": 1.0}

    @cached_property
    def _constant(self) -> list[float]:
        return [1.0, *[0.0] * (self.size - 1)]


def _equal(values: Tensor) -> Tensor:
    return values[:, None] == values[None, :]


def _retrieved(predictions: Sequence[Prediction], rows: Sequence[Features]) -> tuple[list[int], list[int]]:
    """Return the number of the second text that is nearest to each first one, and of its own; equal texts share one."""
    first, second = (
        np.stack([np.asarray(each["embeddings"][place], dtype=np.float32) for each in _dicts(predictions)])
        for place in (0, 1)
    )
    numbers = numbered([tuple(row.input_ids[1]) for row in rows])
    return np.asarray(numbers)[nearest(first, second)].tolist(), numbers


def _dicts(predictions: Sequence[Prediction]) -> Iterator[dict[str, Any]]:
    return (prediction for prediction in predictions if isinstance(prediction, dict))


def _lists(labels: Sequence[EncodedLabel]) -> Iterator[Sequence[Any]]:
    return (label for label in labels if isinstance(label, Sequence))
