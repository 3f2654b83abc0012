import json
import math
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from seqeval.metrics import classification_report, f1_score
from seqeval.scheme import IOB2, IOBES
from tiny import tiny_tokenizer

from mtl_transformers.errors import ConfigError, DataError
from mtl_transformers.model.tokenizer import text_backend, words_backend
from mtl_transformers.tasks.kinds import task_from_json
from mtl_transformers.tasks.labels import UnknownLabelError
from mtl_transformers.tasks.span_cells import SpanCounts
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
LEARNED = {
    "bio": BIO,
    "iobes": ["B-PER", "E-PER", "O", "S-LOC"],
    "bilou": ["B-PER", "L-PER", "O", "U-LOC"],
}


@pytest.mark.parametrize(
    ("scheme", "tags"),
    [
        ("bio", BIO),
        ("iob1", ["I-PER", "I-PER", "O", "I-LOC"]),
        ("iobes", ["B-PER", "E-PER", "O", "S-LOC"]),
        ("bilou", ["B-PER", "L-PER", "O", "U-LOC"]),
    ],
)
def test_every_scheme_is_trained_as_any_other(scheme: str, tags: list[str]) -> None:
    task = fit([tags, None], scheme=scheme)
    assert task.labels == ("O", "B-LOC", "I-LOC", "B-PER", "I-PER")
    assert task.label_counts == {"LOC": 1, "PER": 1}
    assert encoded(task, tags, row_of_words(WORDS)) == BIO
    for train_as, learned in LEARNED.items():
        assert encoded(fit([tags], scheme=scheme, train_as=train_as), tags, row_of_words(WORDS)) == learned


def test_character_spans_are_trained_as_tags() -> None:
    for train_as, learned in LEARNED.items():
        task = fit([SPANS, [], None], scheme="spans", train_as=train_as)
        assert encoded(task, SPANS, row_of_text(TEXT)) == learned
        assert encoded(task, [], row_of_text(TEXT)) == ["O"] * 4


def test_a_head_has_two_or_four_outputs_for_a_label_and_one_for_none() -> None:
    assert fit([BIO]).num_outputs == 5
    assert fit([BIO], train_as="iobes").labels == (
        *("O", "B-LOC", "I-LOC", "E-LOC", "S-LOC"),
        *("B-PER", "I-PER", "E-PER", "S-PER"),
    )
    assert fit([BIO], train_as="bilou").num_outputs == 9


def test_what_the_head_was_trained_as_cannot_change() -> None:
    trained = fit([BIO], train_as="iobes")
    with pytest.raises(ConfigError, match=r"tasks\.entities\.train_as: 'bio', but the model was trained with 'iobes'"):
        trained.check_meaning(fit([BIO]).options)
    continued = trained.continued(fit([SPANS], scheme="spans", train_as="iobes", decoding="valid", overlaps="first"))
    assert (continued.options.decoding, continued.labels) == ("valid", trained.labels)


def test_options_that_the_scheme_has_no_use_for_are_told() -> None:
    def told(**options: Any) -> list[str]:
        return list(TokenClassification.option_problems(TokenClassificationOptions(label="y", **options)))

    assert told(scheme="plain", train_as="iobes", decoding="valid", overlaps="first") == [
        *("train_as", "decoding", "overlaps")
    ]
    assert told(scheme="bilou", train_as="iobes", decoding="valid", overlaps="longest") == ["overlaps"]
    assert told(scheme="spans", train_as="bilou", decoding="valid", overlaps="longest") == []
    assert told(scheme="plain") == []


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
    assert task.span_counts((crooked,), row) == SpanCounts(widened=2)
    assert task.span_counts((SPANS,), row) == task.span_counts((None,), row) == SpanCounts()
    assert fit([BIO]).span_counts((BIO,), row_of_words(WORDS)) == SpanCounts()


def test_a_span_past_the_end_of_the_text_is_refused() -> None:
    task = fit([SPANS], scheme="spans")
    with pytest.raises(DataError, match="character 18 to 23 ends after the text, which has 22 characters"):
        encoded(task, [span("LOC", 18, 23)], row_of_text(TEXT + " "), TEXT + " ")
    assert encoded(task, [span("LOC", 18, 22)], row_of_text(TEXT + " "), TEXT + " ") == ["O", "O", "O", "B-LOC"]


