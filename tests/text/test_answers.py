from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny import tiny_tokenizer

from mtl_transformers.model.tokenizer import text_backend
from mtl_transformers.text.answers import Place, decode_answers, find_answer, pieces_of, spans_array
from mtl_transformers.text.encoding import Features, TextEncoder

CONTEXT = "a b c d e f g h"  # words of one piece each


@cache
def encoder(max_length: int, family: str = "bert") -> TextEncoder:
    return TextEncoder(text_backend(tiny_tokenizer(family)), max_length=max_length, uses_token_types=True)


def row_of(
    context: str, *, question: str = "q", max_length: int = 64, stride: int = 2, family: str = "bert"
) -> Features:
    pair = [(question, context)]
    return encoder(max_length, family).encode(pair, form="pair", alignment="pieces", stride=stride)[0]


def decoded(row: Features, logits: Any, context: str = CONTEXT, **settings: Any) -> Any:
    given_settings = {"max_pieces": 30, "num_best": 1, "threshold": None} | settings
    array = np.asarray(logits, dtype=np.float32)
    return decode_answers([array], [row], [context], **given_settings)[0]


def logits_of(row: Features, scores: dict[tuple[int, int], tuple[float, float]], null: Sequence[float] = ()) -> Any:
    """Logits of zero but for (window, piece) → (start, end), and the windows' first tokens, a half on both sides."""
    windows = []
    for number, pieces in enumerate(row.word_indices):
        window = np.zeros((1 + len(pieces), 2))
        window[0] = null[number] / 2 if null else -9.0
        for place, piece in enumerate(pieces, start=1):
            window[place] = scores.get((number, piece), (0.0, 0.0))
        windows.append(window)
    return np.concatenate(windows)


# where a given answer stands


@pytest.mark.parametrize(
    ("answer", "start", "place"),
    [
        ("Rio", 4, Place(4, 7, repaired=False)),  # as given
        ("Rio", 5, Place(4, 7, repaired=True)),  # a wrong offset: the nearest of the same text
        ("Rio", 16, Place(18, 21, repaired=True)),
        ("Rio", 99, Place(18, 21, repaired=True)),
        ("Rio", -3, Place(4, 7, repaired=True)),
        ("Rio", None, Place(4, 7, repaired=False)),  # no offset: the first one
        ("and", 0, Place(8, 11, repaired=True)),
        ("RIO and  the", 4, Place(4, 15, repaired=True)),  # other case and white space
        ("RIO", None, Place(4, 7, repaired=True)),
        ("Quito", 4, None),
    ],
)
def test_an_answer_is_found_where_it_stands(answer: str, start: int | None, place: Place | None) -> None:
    assert find_answer(answer, "see Rio and the \n Rio", start=start) == place


def test_signs_of_an_answer_are_no_pattern() -> None:
    assert find_answer("$4.9 (or", "costs $4.9  (OR so)", start=0) == Place(6, 15, repaired=True)
    assert find_answer("4.9", "429", start=None) is None


@given(st.text("ab ", min_size=3, max_size=20), st.data())
def test_any_slice_is_found_at_its_offset_and_near_a_wrong_one(context: str, data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(context) - 1))
    end = data.draw(st.integers(start + 1, len(context)))
    answer = context[start:end]
    assert find_answer(answer, context, start=start) == Place(start, end, repaired=False)
    wrong = data.draw(st.integers(-3, len(context) + 3))
    found = find_answer(answer, context, start=wrong)
    assert found is not None
    starts = [n for n in range(len(context)) if context.startswith(answer, n)]
    assert abs(found.start - wrong) == min(abs(n - wrong) for n in starts)
    assert context[found.start : found.end] == answer


