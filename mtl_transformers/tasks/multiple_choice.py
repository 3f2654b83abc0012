"""Multiple choice: one option of several, which differ from row to row. Owns its options, loss, decoding and metrics.

Every option is a sequence behind the row's context, if there is one, and gets one logit; the softmax runs over the
options of a row (Radford et al. 2018, section 3.3, as `AutoModelForMultipleChoice` has it).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, Any, ClassVar, Self, final

import numpy as np
import torch
from annotated_types import MinLen
from torch import Tensor
from torch.nn import functional

from mtl_transformers.batch import Target
from mtl_transformers.errors import DataError, nearest
from mtl_transformers.metrics.named import LabelScore, compute
from mtl_transformers.model.head_spec import HeadForm
from mtl_transformers.tasks.grouped import by_group, groups_of_rows, weighed_groups
from mtl_transformers.tasks.labels import ALL_NULL, listed, plain
from mtl_transformers.tasks.task import Cells, EncodedLabel, LabelType, Task
from mtl_transformers.text.decoders import Prediction, Vectors
from mtl_transformers.text.encoding import Features, Form
from mtl_transformers.text.inputs import Input
from mtl_transformers.text.kinds_of_decoder import ChoiceDecoder


@dataclass(frozen=True, slots=True, kw_only=True)
class MultipleChoiceOptions:
    """Options of a multiple choice task.

    Attributes:
        options: a column of lists of texts, or several columns of text, one for each option; a null cell of several
            columns is no option.
        label: a column with the right one: its place from 0 among the row's options, its text, or its column's name.
    """

    options: str | Annotated[tuple[str, ...], MinLen(2)]
    label: str


@final
@dataclass(frozen=True, kw_only=True)
class MultipleChoice(Task):
    """A fitted multiple choice task.

    Attributes:
        counts: training rows whose right option stands at each place.
    """

    kind: ClassVar[str] = "multiple_choice"
    vectors: ClassVar[Vectors] = "sequences"
    head: ClassVar[HeadForm] = "choice"
    label_type: ClassVar[LabelType] = "int"
    forms: ClassVar[tuple[Form, ...]] = ("text", "pair", "words", "options")
    hub_task: ClassVar[str] = "multiple-choice"
    options_type: ClassVar[type[Any]] = MultipleChoiceOptions

    options: MultipleChoiceOptions
    counts: tuple[int, ...]

    @classmethod
    def label_columns(cls, options: MultipleChoiceOptions) -> tuple[str, ...]:
        """Return the label column, and the options that it points into."""
        return (options.label, *_columns(options))

    @classmethod
    def legal_metrics(cls, options: MultipleChoiceOptions) -> tuple[str, ...]:
        """Return the one metric of this kind."""
        return ("accuracy",)

    @classmethod
    def option_problems(cls, options: MultipleChoiceOptions) -> Mapping[str, str]:
        """Refuse a column that is named twice."""
        repeated = [name for name, times in Counter(cls.label_columns(options)).items() if times > 1]
        return {"options": f"{listed(repeated)} is named twice among label and options"} if repeated else {}

    @classmethod
    def fit(
        cls,
        name: str,
        options: MultipleChoiceOptions,
        *,
        metrics: Sequence[str],
        cells: Iterable[Cells],
        class_names: Sequence[str] | None,
    ) -> Self:
        """Count where the right options of the training rows stand."""
        counts = Counter(place for of_row in cells if (place := _place(of_row, options)) is not None)
        if not counts:
            raise DataError(ALL_NULL)
        return cls(
            name=name,
            metrics=tuple(metrics) or cls.legal_metrics(options)[:1],
            options=options,
            counts=tuple(counts[place] for place in range(max(counts) + 1)),
        )

    @classmethod
    def input_of(
        cls,
        options: MultipleChoiceOptions,
        *,
        text: tuple[str, ...],
        form: Form,
        max_length: int,
        stride: int | None = None,
    ) -> Input:
        """Return the text columns that are no options as the context, and the options behind it."""
        columns = _columns(options)
        context = tuple(column for column in text if column not in columns)
        return Input(columns=context + columns, form="options", max_length=max_length, num_context=len(context))

    @property
    def num_outputs(self) -> int:
        """One logit for each option."""
        return 1

    @property
    def output_names(self) -> tuple[str, ...]:
        """Nothing: each row has options of its own."""
        return ()

    @property
    def in_words(self) -> str:
        """One of a row's options."""
        return "one of the options of the row"

    @property
    def label_counts(self) -> Mapping[str, int]:
        """Nothing: likewise."""
        return {}

    def encode(self, cells: Cells, row: Features, *, text: str) -> EncodedLabel:
        """Return the right option's place among the row's options."""
        return _place(cells, self.options)

    def _groups(self, rows: Sequence[Features], units: Sequence[int]) -> Tensor:
        return groups_of_rows([row.num_sequences for row in rows])

    def _labels(self, labels: Sequence[int], rows: Sequence[Features]) -> tuple[Tensor, int]:
        """Return 1 at the right options, 0 at the others."""
        right = [place == label for label, row in zip(labels, rows, strict=True) for place in range(row.num_sequences)]
        return torch.tensor(right, dtype=torch.int64), len(labels)

    def loss(self, logits: Tensor, target: Target) -> Tensor:
        """Return the summed cross-entropy of the right option among those of its row."""
        assert target.labels is not None  # training targets have labels
        right = by_group(target.labels, target, fill=0).argmax(dim=1)
        scores = by_group(logits[:, 0], target, fill=-torch.inf)
        return weighed_groups(functional.cross_entropy(scores, right, reduction="none"), target)

    @cached_property
    def decoder(self) -> ChoiceDecoder:
        """The most probable option of each row."""
        return ChoiceDecoder(columns=_columns(self.options))

    def gold(self, label: EncodedLabel, row: Features, *, text: str, form: Form) -> dict[str, Any]:
        """Return the right option by its place."""
        return {"choice": label}

    def score(
        self, labels: Sequence[EncodedLabel], predictions: Sequence[Prediction], rows: Sequence[Features]
    ) -> dict[str, float]:
        """Compare the places of the options."""
        chosen = [prediction["choice"] for prediction in predictions if isinstance(prediction, dict)]
        return {name: compute(name, predictions=chosen, references=np.asarray(labels)) for name in self.metrics}

    def score_per_label(
        self, labels: Sequence[EncodedLabel], predictions: Sequence[Prediction], rows: Sequence[Features]
    ) -> list[LabelScore]:
        """Return nothing: options are no labels."""
        return []

    def majority(self, row: Features) -> Prediction:
        """Return the place that is right most often in training, of those that the row has."""
        counts = [*self.counts, *[0] * row.num_sequences][: row.num_sequences]
        scores = [count / max(1, sum(counts)) for count in counts]
        best = max(range(len(scores)), key=scores.__getitem__, default=0)
        return {"choice": best, "score": max(scores, default=0.0), "scores": scores}