def test_spans_that_overlap_are_refused() -> None:
    with pytest.raises(DataError, match="overlap"):
        encoded(fit([SPANS], scheme="spans"), [span("PER", 0, 9), span("LOC", 4, 9)], row_of_text(TEXT))


OVERLAPPING = [span("LOC", 18, 21), span("NAME", 0, 3), span("PER", 0, 9), span("PER", 0, 9), span("LOC", 4, 17)]


@pytest.mark.parametrize(
    ("overlaps", "tags", "counts", "dropped"),  # the second of two equal spans is not counted
    [
        ("longest", ["B-NAME", "B-LOC", "I-LOC", "B-LOC"], {"LOC": 2, "NAME": 1}, 1),
        ("first", BIO, {"LOC": 1, "PER": 1}, 2),
    ],
)
def test_spans_that_overlap_can_be_repaired_and_the_dropped_ones_are_counted(
    overlaps: str, tags: list[str], counts: dict[str, int], dropped: int
) -> None:
    task = fit([OVERLAPPING], scheme="spans", overlaps=overlaps)
    row = row_of_text(TEXT)
    assert encoded(task, OVERLAPPING, row) == tags
    assert task.label_counts == counts
    assert task.span_counts((OVERLAPPING,), row) == SpanCounts(dropped=dropped)
    crooked = [span("LOC", 17, 20), span("LOC", 18, 19)]
    assert task.span_counts((crooked,), row) == SpanCounts(widened=1, dropped=1)


def test_equal_spans_are_refused_only_where_overlaps_are() -> None:
    row, twice = row_of_text(TEXT), [*SPANS, SPANS[0]]
    with pytest.raises(DataError, match="overlap"):
        encoded(fit([SPANS], scheme="spans"), twice, row)
    for overlaps in ("longest", "first"):
        task = fit([twice], scheme="spans", overlaps=overlaps)
        assert (encoded(task, twice, row), task.counts) == (BIO, (1, 1))


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


@pytest.mark.parametrize("train_as", LEARNED)
@settings(max_examples=50, deadline=None)
@given(tags=tag_rows)
def test_gold_scored_as_a_prediction_is_perfect(train_as: str, tags: list[str]) -> None:
    task = fit([["B-A", "B-B"]], metrics=["span_f1", "tag_accuracy"], train_as=train_as)
    words = ["so", "Ann", "unbelievable", "went", "to", "Rio", "7", "!"][: len(tags)]
    row = row_of_words(words)
    label = task.encode((tags,), row, text=" ".join(words))
    for prediction in (
        task.gold(label, row, text=" ".join(words), form="words"),
        answer(task, [task.labels[place] for place in label], row, text=" ".join(words), form="words"),  # type: ignore[union-attr]
    ):
        scores = task.score([label], [prediction], [row])
        assert scores == {"span_f1": 1.0 if set(tags) > {"O"} or tags[0] != "O" else 0.0, "tag_accuracy": 1.0}


SCHEMES = {"bio": IOB2, "iobes": IOBES, "bilou": IOBES}  # seqeval's default reading knows no L- and U-


def random_corpus(task: TokenClassification, *, seed: int, max_length: int = 32) -> dict[str, Any]:
    """Forty rows with random gold tags and random logits, which are half as likely to be right."""
    generator = np.random.default_rng(seed)
    corpus: dict[str, Any] = {"rows": [], "gold": [], "labels": [], "logits": []}
    for size in generator.integers(1, 9, size=40):
        gold = [str(tag) for tag in generator.choice(["O", "O", "B-A", "I-A", "B-B", "I-B", "B-C"], size=size)]
        row = row_of_words(LETTERS[:1] * int(size), max_length)
        label = task.encode((gold,), row, text="")
        assert isinstance(label, list)
        noise = generator.normal(size=(len(row.word_indices[0]), task.num_outputs))
        noise[np.arange(len(noise)), label[: len(noise)]] += 1.5
        corpus["rows"].append(row)
        corpus["gold"].append([task.labels[place].replace("L-", "E-").replace("U-", "S-") for place in label])
        corpus["labels"].append(label)
        corpus["logits"].append(noise.astype(np.float32))
    return corpus


