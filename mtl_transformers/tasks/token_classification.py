"""Token classification: spans in a text, or one tag for each word. Owns its options, loss, decoding and metrics.

Whatever the scheme of the data, spans are trained as the tags that ``train_as`` names, read at each word's first
piece, and scored as BIO tags of words, so that scores of different schemes can be compared.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar, Literal, Self, final

import torch
import torch.nn.functional as F
from torch import Tensor

from mtl_transformers.batch import Target
from mtl_transformers.errors import DataError
from mtl_transformers.metrics.named import LabelScore, compute, per_label
from mtl_transformers.model.head_spec import HeadForm
from mtl_transformers.tasks import labels as label_sets
from mtl_transformers.tasks.span_cells import SpanCounts, char_spans_in, check_ends, spans_of, tags_in
from mtl_transformers.tasks.task import Cells, EncodedLabel, LabelType, Task, weighed
from mtl_transformers.text.decoders import Prediction, Vectors
from mtl_transformers.text.decoding import Decoding
from mtl_transformers.text.encoding import Features, Form
from mtl_transformers.text.kinds_of_decoder import SpansDecoder, TagsDecoder
from mtl_transformers.text.tags import (
    OUTSIDE,
    CharSpan,
    Span,
    all_tags,
    chars_to_words,
    spans_to_tags,
    tags_to_spans,
    without_overlaps,
)

Scheme = Literal["bio", "iob1", "iobes", "bilou", "plain", "spans"]

NO_LABEL = -100  # the index that torch's cross-entropy ignores


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenClassificationOptions:
    """Options of a token classification task.

    Attributes:
        label: a column with one tag for each word, or (``spans``) a list of {label, start, end} in characters.
        scheme: how the tags are written.
        train_as: the tags that the head learns for spans; predictions are spans in any case.
        decoding: the most probable tag of each word, or the most probable ones that are legal one after the other.
        overlaps: what character spans mean that overlap: an error, or the longest or the first of them.
        unknown_label: what a tag means that training never had: an error, or a word without a label.
    """

    label: str
    scheme: Scheme = "bio"
    train_as: Literal["bio", "iobes", "bilou"] = "bio"
    decoding: Decoding = "independent"
    overlaps: Literal["error", "longest", "first"] = "error"
    unknown_label: Literal["error", "ignore"] = "error"


@final
@dataclass(frozen=True, kw_only=True)
class TokenClassification(Task):
    """A fitted token classification task.

    Attributes:
        labels: the tags in order; output c of the head is tag c. As ``train_as`` says, unless the scheme is plain.
        names: labels of spans, or the plain tags.
        counts: training spans (or words) of each of `names`.
    """

    kind: ClassVar[str] = "token_classification"
    vectors: ClassVar[Vectors] = "token"
    head: ClassVar[HeadForm] = "token"
    label_type: ClassVar[LabelType] = "ints"
    forms: ClassVar[tuple[Form, ...]] = ("text", "words")
    hub_task: ClassVar[str] = "token-classification"
    options_type: ClassVar[type[Any]] = TokenClassificationOptions

    options: TokenClassificationOptions
    labels: tuple[str, ...]
    names: tuple[str, ...]
    counts: tuple[int, ...]

    @classmethod
    def label_columns(cls, options: TokenClassificationOptions) -> tuple[str, ...]:
        """Return the one label column."""
        return (options.label,)

    @classmethod
    def legal_metrics(cls, options: TokenClassificationOptions) -> tuple[str, ...]:
        """Return the metrics of spans, or of plain tags."""
        return ("tag_accuracy",) if options.scheme == "plain" else ("span_f1", "tag_accuracy")

    @classmethod
    def fit(
        cls,
        name: str,
        options: TokenClassificationOptions,
        *,
        metrics: Sequence[str],
        cells: Iterable[Cells],
        class_names: Sequence[str] | None,
    ) -> Self:
        """Collect the tags of the training rows; every label of spans gets all its tags, seen or not."""
        counts: Counter[str] = Counter()
        labelled = False
        for (cell,) in cells:
            if cell is not None:
                labelled = True
                counts.update(_names_in(cell, options))
        if not labelled:
            raise DataError(label_sets.ALL_NULL)
        if not counts:
            raise DataError("no training row has a span or a tag; a task needs some")
        declared = _names_of_class(class_names, options.scheme)
        names = tuple(map(str, label_sets.ordered(counts, label_names=None, class_names=declared)))
        return cls(
            name=name,
            metrics=tuple(metrics) or cls.legal_metrics(options)[:1],
            options=options,
            labels=names if options.scheme == "plain" else all_tags(names, options.train_as),
            names=names,
            counts=tuple(counts[label] for label in names),
        )

    @classmethod
    def meaning(cls, options: TokenClassificationOptions) -> dict[str, object]:
        """Return whether words have plain tags or belong to spans, and as which tags these are trained."""
        return {"scheme": "plain" if options.scheme == "plain" else "spans", "train_as": options.train_as}

    @classmethod
    def option_problems(cls, options: TokenClassificationOptions) -> Mapping[str, str]:
        """Return the options that a scheme has no use for."""
        problems = {}
        if options.scheme == "plain" and options.train_as != "bio":
            problems["train_as"] = "only of spans; with scheme: plain the head learns the tags as they are"
        if options.scheme == "plain" and options.decoding != "independent":
            problems["decoding"] = "only of spans; with scheme: plain any tag may follow any other"
        if options.scheme != "spans" and options.overlaps != "error":
            problems["overlaps"] = f"only of scheme: spans; the tags of scheme: {options.scheme} cannot overlap"
        return problems

    @property
    def num_outputs(self) -> int:
        """One logit for each tag."""
        return len(self.labels)

    @property
    def output_names(self) -> tuple[str, ...]:
        """The labels of spans, or the tags."""
        return self.names

    @property
    def in_words(self) -> str:
        """Spans, or a tag for each word."""
        if self.options.scheme == "plain":
            return f"one of {len(self.names)} tags for each word"
        number = len(self.names)
        return "spans with one label" if number == 1 else f"spans, each with one of {number} labels"

    @property
    def label_counts(self) -> Mapping[str, int]:
        """Training spans of each label, or words of each plain tag."""
        return dict(zip(self.names, self.counts, strict=True))

    @cached_property
    def _places(self) -> dict[str, int]:
        return {label: place for place, label in enumerate(self.labels)}

    def encode(self, cells: Cells, row: Features, *, text: str) -> EncodedLabel:
        """Return one tag id for each word of the row, also for words that truncation lost."""
        cell = cells[0]
        if cell is None:
            return None
        encoded = [NO_LABEL if tag is None else self._place(tag) for tag in self._tags_of(cell, row, text)]
        return None if all(place == NO_LABEL for place in encoded) else encoded

    def _tags_of(self, cell: Any, row: Features, text: str) -> Sequence[str | None]:
        """Return one tag for each word, as the head learns them."""
        if self.options.scheme == "spans":
            spans = char_spans_in(cell)
            check_ends(spans, text)
            found, _ = chars_to_words(_kept(spans, self.options), row.word_spans)
            return spans_to_tags(found, len(row.word_spans), self.options.train_as)
        tags = tags_in(cell)
        if len(tags) != len(row.word_spans):
            raise DataError(
                f"{len(tags)} tags for {len(row.word_spans)} words; expected one tag for each word of the text column "
                "(for characters of raw text set scheme: spans)"
            )
        if self.options.scheme == "plain":
            return tags
        return spans_to_tags(spans_of(tags, self.options.scheme), len(tags), self.options.train_as)

    def labels_in(self, cells: Cells) -> Sequence[str]:
        """Return the label of each span, or each plain tag."""
        return () if cells[0] is None else _names_in(cells[0], self.options)

    def span_counts(self, cells: Cells, row: Features) -> SpanCounts:
        """Count the character spans of a row that are not trained as they were given."""
        if self.options.scheme != "spans" or cells[0] is None:
            return SpanCounts()
        given = char_spans_in(cells[0])
        kept = _kept(given, self.options)
        _, num_unaligned = chars_to_words(kept, row.word_spans)
        return SpanCounts(widened=num_unaligned, dropped=len(set(given)) - len(kept))

    def _place(self, tag: str) -> int:
        place = self._places.get(tag)
        if place is not None:
            return place
        if self.options.unknown_label == "ignore":
            return NO_LABEL
        name = tag if self.options.scheme == "plain" else tag[2:]
        raise label_sets.unknown(name, self.names, dict.fromkeys(self.names, 0))

    def _labels(self, labels: Sequence[Sequence[int]], rows: Sequence[Features]) -> tuple[Tensor, int]:
        read = [
            tags[word] for tags, row in zip(labels, rows, strict=True) for words in row.word_indices for word in words
        ]
        values = torch.tensor(read, dtype=torch.int64)
        return values, int((values != NO_LABEL).sum())

    def held(self, cells: Cells) -> list[tuple[int, int]]:
        """Return the characters of the spans, or the words that are in one; plain tags hold nothing."""
        cell = cells[0]
        if cell is None or self.options.scheme == "plain":
            return []
        if self.options.scheme == "spans":
            return [(span.start, span.end) for span in char_spans_in(cell)]
        return [(word, word + 1) for word, tag in enumerate(tags_in(cell)) if tag != OUTSIDE]

    def loss(self, logits: Tensor, target: Target) -> Tensor:
        """Return the summed cross-entropy over the words that have a tag, each read at its first piece."""
        assert target.labels is not None  # training targets have labels
        return weighed(F.cross_entropy(logits, target.labels, reduction="none", ignore_index=NO_LABEL), target)

    @cached_property
    def decoder(self) -> TagsDecoder | SpansDecoder:
        """Spans with character offsets, or one tag for each word for plain tags."""
        return (
            TagsDecoder(labels=self.labels)
            if self.options.scheme == "plain"
            else SpansDecoder(labels=self.labels, scheme=self.options.train_as, decoding=self.options.decoding)
        )

    def gold(self, label: EncodedLabel, row: Features, *, text: str, form: Form) -> Any:
        """Return the spans with character offsets, or the plain tags."""
        tags = self._names_of(label)
        if self.options.scheme == "plain":
            return {"tags": tags}
        spans: list[dict[str, Any]] = []
        for span in self._spans_of(tags):
            start, end = row.word_spans[span.start_word][0], row.word_spans[span.end_word - 1][1]
            words = {"word_start": span.start_word, "word_end": span.end_word} if form == "words" else {}
            spans.append({"label": span.label, "text": text[start:end], "start": start, "end": end, **words})
        return spans

    def score(
        self, labels: Sequence[EncodedLabel], predictions: Sequence[Prediction], rows: Sequence[Features]
    ) -> dict[str, float]:
        """Compare BIO tags of the words that have one; truncation predicts O for the words it lost (plain: a miss)."""
        predicted, gold = self._compared(labels, predictions, rows)
        return {name: compute(name, predictions=predicted, references=gold) for name in self.metrics}

    def score_per_label(
        self, labels: Sequence[EncodedLabel], predictions: Sequence[Prediction], rows: Sequence[Features]
    ) -> list[LabelScore]:
        """Return precision, recall, F1 and support of each label of spans, or of each plain tag."""
        predicted, gold = self._compared(labels, predictions, rows)
        if self.options.scheme != "plain":
            return per_label(predictions=predicted, references=gold, labels=list(self.names))
        places = {**self._places, "": len(self.labels)}
        return per_label(
            predictions=[places[tag] for tags in predicted for tag in tags],
            references=[places[tag] for tags in gold for tag in tags],
            labels=list(self.names),
        )

    def majority(self, row: Features) -> Prediction:
        """Return no span, or the most frequent plain tag for every word."""
        if self.options.scheme != "plain":
            return []
        most = self.names[max(range(len(self.names)), key=lambda place: self.counts[place])]
        return {"tags": [most] * len(row.word_spans)}

    def _names_of(self, label: EncodedLabel) -> list[str | None]:
        assert isinstance(label, Sequence)  # encoded by this task
        return [None if place == NO_LABEL else self.labels[int(place)] for place in label]

    def _spans_of(self, tags: Sequence[str | None]) -> list[Span]:
        """Return the spans of tags as the head learns them."""
        return tags_to_spans([tag or OUTSIDE for tag in tags], self.options.train_as)

    def _compared(
        self, labels: Sequence[EncodedLabel], predictions: Sequence[Any], rows: Sequence[Features]
    ) -> tuple[list[list[str]], list[list[str]]]:
        """Return predicted and gold tags of each row's words; words without a label are left out of both."""
        predicted, gold = [], []
        for label, prediction, row in zip(labels, predictions, rows, strict=True):
            tags: Sequence[str | None] = self._names_of(label)
            kept = [word for word, tag in enumerate(tags) if tag is not None]
            if self.options.scheme == "plain":
                answered = prediction["tags"]
            else:
                answered = _tags_of_answer(prediction, row)
                tags = spans_to_tags(self._spans_of(tags), len(tags), "bio")
            gold.append([tags[word] or "" for word in kept])
            predicted.append([answered[word] or "" for word in kept])
        return predicted, gold


