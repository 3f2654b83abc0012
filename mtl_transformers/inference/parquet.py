"""Parquet files: their columns, and their rows from any row on, a batch of them in memory at once.

Knows nothing of models. Errors say what is wrong; the caller adds the file.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from mtl_transformers.errors import DataError

BATCH_ROWS = 4096  # of a parquet file, in memory at once


@contextmanager
def parquet_errors() -> Iterator[None]:
    """Turn what pyarrow raises of a file's content into a `DataError`."""
    try:
        yield
    except pa.ArrowException as error:
        raise DataError(f"cannot be read as parquet: {error}. Write the file again") from error


def read_schema(path: Path) -> pa.Schema:
    """Return the columns of a file and their types.

    Raises:
        DataError: it is no parquet file, or two of its columns have the same name.
    """
    with parquet_errors(), pq.ParquetFile(path) as file:
        schema = file.schema_arrow
    repeated = [name for place, name in enumerate(schema.names) if name in schema.names[:place]]
    if repeated:
        raise DataError(f"two columns have the same name, {repeated[0]!r}. Name each once")
    return schema


def read_tables(
    path: Path, *, columns: Sequence[str], first_row: int = 0, num_rows: int | None = None, table_rows: int = BATCH_ROWS
) -> Iterator[pa.Table]:
    """Yield consecutive rows of a file, each table but the last with the same number of them.

    Row groups that end before the first row are not read.

    Args:
        path: the file.
        columns: which are read.
        first_row: counted from 0.
        num_rows: ``None``: to the end.
        table_rows: rows of a table.
    """
    with parquet_errors(), pq.ParquetFile(path) as file:
        groups, skipped = _groups_from(file.metadata, first_row)
        batches = file.iter_batches(batch_size=table_rows, row_groups=groups, columns=list(columns))
        wanted = _between(batches, first_row - skipped, num_rows)
        yield from _of_rows(wanted, table_rows)


def _groups_from(metadata: pq.FileMetaData, first_row: int) -> tuple[list[int], int]:
    """Return the row groups from the one on that holds a row, and the number of rows before them."""
    before, place = 0, 0
    while place < metadata.num_row_groups and before + metadata.row_group(place).num_rows <= first_row:
        before += metadata.row_group(place).num_rows
        place += 1
    return list(range(place, metadata.num_row_groups)), before


def _between(batches: Iterable[pa.RecordBatch], skip: int, take: int | None) -> Iterator[pa.RecordBatch]:
    """Leave out some first rows, and all that follow those which are taken."""
    for batch in batches:
        part = batch.slice(skip, take)
        skip = max(0, skip - batch.num_rows)
        if part.num_rows:
            yield part
        take = None if take is None else take - part.num_rows
        if take == 0:
            return


def _of_rows(batches: Iterable[pa.RecordBatch], size: int) -> Iterator[pa.Table]:
    """Put batches together to tables of equal size."""
    rest: pa.Table | None = None
    for batch in batches:
        table = pa.Table.from_batches([batch])
        rest = table if rest is None else pa.concat_tables([rest, table])
        while rest.num_rows >= size:
            yield rest.slice(0, size)
            rest = rest.slice(size)
    if rest is not None and rest.num_rows:
        yield rest
