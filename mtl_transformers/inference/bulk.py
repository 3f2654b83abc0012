"""Predicting files: csv, tsv, jsonl and parquet in and out, a batch of rows in memory at once.

The output appears under its name when it is complete, and not before.
"""

from __future__ import annotations

import csv
import json
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import chain, islice
from pathlib import Path
from typing import Any, TextIO

import pyarrow as pa
import pyarrow.parquet as pq

from mtl_transformers.errors import DataError
from mtl_transformers.inference.multitask import CHUNK_ROWS, MultiTaskModel
from mtl_transformers.tasks.task import Prediction

FORMATS = (".csv", ".tsv", ".jsonl", ".parquet")

Row = Mapping[str, Any]


def predict_file(
    model: MultiTaskModel,
    source: Path,
    target: Path,
    *,
    tasks: Sequence[str] | None = None,
    columns: Mapping[str, str] | None = None,
    id_column: str | None = None,
    top_k: int | None = None,
) -> int:
    """Answer every row of a file, in its order.

    JSON lines hold one object for each row: its id, and each task's prediction. A table has a column for each task with
    its answer (a list as JSON), and for a classification the score in ``<task>_score``.

    Args:
        model: answers.
        source: a .csv, .tsv, .jsonl or .parquet file.
        target: likewise; a file that lies there is replaced.
        tasks: names of the tasks; ``None``: all whose columns the file has.
        columns: the file's column by the column that the model reads, as ``{"body": "message"}``.
        id_column: names the rows; ``None``: the column ``id`` where there is one.
        top_k: classification also gives the probabilities of the k best labels.

    Returns:
        The number of rows.

    Raises:
        DataError: an unreadable file, a missing column, a row without text: with its number.
    """
    for path in (source, target):
        if path.suffix not in FORMATS:
            raise DataError(f"{path}: unknown kind of file; expected a name that ends in {', '.join(FORMATS)}")
    if not source.is_file():
        raise DataError(f"{source}: no such file")
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_name(f".{target.name}.tmp")
    answers = _answers(model, source, tasks=tasks, columns=columns or {}, id_column=id_column, top_k=top_k)
    try:
        num_rows = _WRITERS[target.suffix](answers, temporary)
        os.replace(temporary, target)
    finally:
        temporary.unlink(missing_ok=True)
    return num_rows


def _answers(
    model: MultiTaskModel,
    source: Path,
    *,
    tasks: Sequence[str] | None,
    columns: Mapping[str, str],
    id_column: str | None,
    top_k: int | None,
) -> Iterator[dict[str, Any]]:
    """Yield the id and the answers of each row."""
    first_row = 0
    for rows in _chunks(_READERS[source.suffix](source)):
        named = [_renamed(row, columns, source) for row in rows]
        _check_id(rows[0], id_column, source)
        try:
            answers = model.predict(named, tasks=tasks, top_k=top_k)
        except DataError as error:
            raise DataError(f"{source}, rows from {first_row}: {error}") from error
        key = id_column or "id"
        for row, answer in zip(rows, answers, strict=True):
            yield {"id": row[key], **answer} if key in row else dict(answer)
        first_row += len(rows)


def _chunks(rows: Iterable[Row]) -> Iterator[list[Row]]:
    """Yield lists of at most `CHUNK_ROWS` rows."""
    source = iter(rows)
    while chunk := list(islice(source, CHUNK_ROWS)):
        yield chunk


def _renamed(row: Row, columns: Mapping[str, str], source: Path) -> dict[str, Any]:
    """Return a row under the names that the model reads."""
    for theirs in columns.values():
        if theirs not in row:
            raise DataError(f"{source}: no column {theirs!r}; it has {', '.join(row)}")
    return {**row, **{ours: row[theirs] for ours, theirs in columns.items()}}


def _check_id(row: Row, id_column: str | None, source: Path) -> None:
    if id_column is not None and id_column not in row:
        raise DataError(f"{source}: no column {id_column!r} for the ids; it has {', '.join(row)}")


