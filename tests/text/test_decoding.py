import json
import math
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors, trainers

from mtl_transformers.text.decoding import (
    decode_classification,
    decode_multi_label,
    decode_regression,
    decode_spans,
    decode_tags,
    decode_word_spans,
    sigmoid,
    softmax,
)
from mtl_transformers.text.encoding import Features, TextEncoder
from mtl_transformers.text.tags import all_tags, spans_to_tags, tags_to_spans

LABELS = ["O", "B-X", "I-X"]


def row(spans, *, indices=None) -> Features:
    kept = list(range(len(spans))) if indices is None else indices
    return Features(
        input_ids=([0] * (len(kept) + 2),),
        token_type_ids=(),
        word_indices=(kept,),
        word_positions=([index + 1 for index in range(len(kept))],),
        word_spans=spans,
    )


def one_hot(choices) -> np.ndarray:
    """Logits of 3 labels whose softmax is 0.8 on the choice: 8 / (8 + 1 + 1)."""
    logits = np.zeros((len(choices), 3), dtype=np.float32)
    logits[np.arange(len(choices)), choices] = math.log(8.0)
    return logits


def test_classification_gives_the_softmax_of_the_best_label():
    logits = np.log(np.array([[1.0, 3.0], [9.0, 1.0]], dtype=np.float32))
    predictions = decode_classification(logits, ["no", "yes"])
    assert [prediction["label"] for prediction in predictions] == ["yes", "no"]
    assert [prediction["score"] for prediction in predictions] == pytest.approx([0.75, 0.9], abs=1e-6)
    assert all(set(prediction) == {"label", "score"} for prediction in predictions)


def test_top_k_adds_the_best_labels_in_order():
    (prediction,) = decode_classification(np.log(np.array([[2.0, 5.0, 3.0]])), ["a", "b", "c"], top_k=2)
    assert list(prediction["scores"]) == ["b", "c"]
    assert list(prediction["scores"].values()) == pytest.approx([0.5, 0.3])
    (every,) = decode_classification(np.log(np.array([[2.0, 5.0, 3.0]])), ["a", "b", "c"], top_k=9)
    assert list(every["scores"]) == ["b", "c", "a"]


def test_equal_probabilities_choose_the_earlier_label():
    assert decode_classification(np.zeros((1, 3)), ["b", "a", "c"])[0]["label"] == "b"


def test_labels_that_are_numbers_stay_numbers_and_name_scores_as_text():
    (prediction,) = decode_classification(np.array([[0.0, 1.0]]), [3, 5], top_k=2)
    assert prediction["label"] == 5
    assert list(prediction["scores"]) == ["5", "3"]


def test_multi_label_gives_the_labels_that_reach_their_thresholds():
    logits = np.log(np.array([[1.0, 3.0, 1 / 3]]))  # odds: probabilities 0.5, 0.75, 0.25
    (prediction,) = decode_multi_label(logits, ["a", "b", "c"], thresholds=[0.5, 0.8, 0.2])
    assert prediction["labels"] == ["a", "c"]
    assert prediction["scores"] == pytest.approx({"a": 0.5, "b": 0.75, "c": 0.25})
    assert list(prediction["scores"]) == ["b", "a", "c"]


def test_multi_label_may_give_no_label():
    assert decode_multi_label(np.array([[-9.0]]), ["a"], thresholds=[0.5])[0]["labels"] == []


def test_regression_returns_to_the_targets_units():
    assert decode_regression(np.array([[0.5], [-1.0]]), ["v"], mean=[3.0], scale=[2.0]) == [
        {"value": 4.0},
        {"value": 1.0},
    ]
    assert decode_regression(np.array([[1.0, 0.0]]), ["V", "A"], mean=[3.0, 2.0], scale=[0.5, 7.0]) == [
        {"values": {"V": 3.5, "A": 2.0}}
    ]


