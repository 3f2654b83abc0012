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
from mtl_transformers.inference.columns import column_of, fields_of, type_of
from mtl_transformers.inference.parquet import BATCH_ROWS as BATCH_ROWS
from mtl_transformers.inference.parquet import read_schema, read_tables
from mtl_transformers.storage.files import sync_file, sync_names
from mtl_transformers.text.undecodable import undecodable

FORMATS = (".csv", ".tsv", ".jsonl", ".parquet")
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
    for table in read_tables(path, columns=read_schema(path).names):
        yield from table.to_pylist()


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
            sync_file(temporary)
            os.replace(temporary, path)
            sync_names(path.parent)
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


def write_table(
    rows: Iterable[FileRow], path: Path, *, suffix: str, like: FileRow, types: Mapping[str, pa.DataType] | None = None
) -> int:
    """Write a table of rows that have the same columns.

    Args:
        rows: taken one after another.
        path: the file.
        suffix: .csv, .tsv or .parquet.
        like: a row with cells of the columns' types; a table without rows has its columns.
        types: in parquet, of columns that `like` lacks. A column that both lack has the type of its first cells, or is
            text where they are null or differ.

    Returns:
        The number of rows.

    Raises:
        DataError: a cell does not have its column's type.
    """
    if suffix == ".parquet":
        return _write_parquet(rows, path, like=like, types=types or {})
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


def _write_parquet(rows: Iterable[FileRow], path: Path, *, like: FileRow, types: Mapping[str, pa.DataType]) -> int:
    source = iter(rows)
    batch = list(islice(source, BATCH_ROWS))
    schema = _schema(batch, like, types)
    num_rows = 0
    with pq.ParquetWriter(path, schema) as writer:
        while batch:
            columns = [column_of([row[field.name] for row in batch], field) for field in schema]
            writer.write_table(pa.table(columns, schema=schema))
            num_rows += len(batch)
            batch = list(islice(source, BATCH_ROWS))
    return num_rows


def _schema(rows: Sequence[FileRow], like: FileRow, types: Mapping[str, pa.DataType]) -> pa.Schema:
    known = {field.name: field.type for field in fields_of(like)} | dict(types)
    names = list(rows[0]) if rows else [*types, *like]
    return pa.schema([(name, known[name] if name in known else type_of([row[name] for row in rows])) for name in names])