def test_pieces_of_an_answer_are_those_that_it_touches() -> None:
    spans = np.array([[0, 3], [3, 5], [5, 5], [6, 9]])
    assert pieces_of(0, 3, spans) == (0, 0)
    assert pieces_of(2, 4, spans) == (0, 1)
    assert pieces_of(3, 9, spans) == (1, 3)
    assert pieces_of(5, 6, spans) is None  # a blank piece holds no answer


# the best span


def test_the_best_span_is_the_highest_sum_of_a_start_and_an_end_behind_it() -> None:
    row = row_of(CONTEXT)
    scores = {(0, 1): (5.0, 0.0), (0, 0): (0.0, 8.0), (0, 3): (4.0, 4.0), (0, 5): (0.0, 3.0)}
    answer = decoded(row, logits_of(row, scores))
    assert (answer["answer"], answer["start"], answer["end"]) == ("b c d", 2, 7)  # 5 + 4; the 8 ends before it


def test_a_score_is_the_softmax_over_all_spans() -> None:
    row = row_of("a b")
    answer = decoded(row, logits_of(row, {(0, 0): (1.0, 0.0), (0, 1): (0.0, 2.0)}), "a b")
    spans = np.exp([1 + 0, 1 + 2, 0 + 2])  # a; a b; b
    assert answer == {"answer": "a b", "start": 0, "end": 3, "score": pytest.approx(spans[1] / spans.sum())}
    null = decoded(row, logits_of(row, {(0, 0): (1.0, 0.0), (0, 1): (0.0, 2.0)}, [1.5]), "a b", threshold=0.0)
    assert null["score"] == pytest.approx(spans[1] / (spans.sum() + np.exp(1.5)))


def test_an_answer_is_no_longer_than_asked_for() -> None:
    row = row_of(CONTEXT)
    scores = {(0, 1): (5.0, 0.0), (0, 3): (0.0, 4.0), (0, 2): (0.0, 1.0)}
    assert decoded(row, logits_of(row, scores))["answer"] == "b c d"
    assert decoded(row, logits_of(row, scores), max_pieces=2)["answer"] == "b c"


def test_no_span_begins_in_one_window_and_ends_in_another() -> None:
    row = row_of(CONTEXT, max_length=8)
    assert row.word_indices == ([0, 1, 2, 3], [2, 3, 4, 5], [4, 5, 6, 7])
    scores = {(0, 1): (9.0, 0.0), (1, 2): (1.0, 0.0), (1, 4): (0.0, 9.0)}
    answer = decoded(row, logits_of(row, scores))
    assert answer["answer"] == "c d e"  # not b c d e, which no window holds


def test_a_span_in_two_windows_counts_once_with_its_higher_logit() -> None:
    row = row_of("a b c", max_length=6)
    assert row.word_indices == ([0, 1], [1, 2])
    answer = decoded(row, logits_of(row, {(0, 1): (1.0, 1.0), (1, 1): (2.0, 2.0)}), "a b c")
    spans = np.exp([0, 0 + 1, 4, 2 + 0, 0])  # a; a b; b in the second window; b c; c
    assert (answer["answer"], answer["score"]) == ("b", pytest.approx(spans[2] / spans.sum()))


def test_the_answer_of_the_third_window_has_its_place_in_the_context() -> None:
    row = row_of(CONTEXT, max_length=8)
    answer = decoded(row, logits_of(row, {(2, 6): (3.0, 0.0), (2, 7): (0.0, 3.0)}))
    assert (answer["answer"], answer["start"], answer["end"]) == ("g h", 12, 15)


def test_there_is_no_answer_where_the_least_of_the_first_tokens_is_higher_by_more_than_the_threshold() -> None:
    row = row_of(CONTEXT, max_length=8)
    logits = logits_of(row, {(1, 3): (2.0, 2.0)}, [8.0, 5.0, 6.0])  # the best span has 4, no answer 5
    none = {"answer": "", "start": None, "end": None}
    assert {key: decoded(row, logits, threshold=0.9)[key] for key in none} == none
    assert decoded(row, logits, threshold=1.0)["answer"] == "d"
    assert decoded(row, logits)["answer"] == "d"  # a task whose questions all have one


