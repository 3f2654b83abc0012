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
from mtl_transformers.errors import DataError, nearest
from mtl_transformers.metrics import LabelScore, compute, per_label
from mtl_transformers.tasks.task import Cells, EncodedLabel, Logits, Prediction, Task
from mtl_transformers.text.decoding import decode_spans, decode_tags, decode_word_spans
from mtl_transformers.text.encoding import Features, Form
from mtl_transformers.text.tags import CharSpan, bio_to_spans, chars_to_words, spans_to_bio, to_bio

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
    scheme: Literal["bio", "iob1", "iobes", "plain", "spans"] = "bio"
    unknown_label: Literal["error", "ignore"] = "error"


@final
@dataclass(frozen=True, kw_only=True)
class TokenClassification(Task):
    """A fitted token classification task.

    Attributes:
        labels: the tags in order; output c of the head is tag c. BIO unless the scheme is plain.
        names: labels of spans, or the plain tags.
        counts: training spans (or words) of each of `names`.
        class_names: names of the label column's ClassLabel, where the table has one.
    """

    kind: ClassVar[str] = "token_classification"
    vectors: ClassVar[Literal["sequence", "token"]] = "token"
    label_type: ClassVar[Literal["int", "ints", "floats"]] = "ints"
    forms: ClassVar[tuple[Form, ...]] = ("text", "words")
    hub_task: ClassVar[str] = "token-classification"
    options_type: ClassVar[type[Any]] = TokenClassificationOptions

    options: TokenClassificationOptions
    labels: tuple[str, ...]
    names: tuple[str, ...]
    counts: tuple[int, ...]
    class_names: tuple[str, ...] | None

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
            if cell is None:
                continue
            labelled = True
            if options.scheme == "spans":
                counts.update(span.label for span in _char_spans(cell))
            else:
                tags = _tags(cell, class_names)
                if options.scheme == "plain":
                    counts.update(tag for tag in tags if tag is not None)
                else:
                    counts.update(span.label for span in bio_to_spans(_to_bio(tags, options.scheme)))
        if not labelled:
            raise DataError("every label is null; a task needs labelled training rows")
        if not counts:
            raise DataError("no training row has a span; a task of spans needs some")
        names = tuple(sorted(counts))
        bio = tuple(f"{prefix}-{label}" for label in names for prefix in "BI")
        return cls(
            name=name,
            metrics=tuple(metrics) or cls.legal_metrics(options)[:1],
            options=options,
            labels=names if options.scheme == "plain" else ("O", *bio),
            names=names,
            counts=tuple(counts[label] for label in names),
            class_names=None if class_names is None else tuple(class_names),
        )

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

    def encode(self, cells: Cells, row: Features) -> EncodedLabel:
        """Return one tag id for each word of the row, also for words that truncation lost."""
        cell = cells[0]
        if cell is None:
            return None
        if self.options.scheme == "spans":
            spans, _ = chars_to_words(_char_spans(cell), row.word_spans)
            return [self._place(tag) for tag in spans_to_bio(spans, len(row.word_spans))]
        tags = _tags(cell, self.class_names)
        if len(tags) != len(row.word_spans):
            raise DataError(
                f"{len(tags)} tags for {len(row.word_spans)} words; expected one tag for each word of the text column "
                "(for characters of raw text set scheme: spans)"
            )
        if self.options.scheme != "plain":
            return [self._place(tag) for tag in _to_bio(tags, self.options.scheme)]
        return [NO_LABEL if tag is None else self._place(tag) for tag in tags]

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
        raise DataError(
            f"tag {name!r} is not among the {len(self.names)} training labels{nearest(name, self.names)}. "
            "Fix the data, or set unknown_label: ignore"
        )

    def _labels(self, labels: Sequence[Sequence[int]], rows: Sequence[Features]) -> tuple[Tensor, int]:
        read = [
            tags[word] for tags, row in zip(labels, rows, strict=True) for words in row.word_indices for word in words
        ]
        values = torch.tensor(read, dtype=torch.int64)
        return values, int((values != NO_LABEL).sum())

    def loss(self, logits: Tensor, target: Target) -> Tensor:
        """Return the summed cross-entropy over the words that have a tag."""
        assert target.labels is not None  # training targets have labels
        return F.cross_entropy(logits, target.labels, reduction="sum", ignore_index=NO_LABEL)

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
        spans = []
        for span in bio_to_spans([tag or "O" for tag in tags]):
            start, end = row.word_spans[span.start_word][0], row.word_spans[span.end_word - 1][1]
            spans.append({"label": span.label, "text": text[start:end], "start": start, "end": end})
        return spans

    def score(
        self, labels: Sequence[EncodedLabel], predictions: Sequence[Prediction], rows: Sequence[Features]
    ) -> dict[str, float]:
        """Compare tags of all words; a word that truncation lost was predicted as O (plain: as no tag, a miss)."""
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
        """Return predicted and gold tags of each row's words; plain words without a label are left out."""
        predicted, gold = [], []
        for label, prediction, row in zip(labels, predictions, rows, strict=True):
            tags = self._names_of(label)
            if self.options.scheme == "plain":
                kept = [word for word, tag in enumerate(tags) if tag is not None]
                gold.append([tags[word] or "" for word in kept])
                predicted.append([prediction["tags"][word] or "" for word in kept])
            else:
                spans = [CharSpan(span["label"], span["start"], span["end"]) for span in prediction]
                gold.append([tag or "O" for tag in tags])
                predicted.append(spans_to_bio(chars_to_words(spans, row.word_spans)[0], len(row.word_spans)))
        return predicted, gold


def _tags(cell: Any, class_names: Sequence[str] | None) -> list[str | None]:
    """Return the tags of one row by name."""
    if not isinstance(cell, list | tuple):
        raise DataError(f"tags {cell!r} are a {type(cell).__name__}; expected a list with one tag for each word")
    tags: list[str | None] = []
    for tag in cell:
        if isinstance(tag, int) and class_names is not None:
            if not -1 <= tag < len(class_names):
                raise DataError(f"tag id {tag} is outside 0 to {len(class_names) - 1}")
            tags.append(None if tag == -1 else class_names[tag])
        else:
            tags.append(None if tag is None else str(tag))
    return tags


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
        label, start, end = span["label"], span["start"], span["end"]
        if not isinstance(label, str) or not isinstance(start, int) or not isinstance(end, int) or not 0 <= start < end:
            raise DataError(f"span {dict(span)!r}: expected a name and characters 0 ≤ start < end")
        spans.append(CharSpan(label, start, end))
    return spans
