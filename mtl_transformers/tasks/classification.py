"""Classification: one label of several for a text or a pair. Owns its options, loss, decoding and metrics."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Annotated, Any, ClassVar, Literal, Self, final

import numpy as np
import torch
import torch.nn.functional as F
from annotated_types import Ge, Lt
from numpy.typing import NDArray
from torch import Tensor

from mtl_transformers.batch import Target
from mtl_transformers.errors import DataError, nearest
from mtl_transformers.metrics.named import NO_ANSWER, LabelScore, compute, metric, per_label
from mtl_transformers.model.head_spec import HeadForm
from mtl_transformers.tasks import labels as label_sets
from mtl_transformers.tasks.labels import Label
from mtl_transformers.tasks.ordinal import ordinal_losses
from mtl_transformers.tasks.soft_labels import probabilities_of, soft_counts
from mtl_transformers.tasks.task import Cells, EncodedLabel, LabelType, Task, weighed
from mtl_transformers.text.decoders import Prediction, Vectors
from mtl_transformers.text.encoding import Features, Form
from mtl_transformers.text.kinds_of_decoder import LabelDecoder

_ON_SCALE = ("kappa_quadratic", "mae")  # metrics that count how far off a label is


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassificationOptions:
    """Options of a classification task.

    Attributes:
        label: the label column: names, numbers, or ids of a ClassLabel (whose −1 is null).
        label_names: the labels in order; whole numbers in the data are ids that index this list.
        class_weights: null, ``balanced`` (rows of a label weigh n ÷ (C · n_label)), or a weight per label; scaled so
            that the mean weight of a training row is 1.
        label_smoothing: share of the target spread evenly over all labels (arXiv:1512.00567 §7).
        soft: the label column holds probabilities: a list in the order of ``label_names``, or an object by name.
        ordinal: the labels are steps of a scale, in their order: a cumulative link model (McCullagh 1980, section 2).
        unknown_label: what a label means that training never had: an error, or a null label.
    """

    label: str
    label_names: tuple[str, ...] | None = None
    class_weights: Literal["balanced"] | dict[str, Annotated[float, Ge(0)]] | None = None
    label_smoothing: Annotated[float, Ge(0), Lt(1)] = 0.0
    soft: bool = False
    ordinal: bool = False
    unknown_label: Literal["error", "ignore"] = "error"


@final
@dataclass(frozen=True, kw_only=True)
class Classification(Task):
    """A fitted classification task.

    Attributes:
        labels: the labels in order; output c of the head is label c.
        counts: training rows of each label.
        named: whole numbers in the data are ids of `labels`.
        temperature: what logits are divided by before they become probabilities.
        min_score: probability below which a row gets no label; ``None``: each gets one.
    """

    kind: ClassVar[str] = "classification"
    vectors: ClassVar[Vectors] = "sequence"
    head: ClassVar[HeadForm] = "sequence"
    label_type: ClassVar[LabelType] = "int"
    forms: ClassVar[tuple[Form, ...]] = ("text", "pair", "words")
    hub_task: ClassVar[str] = "text-classification"
    options_type: ClassVar[type[Any]] = ClassificationOptions
    added: ClassVar[tuple[str, ...]] = ("temperature", "min_score")

    options: ClassificationOptions
    labels: tuple[Label, ...]
    counts: tuple[int, ...]
    named: bool
    temperature: float = 1.0
    min_score: float | None = None

    @classmethod
    def label_columns(cls, options: ClassificationOptions) -> tuple[str, ...]:
        """Return the one label column."""
        return (options.label,)

    @classmethod
    def legal_metrics(cls, options: ClassificationOptions) -> tuple[str, ...]:
        """Return the metrics of this kind; on a scale, how far off a label is counts too."""
        own = ("accuracy", "f1_macro", "f1_micro", "f1_weighted", "precision", "recall", "matthews", "roc_auc")
        return (*_ON_SCALE, *own) if options.ordinal else own

    @classmethod
    def option_problems(cls, options: ClassificationOptions) -> Mapping[str, str]:
        """Refuse probabilities or smoothing on a scale."""
        if not options.ordinal:
            return {}
        given = {"soft": options.soft, "label_smoothing": options.label_smoothing}
        return {name: "excludes ordinal; remove one of the two" for name, value in given.items() if value}

    @classmethod
    def fit(
        cls,
        name: str,
        options: ClassificationOptions,
        *,
        metrics: Sequence[str],
        cells: Iterable[Cells],
        class_names: Sequence[str] | None,
    ) -> Self:
        """Order the labels of the training rows and count them."""
        counts = soft_counts(cells, options.label_names) if options.soft else _counts(cells)
        if not counts:
            raise DataError(label_sets.ALL_NULL)
        labels = label_sets.ordered(counts, label_names=options.label_names, class_names=class_names)
        if len(labels) < 2:
            raise DataError(f"the only label is {labels[0]!r}; a classification task needs at least two labels")
        named = bool(options.label_names or class_names)
        known = label_sets.places(labels, named=named)
        task = cls(
            name=name,
            metrics=tuple(metrics) or cls.legal_metrics(options)[:1],
            options=options,
            labels=labels,
            counts=label_sets.counts_in_order(counts, known, len(labels)),
            named=named,
        )
        task.row_weights  # noqa: B018  class weights of unknown labels are refused now
        return task

    @classmethod
    def meaning(cls, options: ClassificationOptions) -> dict[str, object]:
        """Return the names of the labels, and whether they are steps of a scale."""
        return {"label_names": options.label_names, "ordinal": options.ordinal}

    def continued(self, fresh: Self) -> Self:
        """Take the new rows' counts too, for the class weights."""
        counts = tuple(fresh.label_counts.get(str(label), 0) for label in self.labels)
        self.check_meaning(fresh.options)
        return replace(self, options=fresh.options, metrics=fresh.metrics, counts=counts)

    @property
    def num_outputs(self) -> int:
        """One logit for each label, or for each cut between two steps of a scale."""
        return len(self.labels) - self.options.ordinal

    @property
    def num_fitted(self) -> int:
        """One label for each output, or one more than cuts."""
        return len(self.labels)

    @property
    def stored_type(self) -> LabelType:
        """A label's place, or a probability for each label."""
        return "floats" if self.options.soft else "int"

    @property
    def head_form(self) -> HeadForm:
        """The family's classification head; on a scale, with cut points."""
        return "ordinal" if self.options.ordinal else "sequence"

    @property
    def output_names(self) -> tuple[str, ...]:
        """The labels."""
        return tuple(map(str, self.labels))

    @property
    def in_words(self) -> str:
        """One label, or a step of a scale."""
        kind = "steps of a scale" if self.options.ordinal else "labels"
        return f"one of {len(self.labels)} {kind}"

    @property
    def decisions(self) -> tuple[str, ...]:
        """The temperature, and below which probability there is no label."""
        scaled = f"logits are divided by {self.temperature:.4g} before they become probabilities"
        given = (scaled,) if self.temperature != 1.0 else ()
        return given if self.min_score is None else (*given, f"below a probability of {self.min_score:.4g}, no label")

    @property
    def label_counts(self) -> Mapping[str, int]:
        """Training rows of each label."""
        return dict(zip(map(str, self.labels), self.counts, strict=True))

    @cached_property
    def _known(self) -> dict[str, int]:
        return label_sets.places(self.labels, named=self.named)

    @cached_property
    def row_weights(self) -> tuple[float, ...] | None:
        """Weight of a row by label, scaled so that the mean over the training rows is 1.

        Raises:
            DataError: class weights name a label that the task does not have, or give every training row nothing.
        """
        given = self.options.class_weights
        if given is None:
            return None
        if given == "balanced":
            weights = [1.0 / rows if rows else 0.0 for rows in self.counts]
        else:
            names = [str(label) for label in self.labels]
            for label in given:
                if label not in names:
                    raise DataError(
                        f"class_weights names {label!r}, which is not among the labels "
                        f"{label_sets.listed(names)}{nearest(label, names)}"
                    )
            weights = [given.get(name, 1.0) for name in names]
        total = sum(weight * rows for weight, rows in zip(weights, self.counts, strict=True))
        if total == 0:
            raise DataError("class_weights are 0 for every training row; give the labels that occur a weight")
        return tuple(weight * sum(self.counts) / total for weight in weights)

    def encode(self, cells: Cells, row: Features, *, text: str) -> EncodedLabel:
        """Return the label's place in the order, or a probability for each label."""
        if self.options.soft:
            return self._probabilities_in(cells[0])
        label = label_sets.plain(cells[0])
        if label is None:
            return None
        place = self._known.get(str(label))
        if place is None and self.options.unknown_label == "error":
            raise label_sets.unknown(label, self.labels, self._known)
        return place

    def labels_in(self, cells: Cells) -> Sequence[str]:
        """Return the row's label; of probabilities the most probable one."""
        if self.options.soft:
            found = probabilities_of(cells[0], self.options.label_names)
            return () if found is None else (max(found, key=lambda name: found[name]),)
        label = label_sets.plain(cells[0])
        if label is None:
            return ()
        place = self._known.get(str(label))
        return (str(label if place is None else self.labels[place]),)

    def _probabilities_in(self, cell: Any) -> list[float] | None:
        """Return a cell's probabilities in the order of the labels."""
        found = probabilities_of(cell, self.options.label_names)
        if found is None:
            return None
        encoded = [0.0] * len(self.labels)
        for name, probability in found.items():
            place = self._known.get(name)
            if place is not None:
                encoded[place] = probability
            elif probability and self.options.unknown_label == "error":
                raise label_sets.unknown(name, self.labels, self._known)
        total = sum(encoded)
        return [probability / total for probability in encoded] if total else None

    def _labels(self, labels: Sequence[Any], rows: Sequence[Features]) -> tuple[Tensor, int]:
        return torch.tensor(labels, dtype=torch.float32 if self.options.soft else torch.int64), len(labels)

    def loss(self, logits: Tensor, target: Target) -> Tensor:
        """Return the summed cross-entropy; a row weighs its label's (expected) weight, whatever the smoothing."""
        labels = target.labels
        assert labels is not None  # training targets have labels
        if self.options.ordinal:
            losses = ordinal_losses(logits, labels)
        else:
            losses = F.cross_entropy(logits, labels, reduction="none", label_smoothing=self.options.label_smoothing)
        if self.row_weights is not None:
            weights = losses.new_tensor(self.row_weights)
            losses = losses * (labels @ weights if self.options.soft else weights[labels])
        return weighed(losses, target)

    @cached_property
    def decoder(self) -> LabelDecoder:
        """The most probable label of each row."""
        return LabelDecoder(
            labels=self.labels,
            ordinal=self.options.ordinal,
            temperature=self.temperature,
            min_score=self.min_score,
        )

    def gold(self, label: EncodedLabel, row: Features, *, text: str, form: Form) -> dict[str, Any]:
        """Return the label by name; of probabilities the most probable one, and all."""
        if not self.options.soft:
            assert isinstance(label, int)  # encoded by this task
            return {"label": self.labels[label]}
        (place,) = self._places([label])
        assert isinstance(label, Sequence)  # likewise
        return {"label": self.labels[place], "scores": dict(zip(self.output_names, label, strict=True))}

    def score(
        self, labels: Sequence[EncodedLabel], predictions: Sequence[Prediction], rows: Sequence[Features]
    ) -> dict[str, float]:
        """Compare label ids; ``roc_auc`` compares the probabilities of all labels, so it needs all as ``top_k``.

        Probabilities count as their most probable label. No label is a wrong answer: on a scale the farthest step.
        """
        predicted, places = self._predicted(predictions), self._places(labels)
        return {
            name: compute(name, predictions=self._compared(name, predicted, places, predictions), references=places)
            for name in self.metrics
        }

    def _compared(
        self, name: str, predicted: Sequence[int], places: NDArray[np.int64], predictions: Sequence[Prediction]
    ) -> Sequence[Any]:
        """Return what a metric compares."""
        if metric(name).inputs == "scores":
            return self._probabilities(predictions)
        if name not in _ON_SCALE:
            return predicted
        last = len(self.labels) - 1
        farthest = np.where(2 * places > last, 0, last).tolist()
        return [far if place == NO_ANSWER else place for place, far in zip(predicted, farthest, strict=True)]

    def score_per_label(
        self, labels: Sequence[EncodedLabel], predictions: Sequence[Prediction], rows: Sequence[Features]
    ) -> list[LabelScore]:
        """Return precision, recall, F1 and support of each label."""
        return per_label(
            predictions=self._predicted(predictions),
            references=self._places(labels),
            labels=[str(label) for label in self.labels],
        )

    def majority(self, row: Features) -> Prediction:
        """Return the most frequent training label with its frequency."""
        total = sum(self.counts)
        shares = {label: rows / total for label, rows in zip(self.labels, self.counts, strict=True)}
        best = max(shares, key=lambda label: shares[label])
        return {"label": best, "score": shares[best], "scores": {str(name): share for name, share in shares.items()}}

    def _places(self, labels: Sequence[EncodedLabel]) -> NDArray[np.int64]:
        """Return each label's place."""
        values = np.asarray(labels)
        return values.argmax(axis=1) if self.options.soft else values

    def _predicted(self, predictions: Sequence[Any]) -> list[int]:
        answers = [prediction["label"] for prediction in predictions]
        return [NO_ANSWER if label is None else self._known[str(label)] for label in answers]

    def _probabilities(self, predictions: Sequence[Any]) -> list[list[float]]:
        return [[prediction["scores"][str(label)] for label in self.labels] for prediction in predictions]


def _counts(cells: Iterable[Cells]) -> Counter[Label]:
    return Counter(label for (cell,) in cells if (label := label_sets.plain(cell)) is not None)
