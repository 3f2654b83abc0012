"""Token classification: spans in a text, or one tag for each word. Owns its options, loss, decoding and metrics.

Whatever the scheme of the data, spans are trained and scored as BIO tags of words, read at each word's first piece.
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
from mtl_transformers.metrics import LabelScore, compute, per_label
from mtl_transformers.model.head_spec import HeadForm, Vectors
from mtl_transformers.tasks import labels as label_sets
from mtl_transformers.tasks.task import Cells, EncodedLabel, LabelType, Logits, Prediction, Task, weighed
from mtl_transformers.text.decoding import decode_spans, decode_tags, decode_word_spans
from mtl_transformers.text.encoding import Features, Form
from mtl_transformers.text.tags import OUTSIDE, CharSpan, bio_to_spans, chars_to_words, spans_to_bio, to_bio

Scheme = Literal["bio", "iob1", "iobes", "plain", "spans"]

NO_LABEL = -100  # the index that torch's cross-entropy ignores


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenClassificationOptions:
    """Options of a token classification task.

    Attributes:
        label: a column with one tag for each word, or (``spans``) a list of {label, start, end} in characters.
        scheme: how the tags are written.
        unknown_label: what a tag means that training never had: an error, or a word without a label.
    """

    label: str
    scheme: Scheme = "bio"
    unknown_label: Literal["error", "ignore"] = "error"


@final
@dataclass(frozen=True, kw_only=True)
class TokenClassification(Task):
    """A fitted token classification task.

    Attributes:
        labels: the tags in order; output c of the head is tag c. BIO unless the scheme is plain.
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
        """Collect the tags of the training rows; every label of spans gets B- and I-, seen or not."""
        counts: Counter[str] = Counter()
        labelled = False
        for (cell,) in cells:
            if cell is not None:
                labelled = True
                counts.update(_names_in(cell, options.scheme))
        if not labelled:
            raise DataError(label_sets.ALL_NULL)
        if not counts:
            raise DataError("no training row has a span or a tag; a task needs some")
        declared = _names_of_class(class_names, options.scheme)
        names = tuple(map(str, label_sets.ordered(counts, label_names=None, class_names=declared)))
        bio = tuple(f"{prefix}-{name}" for name in names for prefix in "BI")
        return cls(
            name=name,
            metrics=tuple(metrics) or cls.legal_metrics(options)[:1],
            options=options,
            labels=names if options.scheme == "plain" else (OUTSIDE, *bio),
            names=names,
            counts=tuple(counts[label] for label in names),
        )

    @classmethod
    def meaning(cls, options: TokenClassificationOptions) -> dict[str, object]:
        """Return whether words have plain tags or belong to spans."""
        return {"scheme": "plain" if options.scheme == "plain" else "spans"}

    @property
    def num_outputs(self) -> int:
        """One logit for each tag."""
        return len(self.labels)

    @property
    def output_names(self) -> tuple[str, ...]:
        """The labels of spans, or the tags."""
        return self.names

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
        """Return one tag for each word, in BIO unless the tags are plain."""
        if self.options.scheme == "spans":
            spans = _char_spans(cell)
            _check_ends(spans, text)
            return spans_to_bio(chars_to_words(spans, row.word_spans)[0], len(row.word_spans))
        tags = _tags(cell)
        if len(tags) != len(row.word_spans):
            raise DataError(
                f"{len(tags)} tags for {len(row.word_spans)} words; expected one tag for each word of the text column "
                "(for characters of raw text set scheme: spans)"
            )
        return tags if self.options.scheme == "plain" else _to_bio(tags, self.options.scheme)

    def num_widened(self, cells: Cells, row: Features) -> int:
        """Return how many character spans do not end at word edges and are widened to whole words."""
        if self.options.scheme != "spans" or cells[0] is None:
            return 0
        return chars_to_words(_char_spans(cells[0]), row.word_spans)[1]

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

    def loss(self, logits: Tensor, target: Target) -> Tensor:
        """Return the summed cross-entropy over the words that have a tag, each read at its first piece."""
        assert target.labels is not None  # training targets have labels
        return weighed(F.cross_entropy(logits, target.labels, reduction="none", ignore_index=NO_LABEL), target)

    def decode(
        self,
        logits: Sequence[Logits],
        rows: Sequence[Features],
        *,
        texts: Sequence[str],
        form: Form,
        top_k: int | None = None,
    ) -> list[Prediction]:
        """Return spans with character offsets, or one tag for each word for plain tags."""
        if self.options.scheme == "plain":
            return [dict(prediction) for prediction in decode_tags(logits, self.labels, rows)]
        decode = decode_word_spans if form == "words" else decode_spans
        return [[dict(span) for span in spans] for spans in decode(logits, self.labels, rows, texts)]

    def gold(self, label: EncodedLabel, row: Features, *, text: str, form: Form) -> Any:
        """Return the spans with character offsets, or the plain tags."""
        tags = self._names_of(label)
        if self.options.scheme == "plain":
            return {"tags": tags}
        spans: list[dict[str, Any]] = []
        for span in bio_to_spans([tag or OUTSIDE for tag in tags]):
            start, end = row.word_spans[span.start_word][0], row.word_spans[span.end_word - 1][1]
            words = {"word_start": span.start_word, "word_end": span.end_word} if form == "words" else {}
            spans.append({"label": span.label, "text": text[start:end], "start": start, "end": end, **words})
        return spans

    def score(
        self, labels: Sequence[EncodedLabel], predictions: Sequence[Prediction], rows: Sequence[Features]
    ) -> dict[str, float]:
        """Compare tags of the words that have one; truncation predicts O for the words it lost (plain: a miss)."""
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

    def _compared(
        self, labels: Sequence[EncodedLabel], predictions: Sequence[Any], rows: Sequence[Features]
    ) -> tuple[list[list[str]], list[list[str]]]:
        """Return predicted and gold tags of each row's words; words without a label are left out of both."""
        predicted, gold = [], []
        for label, prediction, row in zip(labels, predictions, rows, strict=True):
            tags = self._names_of(label)
            answered = prediction["tags"] if self.options.scheme == "plain" else _tags_of_answer(prediction, row)
            kept = [word for word, tag in enumerate(tags) if tag is not None]
            gold.append([tags[word] or "" for word in kept])
            predicted.append([answered[word] or "" for word in kept])
        return predicted, gold