def test_tags_are_one_per_word_and_none_where_no_token_speaks():
    rows = [row([(0, 2), (3, 3), (4, 6)], indices=[0, 2]), row([(0, 1), (2, 3)], indices=[0])]
    tags = decode_tags([one_hot([2, 0]), one_hot([1])], ["DET", "NOUN", "VERB"], rows)
    assert tags == [{"tags": ["VERB", None, "DET"]}, {"tags": ["NOUN", None]}]


def test_a_span_has_its_text_and_the_mean_score_of_its_words():
    text = "my card was"
    logits = one_hot([0, 1, 2])
    logits[2] = [0.0, 0.0, math.log(2.0)]  # 2 / (1 + 1 + 2) = 0.5
    ((span,),) = decode_spans([logits], LABELS, [row([(0, 2), (3, 7), (8, 11)])], [text])
    assert span == {"label": "X", "text": "card was", "start": 3, "end": 11, "score": pytest.approx(0.65)}


def test_spans_of_given_words_name_their_words_too():
    features = row([(0, 2), (3, 7), (8, 11)])
    ((span,),) = decode_word_spans([one_hot([0, 1, 2])], LABELS, [features], ["my card was"])
    assert (span["word_start"], span["word_end"]) == (1, 3)
    assert (span["text"], span["start"], span["end"]) == ("card was", 3, 11)


def test_a_word_without_a_position_counts_as_outside():
    text = "aa bb cc dd"
    features = row([(0, 2), (3, 5), (6, 8), (9, 11)], indices=[0, 2])  # bb has no token, dd was truncated
    (spans,) = decode_spans([one_hot([1, 2])], LABELS, [features], [text])
    assert [span["text"] for span in spans] == ["aa", "cc"]


@pytest.mark.parametrize(("scheme", "end", "single"), [("iobes", "E", "S"), ("bilou", "L", "U")])
def test_spans_are_read_from_the_scheme_of_the_tags(scheme, end, single):
    tags = ["O", "B-X", "I-X", f"{end}-X", f"{single}-X"]
    logits = 9 * np.eye(5)[[1, 3, 4, 4, 0]]
    features = row([(0, 2), (3, 5), (6, 8), (9, 11), (12, 14)])
    for decoding in ("independent", "valid"):
        (spans,) = decode_spans([logits], tags, [features], ["aa bb cc dd ee"], scheme=scheme, decoding=decoding)
        assert [span["text"] for span in spans] == ["aa bb", "cc", "dd"]


def test_valid_decoding_reads_a_legal_sequence_where_the_independent_one_is_not():
    probabilities = np.array(
        [[0.5, 0.4, 0.1], [0.2, 0.1, 0.7]]
    )  # O, then I-X: 0.35; legal are B-X, I-X: 0.28; O, O: 0.1
    features, text = row([(0, 3), (4, 8)]), "New York"
    ((alone,),) = decode_spans([np.log(probabilities)], LABELS, [features], [text])
    assert (alone["text"], alone["score"]) == ("York", pytest.approx(0.7))
    ((whole,),) = decode_spans([np.log(probabilities)], LABELS, [features], [text], decoding="valid")
    assert (whole["text"], whole["score"]) == ("New York", pytest.approx(0.55))
    ((words,),) = decode_word_spans([np.log(probabilities)], LABELS, [features], [text], decoding="valid")
    assert words == {**whole, "word_start": 0, "word_end": 2}


def test_a_word_without_a_position_is_outside_to_its_neighbours():
    logits = np.array([[0.0, 9.0, 0.0], [0.0, 1.0, 9.0]])  # B-X, then I-X
    text = "aa bb cc"
    adjacent = row([(0, 2), (3, 5), (6, 8)], indices=[0, 1])
    apart = row([(0, 2), (3, 5), (6, 8)], indices=[0, 2])
    ((span,),) = decode_spans([logits], LABELS, [adjacent], [text], decoding="valid")
    assert (span["text"], span["score"]) == ("aa bb", pytest.approx(1.0, abs=1e-3))
    (spans,) = decode_spans([logits], LABELS, [apart], [text], decoding="valid")
    assert [span["text"] for span in spans] == ["aa", "cc"]
    assert spans[1]["score"] == pytest.approx(math.e / (1 + math.e + math.e**9))  # B-X, since I-X would not be legal
    ((alone,),) = decode_spans([logits[1:]], LABELS, [row([(0, 2), (3, 5)], indices=[1])], [text], decoding="valid")
    assert alone["score"] == spans[1]["score"]


