"""Multi-label: any number of labels for a text, each decided alone. Owns its options, loss, decoding and metrics."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Annotated, Any, ClassVar, Literal, Self, final

import numpy as np
import torch
import torch.nn.functional as F
from annotated_types import Gt, Lt, MinLen
from numpy.typing import NDArray
from torch import Tensor

from mtl_transformers.batch import Target
from mtl_transformers.errors import DataError
from mtl_transformers.metrics.named import LabelScore, compute, metric, per_label
from mtl_transformers.model.head_spec import HeadForm
from mtl_transformers.tasks import labels as label_sets
from mtl_transformers.tasks.labels import Label
from mtl_transformers.tasks.task import Cells, EncodedLabel, LabelType, Task, weighed
from mtl_transformers.text.decoders import Prediction, Vectors
from mtl_transformers.text.encoding import Features, Form
from mtl_transformers.text.kinds_of_decoder import LabelsDecoder


@dataclass(frozen=True, slots=True, kw_only=True)
class MultiLabelOptions:
    """Options of a multi-label task.

    Attributes:
        label: a column of lists (names or ids), a column of text that ``separator`` cuts, or, with ``multi_hot``,
            a column of 0/1 lists or a list of columns of 0 and 1, one for each label.
        separator: cuts a text column into names; an empty text means "none of them".
        multi_hot: the data hold one 0 or 1 for each label; null cells are masked one by one.
        label_names: the labels in order; whole numbers in the data are ids that index this list.
        threshold: a label is predicted from this probability on.
        unknown_label: what a label means that training never had: an error, or nothing.
    """

    label: str | Annotated[tuple[str, ...], MinLen(1)]
    separator: Annotated[str, MinLen(1)] | None = None
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
    vectors: ClassVar[Vectors] = "sequence"
    head: ClassVar[HeadForm] = "sequence"
    label_type: ClassVar[LabelType] = "floats"
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
        counted = _count_multi_hot(options, cells) if options.multi_hot else _count_lists(options, cells, class_names)
        labels, counts, num_rows = counted
        return cls(
            name=name,
            metrics=tuple(metrics) or cls.legal_metrics(options)[:1],
            options=options,
            labels=labels,
            counts=counts,
            num_rows=num_rows,
            named=bool(options.label_names or class_names),
            thresholds=(options.threshold,) * len(labels),
        )

    @classmethod
    def meaning(cls, options: MultiLabelOptions) -> dict[str, object]:
        """Return the names of the labels, and the 0/1 columns in order."""
        return {
            "label_names": options.label_names,
            "multi_hot": options.multi_hot,
            "label": None if isinstance(options.label, str) else options.label,
        }

    def continued(self, fresh: Self) -> Self:
        """Take the new rows' counts too, and the new threshold where it is another one."""
        self.check_meaning(fresh.options)
        counts = tuple(fresh.label_counts.get(str(label), 0) for label in self.labels)
        kept = fresh.options.threshold == self.options.threshold
        thresholds = self.thresholds if kept else (fresh.options.threshold,) * len(self.labels)
        return replace(
            self,
            options=fresh.options,
            metrics=fresh.metrics,
            counts=counts,
            num_rows=fresh.num_rows,
            thresholds=thresholds,
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
    def in_words(self) -> str:
        """Any number of labels."""
        return f"any number of {len(self.labels)} labels"

    @property
    def decisions(self) -> tuple[str, ...]:
        """The threshold of each label, or of all where they are equal."""
        if len(set(self.thresholds)) == 1:
            return (f"a label is answered from a probability of {self.thresholds[0]:.4g} on",)
        pairs = zip(self.output_names, self.thresholds, strict=True)
        listed = ", ".join(f"{label} {threshold:.4g}" for label, threshold in pairs)
        return (f"a label is answered from its own probability on: {listed}",)

    @property
    def label_counts(self) -> Mapping[str, int]:
        """Training rows that have each label."""
        return dict(zip(map(str, self.labels), self.counts, strict=True))

    @cached_property
    def _known(self) -> dict[str, int]:
        return label_sets.places(self.labels, named=self.named)

    def encode(self, cells: Cells, row: Features, *, text: str) -> EncodedLabel:
        """Return one 0.0 or 1.0 for each label, NaN for a null cell; ``[]`` is "none of them"."""
        if self.options.multi_hot:
            return _multi_hot(cells, self.options, len(self.labels))
        found = _found(cells[0], self.options.separator)
        if found is None:
            return None
        encoded = [0.0] * len(self.labels)
        for label in found:
            place = self._known.get(str(label))
            if place is not None:
                encoded[place] = 1.0
            elif self.options.unknown_label == "error":
                raise label_sets.unknown(label, self.labels, self._known)
        return encoded

    def labels_in(self, cells: Cells) -> Sequence[str]:
        """Return the row's labels, each once."""
        if self.options.multi_hot:
            values = _multi_hot(cells, self.options, len(self.labels)) or ()
            return [str(label) for label, value in zip(self.labels, values, strict=False) if value == 1.0]
        places = {str(label): self._known.get(str(label)) for label in _found(cells[0], self.options.separator) or ()}
        return [label if place is None else str(self.labels[place]) for label, place in places.items()]

    def _labels(self, labels: Sequence[Sequence[float]], rows: Sequence[Features]) -> tuple[Tensor, int]:
        values = torch.tensor(labels, dtype=torch.float32)
        return values, int((~values.isnan()).sum())

    def loss(self, logits: Tensor, target: Target) -> Tensor:
        """Return the summed binary cross-entropy over the cells that have a label."""
        labels = target.labels
        assert labels is not None  # training targets have labels
        losses = F.binary_cross_entropy_with_logits(logits, labels.nan_to_num(), reduction="none")
        return weighed(losses.masked_fill(labels.isnan(), 0.0), target)

    @cached_property
    def decoder(self) -> LabelsDecoder:
        """The labels whose probability reaches their threshold."""
        return LabelsDecoder(labels=self.labels, thresholds=self.thresholds)

    def gold(self, label: EncodedLabel, row: Features, *, text: str, form: Form) -> dict[str, list[Label]]:
        """Return the labels by name."""
        assert isinstance(label, Sequence)  # encoded by this task
        return {"labels": [name for name, value in zip(self.labels, label, strict=True) if value == 1.0]}

    def score(
        self, labels: Sequence[EncodedLabel], predictions: Sequence[Prediction], rows: Sequence[Features]
    ) -> dict[str, float]:
        """Compare 0/1 rows, a null cell as 0 on both sides; ``roc_auc`` ranks each label's known cells."""
        predicted, gold = self._predicted(labels, predictions)
        return {
            name: self._ranking(name, labels, predictions)
            if metric(name).inputs == "scores"
            else compute(name, predictions=predicted, references=gold)
            for name in self.metrics
        }

    def _ranking(self, name: str, labels: Sequence[Any], predictions: Sequence[Any]) -> float:
        """Score each label's ranking of the rows that it is known of; without both 0 and 1 there is none."""
        gold = np.asarray(labels, dtype=np.float64)
        values = []
        for place, label in enumerate(self.labels):
            known = np.flatnonzero(~np.isnan(gold[:, place]))
            right = gold[known, place].astype(np.int64)
            if 0 < right.sum() < len(right):
                scores = [predictions[row]["scores"][str(label)] for row in known.tolist()]
                values.append(compute(name, predictions=scores, references=right))
        return sum(values) / len(values) if values else 0.5

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

    def _predicted(
        self, labels: Sequence[Any], predictions: Sequence[Any]
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return predicted and gold 0/1 rows, ``[N, C]`` each; null cells are 0 in both."""
        gold = np.asarray(labels, dtype=np.float64)
        predicted = np.zeros(gold.shape, dtype=np.int64)
        for row, prediction in enumerate(predictions):
            places = [self._known[str(label)] for label in prediction["labels"]]
            np.put(predicted[row], places, 1)
        predicted[np.isnan(gold)] = 0
        return predicted, np.nan_to_num(gold).astype(np.int64)


def _count_multi_hot(
    options: MultiLabelOptions, cells: Iterable[Cells]
) -> tuple[tuple[Label, ...], tuple[int, ...], int]:
    """Return the labels, the rows that have each, and the labelled rows."""
    names = options.label_names or (None if isinstance(options.label, str) else options.label)
    if names is None:
        raise DataError("a column of 0/1 lists needs label_names: the name of each position")
    labels = label_sets.distinct(names)
    counts, num_rows = [0] * len(labels), 0
    for row in cells:
        values = _multi_hot(row, options, len(labels))
        num_rows += values is not None
        for place, value in enumerate(values or ()):
            counts[place] += value == 1.0
    if not num_rows:
        raise DataError(label_sets.ALL_NULL)
    return labels, tuple(counts), num_rows


def _count_lists(
    options: MultiLabelOptions, cells: Iterable[Cells], class_names: Sequence[str] | None
) -> tuple[tuple[Label, ...], tuple[int, ...], int]:
    """Return the labels, the rows that have each, and the labelled rows."""
    if not isinstance(options.label, str):
        raise DataError("several label columns are 0/1 columns; set multi_hot: true, or name one column of lists")
    by_label: Counter[Label] = Counter()
    num_rows = 0
    for (cell,) in cells:
        found = _found(cell, options.separator)
        num_rows += found is not None
        by_label.update(set(found or ()))
    if not num_rows:
        raise DataError(label_sets.ALL_NULL)
    if not by_label:
        raise DataError("no training row has a label: each is empty or null; a task needs rows with labels")
    labels = label_sets.ordered(by_label, label_names=options.label_names, class_names=class_names)
    known = label_sets.places(labels, named=bool(options.label_names or class_names))
    return labels, label_sets.counts_in_order(by_label, known, len(labels)), num_rows


def _found(cell: Any, separator: str | None) -> list[Label] | None:
    """Return the labels of one row; ``None`` where the cell is null."""
    if cell is None:
        return None
    if separator is not None and isinstance(cell, int | float):  # a CSV column in which no cell has several ids
        number = label_sets.plain(cell)
        return None if number is None else [number]
    if isinstance(cell, str):
        if separator is None:
            raise DataError(f'labels {cell!r} are text; expected a list, or set separator (as in separator: ",")')
        return [part for part in (piece.strip() for piece in cell.split(separator)) if part]
    if not isinstance(cell, list | tuple):
        raise DataError(f"labels {cell!r} are a {type(cell).__name__}; expected a list of names or ids")
    if separator is not None:
        raise DataError(
            f"labels {cell!r} are a list already, which separator {separator!r} cannot cut; remove separator"
        )
    found = [label_sets.plain(label) for label in cell]
    if any(label is None for label in found):
        raise DataError(f"labels {cell!r} hold a null; expected names or ids, [] for none of them, null for unknown")
    return [label for label in found if label is not None]


def _multi_hot(cells: Cells, options: MultiLabelOptions, num_labels: int) -> list[float] | None:
    """Return 0/1 cells as numbers, null as NaN; ``None`` where the whole row is null."""
    values = cells[0] if isinstance(options.label, str) else cells
    if values is None:
        return None
    if not isinstance(values, list | tuple):
        raise DataError(f"label {values!r} is a {type(values).__name__}; expected a list of 0 and 1")
    if len(values) != num_labels:
        raise DataError(f"{len(values)} values of 0 and 1 for {num_labels} labels; expected one for each")
    found = [math.nan if value is None else value for value in values]
    if any(value not in (0, 1) and not _is_nan(value) for value in found):
        raise DataError(f"values {list(values)!r}: expected 0, 1 or null for each label")
    return None if all(map(_is_nan, found)) else [float(value) for value in found]


def _is_nan(value: Any) -> bool:
    return isinstance(value, float) and math.isnan(value)
