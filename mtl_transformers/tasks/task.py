"""What every kind of task offers: the contract between data, network, metrics and predictions.

A `Task` is one fitted task: its name, its options and what was learned from the training labels (their order, a mean
and scale). It is plain data, stored in ``tasks.json``. A new kind is one file beside this one with one final subclass.

The way of a label: the cells of a table's row → `Task.encode` → an encoded label (stored in Arrow) → `Task.target`
→ `Task.loss` in training; `Task.decode` turns logits into predictions, and `Task.score` compares exactly these
predictions with the encoded labels.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, ClassVar, Literal, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mtl_transformers.batch import Target
from mtl_transformers.errors import ConfigError, ModelError
from mtl_transformers.metrics.named import LabelScore
from mtl_transformers.model.head_spec import HeadForm
from mtl_transformers.text.decoders import Decoder, Logits, Prediction, Vectors
from mtl_transformers.text.encoding import Alignment, Features, Form
from mtl_transformers.text.inputs import Input
from mtl_transformers.text.masking import Vocabulary

LabelType = Literal["int", "ints", "floats", "answers"]

Cells = tuple[Any, ...]
"""The values of a task's label columns in one row; ``None`` is null, and the ids of a ClassLabel stand as names."""

EncodedLabel = int | Sequence[Any] | None
"""A label as a number, numbers, or answers with their places; ``None`` is null, NaN a null cell."""


@dataclass(frozen=True, slots=True)
class EncoderFacts:
    """What a task may need to know of the encoder that it stands on.

    Attributes:
        hidden_size: ``D``, numbers of a vector.
        vocabulary: its tokens.
    """

    hidden_size: int
    vocabulary: Vocabulary