@pytest.mark.parametrize("max_length", [32, 6])
@pytest.mark.parametrize("decoding", ["independent", "valid"])
@pytest.mark.parametrize("train_as", LEARNED)
@pytest.mark.parametrize("seed", range(3))
def test_scores_of_random_answers_are_seqevals(seed: int, train_as: str, decoding: str, max_length: int) -> None:
    task = fit([["B-A", "B-B", "B-C"]], train_as=train_as, decoding=decoding)
    corpus = random_corpus(task, seed=seed, max_length=max_length)
    rows, logits, labels, gold = (corpus[key] for key in ("rows", "logits", "labels", "gold"))
    texts = [" ".join("a" * len(row.word_spans)) for row in rows]
    answers = task.decode(logits, rows, texts=texts, form="words")
    if decoding == "independent":
        tags = [[task.labels[choice] for choice in of_row.argmax(axis=1)] for of_row in logits]
        tags = [[tag.replace("L-", "E-").replace("U-", "S-") for tag in of_row] for of_row in tags]
    else:  # legal tags are the only ones of their spans
        tags = [_tags_of(answer, len(row.word_indices[0]), train_as) for answer, row in zip(answers, rows, strict=True)]
    tags = [of_row + ["O"] * (len(right) - len(of_row)) for of_row, right in zip(tags, gold, strict=True)]
    readings: list[dict[str, Any]] = [{}]
    if decoding == "valid":
        readings.append({"mode": "strict", "scheme": SCHEMES[train_as]})
    for reading in readings:
        assert task.score(labels, answers, rows) == {"span_f1": pytest.approx(f1_score(gold, tags, **reading))}
        report = classification_report(gold, tags, output_dict=True, **reading)
        for score in task.score_per_label(labels, answers, rows):
            official = report[score.label]
            assert (score.precision, score.recall) == pytest.approx((official["precision"], official["recall"]))
            assert (score.f1, score.support) == pytest.approx((official["f1-score"], official["support"]))
    assert 0.1 < task.score(labels, answers, rows)["span_f1"] < 0.9


def _tags_of(spans: Sequence[Mapping[str, Any]], num_words: int, train_as: str) -> list[str]:
    """The tags of spans, written by hand, with E- and S- for BILOU too."""
    tags = ["O"] * num_words
    for found in spans:
        words = range(found["word_start"], found["word_end"])
        for word in words:
            first, last = word == words[0], word == words[-1]
            prefix = {(True, True): "S", (True, False): "B", (False, True): "E", (False, False): "I"}[first, last]
            bio = "B" if first else "I"
            tags[word] = f"{bio if train_as == 'bio' else prefix}-{found['label']}"
    return tags


def test_strict_seqeval_differs_where_tags_are_not_legal() -> None:
    """Else the agreement above would not show that valid decoding is legal."""
    task = fit([["B-A", "B-B", "B-C"]])
    corpus = random_corpus(task, seed=0)
    tags = [[task.labels[choice] for choice in of_row.argmax(axis=1)] for of_row in corpus["logits"]]
    assert f1_score(corpus["gold"], tags) != f1_score(corpus["gold"], tags, mode="strict", scheme=IOB2)


def test_tag_accuracy_compares_bio_whatever_the_head_learned() -> None:
    row = row_of_words(WORDS)
    for train_as, learned in LEARNED.items():
        task = fit([BIO], metrics=["tag_accuracy"], train_as=train_as)
        label = task.encode((BIO,), row, text=TEXT)
        one_short = answer(task, [learned[3].replace("LOC", "PER"), "O", "O", learned[3]], row, form="words")
        assert task.score([label], [one_short], [row]) == {"tag_accuracy": 0.75}


def test_valid_decoding_gives_a_whole_span_where_words_alone_give_its_end() -> None:
    row = row_of_words(WORDS)
    logits = np.log([[5, 0.5, 0.5, 3, 1], [1, 0.5, 0.5, 1, 7], [9, 1, 1, 1, 1], [9, 1, 1, 1, 1]])
    found = {}
    for decoding in ("independent", "valid"):
        task = fit([BIO], decoding=decoding)
        (spans,) = task.decode([logits.astype(np.float32)], [row], texts=[TEXT], form="words")
        found[decoding] = [one["text"] for one in spans]  # type: ignore[index]
    assert found == {"independent": ["Smith"], "valid": ["Ann Smith"]}


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
        fit([SPANS], scheme="spans", unknown_label="ignore", overlaps="longest"),
        fit([BIO], train_as="bilou", decoding="valid"),
        fit([["A", "B"]], scheme="plain"),
    ],
)
def test_json_keeps_a_fitted_task(task: TokenClassification) -> None:
    assert task_from_json(json.loads(json.dumps(task.to_json()))) == task
