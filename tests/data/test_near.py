"""Near-duplicates: no row is said to be near that is not, and hardly any is missed."""

import itertools
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mtl_transformers.data.near import bands_for, jaccard, near_duplicates_of


def pairs(text: str) -> set[int]:
    words = ["<", *text.split(), ">"]
    return {hash(pair) for pair in itertools.pairwise(words)}


def found(texts: list[str], threshold: float, labels: list[int] | None = None) -> dict[int, int]:
    codes = np.array(labels or [0] * len(texts), dtype=np.int64)
    near = near_duplicates_of(texts, codes, threshold=threshold)
    return dict(zip(near.rows.tolist(), near.others.tolist(), strict=True))


def test_one_more_word_at_the_end_is_near_by_hand() -> None:
    """Nine words have ten pairs with their edges; a tenth word leaves nine of them and adds two: 9 of 12."""
    text = "a b c d e f g h i"
    assert found([text, f"{text} j"], 0.75) == {1: 0}
    assert found([text, f"{text} j"], 0.76) == {}


def test_equal_texts_are_found_at_any_threshold_and_order_counts() -> None:
    assert found(["x y", "y x", "x y", "", ""], 0.99) == {2: 0, 4: 3}


def test_labels_keep_rows_apart() -> None:
    assert found(["x y"] * 4, 0.8, [0, 1, 0, 1]) == {2: 0, 3: 1}


def test_where_a_column_ends_counts() -> None:
    assert found(["a b\x1fc d", "a b c d", "a b\x1fc d"], 0.8) == {2: 0}


def test_a_row_is_compared_with_rows_that_stay() -> None:
    """A chain: each is near the one before, the third not near the first, and so it stays."""
    words = [f"w{n}" for n in range(20)]
    chain = [" ".join(words[start : start + 16]) for start in range(3)]
    assert jaccard(pairs(chain[0]), pairs(chain[1])) == pytest.approx(14 / 20)
    assert found(chain, 0.7) == {1: 0}


def test_no_text_is_no_trouble() -> None:
    assert found([], 0.8) == {}


@pytest.mark.parametrize("threshold", [0.01, 0.3, 0.5, 0.8, 0.95, 0.999])
def test_bands_meet_often_enough_at_the_threshold_and_hardly_below(threshold: float) -> None:
    bands, length = bands_for(threshold)
    assert bands * length <= 128
    if threshold >= 0.05:
        assert 1 - (1 - threshold**length) ** bands >= 0.99
    assert length == 1 or 1 - (1 - (threshold / 3) ** length) ** bands < 0.9


@settings(max_examples=50, deadline=None)
@given(st.lists(st.lists(st.sampled_from("abcd"), max_size=6).map(" ".join), max_size=30), st.floats(0.2, 0.9))
def test_what_is_found_is_near_an_earlier_row_that_stays(texts: list[str], threshold: float) -> None:
    near = found(texts, threshold)
    for row, other in near.items():
        assert other < row
        assert other not in near
        assert jaccard(pairs(texts[row]), pairs(texts[other])) >= threshold
    stay = [text for row, text in enumerate(texts) if row not in near]
    assert len(stay) == len(set(stay))


def test_hardly_a_near_row_is_missed() -> None:
    """Against all comparisons: 400 texts, each with a copy in which one to four of twenty words differ."""
    rng = np.random.default_rng(3)
    texts = [" ".join(f"w{n}" for n in rng.integers(0, 3000, 20)) for _ in range(400)]
    copies = []
    for number, text in enumerate(texts):
        words = text.split()
        words[: 1 + number % 4] = [f"new{number}_{n}" for n in range(1 + number % 4)]
        copies.append(" ".join(words))
    near = found(texts + copies, 0.7)
    truly = {400 + n: n for n in range(400) if jaccard(pairs(texts[n]), pairs(copies[n])) >= 0.7}
    assert set(near.items()) <= set(truly.items())
    assert 100 < len(truly) < 400
    assert len(near) >= 0.98 * len(truly)


def test_many_rows_that_are_alike_and_not_near_take_no_square_of_time() -> None:
    """A template of 3,000 rows: 4.5 million pairs that share half of their words."""
    texts = [f"please tell me where the parcel is it has the number a{n} b{n} c{n} d{n} e{n}" for n in range(3000)]
    start = time.process_time()
    assert found(texts, 0.6) == {}
    assert time.process_time() - start < 10
