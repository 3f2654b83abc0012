"""Predicting a file: csv, tsv, jsonl and parquet in and out, a chunk of rows in memory at once.

Owns the order of the work; the formats are ``files.py``'s, what a table says of an answer ``table_rows.py``'s. The
output appears under its name when it is complete, and not before. Many files, and files that take days, are
``shards.py``'s.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path

import pyarrow as pa

from mtl_transformers.errors import ConfigError, DataError
from mtl_transformers.inference.carried import carried_columns, check_renamed, named_as_read, row_as_read
from mtl_transformers.inference.columns import plain_type
from mtl_transformers.inference.files import FORMATS, FileRow, complete_file, read_rows, write_objects, write_table
from mtl_transformers.inference.multitask import MultiTaskModel
from mtl_transformers.inference.parquet import read_schema
from mtl_transformers.inference.table_rows import cells_like, cells_of, check_names, completed, is_error
from mtl_transformers.runtime.answering import CHUNK_ROWS, chunked
from mtl_transformers.runtime.questions import Errors
from mtl_transformers.runtime.rows import columns_of

OBJECTS = ".jsonl"  # the format that has answers as they are; the others are tables

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Reading:
    """What is read of a file.

    Attributes:
        source: the file.
        tasks: that are answered.
        renamed: the file's column by the column that the model reads.
        carried: the file's column by the column of the output.
        errors: what becomes of a row that cannot be read.
        top_k: classification also gives the probabilities of the k best labels.
    """

    source: Path
    tasks: Sequence[str]
    renamed: Mapping[str, str]
    carried: Mapping[str, str]
    errors: Errors
    top_k: int | None


def predict_file(
    model: MultiTaskModel,
    source: Path,
    target: Path,
    *,
    tasks: Sequence[str] | None = None,
    columns: Mapping[str, str] | None = None,
    id_column: str | None = None,
    keep: Sequence[str] = (),
    errors: Errors = "raise",
    top_k: int | None = None,
    on_rows: Callable[[int], object] | None = None,
) -> int:
    """Answer every row of a file, in its order.

    JSON lines hold one object for each row: its ``id``, the columns that are kept, and each task's prediction. A table
    (csv, tsv, parquet) has the ``id``, the columns that are kept, a column for each task with its answer (as JSON where
    it is more than a label, a choice, a number or a text), and for a label, a choice or a text its score in
    ``<task>_score``. A file without rows gives a file without rows. Which columns JSON lines have is decided by the
    first 4,096.

    Args:
        model: answers.
        source: a .csv, .tsv, .jsonl or .parquet file.
        target: likewise; a file that lies there is replaced.
        tasks: names of the tasks; ``None``: all whose columns the file has.
        columns: the file's column by the column that the model reads, as ``{"body": "message"}``.
        id_column: names the rows; ``None``: the column ``id`` where there is one.
        keep: columns of the file that the output has too.
        errors: a row that cannot be read ends the work (``raise``), or has no answers but a message in the column
            ``error`` (``keep``).
        top_k: classification also gives the probabilities of the k best labels; in JSON lines only.
        on_rows: is told after each chunk how many rows it had.

    Returns:
        The number of rows.

    Raises:
        ConfigError: a task or a column that the model does not know, or two columns of one name.
        DataError: an unreadable file, a missing column, a row without text: with its number.
    """
    _check_files(source, target)
    if top_k is not None and target.suffix.lower() != OBJECTS:
        raise ConfigError(f"top_k {top_k}: a table has the best label only; write {target.with_suffix(OBJECTS).name}")
    renamed = columns or {}
    check_renamed(model.tasks, renamed)
    check_names(tasks or model.tasks, carried=keep, errors=errors == "keep")
    try:
        chunks = chunked(read_rows(source), CHUNK_ROWS)
        first = next(chunks, [])
        found = _columns(source, first)
        reading = _Reading(
            source,
            tasks=_tasks(model, found, renamed, named=tasks),
            renamed=renamed,
            carried=carried_columns(found, id_column=id_column, keep=keep) if found else {},
            errors=errors,
            top_k=top_k,
        )
    except DataError as error:
        raise DataError(f"{source}: {error}") from error
    answers = _answers(model, reading, chain([first] if first else [], chunks), on_rows=on_rows)
    with complete_file(target) as temporary:
        num_rows = _write(model, reading, answers, temporary, suffix=target.suffix.lower())
    if not num_rows:
        _LOG.warning("%s holds no rows, and so does %s", source, target)
    return num_rows


def _columns(source: Path, rows: Sequence[FileRow]) -> list[str]:
    """Return the columns of a file, as far as its first rows tell."""
    if source.suffix.lower() == ".parquet":
        return list(read_schema(source).names)
    return columns_of(rows) or []


def _tasks(
    model: MultiTaskModel, columns: Sequence[str], renamed: Mapping[str, str], *, named: Sequence[str] | None
) -> list[str]:
    """Return the tasks that are answered; all of them where a file without rows does not tell its columns."""
    if not columns:
        return list(named or model.tasks)
    return model.answering.choose([named_as_read(columns, renamed)], named)


def _answers(
    model: MultiTaskModel,
    reading: _Reading,
    rows: Iterator[list[FileRow]],
    *,
    on_rows: Callable[[int], object] | None,
) -> Iterator[tuple[FileRow, FileRow]]:
    """Yield what is carried of each row, and its answers."""
    carried: deque[FileRow] = deque()  # of the rows that were read and not yet answered

    def chunks() -> Iterator[list[FileRow]]:
        for chunk in rows:
            carried.extend(
                {name: row[column] for name, column in reading.carried.items() if column in row} for row in chunk
            )
            yield [row_as_read(row, reading.renamed) for row in chunk]

    try:
        answered = model.predict_chunks(chunks(), tasks=reading.tasks, top_k=reading.top_k, errors=reading.errors)
        for answers in answered:
            for answer in answers:
                yield carried.popleft(), answer
            if on_rows is not None:
                on_rows(len(answers))
    except DataError as error:
        raise DataError(f"{reading.source}: {error}") from error


def _write(
    model: MultiTaskModel,
    reading: _Reading,
    answers: Iterator[tuple[FileRow, FileRow]],
    path: Path,
    *,
    suffix: str,
) -> int:
    """Write the answers in the format of a suffix."""
    if suffix == OBJECTS:
        return write_objects(({**carried, **answer} for carried, answer in answers), path)
    first = list(islice(answers, CHUNK_ROWS))
    like = cells_like(
        {name: model.tasks[name].task for name in reading.tasks},
        islice((answer for _, answer in first if not is_error(answer)), 1),
        errors=reading.errors == "keep",
    )
    rows = (
        completed(carried, reading.carried) | completed(cells_of(answer), like)
        for carried, answer in chain(first, answers)
    )
    return write_table(rows, path, suffix=suffix, like=like, types=_carried_types(reading))


def _carried_types(reading: _Reading) -> dict[str, pa.DataType]:
    """Return the types of what is carried, where the file has types."""
    if reading.source.suffix.lower() != ".parquet":
        return {}
    schema = read_schema(reading.source)
    return {name: plain_type(schema.field(column).type) for name, column in reading.carried.items()}


def _check_files(source: Path, target: Path) -> None:
    if source.is_dir():
        raise DataError(f"{source}: is a directory; name a file, or answer its files into a directory, as answers/")
    for path in (source, target):
        if path.suffix.lower() not in FORMATS:
            raise DataError(f"{path}: unknown kind of file; expected a name that ends in {', '.join(FORMATS)}")
    if not source.is_file():
        raise DataError(f"{source}: no such file; name one that is there, or answer many into a directory, as answers/")
    if target.is_dir():
        raise DataError(f"{target}: is a directory; name a file, or end the name with / for a directory of shards")