def _tags_of_answer(spans: Sequence[Mapping[str, Any]], row: Features) -> list[str]:
    """Return a prediction's spans as one BIO tag for each word."""
    found, _ = chars_to_words([CharSpan(span["label"], span["start"], span["end"]) for span in spans], row.word_spans)
    return spans_to_tags(found, len(row.word_spans), "bio")


def _names_in(cell: Any, options: TokenClassificationOptions) -> list[str]:
    """Return the label of each span, or each plain tag, of one row."""
    if options.scheme == "spans":
        return [span.label for span in _kept(char_spans_in(cell), options)]
    tags = tags_in(cell)
    if options.scheme == "plain":
        return [tag for tag in tags if tag is not None]
    return [span.label for span in spans_of(tags, options.scheme)]


def _names_of_class(class_names: Sequence[str] | None, scheme: Scheme) -> list[str] | None:
    """Return the labels of spans, or the plain tags, that a ClassLabel declares, in its order."""
    if class_names is None or scheme in ("plain", "spans"):
        return None if class_names is None else list(class_names)
    labels = (tag.partition("-")[2] for tag in class_names)
    return list(dict.fromkeys(label for label in labels if label))


def _kept(spans: Sequence[CharSpan], options: TokenClassificationOptions) -> Sequence[CharSpan]:
    """Return the spans without overlaps, where the options ask for that; else those that overlap are refused later."""
    return spans if options.overlaps == "error" else without_overlaps(spans, options.overlaps)
