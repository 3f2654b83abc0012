"""Regression: one or several numbers for a text or a pair. Owns its options, loss, decoding and metrics.

Targets are standardised with the mean and standard deviation of the training rows, so that the loss of a task does
not depend on the unit of its numbers; predictions are given back in that unit.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, Any, ClassVar, Self, final

import numpy as np
import torch
from annotated_types import MinLen
from numpy.typing import NDArray
from torch import Tensor

from mtl_transformers.batch import Target
from mtl_transformers.errors import DataError
from mtl_transformers.metrics.named import LabelScore, compute
from mtl_transformers.model.head_spec import HeadForm
from mtl_transformers.tasks.labels import ALL_NULL, distinct, number
from mtl_transformers.tasks.task import Cells, EncodedLabel, LabelType, Task, weighed
from mtl_transformers.text.decoders import Prediction, Vectors
from mtl_transformers.text.encoding import Features, Form
from mtl_transformers.text.kinds_of_decoder import ValuesDecoder


@dataclass(frozen=True, slots=True, kw_only=True)
class RegressionOptions:
    """Options of a regression task.

    Attributes:
        label: a column of numbers, or several columns: one target each.
    """

    label: str | Annotated[tuple[str, ...], MinLen(1)]


@final
@dataclass(frozen=True, kw_only=True)
class Regression(Task):
    """A fitted regression task.

    Attributes:
        targets: names of the targets, ``C``.
        counts: labelled training rows of each target.
        mean: of each target over the training rows.
        scale: standard deviation of each target over the training rows; 1 where it is constant.
    """

    kind: ClassVar[str] = "regression"
    vectors: ClassVar[Vectors] = "sequence"
    head: ClassVar[HeadForm] = "sequence"
    label_type: ClassVar[LabelType] = "floats"
    forms: ClassVar[tuple[Form, ...]] = ("text", "pair", "words")
    hub_task: ClassVar[str] = "text-classification"  # the hub has no name for regression on text
    options_type: ClassVar[type[Any]] = RegressionOptions

    options: RegressionOptions
    targets: tuple[str, ...]
    counts: tuple[int, ...]
    mean: tuple[float, ...]
    scale: tuple[float, ...]

    @classmethod
    def label_columns(cls, options: RegressionOptions) -> tuple[str, ...]:
        """Return one column for each target."""
        return (options.label,) if isinstance(options.label, str) else options.label

    @classmethod
    def legal_metrics(cls, options: RegressionOptions) -> tuple[str, ...]:
        """Return the metrics of this kind."""
        return ("pearson", "spearman", "mse", "mae")

    @classmethod
    def fit(
        cls,
        name: str,
        options: RegressionOptions,
        *,
        metrics: Sequence[str],
        cells: Iterable[Cells],
        class_names: Sequence[str] | None,
    ) -> Self:
        """Take mean and standard deviation of each target over the training rows."""
        targets = distinct(cls.label_columns(options))
        values = np.fromiter((number(cell) for row in cells for cell in row), dtype=np.float64)
        columns = [column[~np.isnan(column)] for column in values.reshape(-1, len(targets)).T]
        for target, column in zip(targets, columns, strict=True):
            if not len(column):
                raise DataError(f"{target!r}: {ALL_NULL}")
        return cls(
            name=name,
            metrics=tuple(metrics) or cls.legal_metrics(options)[:1],
            options=options,
            targets=targets,
            counts=tuple(len(column) for column in columns),
            mean=tuple(float(column.mean()) for column in columns),
            scale=tuple(float(column.std()) if np.ptp(column) > 0 else 1.0 for column in columns),
        )

    @classmethod
    def meaning(cls, options: RegressionOptions) -> dict[str, object]:
        """Return the targets in order."""
        return {"label": None if isinstance(options.label, str) else options.label}

    @property
    def num_outputs(self) -> int:
        """One value for each target."""
        return len(self.targets)

    @property
    def output_names(self) -> tuple[str, ...]:
        """The targets."""
        return self.targets

    @property
    def in_words(self) -> str:
        """A number, or several."""
        return "a number" if len(self.targets) == 1 else f"{len(self.targets)} numbers"

    @property
    def label_counts(self) -> Mapping[str, int]:
        """Nothing: numbers have no label set."""
        return {}

    def encode(self, cells: Cells, row: Features, *, text: str) -> EncodedLabel:
        """Return the targets in their own unit, NaN where one is null; ``None`` where all are."""
        values = [number(cell) for cell in cells]
        return None if all(map(math.isnan, values)) else values

    def numbers_in(self, labels: Sequence[EncodedLabel]) -> Mapping[str, NDArray[np.float64]]:
        """Return each target's numbers in their own unit."""
        values = np.asarray(labels, dtype=np.float64).reshape(-1, len(self.targets))
        return dict(zip(self.targets, values.T, strict=True))

    def _labels(self, labels: Sequence[Sequence[float]], rows: Sequence[Features]) -> tuple[Tensor, int]:
        """Return the standardised targets."""
        values = torch.from_numpy(((np.asarray(labels) - self.mean) / self.scale).astype(np.float32))
        return values, int((~values.isnan()).sum())

    def loss(self, logits: Tensor, target: Target) -> Tensor:
        """Return the summed squared error over the targets that have a value, in standard deviations."""
        labels = target.labels
        assert labels is not None  # training targets have labels
        errors = (logits - labels.nan_to_num()).masked_fill(labels.isnan(), 0.0)
        return weighed(errors.square(), target)

    @cached_property
    def decoder(self) -> ValuesDecoder:
        """The targets in the unit of the data."""
        return ValuesDecoder(targets=self.targets, mean=self.mean, scale=self.scale)

    def gold(self, label: EncodedLabel, row: Features, *, text: str, form: Form) -> dict[str, Any]:
        """Return the values in the unit of the data, null where one is missing."""
        assert isinstance(label, Sequence)  # encoded by this task
        values = [None if math.isnan(value) else value for value in label]
        return {"value": values[0]} if len(values) == 1 else {"values": dict(zip(self.targets, values, strict=True))}

    def score(
        self, labels: Sequence[EncodedLabel], predictions: Sequence[Prediction], rows: Sequence[Features]
    ) -> dict[str, float]:
        """Score each target over the rows that have it; the mean over targets comes first, under the metric's name."""
        gold = np.asarray(labels, dtype=np.float64)
        predicted = np.asarray([self._values(prediction) for prediction in predictions])
        result: dict[str, float] = {}
        for name in self.metrics:
            by_target = {}
            for place, target in enumerate(self.targets):
                known = ~np.isnan(gold[:, place])
                if known.any():
                    by_target[target] = compute(
                        name,
                        predictions=predicted[known, place].tolist(),
                        references=gold[known, place].tolist(),
                    )
            result[name] = sum(by_target.values()) / len(by_target)
            if len(self.targets) > 1:
                result |= {f"{name}_{target}": value for target, value in by_target.items()}
        return result

    def score_per_label(
        self, labels: Sequence[EncodedLabel], predictions: Sequence[Prediction], rows: Sequence[Features]
    ) -> list[LabelScore]:
        """Return nothing: numbers have no labels."""
        return []

    def majority(self, row: Features) -> Prediction:
        """Return the training means."""
        if len(self.targets) == 1:
            return {"value": self.mean[0]}
        return {"values": dict(zip(self.targets, self.mean, strict=True))}

    def _values(self, prediction: Any) -> list[float]:
        return [prediction["value"]] if len(self.targets) == 1 else [prediction["values"][t] for t in self.targets]
