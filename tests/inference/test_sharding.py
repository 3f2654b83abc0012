"""Shards are a function of the number of rows, and workers divide them without overlap."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mtl_transformers.errors import ConfigError
from mtl_transformers.inference.sharding import Shard, Worker, parse_worker, plan_shards


def test_a_shard_never_crosses_files() -> None:
    assert plan_shards([5, 0, 2], shard_rows=4) == [Shard(0, 0, 0, 4), Shard(1, 0, 4, 1), Shard(2, 2, 0, 2)]


def test_files_without_rows_give_one_shard_without_rows() -> None:
    assert plan_shards([0, 0], shard_rows=4) == plan_shards([], shard_rows=4) == [Shard(0, 0, 0, 0)]


def test_names_are_in_the_order_of_the_rows() -> None:
    names = [shard.name for shard in plan_shards([12], shard_rows=1)]
    assert names == sorted(names)
    assert names[-1] == "part-00011.parquet"


@given(st.lists(st.integers(0, 50), max_size=6), st.integers(1, 20), st.integers(1, 5))
def test_workers_make_every_row_once(rows_of_files: list[int], shard_rows: int, count: int) -> None:
    shards = plan_shards(rows_of_files, shard_rows=shard_rows)
    divided = [shard for number in range(count) for shard in Worker(number, count).shards(shards)]
    rows = [(of.file, row) for of in divided for row in range(of.first_row, of.first_row + of.num_rows)]
    assert sorted(rows) == [(file, row) for file, num_rows in enumerate(rows_of_files) for row in range(num_rows)]
    assert all(of.num_rows <= shard_rows for of in divided)


def test_a_shard_without_room_is_refused() -> None:
    with pytest.raises(ConfigError, match="shard_rows 0: expected 1 or more"):
        plan_shards([1], shard_rows=0)


def test_a_worker_is_a_number_and_a_count() -> None:
    assert parse_worker("3/4") == Worker(3, 4)


@pytest.mark.parametrize("text", ["", "1", "4/4", "0/0", "-1/4", "0/4/2", "a/b", "0 / 4", f"0/{10**12}"])
def test_what_is_no_worker_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="expected number/count, counted from 0: of four workers 0/4 to 3/4"):
        parse_worker(text)
