import json
import math
from collections.abc import Iterable, Sequence
from functools import cache
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny import tiny_tokenizer

from mtl_transformers.errors import DataError
from mtl_transformers.model.tokenizer import text_backend, words_backend
from mtl_transformers.tasks.kinds import task_from_json
from mtl_transformers.tasks.labels import UnknownLabelError
from mtl_transformers.tasks.token_classification import NO_LABEL, TokenClassification, TokenClassificationOptions
from mtl_transformers.text.encoding import Features, TextEncoder

WORDS = ["Ann", "Smith", "visited", "Rio"]
TEXT = "Ann Smith visited Rio"
BIO = ["B-PER", "I-PER", "O", "B-LOC"]
LETTERS = ["a", "b", "c", "d"]  # words of one piece each


@cache
def encoder(form: str, max_length: int = 32) -> TextEncoder:
    backend = {"words": words_backend, "text": text_backend}[form](tiny_tokenizer("bert"))
    return TextEncoder(backend, max_length=max_length, uses_token_types=True)


def row_of_words(words: list[str], max_length: int = 32) -> Features:
    return encoder("words", max_length).encode([words], form="words", alignment="words")[0]


def row_of_text(text: str, max_length: int = 32) -> Features:
    return encoder("text", max_length).encode([text], form="text", alignment="words")[0]


def fit(
    cells: Iterable[Any],
    *,
    class_names: Sequence[str] | None = None,
    metrics: Sequence[str] = (),
    **options: Any,
) -> TokenClassification:
    return TokenClassification.fit(
        "entities",
        TokenClassificationOptions(label="y", **options),
        metrics=metrics,
        cells=((cell,) for cell in cells),
        class_names=class_names,
    )


def encoded(task: TokenClassification, cell: Any, row: Features, text: str = TEXT) -> list[str | None] | None:
    """The tags by name."""
    places = task.encode((cell,), row, text=text)
    if places is None:
        return None
    assert isinstance(places, list)
    return [None if place == NO_LABEL else task.labels[place] for place in places]


def confident(task: TokenClassification, tags: Sequence[str], row: Features) -> Any:
    """Logits that choose a tag for each word that kept its first piece."""
    kept = [word for words in row.word_indices for word in words]
    choices = [task.labels.index(tags[word]) for word in kept]
    return (20 * np.eye(len(task.labels))[choices]).astype(np.float32)


def answer(task: TokenClassification, tags: Sequence[str], row: Features, *, text: str = TEXT, form: Any) -> Any:
    return task.decode([confident(task, tags, row)], [row], texts=[text], form=form)[0]


def span(label: str, start: int, end: int) -> dict[str, Any]:
    return {"label": label, "start": start, "end": end}


SPANS = [span("PER", 0, 9), span("LOC", 18, 21)]


@pytest.mark.parametrize(
    ("scheme", "tags"),
    [
        ("bio", BIO),
        ("iob1", ["I-PER", "I-PER", "O", "I-LOC"]),
        ("iobes", ["B-PER", "E-PER", "O", "S-LOC"]),
    ],
)
def test_every_scheme_is_trained_as_bio(scheme: str, tags: list[str]) -> None:
    task = fit([tags, None], scheme=scheme)
    assert task.labels == ("O", "B-LOC", "I-LOC", "B-PER", "I-PER")
    assert task.label_counts == {"LOC": 1, "PER": 1}
    assert encoded(task, tags, row_of_words(WORDS)) == BIO


def test_character_spans_are_trained_as_bio() -> None:
    task = fit([SPANS, [], None], scheme="spans")
    assert encoded(task, SPANS, row_of_text(TEXT)) == BIO
    assert encoded(task, [], row_of_text(TEXT)) == ["O"] * 4


def test_null_is_no_label_and_no_span_is() -> None:
    spans, tags = fit([SPANS], scheme="spans"), fit([BIO])
    assert encoded(spans, None, row_of_text(TEXT)) is None
    assert encoded(tags, None, row_of_words(WORDS)) is None
    assert encoded(tags, ["O"] * 4, row_of_words(WORDS)) == ["O"] * 4


def test_plain_tags_are_labels_of_words_and_null_ones_are_masked() -> None:
    task = fit([["NOUN", "VERB", None], ["NOUN"]], scheme="plain")
    assert (task.labels, task.counts) == (("NOUN", "VERB"), (2, 1))
    row = row_of_words(["Ann", "runs", "fast"])
    assert encoded(task, ["NOUN", None, "VERB"], row) == ["NOUN", None, "VERB"]
    assert encoded(task, [None, None, None], row) is None


