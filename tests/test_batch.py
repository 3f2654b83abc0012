from itertools import pairwise

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mtl_transformers.batch import MicroBatch, Target, collate, pad
from mtl_transformers.text.encoding import Features
from mtl_transformers.text.padding import cut

ROWS = st.lists(st.tuples(st.integers(1, 50), st.integers(1, 4)), min_size=0, max_size=60)  # length, sequences


def padded(part, rows):
    return sum(rows[row][1] for row in part) * max(rows[row][0] for row in part)


def cut_rows(rows, max_tokens, min_parts=1):
    return cut(
        [length for length, _ in rows],
        num_sequences=[sequences for _, sequences in rows],
        max_tokens=max_tokens,
        min_parts=min_parts,
    )


@given(ROWS, st.integers(1, 500), st.integers(1, 8))
def test_every_row_is_cut_once_in_the_order_of_lengths(rows, max_tokens, min_parts):
    order = [row for part in cut_rows(rows, max_tokens, min_parts) for row in part]
    assert order == sorted(range(len(rows)), key=lambda row: rows[row][0])


@given(ROWS, st.integers(1, 500), st.integers(1, 8))
def test_only_a_single_row_exceeds_the_bound(rows, max_tokens, min_parts):
    parts = cut_rows(rows, max_tokens, min_parts)
    assert all(len(part) == 1 or padded(part, rows) <= max_tokens for part in parts)


@given(ROWS, st.integers(1, 500), st.integers(1, 8))
def test_each_process_gets_a_part_while_rows_last(rows, max_tokens, min_parts):
    parts = cut_rows(rows, max_tokens, min_parts)
    assert len(parts) >= min(min_parts, len(rows))
    assert all(parts)


@given(ROWS, st.integers(1, 500))
def test_no_part_has_room_for_the_next_row(rows, max_tokens):
    parts = cut_rows(rows, max_tokens)
    for part, following in pairwise(parts):
        assert padded([*part, following[0]], rows) > max_tokens


def test_four_rows_under_twelve_tokens_by_hand():
    assert cut([5, 2, 3, 6], num_sequences=[1, 1, 1, 1], max_tokens=12) == [[1, 2], [0, 3]]
    assert cut([5, 2, 3, 6], num_sequences=[1, 1, 2, 1], max_tokens=9) == [[1, 2], [0], [3]]


def test_a_longest_row_beyond_the_bound_stands_alone():
    assert cut([3, 50, 3], num_sequences=[1, 1, 1], max_tokens=12) == [[0, 2], [1]]


def test_parts_for_processes_are_halves_of_the_largest():
    # 5 rows fit in one part: halved to 2 + 3, and the 3 to 1 + 2
    assert cut([4] * 5, num_sequences=[1] * 5, max_tokens=100, min_parts=3) == [[0, 1], [2], [3, 4]]


@given(st.lists(st.lists(st.integers(1, 99), max_size=9), min_size=1, max_size=9))
def test_padding_keeps_each_sequence_and_fills_the_rest(sequences):
    out = pad(sequences, -7)
    width = max(map(len, sequences))
    assert out.dtype == torch.int64
    assert out.tolist() == [sequence + [-7] * (width - len(sequence)) for sequence in sequences]


FEATURES = [
    Features(input_ids=[[1, 5, 2]], token_type_ids=[[0, 0, 1]]),
    Features(input_ids=[[1, 2], [1, 6, 7, 2]], token_type_ids=[[0, 0], [0, 0, 1, 1]]),
]


def test_collating_keeps_a_rows_sequences_together_and_masks_the_padding():
    target = Target(sequences=torch.tensor([0]), labels=torch.tensor([3]), num_items=1)
    batch = collate(FEATURES, pad_id=9, targets={"intent": target}, rows=[("tickets", 4), ("tickets", 1)])
    assert batch.input_ids.tolist() == [[1, 5, 2, 9], [1, 2, 9, 9], [1, 6, 7, 2]]
    assert batch.attention_mask.tolist() == [[1, 1, 1, 0], [1, 1, 0, 0], [1, 1, 1, 1]]
    assert batch.token_type_ids is not None
    assert batch.token_type_ids.tolist() == [[0, 0, 1, 0], [0, 0, 0, 0], [0, 0, 1, 1]]
    assert batch.targets == {"intent": target}
    assert batch.rows == (("tickets", 4), ("tickets", 1))
    assert batch.num_tokens == 9


def test_without_token_types_there_are_none():
    assert collate([Features(input_ids=[[1, 2]], token_type_ids=())], pad_id=0).token_type_ids is None


@pytest.mark.parametrize("positions", [None, torch.tensor([1])])
def test_moving_a_batch_moves_everything(positions):
    target = Target(torch.tensor([0]), positions=positions, labels=torch.tensor([2]), num_items=1)
    batch: MicroBatch = collate(FEATURES, pad_id=0, targets={"intent": target}, rows=[("tickets", 4)])
    moved = batch.to(torch.device("meta"))
    moved_target = moved.targets["intent"]
    tensors = [moved.input_ids, moved.attention_mask, moved.token_type_ids, moved_target.sequences]
    tensors += [moved_target.labels] + ([moved_target.positions] if positions is not None else [])
    assert {tensor.device.type for tensor in tensors} == {"meta"}
    assert moved_target.num_items == 1
    assert moved.rows == (("tickets", 4),)
