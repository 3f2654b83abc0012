"""Dividing the rows of an input into shards, and the shards among workers. Numbers in, numbers out.

A shard is a range of rows of one file, so which rows it has depends on the files and `shard_rows` alone: every worker
comes to the same shards without asking another, and a shard that is made again has the same rows.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from mtl_transformers.errors import ConfigError

SHARD_ROWS = 100_000  # of a shard, unless told otherwise


@dataclass(frozen=True, slots=True)
class Shard:
    """Consecutive rows of a file, whose answers are one file.

    Attributes:
        number: among all shards, from 0.
        file: the number of the file that has the rows.
        first_row: its first row in the file, from 0.
        num_rows: how many it has.
    """

    number: int
    file: int
    first_row: int
    num_rows: int

    @property
    def name(self) -> str:
        """The name of its file of answers."""
        return f"part-{self.number:05d}.parquet"


@dataclass(frozen=True, slots=True)
class Worker:
    """One of several processes that divide the shards.

    Attributes:
        number: from 0.
        count: of all workers.
    """

    number: int
    count: int

    def shards(self, shards: Sequence[Shard]) -> list[Shard]:
        """Return this worker's shards: every `count`-th one."""
        return list(shards[self.number :: self.count])


def parse_worker(text: str) -> Worker:
    """Read a worker as ``0/4``.

    Raises:
        ConfigError: it is none.
    """
    found = re.fullmatch(r"(\d{1,9})/(\d{1,9})", text)
    worker = Worker(int(found[1]), int(found[2])) if found else Worker(0, 0)
    if worker.number >= worker.count:
        raise ConfigError(f"--worker {text!r}: expected number/count, counted from 0: of four workers 0/4 to 3/4")
    return worker


def plan_shards(rows_of_files: Sequence[int], *, shard_rows: int) -> list[Shard]:
    """Return the shards of files with so many rows; files without rows give one shard without rows.

    Args:
        rows_of_files: the number of rows of each file.
        shard_rows: the most rows of a shard.

    Raises:
        ConfigError: `shard_rows` is below 1.
    """
    if shard_rows < 1:
        raise ConfigError(f"shard_rows {shard_rows}: expected 1 or more")
    ranges = [
        (file, first, min(shard_rows, num_rows - first))
        for file, num_rows in enumerate(rows_of_files)
        for first in range(0, num_rows, shard_rows)
    ]
    return [Shard(number, *of) for number, of in enumerate(ranges or [(0, 0, 0)])]