@dataclass(frozen=True, kw_only=True)
class Task(ABC):
    """One fitted task.

    Attributes:
        name: the task's name.
        metrics: names of its metrics; the first one is the task's score.
        options: the kind's settings as the config gave them.
    """

    kind: ClassVar[str]
    vectors: ClassVar[Vectors]  # what the head reads: a row's first sequence, each of its sequences, or tokens
    head: ClassVar[HeadForm]  # which of the family's heads it mirrors
    label_type: ClassVar[LabelType]  # how an encoded label is stored
    forms: ClassVar[tuple[Form, ...]]  # forms of input that the kind can read
    hub_task: ClassVar[str]  # the hub's name for it, for the model card
    options_type: ClassVar[type[Any]]  # the dataclass of the kind's options
    groups_rows: ClassVar[bool] = False  # whether a row of the plan is a query with its candidates
    unstored: ClassVar[tuple[str, ...]] = ()  # fields that the encoder gives, and tasks.json does not hold
    added: ClassVar[tuple[str, ...]] = ()  # fields that the first directories lack; their defaults say what these had

    name: str
    metrics: tuple[str, ...]
    options: Any  # narrowed by each kind

    @classmethod
    @abstractmethod
    def label_columns(cls, options: Any) -> tuple[str, ...]:
        """Return the columns that hold the labels."""

    @classmethod
    @abstractmethod
    def legal_metrics(cls, options: Any) -> tuple[str, ...]:
        """Return the names of the metrics that fit; the first one is the default."""

    @classmethod
    @abstractmethod
    def fit(
        cls,
        name: str,
        options: Any,
        *,
        metrics: Sequence[str],
        cells: Iterable[Cells],
        class_names: Sequence[str] | None,
    ) -> Self:
        """Learn the label set (or mean and scale) from the training rows.

        Args:
            name: the task's name.
            options: the kind's options.
            metrics: metric names, or nothing for the kind's default.
            cells: the label cells of all training rows.
            class_names: names of the label column's ClassLabel in order, where the table has one.

        Raises:
            DataError: when no row is labelled or the labels are not of this kind.
        """

    @classmethod
    def input_of(
        cls, options: Any, *, text: tuple[str, ...], form: Form, max_length: int, stride: int | None = None
    ) -> Input:
        """Return what is read of a row.

        Args:
            options: the kind's options.
            text: the dataset's text columns.
            form: how they are written.
            max_length: tokens of a sequence.
            stride: tokens that two windows of a long text share.
        """
        aligned: Alignment | None = "words" if cls.vectors == "token" else None
        return Input(columns=text, form=form, max_length=max_length, aligned=aligned, stride=stride)

    def with_encoder(self, facts: EncoderFacts) -> Self:
        """Return the task with what it needs to know of its encoder.

        Raises:
            ModelError: the encoder lacks what the kind needs.
        """
        return self

    @property
    def stored_type(self) -> LabelType:
        """How an encoded label is stored."""
        return self.label_type

    @property
    def head_form(self) -> HeadForm:
        """Which of the family's heads it mirrors."""
        return self.head

    @property
    @abstractmethod
    def num_outputs(self) -> int:
        """Outputs of the head, ``C``."""

    @property
    def num_fitted(self) -> int:
        """Entries of what was fitted for each output, as labels; an ordinal task has a label more than cut points."""
        return self.num_outputs

    @property
    @abstractmethod
    def output_names(self) -> tuple[str, ...]:
        """What is predicted, for people: labels or targets in order."""

    @property
    @abstractmethod
    def in_words(self) -> str:
        """What an answer is, for the model card."""

    @property
    def decisions(self) -> tuple[str, ...]:
        """How scores become answers where that was set, for the model card; a clause each."""
        return ()

    @property
    @abstractmethod
    def label_counts(self) -> Mapping[str, int]:
        """Training items per label, for tables and cards; empty where there are no labels."""

    @abstractmethod
    def encode(self, cells: Cells, row: Features, *, text: str) -> EncodedLabel:
        """Turn one row's label cells into numbers; ``None`` where the label is null.

        Args:
            cells: the row's label cells.
            row: the encoded row; only its words are read, and only by kinds that read tokens.
            text: the raw text, or the words joined by one space; likewise.

        Raises:
            UnknownLabelError: for a label that training never had (the caller adds task, split and row).
            DataError: for a malformed label.
        """

    def labels_in(self, cells: Cells) -> Sequence[str]:
        """Return the label of each item in one row's label cells, whether training had it or not; none of numbers."""
        return ()

    def numbers_in(self, labels: Sequence[EncodedLabel]) -> Mapping[str, NDArray[np.float64]]:
        """Return by target the numbers ``[N]`` that encoded labels are, NaN where null; nothing of other labels."""
        return {}

    def held(self, cells: Cells) -> list[tuple[int, int]]:
        """Return what augmentation must leave whole of a row: characters of its text, or numbers of its words."""
        return []

    @abstractmethod
    def loss(self, logits: Tensor, target: Target) -> Tensor:
        """Return the sum of the item losses (a scalar) of logits ``[M, C]``, each times its weight."""

    def condense(self, logits: Tensor, rows: Sequence[Features]) -> Tensor:
        """Return what predictions need of some rows' logits ``[M, C]``: all, or less where they are very many."""
        return logits

    @property
    @abstractmethod
    def decoder(self) -> Decoder:
        """What is read of the encoder's output, and how logits become predictions."""

    def decode(
        self,
        logits: Sequence[Logits],
        rows: Sequence[Features],
        *,
        texts: Sequence[str],
        form: Form,
        top_k: int | None = None,
    ) -> list[Prediction]:
        """Turn each row's logits into its prediction: `Decoder.decode`."""
        return self.decoder.decode(logits, rows, texts=texts, form=form, top_k=top_k)

    @abstractmethod
    def gold(self, label: EncodedLabel, row: Features, *, text: str, form: Form) -> Any:
        """Return an encoded label in the form of a prediction, without scores."""

    @abstractmethod
    def score(
        self, labels: Sequence[EncodedLabel], predictions: Sequence[Prediction], rows: Sequence[Features]
    ) -> dict[str, float]:
        """Return the metrics over labelled rows (none of ``labels`` is ``None``)."""

    @abstractmethod
    def score_per_label(
        self, labels: Sequence[EncodedLabel], predictions: Sequence[Prediction], rows: Sequence[Features]
    ) -> list[LabelScore]:
        """Return precision, recall, F1 and support of each label; empty where there are no labels."""

    @abstractmethod
    def majority(self, row: Features) -> Prediction:
        """Return the prediction that ignores the text: the most frequent label, the mean, no span."""

    @classmethod
    def rows_of_unit(cls, options: Any) -> int:
        """Return how many rows of a step are compared with each other, at most, and never separated."""
        return 1

    @property
    def unit_rows(self) -> int:
        """The same of this task."""
        return self.rows_of_unit(self.options)

    def num_vectors(self, row: Features) -> int:
        """Return how many vectors the head reads of a row."""
        return self.decoder.num_vectors(row)

    def target(
        self,
        rows: Sequence[Features],
        *,
        first_sequences: Sequence[int],
        labels: Sequence[EncodedLabel] | None = None,
        weights: Sequence[float] | None = None,
        units: Sequence[int] | None = None,
    ) -> Target | None:
        """Build the target of this task on some rows of a micro-batch.

        Args:
            rows: encoded rows.
            first_sequences: index in the micro-batch of each row's first sequence.
            labels: encoded labels; rows whose label is null are left out. ``None``: predict every row.
            weights: of each row in the loss; ``None``: all 1.
            units: number of each row's unit, ascending; ``None``: a row is a unit.

        Returns:
            The target, or ``None`` when no row is labelled.
        """
        kept = [r for r in range(len(rows)) if labels is None or labels[r] is not None]
        if not kept:
            return None
        chosen = [rows[r] for r in kept]
        sequences, positions = self.decoder.pointers(chosen, [first_sequences[r] for r in kept])
        pointed = Target(
            sequences=torch.from_numpy(sequences),
            positions=None if positions is None else torch.from_numpy(positions),
            groups=self._groups(chosen, kept if units is None else [units[r] for r in kept]),
        )
        if labels is None:
            return pointed
        values, num_items = self._labels([labels[r] for r in kept], chosen)
        return replace(
            pointed,
            labels=values,
            weights=None if weights is None else self._repeated([weights[r] for r in kept], chosen),
            num_items=num_items,
            num_rows=len(kept),
        )

    def _groups(self, rows: Sequence[Features], units: Sequence[int]) -> Tensor | None:
        """Return the number ``[M]`` of what each vector is compared within; ``None``: it stands for itself."""
        return None

    def _repeated(self, weights: Sequence[float], rows: Sequence[Features]) -> Tensor:
        """Return the weights of rows as weights ``[M]`` of the vectors that the head reads of them."""
        times = torch.tensor([self.num_vectors(row) for row in rows])
        return torch.tensor(weights, dtype=torch.float32).repeat_interleave(times)

    @abstractmethod
    def _labels(self, labels: Sequence[Any], rows: Sequence[Features]) -> tuple[Tensor, int]:
        """Return the label tensor of labelled rows, ``[M]`` or ``[M, C]``, and the number of items."""

    @classmethod
    def meaning(cls, options: Any) -> dict[str, object]:
        """Return the options that give the head's outputs their meaning; they cannot change once it is trained."""
        return {}

    @classmethod
    def option_problems(cls, options: Any) -> Mapping[str, str]:
        """Return what one option says against another, by the option to change; each alone was checked by its type."""
        return {}

    def check_meaning(self, options: Any) -> None:
        """Refuse options under which the trained head would mean something else.

        Raises:
            ConfigError: with the option, and what the model was trained with.
        """
        trained = self.meaning(self.options)
        for name, value in self.meaning(options).items():
            if value != trained[name]:
                raise ConfigError(
                    f"tasks.{self.name}.{name}: {value!r}, but the model was trained with {trained[name]!r}"
                )

    def continued(self, fresh: Self) -> Self:
        """Return this task with the options and metrics of one fitted anew, so that its head keeps its meaning.

        Raises:
            ConfigError: as `check_meaning`.
        """
        self.check_meaning(fresh.options)
        return replace(self, options=fresh.options, metrics=fresh.metrics)

    def to_json(self) -> dict[str, Any]:
        """Return the fitted task as plain JSON, with its kind."""
        without: dict[str, Any] = dict.fromkeys(self.unstored)
        stored = asdict(replace(self, **without))
        return {"kind": self.kind, **{name: value for name, value in stored.items() if name not in self.unstored}}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Self:
        """Rebuild a task from `to_json`, strictly.

        Raises:
            ModelError: when a key is missing or unknown.
        """
        known = {field.name: field for field in fields(cls) if field.name not in cls.unstored}
        given = {key: value for key, value in values.items() if key != "kind"}
        if not known.keys() - set(cls.added) <= given.keys() <= known.keys():
            different = sorted(given.keys() ^ known.keys())
            raise ModelError(
                f"tasks.json: task {values.get('name')!r} of kind {cls.kind!r}: keys {different} are missing or "
                "unknown; it was written by another version of mtl_transformers"
            )
        try:
            options = cls.options_type(**{key: _tupled(value) for key, value in given.pop("options").items()})
        except (TypeError, AttributeError) as error:
            raise ModelError(f"tasks.json: task {values.get('name')!r}: options: {error}") from error
        return cls(options=options, **{key: _tupled(value) for key, value in given.items()})


def weighed(losses: Tensor, target: Target) -> Tensor:
    """Return the sum of item losses ``[M]`` or ``[M, C]``, those of each vector times its weight."""
    if target.weights is None:
        return losses.sum()
    weights = target.weights if losses.ndim == 1 else target.weights.unsqueeze(-1)
    return (losses * weights).sum()


def _tupled(value: Any) -> Any:
    return tuple(_tupled(item) for item in value) if isinstance(value, list) else value