def _read_csv(path: Path, *, delimiter: str = ",") -> Iterator[Row]:
    csv.field_size_limit(sys.maxsize)
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            for row in csv.DictReader(file, delimiter=delimiter):
                if None in row or None in row.values():
                    raise DataError(f"{path}: a row has another number of cells than the header: {list(row.values())}")
                yield row
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path}: cannot be read as CSV in UTF-8: {error}") from error


def _read_tsv(path: Path) -> Iterator[Row]:
    return _read_csv(path, delimiter="\t")


def _read_jsonl(path: Path) -> Iterator[Row]:
    try:
        with path.open(encoding="utf-8") as file:
            for number, line in enumerate(file, start=1):
                if line.strip():
                    yield _json_row(line, path, number)
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: cannot be read as UTF-8: {error}") from error


def _json_row(line: str, path: Path, number: int) -> Row:
    try:
        row = json.loads(line)
    except json.JSONDecodeError as error:
        raise DataError(f"{path}, line {number}: no JSON: {error}") from error
    if not isinstance(row, dict):
        raise DataError(f"{path}, line {number}: expected an object with the columns of a row")
    return row


def _read_parquet(path: Path) -> Iterator[Row]:
    try:
        with pq.ParquetFile(path) as file:
            for batch in file.iter_batches(batch_size=CHUNK_ROWS):
                yield from batch.to_pylist()
    except pa.ArrowException as error:
        raise DataError(f"{path}: cannot be read as parquet: {error}") from error


_READERS: Mapping[str, Callable[[Path], Iterator[Row]]] = {
    ".csv": _read_csv,
    ".tsv": _read_tsv,
    ".jsonl": _read_jsonl,
    ".parquet": _read_parquet,
}


def _write_jsonl(answers: Iterable[Row], path: Path) -> int:
    num_rows = 0
    with path.open("w", encoding="utf-8") as file:
        for answer in answers:
            file.write(json.dumps(answer, ensure_ascii=False) + "\n")
            num_rows += 1
    return num_rows


def _write_csv(answers: Iterable[Row], path: Path, *, delimiter: str = ",") -> int:
    with path.open("w", encoding="utf-8", newline="") as file:
        return _write_table(answers, file, delimiter)


def _write_table(answers: Iterable[Row], file: TextIO, delimiter: str) -> int:
    writer: csv.DictWriter[str] | None = None
    num_rows = 0
    for answer in answers:
        row = _cells(answer)
        if writer is None:
            writer = csv.DictWriter(file, fieldnames=list(row), delimiter=delimiter)
            writer.writeheader()
        writer.writerow(row)
        num_rows += 1
    return num_rows


def _write_tsv(answers: Iterable[Row], path: Path) -> int:
    return _write_csv(answers, path, delimiter="\t")


def _write_parquet(answers: Iterable[Row], path: Path) -> int:
    num_rows = 0
    rows = (_cells(answer) for answer in answers)
    batches = _chunks(rows)
    first = next(batches, [])
    schema = pa.Table.from_pylist(first).schema
    with pq.ParquetWriter(path, schema) as writer:
        for batch in chain([first], batches):
            writer.write_table(pa.Table.from_pylist(batch, schema=schema))
            num_rows += len(batch)
    return num_rows


_WRITERS: Mapping[str, Callable[[Iterable[Row], Path], int]] = {
    ".csv": _write_csv,
    ".tsv": _write_tsv,
    ".jsonl": _write_jsonl,
    ".parquet": _write_parquet,
}


def _cells(answer: Row) -> dict[str, Any]:
    """Return a row of a table: one cell for each answer, and the score of a label."""
    cells: dict[str, Any] = {}
    for name, value in answer.items():
        if name == "id":
            cells[name] = value
            continue
        cells[name] = _cell(value)
        if isinstance(value, dict) and "score" in value:
            cells[f"{name}_score"] = value["score"]
    return cells


def _cell(prediction: Prediction) -> Any:
    """Return the answer itself: a label or a number as it is, anything longer as JSON."""
    if isinstance(prediction, list):
        return json.dumps(prediction, ensure_ascii=False)
    for key in ("label", "value"):
        if key in prediction:
            return prediction[key]
    return json.dumps(next(iter(prediction.values())), ensure_ascii=False)