def test_a_span_that_truncation_would_leave_open_is_closed():
    tags = all_tags("X", "iobes")
    logits = np.array([[0.0, 9.0, 0.0, 0.0, 2.0], [0.0, 0.0, 9.0, 8.0, 0.0]])  # B-X, I-X | E-X
    truncated = row([(0, 2), (3, 5), (6, 8)], indices=[0, 1])
    ((span,),) = decode_spans([logits], tags, [truncated], ["aa bb cc"], scheme="iobes", decoding="valid")
    assert span["text"] == "aa bb"
    assert span["score"] == pytest.approx((softmax(logits)[0, 1] + softmax(logits)[1, 3]) / 2)


some_rows = st.lists(st.lists(st.booleans(), max_size=6), max_size=4)


@pytest.mark.parametrize("scheme", ["bio", "iobes", "bilou"])
@given(kept=some_rows, seed=st.integers(0, 999), sharp=st.booleans())
def test_valid_decoding_changes_nothing_where_the_most_probable_tags_are_legal(scheme, kept, seed, sharp):
    generator = np.random.default_rng(seed)
    tags = all_tags("XY", scheme)
    rows, logits = [], []
    for of_row in kept:
        features = row([(3 * n, 3 * n + 2) for n in range(len(of_row))], indices=np.flatnonzero(of_row).tolist())
        scores = generator.normal(size=(sum(of_row), len(tags)))
        if sharp:
            scores[:, 0] += 1.0  # more rows are legal
        rows.append(features)
        logits.append(scores)
    texts = ["aa " * len(of_row) for of_row in kept]
    independent = decode_spans(logits, tags, rows, texts, scheme=scheme)
    valid = decode_spans(logits, tags, rows, texts, scheme=scheme, decoding="valid")
    for features, scores, one, other in zip(rows, logits, independent, valid, strict=True):
        chosen = ["O"] * len(features.word_spans)
        for word, choice in zip(features.word_indices[0], scores.argmax(axis=1), strict=True):
            chosen[word] = tags[choice]
        if spans_to_tags(tags_to_spans(chosen, scheme), len(chosen), scheme) == chosen:
            assert one == other


def test_rows_are_decoded_in_parts_as_together():
    generator = np.random.default_rng(0)
    sizes = generator.integers(0, 7, size=600)
    rows = [row([(3 * n, 3 * n + 2) for n in range(size)]) for size in sizes]
    logits = [generator.normal(size=(size, 3)) for size in sizes]
    texts = ["aa " * size for size in sizes]
    together = decode_spans(logits, LABELS, rows, texts, decoding="valid")
    alone = [decode_spans([logits[n]], LABELS, [rows[n]], [texts[n]], decoding="valid")[0] for n in range(600)]
    assert together == alone
    assert together != decode_spans(logits, LABELS, rows, texts)


def test_a_row_without_words_has_no_spans():
    features = row([])
    for decoding in ("independent", "valid"):
        assert decode_spans([np.zeros((0, 3))], LABELS, [features], [""], decoding=decoding) == [[]]
    assert decode_tags([np.zeros((0, 3))], LABELS, [features]) == [{"tags": []}]


def test_no_rows_have_no_predictions():
    assert decode_classification(np.zeros((0, 2)), ["a", "b"]) == []
    assert decode_multi_label(np.zeros((0, 2)), ["a", "b"], thresholds=[0.5, 0.5]) == []
    assert decode_regression(np.zeros((0, 1)), ["v"], mean=[0.0], scale=[1.0]) == []
    assert decode_spans([], LABELS, [], []) == decode_spans([], LABELS, [], [], decoding="valid") == []