def test_plain_tags_keep_the_order_of_a_class_label_and_numbers_sort_numerically() -> None:
    assert fit([["VERB", "NOUN"]], scheme="plain", class_names=["VERB", "ADJ", "NOUN"]).labels == (
        "VERB",
        "ADJ",
        "NOUN",
    )
    assert fit([[10, 9, 2]], scheme="plain").labels == ("2", "9", "10")


def test_the_spans_of_a_class_label_keep_its_order_and_need_not_occur() -> None:
    task = fit([BIO], class_names=["O", "B-PER", "I-PER", "B-LOC", "I-LOC", "B-ORG", "I-ORG"])
    assert task.names == ("PER", "LOC", "ORG")
    assert task.counts == (1, 1, 0)
    assert encoded(task, ["O", "O", "O", "B-ORG"], row_of_words(WORDS)) == ["O", "O", "O", "B-ORG"]


def test_an_inside_tag_is_known_where_training_had_only_the_beginning() -> None:
    assert encoded(fit([["B-LOC"]]), ["B-LOC", "I-LOC", "O", "O"], row_of_words(WORDS)) == ["B-LOC", "I-LOC", "O", "O"]


def test_unequal_numbers_of_tags_and_words_are_refused() -> None:
    with pytest.raises(DataError, match="3 tags for 4 words"):
        encoded(fit([BIO]), BIO[:3], row_of_words(WORDS))


