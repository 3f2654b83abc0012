"""Making shards of answers: in parquet files, by one process or by several.

A shard appears under its name when it is complete and is made as a whole, from its own first row on: so a run that was
killed anywhere ends with the files of one that was not. What is made is ``shard_run.py``'s to decide.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

from mtl_transformers.errors import DataError
from mtl_transformers.inference.columns import column_of
from mtl_transformers.inference.files import complete_file
from mtl_transformers.inference.progress import made, remove_leftovers
from mtl_transformers.inference.shard_rows import Chunk, read_shards
from mtl_transformers.inference.shard_run import ShardRun
from mtl_transformers.inference.sharding import Shard
from mtl_transformers.inference.table_rows import ERROR, cells_of, is_error

if TYPE_CHECKING:  # either answers, and neither is needed for the other
    from mtl_transformers.inference.multitask import MultiTaskModel
    from mtl_transformers.runtime.onnx_model import OnnxModel


@dataclass(frozen=True, slots=True)
class Present:
    """What is there of a run, whoever made it.

    Attributes:
        num_shards: that are there.
        of_shards: that the run has.
        num_rows: of those that are there.
        num_errors: rows of them that could not be read.
    """

    num_shards: int
    of_shards: int
    num_rows: int
    num_errors: int

    @property
    def is_complete(self) -> bool:
        """Whether all shards are there."""
        return self.num_shards == self.of_shards


def make_shards(
    model: MultiTaskModel | OnnxModel, run: ShardRun, *, on_rows: Callable[[int], object] | None = None
) -> Present:
    """Make the shards that are missing.

    Args:
        model: the one that the run was planned with.
        run: what is to be made.
        on_rows: is told after each chunk how many rows it had.

    Returns:
        What is there now.

    Raises:
        DataError: a row that cannot be read, with its file and its number there; or a file that cannot be written. The
            shards that were complete stay.
    """
    answered = _answered(model, run)
    for shard in run.missing:
        _write(run, shard, _of_shard(answered, shard, on_rows))
    next(answered, None)  # at its end it tells how many texts were cut
    present = present_of(run)
    if present.is_complete:
        remove_leftovers(run.target)
    return present


def present_of(run: ShardRun) -> Present:
    """Return what is there of a run."""
    there = (made(run.target, shard, run=run.run, keeps_errors=run.errors == "keep") for shard in run.shards)
    found = [of for of in there if of is not None]
    num_rows, num_errors = sum(of.num_rows for of in found), sum(of.num_errors for of in found)
    return Present(len(found), len(run.shards), num_rows, num_errors)


def _answered(model: MultiTaskModel | OnnxModel, run: ShardRun) -> Iterator[tuple[Chunk, list[Any]]]:
    """Yield the missing rows and their answers."""
    waiting: deque[Chunk] = deque()

    def rows() -> Iterator[list[dict[str, Any]]]:
        for chunk in read_shards(run.files, run.missing, run.reading):
            waiting.append(chunk)
            yield chunk.rows

    for answers in model.predict_chunks(rows(), tasks=run.tasks, errors="keep"):
        chunk = waiting.popleft()
        if run.errors == "raise":
            _check_answered(run, chunk, answers)
        yield chunk, answers


def _check_answered(run: ShardRun, chunk: Chunk, answers: Sequence[Mapping[str, Any]]) -> None:
    for number, answer in enumerate(answers, start=chunk.first_row + 1):
        if is_error(answer):
            path = run.files[chunk.shard.file].path
            raise DataError(f"{path}: row {number}, {answer[ERROR]}; --errors keep answers the others")


def _of_shard(
    answered: Iterator[tuple[Chunk, list[Any]]], shard: Shard, on_rows: Callable[[int], object] | None
) -> Iterator[tuple[Chunk, list[Any]]]:
    """Yield the answers of a shard, and ask for no row of the next one: what is complete is put in its place first."""
    num_rows = 0
    while num_rows < shard.num_rows:
        chunk, answers = next(answered)
        yield chunk, answers
        num_rows += len(answers)
        if on_rows is not None:
            on_rows(len(answers))


def _write(run: ShardRun, shard: Shard, chunks: Iterable[tuple[Chunk, list[Any]]]) -> None:
    """Write a shard, which appears when it is complete."""
    answer_fields = [run.schema.field(place) for place in range(len(run.reading.schema), len(run.schema))]
    with complete_file(run.target / shard.name) as temporary, pq.ParquetWriter(temporary, run.schema) as writer:
        for chunk, answers in chunks:
            cells = [cells_of(answer) for answer in answers]
            columns = [column_of([of.get(field.name) for of in cells], field) for field in answer_fields]
            writer.write_table(pa.table([*chunk.carried.columns, *columns], schema=run.schema))
