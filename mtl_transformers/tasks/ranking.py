"""Ranking: the candidates of a query in order of their relevance. Owns its options, losses, decoding and metrics.

A row of the plan is a query with all its candidates (``data/grouping.py`` makes it), so that nothing ever separates
what a loss or a metric compares. Each candidate is read together with the query and gets one logit: a cross-encoder
(Nogueira and Cho 2019, arXiv:1901.04085), whose head is `AutoModelForSequenceClassification` with one label.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar, Literal, Self, final

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from mtl_transformers.batch import Target
from mtl_transformers.errors import DataError
from mtl_transformers.metrics.named import LabelScore, compute
from mtl_transformers.model.head_spec import HeadForm
from mtl_transformers.tasks.grouped import by_group, groups_of_rows, weighed_groups
from mtl_transformers.tasks.labels import ALL_NULL, number
from mtl_transformers.tasks.task import Cells, EncodedLabel, LabelType, Task
from mtl_transformers.text.decoders import Prediction, Vectors
from mtl_transformers.text.encoding import Features, Form
from mtl_transformers.text.inputs import Input
from mtl_transformers.text.kinds_of_decoder import RankingDecoder


@dataclass(frozen=True, slots=True, kw_only=True)
class RankingOptions:
    """Options of a ranking task.

    Attributes:
        label: the column of relevances: numbers from 0 on, where 0 is not relevant; null is not judged.
        group: the column whose equal values are one query; ``None``: equal texts of the query are, or the rows hold
            lists of candidates and of relevances.
        loss: ``listwise``: softmax cross-entropy over the candidates of a query against their shares of its relevance
            (ListNet's top-one probabilities, Cao et al. 2007, "Learning to Rank: From Pairwise Approach to Listwise
            Approach"; but the target is no softmax of relevances, so that zeros weigh nothing, as in Bruch et al. 2019,
            "An Analysis of the Softmax Cross Entropy Loss for Learning-to-Rank with Binary Relevance").
            ``pointwise``: the mean binary cross-entropy of the candidates against relevance ÷ the largest one of
            training.
    """

    label: str
    group: str | None = None
    loss: Literal["listwise", "pointwise"] = "listwise"


@final
@dataclass(frozen=True, kw_only=True)
class Ranking(Task):
    """A fitted ranking task.

    Attributes:
        counts: judged candidates of the training queries, and how many of them are relevant.
        largest: relevance in training.
    """

    kind: ClassVar[str] = "ranking"
    vectors: ClassVar[Vectors] = "sequences"
    head: ClassVar[HeadForm] = "sequence"
    label_type: ClassVar[LabelType] = "floats"
    forms: ClassVar[tuple[Form, ...]] = ("options",)
    hub_task: ClassVar[str] = "text-ranking"
    options_type: ClassVar[type[Any]] = RankingOptions
    groups_rows: ClassVar[bool] = True

    options: RankingOptions
    counts: tuple[int, int]
    largest: float

    @classmethod
    def label_columns(cls, options: RankingOptions) -> tuple[str, ...]:
        """Return the column of relevances."""
        return (options.label,)

    @classmethod
    def legal_metrics(cls, options: RankingOptions) -> tuple[str, ...]:
        """Return the metrics of this kind."""
        return ("mrr", "map", "ndcg", "ndcg_1", "ndcg_3", "ndcg_5", "ndcg_10")

    @classmethod
    def fit(
        cls,
        name: str,
        options: RankingOptions,
        *,
        metrics: Sequence[str],
        cells: Iterable[Cells],
        class_names: Sequence[str] | None,
    ) -> Self:
        """Find the largest relevance of the training rows."""
        judged = relevant = 0
        largest = 0.0
        for (cell,) in cells:
            known = [value for value in _relevances(cell) if not math.isnan(value)]
            judged += len(known)
            relevant += sum(value > 0 for value in known)
            largest = max([largest, *known])
        if not judged:
            raise DataError(ALL_NULL)
        if not relevant:
            raise DataError("every relevance is 0; a ranking needs candidates that are relevant")
        return cls(
            name=name,
            metrics=tuple(metrics) or cls.legal_metrics(options)[:1],
            options=options,
            counts=(judged, relevant),
            largest=largest,
        )

    @classmethod
    def meaning(cls, options: RankingOptions) -> dict[str, object]:
        """Return the loss: it says whether a score is a logit or a probability."""
        return {"loss": options.loss}

    @classmethod
    def input_of(
        cls, options: RankingOptions, *, text: tuple[str, ...], form: Form, max_length: int, stride: int | None = None
    ) -> Input:
        """Return the query as the context, and each candidate behind it."""
        return Input(columns=text, form="options", max_length=max_length, num_context=1)

    @property
    def num_outputs(self) -> int:
        """One logit for each candidate."""
        return 1

    @property
    def output_names(self) -> tuple[str, ...]:
        """Nothing: each query has candidates of its own."""
        return ()

    @property
    def in_words(self) -> str:
        """An order, and scores."""
        return "the order of the candidates of a query, and a score of each"

    @property
    def label_counts(self) -> Mapping[str, int]:
        """Nothing: relevances are numbers."""
        return {}

    def encode(self, cells: Cells, row: Features, *, text: str) -> EncodedLabel:
        """Return the relevances, NaN where one is null; ``None`` where all are."""
        values = _relevances(cells[0])
        return None if all(map(math.isnan, values)) else values

    def _groups(self, rows: Sequence[Features], units: Sequence[int]) -> Tensor:
        return groups_of_rows([row.num_sequences for row in rows])

    def _labels(self, labels: Sequence[Sequence[float]], rows: Sequence[Features]) -> tuple[Tensor, int]:
        """Return the relevances, and the number of queries that have a loss."""
        counted = [any(value > 0 for value in of_query) for of_query in labels]
        values = torch.tensor([value for of_query in labels for value in of_query], dtype=torch.float32)
        return values, sum(counted) if self.options.loss == "listwise" else len(labels)

    def loss(self, logits: Tensor, target: Target) -> Tensor:
        """Return the summed loss of the queries over their judged candidates.

        A query of which no candidate is relevant adds nothing to the listwise loss, and is no item of it.
        """
        assert target.labels is not None  # training targets have labels
        relevances = by_group(target.labels, target, fill=torch.nan)  # [G, K]
        judged = ~relevances.isnan()
        relevances = relevances.nan_to_num()
        scores = by_group(logits[:, 0], target, fill=0.0)
        if self.options.loss == "listwise":
            shares = relevances / relevances.sum(dim=1, keepdim=True).clamp(min=torch.finfo(torch.float32).tiny)
            logs = scores.masked_fill(~judged, -torch.inf).log_softmax(dim=1).masked_fill(~judged, 0.0)
            return weighed_groups(-(shares * logs).sum(dim=1), target)
        goals = (relevances / self.largest).clamp(max=1.0)
        losses = functional.binary_cross_entropy_with_logits(scores, goals, reduction="none") * judged
        return weighed_groups(losses.sum(dim=1) / judged.sum(dim=1), target)

    @cached_property
    def decoder(self) -> RankingDecoder:
        """The scores of each query's candidates and their order."""
        return RankingDecoder(as_probability=self.options.loss == "pointwise")

    def gold(self, label: EncodedLabel, row: Features, *, text: str, form: Form) -> dict[str, Any]:
        """Return the relevances, null where one is missing."""
        assert isinstance(label, Sequence)  # encoded by this task
        return {"relevances": [None if math.isnan(value) else value for value in label]}

    def score(
        self, labels: Sequence[EncodedLabel], predictions: Sequence[Prediction], rows: Sequence[Features]
    ) -> dict[str, float]:
        """Return the metrics over the judged candidates of each query, as if the others were not there."""
        scores, gold = [], []
        for label, prediction in zip(labels, predictions, strict=True):
            assert isinstance(prediction, dict)  # decoded by this task
            relevances = np.asarray(label, dtype=np.float64)
            judged = ~np.isnan(relevances)
            scores.append(np.asarray(prediction["scores"])[judged].tolist())
            gold.append(relevances[judged].tolist())
        return {name: compute(name, predictions=scores, references=gold) for name in self.metrics}

    def score_per_label(
        self, labels: Sequence[EncodedLabel], predictions: Sequence[Prediction], rows: Sequence[Features]
    ) -> list[LabelScore]:
        """Return nothing: relevances are no labels."""
        return []

    def majority(self, row: Features) -> Prediction:
        """Return equal scores: the metrics are then those of a random order."""
        return {"scores": [0.0] * row.num_sequences, "order": list(range(row.num_sequences))}


def _relevances(cell: Any) -> list[float]:
    """Return the relevances of a query's candidates, null as NaN.

    Raises:
        DataError: one of them is no number, or negative.
    """
    values = [number(value) for value in cell or ()]
    for value in values:
        if value < 0:
            raise DataError(f"relevance {value:g} is negative; expected 0 (not relevant) or more, or null (not judged)")
    return values
