"""Multi-label: any number of labels for a text, each decided alone. Owns its options, loss, decoding and metrics."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, Any, ClassVar, Literal, Self, final

import numpy as np
import torch
import torch.nn.functional as F
from annotated_types import Gt, Lt
from torch import Tensor

from mtl_transformers.batch import Target
from mtl_transformers.errors import DataError
from mtl_transformers.metrics import LabelScore, compute, metric, per_label
from mtl_transformers.tasks import labels as label_sets
from mtl_transformers.tasks.labels import Label
from mtl_transformers.tasks.task import Cells, EncodedLabel, Logits, Prediction, Task
from mtl_transformers.text.decoding import decode_multi_label
from mtl_transformers.text.encoding import Features, Form


@dataclass(frozen=True, slots=True, kw_only=True)
class MultiLabelOptions:
    """Options of a multi-label task.

    Attributes:
        label: a column of lists (names or ids), a column of text that ``separator`` cuts, or, with ``multi_hot``,
            a column of 0/1 lists or several columns of 0 and 1, one for each label.
        separator: cuts a text column into names; an empty text means "none of them".
        multi_hot: the data hold one 0 or 1 for each label; null cells are masked one by one.
        label_names: the labels in order; ids in the data index this list.
        threshold: a label is predicted from this probability on.
        unknown_label: what a label means that training never had: an error, or nothing.
    """

    label: str | tuple[str, ...]
    separator: str | None = None
    multi_hot: bool = False
    label_names: tuple[str, ...] | None = None
    threshold: Annotated[float, Gt(0), Lt(1)] = 0.5
    unknown_label: Literal["error", "ignore"] = "error"


@final
@dataclass(frozen=True, kw_only=True)
class MultiLabel(Task):
    """A fitted multi-label task.

    Attributes:
        labels: the labels in order; output c of the head is label c.
        counts: training rows that have each label.
        num_rows: labelled training rows.
        named: whole numbers in the data are ids of `labels`.
        thresholds: of each label.
    """

    kind: ClassVar[str] = "multi_label"
    vectors: ClassVar[Literal["sequence", "token"]] = "sequence"
    label_type: ClassVar[Literal["int", "ints", "floats"]] = "floats"
    forms: ClassVar[tuple[Form, ...]] = ("text", "pair", "words")
    hub_task: ClassVar[str] = "text-classification"
    options_type: ClassVar[type[Any]] = MultiLabelOptions

    options: MultiLabelOptions
    labels: tuple[Label, ...]
    counts: tuple[int, ...]
    num_rows: int
    named: bool
    thresholds: tuple[float, ...]

    @classmethod
    def label_columns(cls, options: MultiLabelOptions) -> tuple[str, ...]:
        """Return the label column, or the 0/1 columns."""
        return (options.label,) if isinstance(options.label, str) else options.label

    @classmethod
    def legal_metrics(cls, options: MultiLabelOptions) -> tuple[str, ...]:
        """Return the metrics of this kind."""
        return ("f1_micro", "f1_macro", "f1_weighted", "accuracy", "precision", "recall", "roc_auc")

    @classmethod
    def fit(
        cls,
        name: str,
        options: MultiLabelOptions,
        *,
        metrics: Sequence[str],
        cells: Iterable[Cells],
        class_names: Sequence[str] | None,
    ) -> Self:
        """Order the labels of the training rows and count them."""
        label_names = options.label_names
        if not options.multi_hot and not isinstance(options.label, str):
            raise DataError("several label columns are 0/1 columns; set multi_hot: true, or name one column of lists")
        if options.multi_hot:
            columns = None if isinstance(options.label, str) else options.label
            names = label_names or class_names or columns
            if names is None:
                raise DataError("a column of 0/1 lists needs label_names: the name of each position")
            labels: tuple[Label, ...] = tuple(names)
            rows = [_multi_hot(row, len(labels)) for row in cells]
            labelled = [row for row in rows if row is not None]
            counts = [sum(row[place] == 1.0 for row in labelled) for place in range(len(labels))]
            if not labelled:
                raise DataError("every label is null; a task needs labelled training rows")
            num_rows = len(labelled)
        else:
            by_label: Counter[Label] = Counter()
            num_rows = 0
            for (cell,) in cells:
                found = _found(cell, options.separator)
                if found is not None:
                    num_rows += 1
                    by_label.update(set(found))
            labels = label_sets.ordered(
                label_sets.count(by_label.elements()), label_names=label_names, class_names=class_names
            )
            known = {label: place for place, label in enumerate(labels)}
            counts = [0] * len(labels)
            for label, rows_with in by_label.items():
                try:
                    counts[label_sets.index(label, labels, known=known, named=bool(label_names or class_names))] += (
                        rows_with
                    )
                except DataError:
                    if options.unknown_label == "error":
                        raise
        return cls(
            name=name,
            metrics=tuple(metrics) or cls.legal_metrics(options)[:1],
            options=options,
            labels=labels,
            counts=tuple(counts),
            num_rows=num_rows,
            named=bool(label_names or class_names),
            thresholds=(options.threshold,) * len(labels),
        )

    @property
    def num_outputs(self) -> int:
        """One logit for each label."""
        return len(self.labels)

    @property
    def output_names(self) -> tuple[str, ...]:
        """The labels."""
        return tuple(map(str, self.labels))

    @property
    def label_counts(self) -> Mapping[str, int]:
        """Training rows that have each label."""
        return dict(zip(map(str, self.labels), self.counts, strict=True))

    @cached_property
    def _places(self) -> dict[Label, int]:
        return {label: place for place, label in enumerate(self.labels)}

    def encode(self, cells: Cells, row: Features) -> EncodedLabel:
        """Return one 0.0 or 1.0 for each label, NaN for a null cell; ``[]`` is "none of them"."""
        if self.options.multi_hot:
            return _multi_hot(cells, len(self.labels))
        found = _found(cells[0], self.options.separator)
        if found is None:
            return None
        encoded = [0.0] * len(self.labels)
        for label in found:
            try:
                encoded[label_sets.index(label, self.labels, known=self._places, named=self.named)] = 1.0
            except DataError:
                if self.options.unknown_label == "error":
                    raise
        return encoded

    def _labels(self, labels: Sequence[Sequence[float]], rows: Sequence[Features]) -> tuple[Tensor, int]:
        values = torch.tensor(labels, dtype=torch.float32)
        return values, int((~values.isnan()).sum())

    def loss(self, logits: Tensor, target: Target) -> Tensor:
        """Return the summed binary cross-entropy over the cells that have a label."""
        labels = target.labels
        assert labels is not None  # training targets have labels
        losses = F.binary_cross_entropy_with_logits(logits, labels.nan_to_num(), reduction="none")
        return losses.masked_fill(labels.isnan(), 0.0).sum()

    def decode(
        self,
        logits: Sequence[Logits],
        rows: Sequence[Features],
        *,
        texts: Sequence[str],
        form: Form,
        top_k: int | None = None,
    ) -> list[Prediction]:
        """Return the labels whose probability reaches their threshold, and every label's probability."""
        decoded = decode_multi_label(np.concatenate(logits), self.labels, thresholds=self.thresholds)
        return [dict(prediction) for prediction in decoded]

    def gold(self, label: EncodedLabel, row: Features, *, text: str, form: Form) -> dict[str, list[Label]]:
        """Return the labels by name."""
        assert isinstance(label, Sequence)  # encoded by this task
        return {"labels": [name for name, value in zip(self.labels, label, strict=True) if value == 1.0]}

    def score(
        self, labels: Sequence[EncodedLabel], predictions: Sequence[Prediction], rows: Sequence[Features]
    ) -> dict[str, float]:
        """Compare 0/1 rows; a null cell counts as 0 on both sides."""
        predicted, gold = self._predicted(labels, predictions)
        return {
            name: compute(
                name,
                predictions=self._probabilities(predictions) if metric(name).inputs == "scores" else predicted,
                references=gold,
            )
            for name in self.metrics
        }

    def score_per_label(
        self, labels: Sequence[EncodedLabel], predictions: Sequence[Prediction], rows: Sequence[Features]
    ) -> list[LabelScore]:
        """Return precision, recall, F1 and support of each label."""
        predicted, gold = self._predicted(labels, predictions)
        return per_label(predictions=predicted, references=gold, labels=[str(label) for label in self.labels])

    def majority(self, row: Features) -> Prediction:
        """Return the labels that more than half of the training rows have."""
        shares = {label: rows / self.num_rows for label, rows in zip(self.labels, self.counts, strict=True)}
        return {
            "labels": [label for label, share in shares.items() if share > 0.5],
            "scores": {str(label): share for label, share in shares.items()},
        }

    def _predicted(self, labels: Sequence[Any], predictions: Sequence[Any]) -> tuple[list[list[int]], list[list[int]]]:
        """Return predicted and gold 0/1 rows; null cells are 0 in both."""
        gold = np.asarray(labels, dtype=np.float64)
        predicted = np.zeros(gold.shape, dtype=np.int64)
        for row, prediction in enumerate(predictions):
            predicted[row, [self._places[label] for label in prediction["labels"]]] = 1
        predicted[np.isnan(gold)] = 0
        known: list[list[int]] = np.nan_to_num(gold).astype(np.int64).tolist()
        answered: list[list[int]] = predicted.tolist()
        return answered, known

    def _probabilities(self, predictions: Sequence[Any]) -> list[list[float]]:
        return [[prediction["scores"][str(label)] for label in self.labels] for prediction in predictions]


