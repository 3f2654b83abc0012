import itertools
import math
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from seqeval.scheme import BILOU, IOB2, IOBES, Entities

from mtl_transformers.text.tags import all_tags, spans_to_tags, tags_to_spans
from mtl_transformers.text.viterbi import best_legal_tags

SCHEMES = {"bio": IOB2, "iobes": IOBES, "bilou": BILOU}


def best(logits, scheme, names="X", starts=(0,)) -> list[str]:
    tags = all_tags(names, scheme)
    return [tags[choice] for choice in best_legal_tags(np.asarray(logits), np.array(starts), tags, scheme)]


def is_legal(tags, scheme) -> bool:
    """Whether they are what the writer makes of their spans, and what seqeval reads strictly agrees."""
    return spans_to_tags(tags_to_spans(tags, scheme), len(tags), scheme) == list(tags)


def best_of_all(logits, scheme, names) -> float:
    """The largest sum of logits of any legal tags, found by trying all of them."""
    tags = all_tags(names, scheme)
    return max(
        math.fsum(logits[word, tag] for word, tag in enumerate(choice))
        for choice in itertools.product(range(len(tags)), repeat=len(logits))
        if is_legal([tags[tag] for tag in choice], scheme)
    )


@pytest.mark.parametrize(
    ("scheme", "names", "num_words"),
    [("bio", "XY", 1), ("bio", "XY", 4), ("bio", "X", 6), ("iobes", "X", 4), ("iobes", "XY", 3), ("bilou", "X", 4)],
)
@pytest.mark.parametrize("seed", range(4))
def test_no_legal_tags_have_a_larger_sum(scheme, names, num_words, seed):
    tags = all_tags(names, scheme)
    logits = np.random.default_rng(seed).normal(scale=3.0, size=(num_words, len(tags))).astype(np.float32)
    chosen = best(logits, scheme, names)
    assert is_legal(chosen, scheme)
    found = math.fsum(logits[word, tags.index(tag)] for word, tag in enumerate(chosen))
    assert found == pytest.approx(best_of_all(logits, scheme, names), rel=1e-12)


def test_the_brute_force_meets_rows_whose_most_probable_tags_are_not_legal():
    """Else the test above would show nothing."""
    tags = all_tags("XY", "bio")
    logits = np.random.default_rng(0).normal(scale=3.0, size=(4, len(tags)))
    argmax = [tags[choice] for choice in logits.argmax(axis=1)]
    assert not is_legal(argmax, "bio")
    greedy = tags_to_spans(argmax, "bio")
    assert spans_to_tags(greedy, 4, "bio") != best(logits, "bio", "XY")  # and repair is not the best there is


def test_a_weak_beginning_is_found_before_a_strong_inside():
    o_i = [[2.0, 1.0, 0.0], [0.0, 0.0, 9.0]]  # O, I-X by itself; B-X, I-X costs 1
    assert best(o_i, "bio") == ["B-X", "I-X"]
    o_b = [[5.0, 0.0, 0.0], [0.0, 2.0, 4.0]]  # O, I-X by itself; I-X to B-X costs 2
    assert best(o_b, "bio") == ["O", "B-X"]


def test_a_span_is_closed_at_the_end_and_opened_at_the_start():
    inside = [[0.0, 0.0, 9.0, 0.0, 0.0]] * 3  # I-X everywhere
    assert best(inside, "iobes") == ["B-X", "I-X", "E-X"]
    assert best(inside[:1], "iobes") in (["O"], ["S-X"])
    assert best([[0.0, 1.0, 9.0, 0.0, 2.0]], "bilou") == ["U-X"]
    assert best([[0.0, 1.0, 9.0]], "bio") == ["B-X"]


def test_sequences_do_not_touch_each_other():
    logits = np.array([[0.0, 5.0, 0.0], [0.0, 1.0, 5.0]])
    assert best(logits, "bio") == ["B-X", "I-X"]
    assert best(logits, "bio", starts=(0, 1)) == ["B-X", "B-X"]
    cut = np.array([[0.0, 9.0, 0.0, 0.0, 1.0], [0.0, 0.0, 0.0, 9.0, 1.0]])
    assert best(cut, "iobes") == ["B-X", "E-X"]
    assert best(cut, "iobes", starts=(0, 1)) == ["S-X", "S-X"]


def logits_of(scheme) -> st.SearchStrategy:
    """Logits of up to six words, with many ties."""
    shapes = st.tuples(st.integers(1, 6), st.just(len(all_tags("XY", scheme))))
    return arrays(np.float32, shapes, elements=st.integers(-3, 3).map(float))


@pytest.mark.parametrize("scheme", SCHEMES)
@settings(deadline=None)
@given(data=st.data())
def test_every_answer_is_legal_to_seqeval_and_a_legal_argmax_stays(scheme, data):
    logits = data.draw(logits_of(scheme))
    chosen = best(logits, scheme, "XY")
    tags = all_tags("XY", scheme)
    argmax = [tags[choice] for choice in logits.argmax(axis=1)]
    if is_legal(argmax, scheme):
        assert chosen == argmax
    (strict,) = Entities([chosen], scheme=SCHEMES[scheme]).entities
    assert sum(entity.end - entity.start for entity in strict) == sum(tag != "O" for tag in chosen)


@pytest.mark.parametrize("scheme", SCHEMES)
@settings(deadline=None, max_examples=30)
@given(data=st.data())
def test_sequences_together_are_answered_as_alone(scheme, data):
    rows = data.draw(st.lists(logits_of(scheme), min_size=1, max_size=5))
    starts = np.cumsum([0, *(len(row) for row in rows)])[:-1]
    alone = [tag for row in rows for tag in best(row, scheme, "XY")]
    assert best(np.concatenate(rows), scheme, "XY", starts) == alone


def test_long_sequences_lose_nothing_to_rounding():
    """In float32 a sum of 4,096 logits near 1,000 could not tell apart what differs by 0.01."""
    logits = np.full((4096, 3), 1000.0, dtype=np.float32)
    logits[:, 0] += 0.01
    logits[-1] = [9.0, 0.0, 9.02]  # I-X costs 0.01 on the word before, and gains 0.02
    assert best(logits, "bio")[-3:] == ["O", "B-X", "I-X"]


@pytest.mark.slow
def test_a_thousand_sentences_with_72_labels_take_about_a_second_at_most():
    names = [f"label{number}" for number in range(72)]
    tags = all_tags(names, "bio")
    logits = np.random.default_rng(0).normal(size=(20_000, len(tags))).astype(np.float32)
    start = time.process_time()
    best_legal_tags(logits, np.arange(0, 20_000, 20), tags, "bio")
    assert time.process_time() - start < 2.0
