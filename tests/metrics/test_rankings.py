"""Measures of one ranked list: by hand, by brute force over the orders that ties allow, and against scikit-learn."""

import itertools
import math
from collections.abc import Callable, Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, ndcg_score

from mtl_transformers.metrics.rankings import average_precision, ndcg, reciprocal_rank

SCORES = [0.1, 0.9, 0.5, 0.3]  # so the order is 1, 2, 3, 0
RELEVANCES = [3, 0, 2, 0]  # in that order: 0, 2, 0, 3


def test_the_measures_equal_numbers_by_hand() -> None:
    assert reciprocal_rank(SCORES, RELEVANCES) == 1 / 2
    assert average_precision(SCORES, RELEVANCES) == (1 / 2 + 2 / 4) / 2
    assert ndcg(SCORES, RELEVANCES) == pytest.approx((2 / math.log2(3) + 3 / math.log2(5)) / (3 + 2 / math.log2(3)))
    assert ndcg(SCORES, RELEVANCES, first=3) == pytest.approx(2 / math.log2(3) / (3 + 2 / math.log2(3)))
    assert ndcg(SCORES, RELEVANCES, first=1) == 0.0
    assert ndcg(SCORES, RELEVANCES, first=10) == ndcg(SCORES, RELEVANCES)


@pytest.mark.parametrize("measure", [reciprocal_rank, average_precision, ndcg])
def test_the_best_order_scores_1_and_nothing_relevant_0(measure: Callable[..., float]) -> None:
    assert measure([3.0, 2.0, 1.0], [2, 1, 0]) == pytest.approx(1.0)
    assert measure([3.0, 2.0, 1.0], [0, 0, 0]) == 0.0
    assert measure([3.0], [1]) == 1.0


@pytest.mark.parametrize("measure", [reciprocal_rank, average_precision, ndcg])
def test_where_the_table_lists_the_right_one_does_not_matter_to_equal_scores(measure: Callable[..., float]) -> None:
    assert measure([0.5] * 3, [1, 0, 0]) == pytest.approx(measure([0.5] * 3, [0, 0, 1]))
    assert measure([0.5] * 3, [1, 0, 0]) < 1.0


def plain(order: Sequence[int], relevances: Sequence[int], first: int | None = None) -> tuple[float, float, float]:
    """Reciprocal rank, average precision and DCG of candidates in a given order, as textbooks have them."""
    ranked = [relevances[place] for place in order]
    hits = [place for place, relevance in enumerate(ranked, start=1) if relevance > 0]
    gained = sum(relevance / math.log2(place + 1) for place, relevance in enumerate(ranked[:first], start=1))
    precisions = [number / place for number, place in enumerate(hits, start=1)]
    return 1 / hits[0] if hits else 0.0, sum(precisions) / max(1, len(hits)), gained


LISTS = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 2)), min_size=1, max_size=6)


@given(LISTS, st.sampled_from([None, 1, 3]))
def test_ties_give_the_mean_over_all_orders_that_they_allow(pairs: list[tuple[int, int]], first: int | None) -> None:
    scores, relevances = map(list, zip(*pairs, strict=True))
    orders = [
        order
        for order in itertools.permutations(range(len(scores)))
        if all(scores[one] >= scores[other] for one, other in itertools.pairwise(order))
    ]
    found = np.mean([plain(order, relevances, first) for order in orders], axis=0)
    best = plain(sorted(range(len(scores)), key=lambda place: -relevances[place]), relevances, first)[2]
    assert reciprocal_rank(scores, relevances) == pytest.approx(found[0])
    assert average_precision(scores, relevances) == pytest.approx(found[1])
    assert ndcg(scores, relevances, first=first) == pytest.approx(found[2] / best if best else 0.0)


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 3)), min_size=2, max_size=20), st.integers(1, 12))
def test_ndcg_equals_that_of_scikit_learn_which_averages_ties_too(pairs: list[tuple[int, int]], first: int) -> None:
    scores, relevances = map(list, zip(*pairs, strict=True))
    assert ndcg(scores, relevances, first=first) == pytest.approx(ndcg_score([relevances], [scores], k=first))
    assert ndcg(scores, relevances) == pytest.approx(ndcg_score([relevances], [scores]))


@given(st.integers(0, 1000), st.integers(2, 20))
def test_average_precision_without_ties_equals_that_of_scikit_learn(seed: int, size: int) -> None:
    rng = np.random.default_rng(seed)
    scores, relevant = rng.permutation(size), rng.integers(0, 2, size)
    relevant[rng.integers(size)] = 1
    assert average_precision(scores, relevant) == pytest.approx(average_precision_score(relevant, scores))
