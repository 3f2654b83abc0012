"""Measure `mtl predict` on many rows: memory over the rows, rows a second, and hours for a hundred million.

    python scripts/bench/bulk.py --rows 200000                                # the tests' tiny encoder: memory
    python scripts/bench/bulk.py --rows 20000 --model runs/quickstart/best    # a real one: rows a second
    python scripts/bench/bulk.py --rows 200000 --way file                     # into one file instead of shards

Rows are texts of made tickets, each with a number, in parquet files of 100,000. The answering runs in a process of its
own, whose memory is read after every chunk; what else runs on the machine slows it down, and the load is printed. Where
it stands still between two rows of the table, memory does not grow with the rows.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests"), str(ROOT / "scripts")]

FILE_ROWS = 100_000
SHOWN = 8  # lines of the table
HUNDRED_MILLION = 100_000_000
KERNELS = "64"  # as `mtl predict` sets it


def main() -> None:
    """Make the rows and a model, answer them in another process, and print what it took."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=200_000)
    parser.add_argument("--model", type=Path, help="a model directory; else a tiny random one")
    parser.add_argument("--way", choices=["shards", "file"], default="shards")
    parser.add_argument("--shard-rows", type=int, default=FILE_ROWS)
    parser.add_argument("--threads", type=int, help="of the forward pass; else as many as torch takes")
    parser.add_argument("--inside", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.inside:
        _inside(options)
        return
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        _write_rows(place / "in", options.rows)
        model = options.model or _tiny_model(place)
        given = ["--rows", options.rows, "--model", model, "--way", options.way, "--shard-rows", options.shard_rows]
        given += ["--threads", options.threads] if options.threads else []
        print(f"load before: {os.getloadavg()[0]:.1f}", flush=True)
        around = {"ONEDNN_PRIMITIVE_CACHE_CAPACITY": KERNELS, **os.environ}
        subprocess.run([sys.executable, __file__, "--inside", name, *map(str, given)], check=True, env=around)


def _write_rows(place: Path, num_rows: int) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq
    from make_tickets import main as make_tickets

    with tempfile.TemporaryDirectory() as made:
        make_tickets(["--out", made, "--rows", "2000"])
        bodies = [json.loads(line)["body"] for line in (Path(made) / "train.jsonl").read_text().splitlines()]
    draw = random.Random(13)
    place.mkdir()
    for first in range(0, num_rows, FILE_ROWS):
        numbers = range(first, min(num_rows, first + FILE_ROWS))
        table = pa.table({"id": numbers, "body": [f"{draw.choice(bodies)} ({number})" for number in numbers]})
        pq.write_table(table, place / f"{first:012d}.parquet")


def _tiny_model(place: Path) -> Path:
    """Save a tiny random encoder with heads of four kinds, as the tests do."""
    from little import TICKET_TASKS, dataset, raw_config, tickets
    from tiny import tiny_encoder_dir

    from mtl_transformers.config import load_config
    from mtl_transformers.inference.multitask import MultiTaskModel
    from mtl_transformers.model import directory
    from mtl_transformers.training.experiment import prepare

    data = {"tickets": dataset(place, "tickets", text="body", train=tickets(40), validation=tickets(8, seed=1))}
    encoder = tiny_encoder_dir("bert", place / "encoder")
    experiment = prepare(load_config(raw_config(place, encoder, data=data, tasks=TICKET_TASKS)))
    model = MultiTaskModel(experiment.network.eval(), experiment.tokenizer, experiment.tasks)
    directory.save(
        place / "model",
        encoder=experiment.network.encoder,
        tokenizer=experiment.tokenizer,
        heads=experiment.network.heads_state(),
        tasks=model.tasks_json(),
        metrics={},
        card="---\n---\n",
    )
    return place / "model"


def _inside(options: argparse.Namespace) -> None:
    import torch

    from mtl_transformers.inference.multitask import MultiTaskModel

    if options.threads:
        torch.set_num_threads(options.threads)
    model = MultiTaskModel.from_pretrained(options.model)
    answer = _shards if options.way == "shards" else _file
    log = _Log(options.rows)
    begin, used = time.perf_counter(), time.process_time()
    answer(model, options, log.add)
    seconds, used = time.perf_counter() - begin, time.process_time() - used
    log.show()
    speed = options.rows / seconds
    print(
        f"{options.rows:,} rows in {seconds:.1f} s ({used:.1f} s of the processor): {speed:,.0f} rows/s, so "
        f"{HUNDRED_MILLION / speed / 3600:,.1f} hours for {HUNDRED_MILLION:,}"
    )
    print(
        f"{len(model.tasks)} tasks, {model.device}, {model.precision}, {torch.get_num_threads()} threads; "
        f"{platform.machine()}, {os.cpu_count()} cores, torch {torch.__version__}"
    )


def _shards(model: Any, options: argparse.Namespace, on_rows: Callable[[int], object]) -> None:
    from mtl_transformers.inference.shard_run import plan_run
    from mtl_transformers.inference.shards import make_shards

    run = plan_run(model, options.inside / "in", options.inside / "out", shard_rows=options.shard_rows)
    make_shards(model, run, on_rows=on_rows)


def _file(model: Any, options: argparse.Namespace, on_rows: Callable[[int], object]) -> None:
    import pyarrow.parquet as pq

    from mtl_transformers.inference.bulk import predict_file

    source = options.inside / "in.parquet"
    files = sorted((options.inside / "in").iterdir())
    with pq.ParquetWriter(source, pq.read_schema(files[0])) as writer:
        for file in files:
            writer.write_table(pq.read_table(file))
    predict_file(model, source, options.inside / "out.parquet", on_rows=on_rows)


class _Log:
    """The memory of this process after each chunk."""

    def __init__(self, num_rows: int) -> None:
        self.num_rows = num_rows
        self.seen: list[tuple[int, float]] = [(0, _megabytes())]

    def add(self, num_rows: int) -> None:
        self.seen.append((self.seen[-1][0] + num_rows, _megabytes()))

    def show(self) -> None:
        """Print some lines in equal distance, and the most of all."""
        step = max(1, (len(self.seen) - 1) // SHOWN)
        print("rows        resident MB")
        for rows, megabytes in self.seen[::step]:
            print(f"{rows:<11,} {megabytes:,.0f}")
        print(f"most        {max(megabytes for _, megabytes in self.seen):,.0f}")


def _megabytes() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


if __name__ == "__main__":
    main()