def _columns(options: MultipleChoiceOptions) -> tuple[str, ...]:
    return (options.options,) if isinstance(options.options, str) else options.options


def _place(cells: Cells, options: MultipleChoiceOptions) -> int | None:
    """Return the place of the right option among those that are not null.

    Raises:
        DataError: the label is none of them, or may mean two.
    """
    label = plain(cells[0])
    if label is None:
        return None
    if isinstance(options.options, str):
        names, texts = [], list(cells[1] or ())
    else:
        present = [pair for pair in zip(options.options, cells[1:], strict=True) if pair[1] is not None]
        names, texts = [name for name, _ in present], [text for _, text in present]
    if not texts:
        raise DataError("the row has a label and no options; expected at least one")
    if label in names:
        return names.index(str(label))
    number = int(label) if isinstance(label, int) or label.isdecimal() else None
    if isinstance(label, str) and label in texts:
        place = texts.index(label)
        if number not in (None, place) and number in range(len(texts)):
            raise DataError(
                f"label {label!r} is the text of option {place} and the number of option {number}; "
                "write numbers as numbers, or name the column"
            )
        return place
    if number is None:
        known = [*names, *texts]
        raise DataError(f"label {label!r} is none of the row's options {listed(known)}{nearest(str(label), known)}")
    if number not in range(len(texts)):
        raise DataError(f"label {number} is outside 0 to {len(texts) - 1}, the places of the row's options")
    return number