def _found(cell: Any, separator: str | None) -> list[Label] | None:
    """Return the labels of one row; ``None`` where the cell is null."""
    if cell is None:
        return None
    if isinstance(cell, str):
        if separator is None:
            raise DataError(f'labels {cell!r} are text; expected a list, or set separator (as in separator: ",")')
        return [part for part in (piece.strip() for piece in cell.split(separator)) if part]
    if not isinstance(cell, list | tuple):
        raise DataError(f"labels {cell!r} are a {type(cell).__name__}; expected a list of names or ids")
    found = [label_sets.plain(label) for label in cell]
    if any(label is None for label in found):
        raise DataError(f"labels {cell!r} hold a null; expected names or ids, [] for none of them, null for unknown")
    return [label for label in found if label is not None]


def _multi_hot(cells: Cells, width: int) -> list[float] | None:
    """Return 0/1 cells as numbers, null as NaN; ``None`` where the whole row is null."""
    values = cells if len(cells) > 1 else cells[0]
    if values is None or all(value is None for value in values):
        return None
    if len(values) != width:
        raise DataError(f"{len(values)} values of 0 and 1 for {width} labels")
    if any(value not in (0, 1, None) and not _is_nan(value) for value in values):
        raise DataError(f"values {list(values)!r}: expected 0, 1 or null for each label")
    return [math.nan if value is None else float(value) for value in values]


def _is_nan(value: Any) -> bool:
    return isinstance(value, float) and math.isnan(value)
