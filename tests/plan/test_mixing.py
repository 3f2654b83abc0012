from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mtl_transformers.errors import ConfigError
from mtl_transformers.plan.mixing import allot, digest, random_bits, shares, spread, take_turns

COUNTS = st.lists(st.integers(0, 60), min_size=1, max_size=6)


def test_proportional_shares_follow_sizes():
    assert shares([100, 300], "proportional") == [0.25, 0.75]


def test_temperature_two_draws_by_square_root_of_size():
    assert shares([100, 400, 2500], "temperature", temperature=2.0) == pytest.approx([10 / 80, 20 / 80, 50 / 80])


def test_temperature_one_is_proportional_and_a_large_one_is_uniform():
    assert shares([100, 300], "temperature", temperature=1.0) == pytest.approx([0.25, 0.75])
    assert shares([100, 300], "temperature", temperature=1e9) == pytest.approx([0.5, 0.5])


def test_a_small_temperature_does_not_overflow():
    assert shares([10**7, 10**6], "temperature", temperature=0.001) == pytest.approx([1.0, 0.0])


def test_uniform_and_round_robin_ignore_sizes():
    assert shares([1, 999], "uniform") == shares([1, 999], "round_robin") == [0.5, 0.5]


def test_weights_are_normalised_and_zero_gives_nothing():
    assert shares([5, 5, 5], "weights", weights=[2, 1, 0]) == pytest.approx([2 / 3, 1 / 3, 0])


def test_capped_counts_no_size_beyond_the_cap():
    assert shares([100, 10_000, 50_000], "capped", cap=400) == pytest.approx([1 / 9, 4 / 9, 4 / 9])


@pytest.mark.parametrize("temperature", [0.0, -1.0, float("nan"), float("inf")])
def test_a_temperature_that_is_not_above_zero_is_refused(temperature):
    with pytest.raises(ConfigError, match=r"mixing\.temperature: expected a number above 0"):
        shares([1], "temperature", temperature=temperature)


@pytest.mark.parametrize("weights", [[-1.0, 2.0], [0.0, 0.0], [float("nan"), 1.0]])
def test_weights_without_meaning_are_refused(weights):
    with pytest.raises(ConfigError, match=r"mixing\.weights: expected numbers of at least 0"):
        shares([1, 1], "weights", weights=weights)


def test_a_strategy_without_its_setting_is_refused():
    with pytest.raises(ConfigError, match=r"mixing\.weights: strategy 'weights' needs"):
        shares([1, 1], "weights")
    with pytest.raises(ConfigError, match=r"mixing\.cap: strategy 'capped' needs"):
        shares([1, 1], "capped")


def test_allot_gives_what_is_left_to_the_largest_remainders():
    # quotas 4.7, 3.1, 2.2: floors 4, 3, 2, and the one unit left goes to .7
    assert allot(10, [0.47, 0.31, 0.22]) == [5, 3, 2]
    # the textbook case of Hamilton's method: quotas 1.4167, 4.25, 4.3333 of 10
    assert allot(10, [1.4167 / 10, 4.25 / 10, 4.3333 / 10]) == [2, 4, 4]


def test_allot_breaks_ties_in_order():
    assert allot(2, [1 / 3, 1 / 3, 1 / 3]) == [1, 1, 0]
    assert allot(100, [1 / 7] * 7) == [15, 15, 14, 14, 14, 14, 14]
    # quotas 14.5, 0.5 and 10 on paper, but 25 * 0.58 is 14.499999999999998 in floating point
    assert allot(25, [0.58, 0.02, 0.4]) == [15, 0, 10]


@given(st.lists(st.integers(1, 10**6), min_size=1, max_size=30), st.integers(1, 20))
def test_allot_of_proportional_shares_over_whole_epochs_is_exact(sizes, epochs):
    assert allot(epochs * sum(sizes), shares(sizes, "proportional")) == [epochs * size for size in sizes]


@given(st.lists(st.floats(0.001, 1000), min_size=1, max_size=20), st.integers(0, 10**7))
def test_allot_adds_up_and_stays_within_one_of_the_quota(weights, total):
    parts = shares([1] * len(weights), "weights", weights=weights)
    units = allot(total, parts)
    assert sum(units) == total
    assert all(abs(unit - total * part) < 1 + 1e-5 for unit, part in zip(units, parts, strict=True))


@given(COUNTS, st.integers(0, 2**32))
def test_spread_and_turns_hold_exactly_the_given_counts(counts, seed):
    wanted = {dataset: count for dataset, count in enumerate(counts) if count}
    assert Counter(spread(counts, seed=seed).tolist()) == wanted
    assert Counter(take_turns(counts).tolist()) == wanted


def worst_excess(order, counts):
    """Largest |units of d in a window - p·w| beyond 2·(1 + p·(D - 2)), over all windows and datasets."""
    excess = -np.inf
    for dataset, count in enumerate(counts):
        share = count / len(order)
        off = np.concatenate([[0], np.cumsum((order == dataset) - share)])  # prefix - p·m
        window = off.max() - off.min()  # the window with the largest deviation lies between the extremes
        excess = max(excess, window - 2 * (1 + share * (len(counts) - 2)))
    return excess


@given(st.lists(st.integers(1, 200), min_size=2, max_size=6), st.integers(0, 2**32))
def test_any_window_of_a_spread_holds_each_share_within_the_bound(counts, seed):
    assert worst_excess(spread(counts, seed=seed), counts) <= 1e-9


def test_independent_draws_break_that_bound():
    counts = [2000, 2000]
    drawn = np.random.default_rng(0).permutation(np.repeat([0, 1], counts))
    assert worst_excess(drawn, counts) > 10


def test_turns_are_strict_until_a_dataset_is_used_up():
    assert take_turns([3, 1, 2]).tolist() == [0, 1, 2, 0, 2, 0]


def test_spread_is_a_function_of_the_seed():
    counts = [40, 20, 10]
    assert spread(counts, seed=1).tolist() == spread(counts, seed=1).tolist()
    assert spread(counts, seed=1).tolist() != spread(counts, seed=2).tolist()


def test_seeds_are_fixed_numbers_that_tell_keys_apart():
    # written down: a change would silently change every plan that a checkpoint continues
    assert digest(13, "pass", "tickets", 0) == 0x3B069334FC5C2A68E0F8EBD4289D5A57
    assert random_bits(2, 13, "pass", "tickets", 0).tolist() == [14336748131174597681, 13030066520681835774]
    assert digest(1, "a", "b") != digest(1, "ab") != digest(1, 'a", "b')
