"""The rows of shards: read from their files, a chunk in memory at once.

Owns the way from a shard to what the model reads and what is carried to the output. Parquet files are opened at a
shard's first row; of a text file, what lies before it has to be read.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby, islice

import pyarrow as pa

from mtl_transformers.errors import DataError
from mtl_transformers.inference.carried import row_as_read
from mtl_transformers.inference.columns import column_of
from mtl_transformers.inference.files import FileRow, read_rows
from mtl_transformers.inference.input_files import InputFile, text_cell
from mtl_transformers.inference.parquet import read_tables
from mtl_transformers.inference.sharding import Shard
from mtl_transformers.runtime.answering import CHUNK_ROWS, chunked


@dataclass(frozen=True, slots=True)
class Reading:
    """What is read of every file.

    Attributes:
        columns: the file's column for each column that the model reads, as far as there is one.
        carried: the file's column for each column of the output that is not an answer.
        schema: the types of the carried ones.
    """

    columns: Mapping[str, str]
    carried: Mapping[str, str]
    schema: pa.Schema


@dataclass(frozen=True, slots=True)
class Chunk:
    """Some rows of a shard.

    Attributes:
        shard: that they belong to.
        first_row: the first of them in the file, from 0.
        rows: what the model reads.
        carried: what the output gets of them besides the answers.
    """

    shard: Shard
    first_row: int
    rows: list[FileRow]
    carried: pa.Table


def read_shards(files: Sequence[InputFile], shards: Sequence[Shard], reading: Reading) -> Iterator[Chunk]:
    """Yield the rows of shards in ascending order, at most `CHUNK_ROWS` of one shard at once.

    Raises:
        DataError: a file cannot be read, or has fewer rows than before; with its name.
    """
    for number, of_file in groupby(shards, key=lambda shard: shard.file):
        file, parts = files[number], [shard for shard in of_file if shard.num_rows]
        is_parquet = file.path.suffix.lower() == ".parquet"
        try:
            yield from _read_parquet(file, parts, reading) if is_parquet else _read_text(file, parts, reading)
        except DataError as error:
            raise DataError(f"{file.path}: {error}") from error


def _read_parquet(file: InputFile, shards: Sequence[Shard], reading: Reading) -> Iterator[Chunk]:
    columns = sorted({*reading.columns.values(), *reading.carried.values()})
    for shard in shards:
        done = 0
        tables = read_tables(
            file.path, columns=columns, first_row=shard.first_row, num_rows=shard.num_rows, table_rows=CHUNK_ROWS
        )
        for table in tables:
            rows = table.select(sorted(set(reading.columns.values()))).to_pylist()
            carried = [table.column(column) for column in reading.carried.values()]
            yield Chunk(
                shard,
                shard.first_row + done,
                [{ours: row[theirs] for ours, theirs in reading.columns.items()} for row in rows],
                pa.table(carried, names=list(reading.carried)).cast(reading.schema),
            )
            done += table.num_rows
        _check_number(done, shard)


def _read_text(file: InputFile, shards: Sequence[Shard], reading: Reading) -> Iterator[Chunk]:
    rows, place = read_rows(file.path), 0
    for shard in shards:
        skipped = shard.first_row - place
        next(islice(rows, skipped, skipped), None)
        place = shard.first_row
        for chunk in chunked(islice(rows, shard.num_rows), CHUNK_ROWS):
            yield _text_chunk(shard, place, chunk, reading)
            place += len(chunk)
        _check_number(place - shard.first_row, shard)


def _text_chunk(shard: Shard, first_row: int, rows: list[FileRow], reading: Reading) -> Chunk:
    carried = [
        column_of([text_cell(row.get(column)) for row in rows], reading.schema.field(name))
        for name, column in reading.carried.items()
    ]
    return Chunk(
        shard,
        first_row,
        [row_as_read(row, reading.columns) for row in rows],
        pa.table(carried, schema=reading.schema),
    )


def _check_number(num_rows: int, shard: Shard) -> None:
    if num_rows != shard.num_rows:
        raise DataError(
            f"has {shard.first_row + num_rows:,} rows, and had {shard.first_row + shard.num_rows:,} or more: it was "
            "changed while it was read. Start again"
        )
