"""Predicting files: csv, tsv, jsonl and parquet in and out, a chunk of rows in memory at once.

Owns the order of the work and what a table says of a prediction; the formats are ``files.py``'s. The output appears
under its name when it is complete, and not before.
"""

from __future__ import annotations

import json
import logging
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import chain, islice
from pathlib import Path
from typing import Any

from mtl_transformers.errors import ConfigError, DataError, nearest
from mtl_transformers.inference.files import FORMATS, FileRow, complete_file, read_rows, write_objects, write_table
from mtl_transformers.inference.multitask import MultiTaskModel
from mtl_transformers.runtime.answering import CHUNK_ROWS, chunked
from mtl_transformers.runtime.rows import listed
from mtl_transformers.text.decoders import Prediction
from mtl_transformers.text.encoding import Features

ID = "id"  # the key of a row's id in what is written

_LOG = logging.getLogger(__name__)


def predict_file(
    model: MultiTaskModel,
    source: Path,
    target: Path,
    *,
    tasks: Sequence[str] | None = None,
    columns: Mapping[str, str] | None = None,
    id_column: str | None = None,
    top_k: int | None = None,
    on_rows: Callable[[int], object] | None = None,
) -> int:
    """Answer every row of a file, in its order.

    JSON lines hold one object for each row: its ``id``, and each task's prediction. A table (csv, tsv, parquet) has the
    ``id`` and a column for each task with its answer (as JSON where it is more than a label, a choice, a number or a
    text), and for a label, a choice or a text its score in ``<task>_score``. A file without rows gives a file without
    rows.

    Args:
        model: answers.
        source: a .csv, .tsv, .jsonl or .parquet file.
        target: likewise; a file that lies there is replaced.
        tasks: names of the tasks; ``None``: all whose columns the file has.
        columns: the file's column by the column that the model reads, as ``{"body": "message"}``.
        id_column: names the rows; ``None``: the column ``id`` where there is one.
        top_k: classification also gives the probabilities of the k best labels, in JSON lines.
        on_rows: is told after each chunk how many rows it had.

    Returns:
        The number of rows.

    Raises:
        ConfigError: a task or a column that the model does not know.
        DataError: an unreadable file, a missing column, a row without text: with its number.
    """
    _check_files(source, target)
    _check_columns(model, columns or {})
    _check_names(list(tasks or model.tasks))
    answers = _answers(model, source, tasks, columns=columns or {}, id_column=id_column, top_k=top_k, on_rows=on_rows)
    with complete_file(target) as temporary:
        if target.suffix.lower() == ".jsonl":
            num_rows = write_objects(answers, temporary)
        else:
            first = list(islice(answers, 1))
            like = _like(model, tasks or list(model.tasks), first)
            rows = (_table_row(answer, like=like) for answer in chain(first, answers))
            num_rows = write_table(rows, temporary, suffix=target.suffix.lower(), like=like)
    if not num_rows:
        _LOG.warning("%s holds no rows, and so does %s", source, target)
    return num_rows


def _answers(
    model: MultiTaskModel,
    source: Path,
    tasks: Sequence[str] | None,
    *,
    columns: Mapping[str, str],
    id_column: str | None,
    top_k: int | None,
    on_rows: Callable[[int], object] | None,
) -> Iterator[FileRow]:
    """Yield the id and the answers of each row."""
    ids: deque[dict[str, Any]] = deque()  # of the rows that were read and not yet answered

    def chunks() -> Iterator[list[FileRow]]:
        for rows in chunked(read_rows(source), CHUNK_ROWS):
            ids.extend(_id_of(row, id_column) for row in rows)
            yield [_renamed(row, columns) for row in rows]

    try:
        for answers in model.predict_chunks(chunks(), tasks=tasks, top_k=top_k):
            for answer in answers:
                yield {**ids.popleft(), **answer}
            if on_rows is not None:
                on_rows(len(answers))
    except DataError as error:
        raise DataError(f"{source}: {error}") from error


def _id_of(row: FileRow, column: str | None) -> dict[str, Any]:
    """Return a row's id under its key, or nothing where rows have none."""
    if column is not None and column not in row:
        raise DataError(f"no column {column!r} for the ids; it has {listed(row)}{nearest(column, row)}")
    key = ID if column is None else column
    return {ID: row[key]} if key in row else {}


def _renamed(row: FileRow, columns: Mapping[str, str]) -> FileRow:
    """Return a row under the names that the model reads."""
    for theirs in columns.values():
        if theirs not in row:
            raise DataError(f"no column {theirs!r}; it has {listed(row)}{nearest(theirs, row)}")
    return {**row, **{ours: row[theirs] for ours, theirs in columns.items()}}


def _check_files(source: Path, target: Path) -> None:
    for path in (source, target):
        if path.suffix.lower() not in FORMATS:
            raise DataError(f"{path}: unknown kind of file; expected a name that ends in {', '.join(FORMATS)}")
    if not source.is_file():
        what = "is a directory; name a file" if source.is_dir() else "no such file; name one that is there"
        raise DataError(f"{source}: {what}")
    if target.is_dir():
        raise DataError(f"{target}: is a directory; name a file")


def _check_columns(model: MultiTaskModel, columns: Mapping[str, str]) -> None:
    read = sorted({column for served in model.tasks.values() for column in served.input.columns})
    for ours in columns:
        if ours not in read:
            raise ConfigError(f"--columns {ours}=…: the model reads {listed(read)}{nearest(ours, read)}")


def _check_names(tasks: Sequence[str]) -> None:
    """Refuse tasks whose name is also that of another column of the output."""
    for name in tasks:
        if name == ID or name.removesuffix("_score") in set(tasks) - {name}:
            raise ConfigError(f"task {name!r} has the name of another column of the output; leave it out by --tasks")


def _like(model: MultiTaskModel, tasks: Sequence[str], rows: Sequence[FileRow]) -> FileRow:
    """Return a row of a table with cells of the types of all: those of the first row, where it has the cell."""
    like = _table_row({name: _any_answer(model, name) for name in tasks})
    for row in rows:
        like |= {name: cell for name, cell in _table_row(row).items() if name != ID and cell is not None}
    return like


def _any_answer(model: MultiTaskModel, task: str) -> Prediction:
    """Return a prediction that has the keys and the types of all predictions of a task."""
    return model.tasks[task].task.majority(Features((), ()))


def _table_row(answer: FileRow, *, like: FileRow | None = None) -> FileRow:
    """Return a row of a table: one cell for each answer, and its score; null where only others of a task have one."""
    cells: FileRow = {}
    for name, value in answer.items():
        cells[name] = value if name == ID else _cell(value)
        if name != ID and isinstance(value, dict) and "score" in value and len(value) > 1:
            cells[f"{name}_score"] = value["score"]
        elif like is not None and f"{name}_score" in like:
            cells[f"{name}_score"] = None
    return cells


def _cell(prediction: Prediction) -> Any:
    """Return the answer itself: a label, a choice, a number or a text as it is, anything longer as JSON."""
    if isinstance(prediction, list):
        return json.dumps(prediction, ensure_ascii=False)
    for key in ("label", "choice", "value", "answer"):
        if key in prediction:
            return prediction[key]
    if prediction.keys() == {"score"}:
        return prediction["score"]
    return json.dumps(next(iter(prediction.values())), ensure_ascii=False)
