"""A prediction of shards that is killed, again and again, ends with the bytes of one that was not."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

NUM_ROWS, SHARD_ROWS = 24_000, 3_000
LATER = (0.0, 0.05, 0.2)  # seconds, from the moment that a new shard is begun


def command(model: Path, source: Path, target: Path, *options: str) -> list[str]:
    given = ["--tasks", "brief", "--keep", "body", "--shard-rows", str(SHARD_ROWS), *options]
    return [sys.executable, "-m", "mtl_transformers", "predict", str(model), str(source), f"{target}/", *given]


def begin(arguments: list[str]) -> subprocess.Popen[str]:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(arguments, env=environment, stderr=subprocess.PIPE, text=True)


def finish(arguments: list[str]) -> str:
    """Run to the end, and return the last line."""
    process = begin(arguments)
    _, said = process.communicate(timeout=120)
    assert process.returncode == 0, said
    return said.splitlines()[-1]


def shards(target: Path) -> set[str]:
    return {path.name for path in target.glob("part-*.parquet")}


def kill_at_a_new_shard(arguments: list[str], target: Path, *, later: float) -> None:
    """Kill a process a moment after it began to write a shard that follows one which it completed."""
    before, process = shards(target), begin(arguments)
    deadline = time.monotonic() + 60
    while not (shards(target) - before and list(target.glob(f".part-*.{process.pid}.tmp"))):
        assert process.poll() is None, process.communicate()[1]
        assert time.monotonic() < deadline
        time.sleep(0.005)
    time.sleep(later)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert process.returncode == -signal.SIGKILL


def contents(target: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(target.iterdir())}


@pytest.mark.slow
def test_a_run_that_is_killed_three_times_ends_with_the_bytes_of_one_that_is_not(
    model_dir: Path, tmp_path: Path
) -> None:
    texts = [f"refund {number} to {'Berlin ' * (number % 5)}" for number in range(NUM_ROWS)]
    pq.write_table(pa.table({"id": range(NUM_ROWS), "body": texts}), tmp_path / "in.parquet", row_group_size=7_000)
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    finish(command(model_dir, tmp_path / "in.parquet", whole))

    arguments = command(model_dir, tmp_path / "in.parquet", killed)
    for later in LATER:
        there = contents(killed) if killed.exists() else {}
        kill_at_a_new_shard(arguments, killed, later=later)
        now = contents(killed)
        assert there.items() <= now.items()  # what was complete was left alone
        assert len(shards(killed)) < NUM_ROWS // SHARD_ROWS  # it was not at its end
    assert list(killed.glob(".part-*.tmp"))  # it was writing

    assert finish(arguments) == f"all 8 shards are there: {NUM_ROWS:,} rows → {killed}"
    assert contents(killed) == contents(whole)
    ids = pq.read_table(killed).column("id").to_pylist()
    assert ids == list(range(NUM_ROWS))


@pytest.mark.slow
def test_two_processes_divide_the_shards_and_the_last_one_says_that_all_are_there(
    model_dir: Path, tmp_path: Path
) -> None:
    rows = 4 * SHARD_ROWS
    pq.write_table(pa.table({"body": [f"refund {number}" for number in range(rows)]}), tmp_path / "in.parquet")
    out = tmp_path / "out"
    both = [begin(command(model_dir, tmp_path / "in.parquet", out, "--worker", f"{number}/2")) for number in (0, 1)]
    said = [process.communicate(timeout=120)[1].splitlines()[-1] for process in both]
    assert [process.returncode for process in both] == [0, 0], said
    assert f"all 4 shards are there: {rows:,} rows → {out}" in said
    assert pq.read_table(out).column("body").to_pylist() == [f"refund {number}" for number in range(rows)]