@pytest.mark.parametrize(
    ("cells", "options", "message"),
    [
        ([None], {}, "every label is null"),
        ([["O", "O"]], {}, "no training row has a span"),
        ([["PER"]], {}, "no tag of the scheme bio"),
        ([["B-PER", None]], {}, "a tag is null"),
        (["B-PER"], {}, "expected a list with one tag"),
        ([[0.5]], {}, "fraction"),
        ([[span("A", 3, 3)]], {"scheme": "spans"}, "0 ≤ start < end"),
        ([[{"label": "A"}]], {"scheme": "spans"}, "with label, start and end"),
        ([span("A", 0, 1)], {"scheme": "spans"}, "expected a list"),
    ],
)
def test_labels_that_cannot_be_trained_are_refused(cells: list[Any], options: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        fit(cells, **options)


def test_an_unknown_label_of_a_span_is_an_error_with_the_nearest() -> None:
    for task, cell, row in (
        (fit([BIO]), ["B-PERS", "O", "O", "O"], row_of_words(WORDS)),
        (fit([SPANS], scheme="spans"), [span("PERS", 0, 3)], row_of_text(TEXT)),
    ):
        with pytest.raises(UnknownLabelError, match=r"label 'PERS' is not among the 2 training labels.*'PER'"):
            encoded(task, cell, row)


def test_an_unknown_tag_can_be_ignored_and_its_words_have_no_label_then() -> None:
    task = fit([BIO], unknown_label="ignore")
    row = row_of_words(WORDS)
    assert encoded(task, ["B-ORG", "I-ORG", "O", "B-LOC"], row) == [None, None, "O", "B-LOC"]
    assert encoded(task, ["B-ORG"] * 4, row) is None


def test_spans_off_the_edges_of_words_are_widened_and_counted() -> None:
    task = fit([SPANS], scheme="spans")
    row = row_of_text(TEXT)
    crooked = [span("PER", 1, 9), span("LOC", 18, 20)]
    assert encoded(task, crooked, row) == BIO
    assert task.num_widened((crooked,), row) == 2
    assert task.num_widened((SPANS,), row) == task.num_widened((None,), row) == 0


def test_a_span_past_the_end_of_the_text_is_refused() -> None:
    task = fit([SPANS], scheme="spans")
    with pytest.raises(DataError, match="character 18 to 23 ends after the text, which has 22 characters"):
        encoded(task, [span("LOC", 18, 23)], row_of_text(TEXT + " "), TEXT + " ")
    assert encoded(task, [span("LOC", 18, 22)], row_of_text(TEXT + " "), TEXT + " ") == ["O", "O", "O", "B-LOC"]


def test_spans_that_overlap_are_refused() -> None:
    with pytest.raises(DataError, match="overlap"):
        encoded(fit([SPANS], scheme="spans"), [span("PER", 0, 9), span("LOC", 4, 9)], row_of_text(TEXT))


def test_the_head_reads_the_first_piece_of_each_word() -> None:
    task = fit([["B-LOC", "O"]])
    row = row_of_words(["Quito", "unbelievable"])
    assert len(row.input_ids[0]) > 4  # words of several pieces, else the test shows nothing
    found = task.target([row], first_sequences=[3], labels=[task.encode((["B-LOC", "O"],), row, text="")])
    assert found is not None
    assert found.positions is not None
    assert found.labels is not None
    assert found.sequences.tolist() == [3, 3]
    assert found.positions.tolist() == list(row.word_positions[0])
    assert found.labels.tolist() == [1, 0]
    assert (found.num_items, found.num_rows) == (2, 1)


def test_words_that_truncation_lost_are_no_items() -> None:
    task = fit([BIO])
    row = row_of_words(LETTERS, max_length=4)
    found = task.target([row], first_sequences=[0], labels=[task.encode((BIO,), row, text="")])
    assert found is not None
    assert (found.num_items, task.num_vectors(row), found.labels.tolist()) == (2, 2, [3, 4])  # type: ignore[union-attr]


def test_a_null_row_gives_no_vector_and_adds_nothing_to_the_loss() -> None:
    task = fit([BIO])
    row = row_of_words(WORDS)
    label = task.encode((BIO,), row, text=TEXT)
    both = task.target([row, row], first_sequences=[0, 1], labels=[None, label])
    alone = task.target([row], first_sequences=[1], labels=[label])
    assert both is not None
    assert alone is not None
    assert both.sequences.tolist() == [1] * 4
    logits = torch.randn(4, 5, generator=torch.Generator().manual_seed(0))
    assert torch.equal(task.loss(logits, both), task.loss(logits, alone))
    assert task.target([row], first_sequences=[0], labels=[None]) is None
    outside = task.encode((["O"] * 4,), row, text=TEXT)  # negative control: no span is a label
    assert task.target([row], first_sequences=[0], labels=[outside]) is not None


def test_a_masked_word_has_no_loss_and_no_gradient() -> None:
    task = fit([["NOUN", "VERB"]], scheme="plain")
    row = row_of_words(["Ann", "runs"])
    found = task.target([row], first_sequences=[0], labels=[task.encode((["VERB", None],), row, text="")])
    assert found is not None
    assert found.num_items == 1
    logits = torch.tensor([[0.0, math.log(3.0)], [5.0, 5.0]], requires_grad=True)
    loss = task.loss(logits, found)
    assert loss.item() == pytest.approx(math.log(4 / 3))
    (gradient,) = torch.autograd.grad(loss, logits)
    assert gradient[1].tolist() == [0.0, 0.0]


@pytest.mark.parametrize("form", ["words", "text"])
def test_predictions_are_spans_with_characters_and_of_words_with_words_too(form: str) -> None:
    task = fit([BIO])
    row = row_of_words(WORDS) if form == "words" else row_of_text(TEXT)
    found = answer(task, BIO, row, form=form)
    words: list[dict[str, int]] = [{"word_start": 0, "word_end": 2}, {"word_start": 3, "word_end": 4}]
    expected = [
        {"label": "PER", "text": "Ann Smith", "start": 0, "end": 9},
        {"label": "LOC", "text": "Rio", "start": 18, "end": 21},
    ]
    if form == "words":
        expected = [{**one, **two} for one, two in zip(expected, words, strict=True)]
    assert [{key: value for key, value in one.items() if key != "score"} for one in found] == expected
    assert task.gold(task.encode((BIO,), row, text=TEXT), row, text=TEXT, form=form) == expected


tag_rows = st.lists(st.sampled_from(["O", "B-A", "I-A", "B-B", "I-B"]), min_size=1, max_size=8)


@settings(max_examples=50, deadline=None)
@given(tag_rows)
def test_gold_scored_as_a_prediction_is_perfect(tags: list[str]) -> None:
    task = fit([["B-A", "B-B"]], metrics=["span_f1", "tag_accuracy"])
    words = ["so", "Ann", "unbelievable", "went", "to", "Rio", "7", "!"][: len(tags)]
    row = row_of_words(words)
    label = task.encode((tags,), row, text=" ".join(words))
    for prediction in (
        task.gold(label, row, text=" ".join(words), form="words"),
        answer(task, [task.labels[place] for place in label], row, text=" ".join(words), form="words"),  # type: ignore[union-attr]
    ):
        scores = task.score([label], [prediction], [row])
        assert scores == {"span_f1": 1.0 if set(tags) > {"O"} or tags[0] != "O" else 0.0, "tag_accuracy": 1.0}


def test_spans_that_truncation_lost_are_missed() -> None:
    task = fit([BIO], metrics=["span_f1", "tag_accuracy"])
    row, whole = row_of_words(LETTERS, max_length=5), row_of_words(LETTERS)
    assert row.word_indices[0] == [0, 1, 2]
    label = task.encode((BIO,), row, text="a b c d")
    assert task.score([label], [answer(task, BIO, whole, text="a b c d", form="words")], [whole])["span_f1"] == 1.0
    scores = task.score([label], [answer(task, BIO, row, text="a b c d", form="words")], [row])
    assert scores == {"span_f1": pytest.approx(2 / 3), "tag_accuracy": 0.75}  # precision 1, recall 1/2


def test_plain_words_that_truncation_lost_are_misses() -> None:
    task = fit([["A", "B"]], scheme="plain")
    row = row_of_words(LETTERS, max_length=5)
    label = task.encode((["A", "A", "B", "A"],), row, text="")
    found = answer(task, ["A", "A", "B", "A"], row, form="words")
    assert found == {"tags": ["A", "A", "B", None]}
    assert task.score([label], [found], [row]) == {"tag_accuracy": 0.75}
    assert [(score.label, score.recall, score.support) for score in task.score_per_label([label], [found], [row])] == [
        ("A", pytest.approx(2 / 3), 3),
        ("B", 1.0, 1),
    ]


def test_words_without_a_label_change_no_score() -> None:
    for scheme, labelled in (("plain", ["A", None, "B", "A"]), ("bio", ["B-A", "B-NEW", "O", "B-A"])):
        task = fit([["A", "B"] if scheme == "plain" else ["B-A", "O"]], scheme=scheme, unknown_label="ignore")
        row = row_of_words(WORDS)
        label = task.encode((labelled,), row, text=TEXT)
        right, wrong = (
            (["A", "A", "B", "A"], ["A", "B", "B", "A"])
            if scheme == "plain"
            else (["B-A", "O", "O", "B-A"], ["B-A", "B-A", "O", "B-A"])
        )
        scores = [task.score([label], [answer(task, tags, row, form="words")], [row]) for tags in (right, wrong)]
        assert list(scores[0].values()) == list(scores[1].values()) == [1.0]


def test_score_of_spans_counts_whole_spans() -> None:
    task = fit([BIO], metrics=["span_f1", "tag_accuracy"])
    row = row_of_words(WORDS)
    label = task.encode((BIO,), row, text=TEXT)
    half = answer(task, ["B-PER", "O", "O", "B-LOC"], row, form="words")  # one right, one too short
    assert task.score([label], [half], [row]) == {"span_f1": pytest.approx(0.5), "tag_accuracy": 0.75}
    assert [(score.label, score.f1, score.support) for score in task.score_per_label([label], [half], [row])] == [
        ("LOC", 1.0, 1),
        ("PER", 0.0, 1),
    ]


def test_the_majority_is_no_span_or_the_most_frequent_plain_tag() -> None:
    row = row_of_words(WORDS)
    spans = fit([BIO], metrics=["span_f1", "tag_accuracy"])
    label = spans.encode((BIO,), row, text=TEXT)
    assert spans.majority(row) == []
    assert spans.score([label], [[]], [row]) == {"span_f1": 0.0, "tag_accuracy": 0.25}
    plain = fit([["A", "B", "B"]], scheme="plain")
    assert plain.majority(row) == {"tags": ["B"] * 4}
    label = plain.encode((["A", "B", "A", "A"],), row, text=TEXT)
    assert plain.score([label], [plain.majority(row)], [row]) == {"tag_accuracy": 0.25}


def test_a_word_without_characters_takes_its_tag_and_is_predicted_as_o() -> None:
    task = fit([BIO], metrics=["span_f1", "tag_accuracy"])
    row = row_of_words(["Ann", "", "Rio"])
    label = task.encode((["B-PER", "O", "B-LOC"],), row, text="Ann  Rio")
    found = answer(task, ["B-PER", "O", "B-LOC"], row, text="Ann  Rio", form="words")
    assert task.score([label], [found], [row]) == {"span_f1": 1.0, "tag_accuracy": 1.0}


def test_a_row_without_words_has_no_label() -> None:
    assert fit([SPANS], scheme="spans").encode(([],), row_of_text("\x00"), text="\x00") is None


def test_raw_text_to_a_task_trained_on_words_answers_spans_of_characters() -> None:
    assert [found["text"] for found in answer(fit([BIO]), BIO, row_of_text(TEXT), form="text")] == ["Ann Smith", "Rio"]


@pytest.mark.parametrize(
    "task",
    [
        fit([BIO]),
        fit([BIO], class_names=["O", "B-PER", "B-LOC"], metrics=["tag_accuracy"]),
        fit([SPANS], scheme="spans", unknown_label="ignore"),
        fit([["A", "B"]], scheme="plain"),
    ],
)
def test_json_keeps_a_fitted_task(task: TokenClassification) -> None:
    assert task_from_json(json.loads(json.dumps(task.to_json()))) == task
