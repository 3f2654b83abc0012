"""A run that makes shards: what is decided before the first row is answered.

Owns finding the input, choosing tasks and columns, the columns of the output, and whether a directory goes on or
begins. Making the shards is ``shards.py``'s.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from mtl_transformers.errors import ConfigError, DataError
from mtl_transformers.inference.carried import carried_columns, check_renamed, named_as_read, read_columns
from mtl_transformers.inference.columns import fields_of, plain_type
from mtl_transformers.inference.input_files import InputFile, describe_files, find_files
from mtl_transformers.inference.progress import FORMAT_VERSION, RUN, begin, made, read_progress, run_of
from mtl_transformers.inference.shard_rows import Reading, read_shards
from mtl_transformers.inference.sharding import SHARD_ROWS, Shard, Worker, plan_shards
from mtl_transformers.inference.table_rows import cells_like, check_names, is_error
from mtl_transformers.runtime.questions import Errors
from mtl_transformers.runtime.rows import listed

if TYPE_CHECKING:  # either answers, and neither is needed for the other
    from mtl_transformers.inference.multitask import MultiTaskModel
    from mtl_transformers.runtime.onnx_model import OnnxModel


ALONE = Worker(0, 1)
_PROBED_ROWS = 16  # of which the first one that can be read shows the types of the answers


@dataclass(frozen=True, slots=True)
class ShardRun:
    """What is to be made, and where: all of it is decided before the first row is answered.

    Attributes:
        target: the directory.
        files: the input.
        shards: of the whole input.
        missing: of this worker, those that have to be made.
        tasks: that are answered.
        reading: what is read of every file.
        schema: of every shard; its metadata name the run.
        errors: what becomes of a row that cannot be read.
        run: what identifies the run.
    """

    target: Path
    files: Sequence[InputFile]
    shards: Sequence[Shard]
    missing: Sequence[Shard]
    tasks: Sequence[str]
    reading: Reading
    schema: pa.Schema
    errors: Errors
    run: str

    @property
    def rows_to_answer(self) -> int:
        """Rows of the shards that this worker has to make."""
        return sum(shard.num_rows for shard in self.missing)


def plan_run(
    model: MultiTaskModel | OnnxModel,
    source: str | Path,
    target: Path,
    *,
    tasks: Sequence[str] | None = None,
    columns: Mapping[str, str] | None = None,
    id_column: str | None = None,
    keep: Sequence[str] = (),
    errors: Errors = "raise",
    shard_rows: int = SHARD_ROWS,
    worker: Worker = ALONE,
    overwrite: bool = False,
) -> ShardRun:
    """Decide what a run makes, and begin it or go on with it.

    Args:
        model: answers.
        source: a file, a pattern or a directory; parquet, jsonl, csv or tsv.
        target: a directory, new, empty, or of a run that was begun in the same way.
        tasks: names of the tasks; ``None``: all whose columns the files have.
        columns: the files' column by the column that the model reads.
        id_column: names the rows; ``None``: the column ``id`` where there is one.
        keep: columns of the input that the output has too.
        errors: a row that cannot be read ends the work (``raise``), or has no answers but a message in the column
            ``error`` (``keep``).
        shard_rows: the most rows of a shard.
        worker: which part of the shards is made here.
        overwrite: begin anew where another run is found.

    Raises:
        ConfigError: a task or a column that the model does not know, or two columns of one name.
        DataError: no or unreadable files, columns that are missing or differ, or a directory that holds something else.
    """
    if overwrite and worker.count > 1:
        raise ConfigError(f"--overwrite would remove what other workers made; remove {target} first, then start them")
    renamed = columns or {}
    check_renamed(model.answering.tasks, renamed)
    check_names(tasks or model.tasks, carried=keep, errors=errors == "keep")
    paths = find_files(str(source))
    _check_apart(target, str(source), paths)
    found = read_progress(target)
    files = describe_files(paths, known=found["inputs"] if found else ())
    chosen, reading = _decide(model, files, tasks, renamed, id_column=id_column, keep=keep)
    options = {
        "columns": dict(renamed),
        "id": id_column,
        "keep": list(keep),
        "errors": errors,
        "shard_rows": shard_rows,
    }
    content = {
        "format_version": FORMAT_VERSION,
        "model": model.fingerprint(),
        "tasks": chosen,
        "options": options,
        "inputs": [file.to_json() for file in files],
    }
    shards = plan_shards([file.num_rows for file in files], shard_rows=shard_rows)
    begin(target, content, found=found, overwrite=overwrite)
    run, keeps = run_of(content), errors == "keep"
    return ShardRun(
        target=target,
        files=files,
        shards=shards,
        missing=[shard for shard in worker.shards(shards) if made(target, shard, run=run, keeps_errors=keeps) is None],
        tasks=chosen,
        reading=reading,
        schema=_schema(model, files, shards, chosen, reading, errors=errors, run=run),
        errors=errors,
        run=run,
    )


def _decide(
    model: MultiTaskModel | OnnxModel,
    files: Sequence[InputFile],
    tasks: Sequence[str] | None,
    renamed: Mapping[str, str],
    *,
    id_column: str | None,
    keep: Sequence[str],
) -> tuple[list[str], Reading]:
    """Return the tasks that are answered, and what is read: as the first file with columns says, for all files."""
    first = next((file for file in files if len(file.schema)), None)
    if first is None:  # text files without rows
        return list(tasks or model.tasks), Reading({}, {}, pa.schema([]))
    try:
        columns = named_as_read(first.schema.names, renamed)
        chosen = model.answering.choose([columns], tasks)
        carried = carried_columns(first.schema.names, id_column=id_column, keep=keep)
    except DataError as error:
        raise DataError(f"{first.path}: {error}") from error
    wanted = read_columns(model.answering.tasks[name] for name in chosen)
    read = {ours: theirs for ours, theirs in columns.items() if ours in wanted}
    _check_columns(files, first, [*read.values(), *carried.values()])
    types = {name: _common_type(files, column) for name, column in carried.items()}
    return chosen, Reading(read, carried, pa.schema(list(types.items())))


def _check_columns(files: Sequence[InputFile], first: InputFile, columns: Iterable[str]) -> None:
    for column in columns:
        for file in files:
            if len(file.schema) and column not in file.schema.names:
                raise DataError(
                    f"{file.path}: no column {column!r}, which {first.path} has; it has {listed(file.schema.names)}"
                )


def _common_type(files: Sequence[InputFile], column: str) -> pa.DataType:
    """Return the type of a column that all files have; null is of every type."""
    found: pa.DataType | None = None
    place: Path | None = None
    for file in files:
        if not len(file.schema) or pa.types.is_null(kind := plain_type(file.schema.field(column).type)):
            continue
        if found is not None and kind != found:
            raise DataError(
                f"{file.path}: column {column!r} is {kind}, and {found} in {place}. Write it with one type, or leave "
                "it out of --keep and --id"
            )
        found, place = kind, file.path
    return found or pa.string()


def _check_apart(target: Path, source: str, paths: Iterable[Path]) -> None:
    """Refuse a directory that holds input, or lies where input is looked for."""
    out = target.resolve()
    if any(path.resolve().is_relative_to(out) for path in paths) or (
        Path(source).is_dir() and out.is_relative_to(Path(source).resolve())
    ):
        raise DataError(f"{target}: the input and the answers lie in one directory; name another one")


def _schema(
    model: MultiTaskModel | OnnxModel,
    files: Sequence[InputFile],
    shards: Sequence[Shard],
    tasks: Sequence[str],
    reading: Reading,
    *,
    errors: Errors,
    run: str,
) -> pa.Schema:
    """Return the columns of every shard: types of the tasks, and of answers to the first rows of the input."""
    answers: list[Any] = []
    for chunk in read_shards(files, shards[:1], reading):
        probed = model.predict_chunks([chunk.rows[:_PROBED_ROWS]], tasks=tasks, errors="keep")
        answers = [answer for answer in next(iter(probed)) if not is_error(answer)][:1]
        break
    like = cells_like({name: model.answering.tasks[name] for name in tasks}, answers, errors=errors == "keep")
    return pa.schema([*reading.schema, *fields_of(like)], metadata={RUN: run})
