from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mtl_transformers.plan import batching
from mtl_transformers.plan.batching import (
    BatchStream,
    BySize,
    ByTokens,
    DatasetRows,
    MergedRows,
    RowStream,
    bucket_edges,
    fill_up,
    pass_edges,
)

LENGTHS = st.lists(st.integers(1, 60), min_size=1, max_size=150).map(
    lambda values: np.sort(np.asarray(values, np.int32))
)


def source(num_rows, *, name="tickets", index=0, seed=7):
    lengths = np.random.default_rng(num_rows).integers(3, 60, num_rows).astype(np.int32)
    return DatasetRows(index, RowStream(name, num_rows=num_rows, seed=seed), lengths)


def largest_shared(lengths, edges):
    """Tokens (rows × longest) of the largest part that could be smaller: one of several rows."""
    parts = [lengths[start:stop] for start, stop in pairwise(edges) if stop - start > 1]
    return max((len(part) * int(part[-1]) for part in parts), default=0)


@given(st.integers(1, 30), st.integers(0, 200), st.integers(0, 200))
def test_a_stream_repeats_no_row_before_all_came_once(num_rows, start, length):
    stream = RowStream("tickets", num_rows=num_rows, seed=3)
    rows = stream.rows(0, start + length)
    for begin in range(0, len(rows), num_rows):
        one_pass = rows[begin : begin + num_rows].tolist()
        assert len(set(one_pass)) == len(one_pass)
        assert set(one_pass) <= set(range(num_rows))
    assert stream.rows(start, start + length).tolist() == rows[start:].tolist()


def test_each_pass_has_an_order_of_its_own():
    rows = RowStream("tickets", num_rows=50, seed=3).rows(0, 150).reshape(3, 50).tolist()
    assert rows[0] != rows[1] != rows[2] != rows[0]
    assert sorted(rows[0]) == sorted(rows[1]) == sorted(rows[2]) == list(range(50))


def test_a_stream_depends_on_seed_and_name():
    first = RowStream("tickets", num_rows=50, seed=3).rows(0, 50).tolist()
    assert RowStream("tickets", num_rows=50, seed=3).rows(0, 50).tolist() == first
    assert RowStream("tickets", num_rows=50, seed=4).rows(0, 50).tolist() != first
    assert RowStream("rte", num_rows=50, seed=3).rows(0, 50).tolist() != first


@given(st.lists(st.integers(1, 9), min_size=1, max_size=4), st.data())
def test_merged_rows_are_each_stream_in_its_own_order(sizes, data):
    sources = [source(size, name=f"d{index}", index=index) for index, size in enumerate(sizes)]
    order = data.draw(st.lists(st.integers(0, len(sizes) - 1), min_size=1, max_size=60))
    cursors = data.draw(st.lists(st.integers(0, 20), min_size=len(sizes), max_size=len(sizes)))
    start = data.draw(st.integers(0, len(order)))
    merged = MergedRows(sources, order=np.asarray(order, np.int16), cursors=cursors)
    everything = merged.take(0, len(order))
    for index, one in enumerate(sources):
        mine = everything.rows[everything.datasets == index]
        expected = one.take(cursors[index], cursors[index] + order.count(index))
        assert mine.tolist() == expected.rows.tolist()
        assert everything.lengths[everything.datasets == index].tolist() == expected.lengths.tolist()
    assert merged.take(start, len(order)).rows.tolist() == everything.rows[start:].tolist()


def test_merged_rows_far_from_the_start_equal_those_counted_from_it():
    sources = [source(700, name="a"), source(300, name="b", index=1)]
    order = np.random.default_rng(0).integers(0, 2, 3 * batching.BUCKET_ROWS).astype(np.int16)
    merged = MergedRows(sources, order=order, cursors=[5, 0])
    start = 2 * batching.BUCKET_ROWS + 17
    assert merged.take(start, start + 40).rows.tolist() == merged.take(0, start + 40).rows[start:].tolist()


@given(LENGTHS, st.integers(1, 40))
def test_batches_by_size_are_full_or_one_short(lengths, batch_size):
    sizes = np.diff(BySize(batch_size).edges(lengths))
    assert sizes.sum() == len(lengths)
    assert sizes.max() <= batch_size
    assert sizes.max() - sizes.min() <= 1


def test_ten_rows_in_batches_of_four_are_three_three_four():
    assert np.diff(BySize(4).edges(np.ones(10, np.int32))).tolist() == [3, 3, 4]


@given(LENGTHS, st.integers(1, 400))
def test_a_part_keeps_the_bound_unless_it_is_one_row_and_the_next_row_would_not_fit(lengths, bound):
    edges = fill_up(lengths, bound)
    assert edges[0] == 0
    assert edges[-1] == len(lengths)
    for start, stop in pairwise(edges):
        assert stop > start
        assert stop - start == 1 or (stop - start) * lengths[stop - 1] <= bound
        assert stop == len(lengths) or (stop - start + 1) * lengths[stop] > bound