def test_the_best_answers_differ_in_their_text_and_hold_no_answer_where_there_may_be_none() -> None:
    row = row_of("a b a")
    logits = logits_of(row, {(0, 0): (3.0, 3.0), (0, 2): (2.5, 2.5), (0, 1): (2.0, 2.0)}, [4.6])
    answer = decoded(row, logits, "a b a", num_best=4, threshold=0.0)
    assert [(best["answer"], best["start"]) for best in answer["n_best"]] == [
        ("a", 0),
        ("a b a", 0),
        ("a b", 0),
        ("", None),
    ]
    assert answer["answer"] == "a"
    scores = [best["score"] for best in answer["n_best"]]
    assert scores == sorted(scores, reverse=True)
    assert "" not in [best["answer"] for best in decoded(row, logits, "a b a", num_best=9)["n_best"]]


def test_a_context_without_any_piece_has_no_answer() -> None:
    row = Features(input_ids=([1, 2],), token_type_ids=(), word_indices=([],), word_positions=([],), word_spans=())
    for num_best in (1, 2):
        answer = decoded(row, [[0.0, 0.0]], "", num_best=num_best)
        assert (answer["answer"], answer["start"], answer["score"]) == ("", None, 1.0)


def test_a_span_neither_begins_nor_ends_at_a_blank_piece() -> None:
    context = "ab  cd"
    row = row_of(context, family="modernbert")
    blank = [piece for piece, (start, end) in enumerate(row.word_spans) if start >= end]
    assert blank
    answer = decoded(row, logits_of(row, {(0, piece): (9.0, 9.0) for piece in blank}), context)
    assert answer["answer"].strip() == answer["answer"] != ""
    assert context[answer["start"] : answer["end"]] == answer["answer"]


def by_hand(row: Features, logits: Any, context: str, *, max_pieces: int) -> list[tuple[float, int, int]]:
    """Logit and characters of every span, window by window and span by span, best first."""
    found: dict[tuple[int, int], float] = {}
    first = 0
    spans = spans_array(row)
    for pieces in row.word_indices:
        for i, start in enumerate(pieces):
            for j, end in enumerate(pieces[i : i + max_pieces], start=i):
                logit = float(logits[first + 1 + i, 0]) + float(logits[first + 1 + j, 1])
                found[start, end] = max(found.get((start, end), -np.inf), logit)
        first += 1 + len(pieces)
    return sorted(((v, int(spans[s, 0]), int(spans[e, 1])) for (s, e), v in found.items()), key=lambda of: -of[0])


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 40), st.integers(7, 14), st.integers(1, 4), st.integers(1, 12), st.integers(0, 2**32 - 1))
def test_the_best_answers_are_those_of_a_search_by_hand(
    num_words: int, max_length: int, stride: int, max_pieces: int, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    context = " ".join(rng.choice(list("abcdefgh"), num_words))
    row = row_of(context, max_length=max_length, stride=stride)
    logits = rng.normal(size=(sum(1 + len(pieces) for pieces in row.word_indices), 2)).astype(np.float32)
    expected = by_hand(row, logits, context, max_pieces=max_pieces)
    answer = decoded(row, logits, context, max_pieces=max_pieces, num_best=3)
    texts: dict[str, tuple[int, int]] = {}
    for _, start, end in expected:
        texts.setdefault(context[start:end], (start, end))
    best = [(of["answer"], (of["start"], of["end"])) for of in answer["n_best"]]
    assert best == list(texts.items())[:3]
    total = sum(np.exp(logit) for logit, *_ in expected)
    assert answer["score"] == pytest.approx(np.exp(expected[0][0]) / total, rel=1e-6)
    assert decoded(row, logits, context, max_pieces=max_pieces)["start"] == expected[0][1]
