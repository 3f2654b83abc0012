"""A plain directory's head as a fitted task of ours.

Owns which kind a head is, and what is taken for what a plain directory cannot tell: the names of columns, and what a
task counts in its training rows. Counts are 1 for everything, so that none looks more frequent than another, and
``rows_seen`` is 0: nobody knows them here. The way from our kinds to plain ones is ``plain_tasks.py``'s.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from mtl_transformers.errors import ConfigError, nearest
from mtl_transformers.inference.served import ServedTask
from mtl_transformers.model.native_reading import NativeModel
from mtl_transformers.tasks.classification import Classification, ClassificationOptions
from mtl_transformers.tasks.masked_lm import MaskedLM, MaskedLMOptions
from mtl_transformers.tasks.multi_label import MultiLabel, MultiLabelOptions
from mtl_transformers.tasks.multiple_choice import MultipleChoice, MultipleChoiceOptions
from mtl_transformers.tasks.question_answering import QuestionAnswering, QuestionAnsweringOptions
from mtl_transformers.tasks.ranking import Ranking, RankingOptions
from mtl_transformers.tasks.regression import Regression, RegressionOptions
from mtl_transformers.tasks.task import Task
from mtl_transformers.tasks.token_classification import TokenClassification, TokenClassificationOptions
from mtl_transformers.text.encoding import Form
from mtl_transformers.text.tags import OUTSIDE, PREFIXES

SpanScheme = Literal["bio", "iobes", "bilou"]


@dataclass(frozen=True, slots=True)
class Source:
    """A directory to import, and what it cannot tell.

    Attributes:
        name: of the task, and of its dataset.
        path: the directory.
        columns: that hold the text; empty: those that `COLUMNS` has for its kind.
        kind: of the task; ``None``: as its class and its configuration say.
    """

    name: str
    path: Path
    columns: tuple[str, ...] = ()
    kind: str | None = None


COLUMNS: Mapping[str, tuple[str, ...]] = {
    "classification": ("text",),
    "multi_label": ("text",),
    "regression": ("text",),
    "ranking": ("query", "candidate"),
    "token_classification": ("text",),
    "question_answering": ("question", "context"),
    "multiple_choice": ("text", "options"),
    "masked_lm": ("text",),
}
"""The columns that are read of a row, by kind, where a user names none."""

_KINDS: Mapping[str, tuple[str, ...]] = {
    "sequence": ("classification", "multi_label", "regression", "ranking"),
    "token": ("token_classification",),
    "answer": ("question_answering",),
    "choice": ("multiple_choice",),
    "masked": ("masked_lm",),
}
_NUM_COLUMNS: Mapping[str, tuple[int, ...]] = {
    "token_classification": (1,),
    "question_answering": (2,),
    "ranking": (2,),
}


def imported_task(native: NativeModel, source: Source) -> ServedTask:
    """Return the task that a plain directory's head is.

    Raises:
        ConfigError: a kind that the head cannot be, or columns that its kind cannot read.
    """
    kind = _kind(native, source)
    columns = source.columns or COLUMNS[kind]
    if len(columns) not in _NUM_COLUMNS.get(kind, (1, 2)) and kind != "multiple_choice":
        expected = " or ".join(map(str, _NUM_COLUMNS.get(kind, (1, 2))))
        raise ConfigError(f"{source.name!r} is {kind}, which reads {expected} columns; got {', '.join(columns)}")
    task = _FITTED[kind](source.name, native.labels, columns)
    context = columns[:-1] if kind == "multiple_choice" else columns
    form: Form = "pair" if len(context) == 2 else "text"
    given = task.input_of(task.options, text=context, form=form, max_length=native.max_length)
    return ServedTask(task=task, dataset=source.name, input=given)


def _kind(native: NativeModel, source: Source) -> str:
    """Return the kind of a head: the one that a user names, or that its configuration says."""
    known = _KINDS[native.form]
    if native.form == "sequence":
        single = native.head.spec.out_features == 1
        known = ("regression", "ranking") if single else ("classification", "multi_label", "regression")
    if source.kind is None:
        return _told(native, known)
    if source.kind not in known:
        raise ConfigError(
            f"{source.name!r} cannot be of kind {source.kind!r}: {source.path} holds a head of {_said(native)}. "
            f"Expected: {' or '.join(known)}{nearest(source.kind, known)}"
        )
    return source.kind


def _told(native: NativeModel, known: Sequence[str]) -> str:
    said = {"multi_label_classification": "multi_label", "regression": "regression"}
    told = said.get(native.problem_type or "", known[0])
    return told if told in known else known[0]


def _said(native: NativeModel) -> str:
    count = native.head.spec.out_features
    return f"the form {native.form} with {count} output{'' if count == 1 else 's'}"


def _classification(name: str, labels: tuple[str, ...], columns: tuple[str, ...]) -> Task:
    options = ClassificationOptions(label="label")
    counts = (1,) * len(labels)
    metrics = Classification.legal_metrics(options)[:1]
    return Classification(name=name, metrics=metrics, options=options, labels=labels, counts=counts, named=True)


def _multi_label(name: str, labels: tuple[str, ...], columns: tuple[str, ...]) -> Task:
    options = MultiLabelOptions(label="label")
    return MultiLabel(
        name=name,
        metrics=MultiLabel.legal_metrics(options)[:1],
        options=options,
        labels=labels,
        counts=(1,) * len(labels),
        num_rows=2,  # so that no label is one of most rows
        named=True,
        thresholds=(options.threshold,) * len(labels),
    )


def _regression(name: str, labels: tuple[str, ...], columns: tuple[str, ...]) -> Task:
    """Return a task whose logits are in the unit of the data already."""
    targets = ("label",) if len(labels) == 1 else labels
    options = RegressionOptions(label="label" if len(labels) == 1 else labels)
    count = len(targets)
    return Regression(
        name=name,
        metrics=Regression.legal_metrics(options)[:1],
        options=options,
        targets=targets,
        counts=(1,) * count,
        mean=(0.0,) * count,
        scale=(1.0,) * count,
    )


def _ranking(name: str, labels: tuple[str, ...], columns: tuple[str, ...]) -> Task:
    options = RankingOptions(label="label")
    metrics = Ranking.legal_metrics(options)[:1]
    return Ranking(name=name, metrics=metrics, options=options, counts=(1, 1), largest=1.0)


def _token_classification(name: str, labels: tuple[str, ...], columns: tuple[str, ...]) -> Task:
    scheme = scheme_of(labels)
    options = TokenClassificationOptions(label="tags", scheme="plain")
    names = labels
    if scheme is not None:
        options = TokenClassificationOptions(label="tags", scheme=scheme, train_as=scheme)
        names = tuple(dict.fromkeys(label[2:] for label in labels if label != OUTSIDE))
    return TokenClassification(
        name=name,
        metrics=TokenClassification.legal_metrics(options)[:1],
        options=options,
        labels=labels,
        names=names,
        counts=(1,) * len(names),
    )


def scheme_of(labels: Sequence[str]) -> SpanScheme | None:
    """Return the scheme that some tags are written in; ``None`` where they are no tags of spans."""
    prefixes = {label[0] if label[1:2] == "-" and label[2:] else "" for label in labels if label != OUTSIDE}
    if not prefixes:
        return None
    return next((scheme for scheme in get_args(SpanScheme) if prefixes <= set(PREFIXES[scheme])), None)


def _question_answering(name: str, labels: tuple[str, ...], columns: tuple[str, ...]) -> Task:
    options = QuestionAnsweringOptions(label="answers")
    metrics = QuestionAnswering.legal_metrics(options)[:1]
    return QuestionAnswering(name=name, metrics=metrics, options=options, num_answered=1, num_unanswered=0)


def _multiple_choice(name: str, labels: tuple[str, ...], columns: tuple[str, ...]) -> Task:
    options = MultipleChoiceOptions(options=columns[-1], label="label")
    return MultipleChoice(name=name, metrics=MultipleChoice.legal_metrics(options)[:1], options=options, counts=(1,))


def _masked_lm(name: str, labels: tuple[str, ...], columns: tuple[str, ...]) -> Task:
    options = MaskedLMOptions()
    return MaskedLM(name=name, metrics=MaskedLM.legal_metrics(options), options=options, counts=(1,))


_FITTED: Mapping[str, Callable[[str, tuple[str, ...], tuple[str, ...]], Task]] = {
    "classification": _classification,
    "multi_label": _multi_label,
    "regression": _regression,
    "ranking": _ranking,
    "token_classification": _token_classification,
    "question_answering": _question_answering,
    "multiple_choice": _multiple_choice,
    "masked_lm": _masked_lm,
}
