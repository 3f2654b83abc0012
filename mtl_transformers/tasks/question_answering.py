"""Question answering: the span of a context that answers a question, or none. Owns its options, loss and metrics.

A context that is too long is read in windows. A window is trained to point to the answer that it holds, or to its first
token where it holds none or not all of it (Devlin et al. 2019, arXiv:1810.04805, released code).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, Any, ClassVar, Self, final

import numpy as np
import torch
from annotated_types import Ge
from torch import Tensor

from mtl_transformers.batch import Target
from mtl_transformers.errors import DataError
from mtl_transformers.metrics.named import LabelScore, compute
from mtl_transformers.model.head_spec import HeadForm
from mtl_transformers.tasks import labels as label_sets
from mtl_transformers.tasks.answer_cells import AnswerCounts, answers_in, found_answers
from mtl_transformers.tasks.task import Cells, EncodedLabel, LabelType, Task
from mtl_transformers.text.answers import pieces_of, spans_array
from mtl_transformers.text.decoders import Prediction, Vectors
from mtl_transformers.text.encoding import Features, Form
from mtl_transformers.text.inputs import Input
from mtl_transformers.text.kinds_of_decoder import AnswerDecoder

STRIDE = 128  # tokens that two windows share, where the dataset does not say; BERT's


@dataclass(frozen=True, slots=True, kw_only=True)
class QuestionAnsweringOptions:
    """Options of a question answering task.

    Attributes:
        label: a column of answers: a list of {text, answer_start}, {text: […], answer_start: […]}, a text or a list of
            texts. ``[]``: the question has no answer.
        max_answer_length: pieces of the longest answer that is predicted.
        n_best: how many answers a prediction names.
        no_answer_threshold: there is no answer where its logit is higher than the best answer's by more than this;
            unused where every question of train has an answer.
    """

    label: str
    max_answer_length: Annotated[int, Ge(1)] = 30
    n_best: Annotated[int, Ge(1)] = 1
    no_answer_threshold: float = 0.0


@final
@dataclass(frozen=True, kw_only=True)
class QuestionAnswering(Task):
    """A fitted question answering task.

    Attributes:
        num_answered: training rows with an answer.
        num_unanswered: training rows without; where there are any, the task may predict that there is no answer.
    """

    kind: ClassVar[str] = "question_answering"
    vectors: ClassVar[Vectors] = "token"
    head: ClassVar[HeadForm] = "answer"
    label_type: ClassVar[LabelType] = "answers"
    forms: ClassVar[tuple[Form, ...]] = ("pair",)
    hub_task: ClassVar[str] = "question-answering"
    options_type: ClassVar[type[Any]] = QuestionAnsweringOptions

    options: QuestionAnsweringOptions
    num_answered: int
    num_unanswered: int

    @classmethod
    def label_columns(cls, options: QuestionAnsweringOptions) -> tuple[str, ...]:
        """Return the one label column."""
        return (options.label,)

    @classmethod
    def legal_metrics(cls, options: QuestionAnsweringOptions) -> tuple[str, ...]:
        """Return those of SQuAD."""
        return ("squad_f1", "exact_match")

    @classmethod
    def fit(
        cls,
        name: str,
        options: QuestionAnsweringOptions,
        *,
        metrics: Sequence[str],
        cells: Iterable[Cells],
        class_names: Sequence[str] | None,
    ) -> Self:
        """Learn whether there are questions without an answer."""
        counts = {True: 0, False: 0}
        for (cell,) in cells:
            answers = answers_in(cell)
            if answers is not None:
                counts[bool(answers)] += 1
        if not any(counts.values()):
            raise DataError(label_sets.ALL_NULL)
        if not counts[True]:
            raise DataError("no training row has an answer; a task needs some")
        return cls(
            name=name,
            metrics=tuple(metrics) or cls.legal_metrics(options)[:1],
            options=options,
            num_answered=counts[True],
            num_unanswered=counts[False],
        )

    def continued(self, fresh: Self) -> Self:
        """Take the task as the new rows fit it: all that it learns is whether there may be no answer."""
        self.check_meaning(fresh.options)
        return fresh

    @classmethod
    def input_of(
        cls,
        options: QuestionAnsweringOptions,
        *,
        text: tuple[str, ...],
        form: Form,
        max_length: int,
        stride: int | None = None,
    ) -> Input:
        """Read the context in windows in any case; without a stride they share 128 tokens, or a quarter if less."""
        stride = max(1, min(STRIDE, max_length // 4)) if stride is None else stride
        return Input(columns=text, form=form, max_length=max_length, aligned="pieces", stride=stride)

    @property
    def num_outputs(self) -> int:
        """A logit for the start of the answer, one for its end."""
        return 2

    @property
    def output_names(self) -> tuple[str, ...]:
        """Nothing: an answer is any span."""
        return ()

    @property
    def in_words(self) -> str:
        """A span, or none where training had such rows."""
        span = "the span of the second text that answers the first"
        return f"{span}, or that there is none" if self.num_unanswered else span

    @property
    def decisions(self) -> tuple[str, ...]:
        """The longest answer, and when there is none."""
        longest = f"an answer has at most {self.options.max_answer_length} pieces"
        threshold = self.options.no_answer_threshold
        surer = f"there is none where its logit is higher than the best answer's by more than {threshold:.4g}"
        return (longest, surer) if self.num_unanswered else (longest,)

    @property
    def label_counts(self) -> Mapping[str, int]:
        """Nothing: there are no labels."""
        return {}

    def encode(self, cells: Cells, row: Features, *, text: str) -> EncodedLabel:
        """Return the answers that stand in the context; a row whose answers are all lost is null."""
        given = answers_in(cells[0])
        if given is None:
            return None
        found, _ = found_answers(given, text)
        return found if found or not given else None

    def answer_counts(self, cells: Cells, *, text: str) -> AnswerCounts:
        """Count the answers of a row that are not trained as they were given."""
        _, counts = found_answers(answers_in(cells[0]) or (), text)
        return counts

    def _groups(self, rows: Sequence[Features], units: Sequence[int]) -> Tensor:
        sizes = [1 + len(pieces) for row in rows for pieces in row.word_indices]
        return torch.arange(len(sizes)).repeat_interleave(torch.tensor(sizes))

    def _labels(self, labels: Sequence[Sequence[Mapping[str, Any]]], rows: Sequence[Features]) -> tuple[Tensor, int]:
        """Mark in each window, ``[M, 2]``, where the answer starts and where it ends."""
        marks = []
        for answers, row in zip(labels, rows, strict=True):
            answer = _pieces_of_first(answers, row)
            for pieces in row.word_indices:
                marked = np.zeros((1 + len(pieces), 2), dtype=np.float32)
                held = answer is not None and len(pieces) and pieces[0] <= answer[0] and answer[1] <= pieces[-1]
                start, end = (place - pieces[0] + 1 for place in answer) if answer and held else (0, 0)
                marked[start, 0] = marked[end, 1] = 1
                marks.append(marked)
        return torch.from_numpy(np.concatenate(marks)), len(marks)

    def loss(self, logits: Tensor, target: Target) -> Tensor:
        """Return the sum over windows of the mean of two cross-entropies: of the start and of the end."""
        assert target.labels is not None  # training targets have labels
        assert target.groups is not None
        windows = target.groups
        num_windows = int(windows[-1]) + 1
        places = windows.unsqueeze(1).expand_as(logits)
        highest = logits.new_full((num_windows, 2), -torch.inf).scatter_reduce(0, places, logits.detach(), "amax")
        empty = logits.new_zeros(num_windows, 2)
        sums = empty.scatter_add(0, places, (logits - highest[windows]).exp())
        chosen = empty.scatter_add(0, places, logits * target.labels)
        losses = (highest + sums.log() - chosen).mean(dim=1)
        if target.weights is None:
            return losses.sum()
        first = torch.searchsorted(windows, torch.arange(num_windows, device=windows.device))
        return (losses * target.weights[first]).sum()

    @cached_property
    def decoder(self) -> AnswerDecoder:
        """The best answer over all windows."""
        return AnswerDecoder(
            max_answer_length=self.options.max_answer_length,
            n_best=self.options.n_best,
            threshold=self.options.no_answer_threshold if self.num_unanswered else None,
        )

    def gold(self, label: EncodedLabel, row: Features, *, text: str, form: Form) -> list[dict[str, Any]]:
        """Return all right answers; none where there is no answer."""
        answers: Any = label
        return [
            {"answer": answer["text"], "start": answer["start"], "end": answer["start"] + len(answer["text"])}
            for answer in answers
        ]

    def score(
        self, labels: Sequence[EncodedLabel], predictions: Sequence[Prediction], rows: Sequence[Features]
    ) -> dict[str, float]:
        """Compare the texts of the answers, as SQuAD's script does."""
        answers: Any = predictions
        right: Any = labels
        predicted = [answer["answer"] for answer in answers]
        gold = [[answer["text"] for answer in of_row] for of_row in right]
        return {name: compute(name, predictions=predicted, references=gold) for name in self.metrics}

    def score_per_label(
        self, labels: Sequence[EncodedLabel], predictions: Sequence[Prediction], rows: Sequence[Features]
    ) -> list[LabelScore]:
        """Return nothing: there are no labels."""
        return []

    def majority(self, row: Features) -> Prediction:
        """Return no answer."""
        return {"answer": "", "start": None, "end": None, "score": 1.0}


def _pieces_of_first(answers: Sequence[Mapping[str, Any]], row: Features) -> tuple[int, int] | None:
    """Return the first and last piece of the first answer that has any."""
    spans = spans_array(row)
    places = (pieces_of(answer["start"], answer["start"] + len(answer["text"]), spans) for answer in answers)
    return next((place for place in places if place is not None), None)