def _tags_of_answer(spans: Sequence[Mapping[str, Any]], row: Features) -> list[str]:
    """Return a prediction's spans as one BIO tag for each word."""
    found, _ = chars_to_words([CharSpan(span["label"], span["start"], span["end"]) for span in spans], row.word_spans)
    return spans_to_bio(found, len(row.word_spans))


def _names_in(cell: Any, scheme: Scheme) -> list[str]:
    """Return the label of each span, or each plain tag, of one row."""
    if scheme == "spans":
        return [span.label for span in _char_spans(cell)]
    tags = _tags(cell)
    if scheme == "plain":
        return [tag for tag in tags if tag is not None]
    return [span.label for span in bio_to_spans(_to_bio(tags, scheme))]


def _names_of_class(class_names: Sequence[str] | None, scheme: Scheme) -> list[str] | None:
    """Return the labels of spans, or the plain tags, that a ClassLabel declares, in its order."""
    if class_names is None or scheme in ("plain", "spans"):
        return None if class_names is None else list(class_names)
    labels = (tag.partition("-")[2] for tag in class_names)
    return list(dict.fromkeys(label for label in labels if label))


def _tags(cell: Any) -> list[str | None]:
    """Return the tags of one row."""
    if not isinstance(cell, list | tuple):
        raise DataError(f"tags {cell!r} are a {type(cell).__name__}; expected a list with one tag for each word")
    return [None if tag is None else str(tag) for tag in map(label_sets.plain, cell)]


def _to_bio(tags: Sequence[str | None], scheme: Literal["bio", "iob1", "iobes"]) -> list[str]:
    if any(tag is None for tag in tags):
        raise DataError("a tag is null; in a scheme of spans every word has a tag, O outside of spans")
    return to_bio([tag for tag in tags if tag is not None], scheme)


def _char_spans(cell: Any) -> list[CharSpan]:
    """Return a row's character spans."""
    if not isinstance(cell, list | tuple):
        raise DataError(f"spans {cell!r} are a {type(cell).__name__}; expected a list of {{label, start, end}}")
    spans = []
    for span in cell:
        if not isinstance(span, Mapping) or not {"label", "start", "end"} <= span.keys():
            raise DataError(f"span {span!r}: expected an object with label, start and end")
        label, start, end = span["label"], _whole(span["start"]), _whole(span["end"])
        if not isinstance(label, str) or not label or start is None or end is None or not 0 <= start < end:
            raise DataError(f"span {dict(span)!r}: expected a name and characters 0 ≤ start < end")
        spans.append(CharSpan(label, start, end))
    return spans


def _whole(offset: Any) -> int | None:
    """Return a character offset; one fraction in a column of JSON turned the others into 1.0."""
    if isinstance(offset, float) and offset.is_integer():
        return int(offset)
    return offset if isinstance(offset, int) and not isinstance(offset, bool) else None


def _check_ends(spans: Sequence[CharSpan], text: str) -> None:
    for span in spans:
        if span.end > len(text):
            raise DataError(
                f"span {span.label!r} from character {span.start} to {span.end} ends after the text, which has "
                f"{len(text)} characters. Fix the data: offsets count characters of the text column as it is"
            )