@given(LENGTHS, st.integers(1, 400))
def test_batches_by_tokens_are_as_few_as_possible_and_their_largest_as_small_as_possible(lengths, bound):
    greedy, balanced = fill_up(lengths, bound), ByTokens(bound).edges(lengths).tolist()
    assert len(balanced) == len(greedy)
    assert balanced[0] == 0
    assert balanced[-1] == len(lengths)
    largest = largest_shared(lengths, balanced)
    assert largest <= largest_shared(lengths, greedy)
    if largest:
        assert len(fill_up(lengths, largest - 1)) > len(greedy)


def test_token_batches_of_equal_rows_are_balanced_by_hand():
    # 10 rows of 5 tokens under 40: greedy 8 + 2, balanced 5 + 5
    lengths = np.full(10, 5, np.int32)
    assert fill_up(lengths, 40) == [0, 8, 10]
    assert ByTokens(40).edges(lengths).tolist() == [0, 5, 10]


@pytest.mark.parametrize(
    ("start", "stop", "edges"),
    [(0, 25, [0, 10, 20, 25]), (7, 20, [7, 10, 20]), (12, 15, [12, 15]), (4, 4, [4, 4])],
)
def test_pieces_end_where_a_pass_of_ten_rows_ends(start, stop, edges):
    assert pass_edges(start, stop, 10) == edges


@given(st.lists(st.integers(0, 40_000), min_size=1, max_size=3), st.integers(1, 9000))
def test_buckets_keep_the_pieces_and_cut_them_into_the_fewest_near_equal_batches(sizes, unit):
    pieces = np.cumsum([5, *sizes]).tolist()
    buckets = bucket_edges(pieces, unit=unit)
    assert buckets[0] == pieces[0]
    assert buckets[-1] == pieces[-1]
    assert set(pieces) <= set(buckets.tolist())
    assert np.diff(buckets).max(initial=0) <= max(batching.BUCKET_ROWS, unit)
    counts = BySize(unit).counts(source(1), buckets)
    for start, stop in pairwise(pieces):
        inside = (buckets[:-1] >= start) & (buckets[:-1] < stop)
        assert counts[inside].sum() == -(-(stop - start) // unit)
        rows = np.diff(buckets)[inside]
        smallest, largest = rows // counts[inside], -(-rows // counts[inside])
        assert largest.max(initial=0) - smallest.min(initial=10**9 if len(rows) else 0) <= 1


@pytest.mark.parametrize("cut", [BySize(16), ByTokens(400)])
def test_batches_hold_every_row_of_the_pieces_once_and_cross_no_edge(cut):
    tickets = source(1000)
    batches = BatchStream(tickets, pieces=[40, 1000, 2000, 2500], cut=cut, key=(7,))
    parts = [batches.batch(number) for number in range(len(batches))]
    first = sum(len(part) for part in parts[: np.searchsorted(np.cumsum([len(p) for p in parts]), 960) + 1])
    assert first == 960  # a batch ends where the first piece ends
    rows = np.concatenate([part.rows for part in parts])
    assert sorted(rows.tolist()) == sorted(tickets.take(40, 2500).rows.tolist())
    assert all((part.lengths == tickets.lengths[part.rows]).all() for part in parts)
    assert all((np.diff(part.lengths) >= 0).all() for part in parts)


@pytest.mark.parametrize("cut", [BySize(16), ByTokens(400)])
def test_any_batch_can_be_asked_for_first(cut):
    def build():
        return BatchStream(source(1000), pieces=[0, 1000, 2000], cut=cut, key=(7,))

    in_order = build()
    expected = [in_order.batch(number).rows.tolist() for number in range(len(in_order))]
    backwards = build()
    got = [backwards.batch(number).rows.tolist() for number in reversed(range(len(backwards)))]
    assert got[::-1] == expected


def test_short_and_long_batches_alternate_in_a_seeded_order():
    longest = {}
    for seed in (1, 2):
        batches = BatchStream(source(1000), pieces=[0, 1000], cut=BySize(16), key=(seed,))
        longest[seed] = [int(batches.batch(number).lengths[-1]) for number in range(len(batches))]
    assert longest[1] != sorted(longest[1])
    assert longest[1] != longest[2]
    assert sorted(longest[1]) == sorted(longest[2])


def test_a_stream_without_rows_has_no_batches():
    assert len(BatchStream(source(10), pieces=[4, 4], cut=BySize(2), key=(1,))) == 0
    assert len(BatchStream(source(10), pieces=[4, 4], cut=ByTokens(2), key=(1,))) == 0
