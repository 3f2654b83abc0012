"""Rows of csv, tsv, jsonl and parquet files: read and written one after another, never all in memory.

Knows nothing of models. Errors of reading name the line; the caller adds the file.
"""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from itertools import chain, islice
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from mtl_transformers.errors import DataError
from mtl_transformers.text.undecodable import undecodable

FORMATS = (".csv", ".tsv", ".jsonl", ".parquet")
BATCH_ROWS = 4096  # of a parquet file, in memory at once
MAX_CELL = 2**31 - 1  # characters; Python's own limit of 131,072 is short for a text

FileRow = dict[str, Any]


def read_rows(path: Path) -> Iterator[FileRow]:
    """Yield the rows of a file by its suffix; blank lines of JSON are no rows.

    Raises:
        DataError: it cannot be read; with the line, without the file.
    """
    try:
        yield from _READERS[path.suffix.lower()](path)
    except OSError as error:
        raise DataError(f"cannot be read: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise DataError(f"{undecodable(path) or error}. Save the file as UTF-8") from error


def _read_csv(path: Path, *, delimiter: str) -> Iterator[FileRow]:
    csv.field_size_limit(MAX_CELL)
    with path.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.reader(file, delimiter=delimiter, strict=True)
        try:
            header = next(reader, [])
            if len(set(header)) < len(header):
                raise DataError(
                    f"two columns have the same name; the header is {', '.join(map(repr, header))}. Name each once"
                )
            for cells in filter(None, reader):
                if len(cells) != len(header):
                    raise DataError(
                        f"line {reader.line_num}: {len(cells)} cells; the header has {len(header)}. Quote cells that "
                        f"hold {delimiter!r}; an empty cell still has its delimiter"
                    )
                yield dict(zip(header, cells, strict=True))
        except csv.Error as error:
            raise DataError(f"line {reader.line_num}: malformed: {error}; a quote inside a cell is doubled") from error


def _read_jsonl(path: Path) -> Iterator[FileRow]:
    with path.open(encoding="utf-8-sig") as file:
        for number, line in enumerate(file, start=1):
            if line.strip():
                yield _json_row(line, number)


def _json_row(line: str, number: int) -> FileRow:
    try:
        row = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise DataError(f"line {number}: no JSON: {error}. Write one object on each line") from error
    if not isinstance(row, dict):
        raise DataError(f"line {number}: expected an object with the columns of a row")
    return row


def _read_parquet(path: Path) -> Iterator[FileRow]:
    try:
        with pq.ParquetFile(path) as file:
            for batch in file.iter_batches(batch_size=BATCH_ROWS):
                yield from batch.to_pylist()
    except pa.ArrowException as error:
        raise DataError(f"cannot be read as parquet: {error}. Write the file again") from error


_READERS: Mapping[str, Callable[[Path], Iterator[FileRow]]] = {
    ".csv": partial(_read_csv, delimiter=","),
    ".tsv": partial(_read_csv, delimiter="\t"),
    ".jsonl": _read_jsonl,
    ".parquet": _read_parquet,
}


@contextmanager
def complete_file(path: Path) -> Iterator[Path]:
    """Yield a temporary place beside a path, which takes the path's name when all is written, and else is removed.

    Raises:
        DataError: the path cannot be written.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            yield temporary
            os.replace(temporary, path)
        finally:
            temporary.unlink(missing_ok=True)
    except OSError as error:
        raise DataError(f"{path}: cannot be written: {error.strerror or error}") from error


def write_objects(rows: Iterable[FileRow], path: Path) -> int:
    """Write JSON lines; what JSON does not know (dates, decimals) as text. Returns the number of rows."""
    num_rows = 0
    with path.open("w", encoding="utf-8") as file:
        for row in rows:
            file.write(json.dumps(row, ensure_ascii=False, default=str) + "\n")
            num_rows += 1
    return num_rows


def write_table(rows: Iterable[FileRow], path: Path, *, suffix: str, like: FileRow) -> int:
    """Write a table of rows that have the same columns.

    Args:
        rows: taken one after another.
        path: the file.
        suffix: .csv, .tsv or .parquet.
        like: a row with cells of the columns' types; a table without rows has its columns. A column that it lacks has
            the type of its first cells, or is text where they are null or differ.

    Returns:
        The number of rows.

    Raises:
        DataError: a cell does not have its column's type.
    """
    if suffix == ".parquet":
        return _write_parquet(rows, path, like=like)
    return _write_csv(rows, path, like=like, delimiter="\t" if suffix == ".tsv" else ",")


def _write_csv(rows: Iterable[FileRow], path: Path, *, like: FileRow, delimiter: str) -> int:
    source = iter(rows)
    first = list(islice(source, 1))
    num_rows = 0
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, fieldnames=list((first or [like])[0]), delimiter=delimiter, lineterminator="\n")
        writer.writeheader()
        for row in chain(first, source):
            writer.writerow(row)
            num_rows += 1
    return num_rows


def _write_parquet(rows: Iterable[FileRow], path: Path, *, like: FileRow) -> int:
    source = iter(rows)
    batch = list(islice(source, BATCH_ROWS))
    schema = _schema(batch or [like], like)
    num_rows = 0
    with pq.ParquetWriter(path, schema) as writer:
        while batch:
            writer.write_table(pa.table([_column(batch, field) for field in schema], schema=schema))
            num_rows += len(batch)
            batch = list(islice(source, BATCH_ROWS))
    return num_rows


def _schema(rows: Sequence[FileRow], like: FileRow) -> pa.Schema:
    """Return the types of `like`; of a column that it has not, the type of the first rows, or text."""
    return pa.schema([(name, _type([like[name]] if name in like else [row[name] for row in rows])) for name in rows[0]])


def _type(cells: Sequence[Any]) -> pa.DataType:
    try:
        found = pa.array(cells).type
    except pa.ArrowException:  # numbers and text
        return pa.string()
    return pa.string() if pa.types.is_null(found) else found


def _column(rows: Sequence[FileRow], field: pa.Field) -> pa.Array:
    cells = [row[field.name] for row in rows]
    if pa.types.is_string(field.type):
        cells = [None if cell is None else str(cell) for cell in cells]
    try:
        return pa.array(cells, field.type)
    except pa.ArrowException as error:
        raise DataError(f"column {field.name!r} began as {field.type}, and a later cell is not: {error}") from error
