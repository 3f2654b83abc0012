"""Rows of parquet files from any row on, in tables of equal size, without the row groups before them."""

from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mtl_transformers.errors import DataError
from mtl_transformers.inference.parquet import read_schema, read_tables

ROWS = 23


@pytest.fixture(scope="module")
def write(tmp_path_factory: pytest.TempPathFactory) -> Callable[[int], Path]:
    """Return what gives the file of 23 rows with row groups of a size."""
    place = tmp_path_factory.mktemp("groups")

    def make(group_rows: int) -> Path:
        path = place / f"{group_rows}.parquet"
        if not path.exists():
            pq.write_table(pa.table({"n": range(ROWS), "text": ["x"] * ROWS}), path, row_group_size=group_rows)
        return path

    return make


@settings(deadline=None)
@given(
    group_rows=st.sampled_from([1, 5, 7, 23, 50]),
    first_row=st.integers(0, ROWS),
    num_rows=st.one_of(st.none(), st.integers(1, ROWS + 2)),
    table_rows=st.integers(1, 9),
)
def test_a_range_is_read_exactly(
    write: Callable[[int], Path], group_rows: int, first_row: int, num_rows: int | None, table_rows: int
) -> None:
    path = write(group_rows)
    tables = list(read_tables(path, columns=["n"], first_row=first_row, num_rows=num_rows, table_rows=table_rows))
    last = ROWS if num_rows is None else min(ROWS, first_row + num_rows)
    assert [n for table in tables for n in table.column("n").to_pylist()] == list(range(first_row, last))
    assert all(table.num_rows == table_rows for table in tables[:-1])
    assert all(table.column_names == ["n"] for table in tables)


def test_row_groups_before_the_first_row_are_not_read(tmp_path: Path) -> None:
    path = tmp_path / "damaged.parquet"
    pq.write_table(pa.table({"n": range(20)}), path, row_group_size=10, compression="none", use_dictionary=False)
    content = bytearray(path.read_bytes())
    start = pq.read_metadata(path).row_group(0).column(0).data_page_offset
    content[start : start + 20] = b"\xff" * 20
    path.write_bytes(content)
    (table,) = read_tables(path, columns=["n"], first_row=10)
    assert table.column("n").to_pylist() == list(range(10, 20))
    with pytest.raises((DataError, OSError)):
        list(read_tables(path, columns=["n"], first_row=9))


def test_what_is_no_parquet_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "a.parquet").write_text("no parquet at all")
    with pytest.raises(DataError, match=r"cannot be read as parquet: .*Write the file again"):
        read_schema(tmp_path / "a.parquet")