def test_logits_and_rows_of_unequal_number_are_an_error():
    with pytest.raises(ValueError, match="zip"):
        decode_tags([one_hot([1, 1])], LABELS, [row([(0, 2)])])


def test_predictions_of_float32_logits_are_json():
    logits = one_hot([1, 0])
    words = row([(0, 2), (3, 7)])
    predictions = [
        *decode_classification(logits, ["a", "b", 3], top_k=2),
        *decode_multi_label(logits, ["a", "b", "c"], thresholds=np.full(3, 0.5, dtype=np.float32)),
        *decode_regression(logits[:, :1], ["v"], mean=[0.0], scale=[1.0]),
        *decode_tags([logits], ["a", "b", "c"], [words]),
        *decode_word_spans([logits], LABELS, [words], ["my card"]),
    ]
    assert json.loads(json.dumps(predictions)) == predictions


@given(arrays(np.float32, (3, 4), elements=st.floats(-1e4, 1e4, width=32)))
def test_probabilities_of_large_logits_are_finite(logits):
    assert softmax(logits).sum(axis=1) == pytest.approx(np.ones(3))
    wide = logits.astype(np.float64)
    assert np.all((sigmoid(logits) >= 0) & (sigmoid(logits) <= 1))
    assert sigmoid(logits) + sigmoid(-logits) == pytest.approx(np.ones((3, 4)))
    moderate = np.abs(wide) < 500
    assert sigmoid(logits)[moderate] == pytest.approx(1 / (1 + np.exp(-wide[moderate])))


def byte_level() -> Tokenizer:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.train_from_iterator(
        ["my card was charged twice", "low lower lowest"],
        trainers.BpeTrainer(
            vocab_size=280,
            special_tokens=["<s>", "</s>"],
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
            show_progress=False,
        ),
    )
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", special_tokens=[("<s>", 0), ("</s>", 1)]
    )
    return tokenizer


def wordpiece() -> Tokenizer:
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.train_from_iterator(
        ["my card was charged twice", "low lower lowest"],
        trainers.WordPieceTrainer(vocab_size=40, special_tokens=["[UNK]", "[CLS]", "[SEP]"], show_progress=False),
    )
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 1), ("[SEP]", 2)]
    )
    return tokenizer


ENCODERS = [
    TextEncoder(build(), max_length=max_length, uses_token_types=False)
    for build in (byte_level, wordpiece)
    for max_length in (8, 64)
]


@pytest.mark.parametrize("encoder", ENCODERS)
@given(
    text=st.text(st.characters(codec="utf-8"), max_size=40)
    | st.text(st.sampled_from("my card 👍🏽e\u0301,\n"), max_size=40),
    seed=st.integers(0, 99),
)
def test_every_span_of_any_text_is_the_text_between_its_characters(encoder, text, seed):
    (features,) = encoder.encode([text], form="text", alignment="words")
    logits = np.random.default_rng(seed).normal(size=(len(features.word_indices[0]), 3))
    (spans,) = decode_spans([logits], LABELS, [features], [text])
    for span in spans:
        assert text[span["start"] : span["end"]] == span["text"] == span["text"].strip() != ""
        assert 1 / 3 <= span["score"] <= 1
    assert len(spans) == len(tags_to_spans([LABELS[choice] for choice in logits.argmax(axis=1)], "bio"))


@given(words=st.lists(st.text(st.characters(codec="utf-8"), max_size=8), max_size=10), seed=st.integers(0, 99))
def test_every_span_of_given_words_is_their_words_joined(words, seed):
    (features,) = ENCODERS[2].encode([words], form="words", alignment="words")
    logits = np.random.default_rng(seed).normal(size=(len(features.word_indices[0]), 3))
    (spans,) = decode_word_spans([logits], LABELS, [features], [" ".join(words)])
    for span in spans:
        assert span["text"] == " ".join(words[span["word_start"] : span["word_end"]])


def test_decoding_needs_no_torch():
    code = "import sys, mtl_transformers.text.decoding; print({'torch', 'transformers'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "set()"
