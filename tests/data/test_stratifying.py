"""Every label's shares, of one label or of many."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mtl_transformers.data.stratifying import stratified_sides


def single(*labels: str) -> list[Counter[str]]:
    return [Counter([label]) for label in labels]


def shares_of(things: list[Counter[str]], sides: np.ndarray, side: int) -> dict[str, int]:
    return dict(sum((thing for thing, of in zip(things, sides, strict=True) if of == side), Counter()))


def test_each_label_gets_its_shares_to_a_row() -> None:
    things = single(*"a" * 100, *"b" * 50, *"c" * 10)
    sides = stratified_sides(things, [0.7, 0.1, 0.2])
    assert shares_of(things, sides, 1) == {"a": 10, "b": 5, "c": 1}
    assert shares_of(things, sides, 2) == {"a": 20, "b": 10, "c": 2}


@pytest.mark.parametrize(("size", "validation"), [(1, 0), (2, 0), (4, 0), (6, 1), (10, 1), (16, 2)])
def test_a_rare_label_is_trained_on_first(size: int, validation: int) -> None:
    """A tenth of 6 is 0.6: nearer to one row than to none."""
    sides = stratified_sides(single(*"a" * size, *"b" * 1000), [0.9, 0.1, 0.0])
    assert sides[:size].sum() == validation


def test_a_thing_of_many_rows_stays_whole_and_counts_as_many() -> None:
    things = [Counter(a=3)] * 20
    sides = stratified_sides(things, [0.5, 0.5, 0.0])
    assert Counter(sides.tolist()) == {0: 10, 1: 10}
    mixed = [Counter(a=10), *[Counter(a=1)] * 10]
    sides = stratified_sides(mixed, [0.5, 0.5, 0.0])
    assert sum(10 if number == 0 else 1 for number in np.flatnonzero(sides == sides[0])) == 10


def test_the_example_of_the_rarest_first() -> None:
    """By hand: c (2 rows) before a and b (4 each); then the three lone rows of a even a out, and those of b b."""
    things = [Counter(labels) for labels in ("ac", "bc", "a", "a", "a", "b", "b", "b")]
    sides = stratified_sides(things, [0.5, 0.5, 0.0])
    assert shares_of(things, sides, 0) == {"a": 2, "b": 2, "c": 1}
    assert shares_of(things, sides, 1) == {"a": 2, "b": 2, "c": 1}


def test_many_labels_get_their_shares_where_dividing_by_number_does_not_give_them() -> None:
    """With the negative control beside it: the same shares, drawn without regard for labels."""
    rng = np.random.default_rng(5)
    chances = np.linspace(0.01, 0.4, 20)
    having = rng.random((2000, 20)) < chances
    things = [Counter([str(label) for label in np.flatnonzero(row)] or ["none"]) for row in having]

    def rows_off(sides: np.ndarray) -> float:
        all_rows, validation = sum(things, Counter()), shares_of(things, sides, 1)
        return float(np.mean([abs(validation.get(label, 0) - 0.1 * rows) for label, rows in all_rows.items()]))

    stratified = stratified_sides(things, [0.9, 0.1, 0.0])
    assert np.mean(stratified == 1) == pytest.approx(0.1, abs=0.01)
    assert rows_off(stratified) < 1 < 3 < rows_off((rng.random(2000) < 0.1).astype(int))


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.dictionaries(st.sampled_from("abcdef"), st.integers(1, 3), min_size=1), min_size=1, max_size=60),
    st.floats(0.05, 0.45),
    st.floats(0.05, 0.45),
)
def test_every_thing_has_a_side_and_the_sides_do_not_follow_the_numbers_of_equal_things(
    things: list[dict[str, int]], validation: float, test: float
) -> None:
    shares = [1 - validation - test, validation, test]
    sides = stratified_sides(things, shares)
    assert set(sides.tolist()) <= {0, 1, 2}
    assert (stratified_sides([dict(reversed(thing.items())) for thing in things], shares) == sides).all()


@settings(max_examples=50, deadline=None)
@given(st.lists(st.sampled_from("aabbc"), min_size=1, max_size=200), st.floats(0.1, 0.4))
def test_of_one_label_each_no_share_is_off_by_more_than_a_row(labels: list[str], validation: float) -> None:
    things = single(*labels)
    taken = shares_of(things, stratified_sides(things, [1 - validation, validation, 0.0]), 1)
    for label, rows in Counter(labels).items():
        assert abs(taken.get(label, 0) - validation * rows) <= 1
