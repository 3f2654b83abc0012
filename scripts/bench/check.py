"""Measure how long `mtl check` takes, in seconds and in seconds of the processor.

    python scripts/bench/check.py --rows 100000      # the quickstart's tickets: four kinds of task, MiniLM

Rows are made anew and nothing is cached. What else runs on the machine lengthens the seconds, and hardly those of the
processor; the load is printed beside them.
"""

from __future__ import annotations

import argparse
import cProfile
import os
import pstats
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def main() -> None:
    """Make the rows, check them in a process of its own, and print what it took."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--profile", action="store_true", help="also list what takes most of the time; slower")
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.inside:
        _inside(profile=options.profile)
        return
    with tempfile.TemporaryDirectory() as place:
        made = ["--out", f"{place}/data/tickets", "--rows", str(options.rows)]
        subprocess.run([sys.executable, str(ROOT / "scripts/make_tickets.py"), *made], check=True)
        inside = [sys.executable, __file__, "--inside", *(["--profile"] if options.profile else [])]
        environment = {**os.environ, "HF_DATASETS_CACHE": f"{place}/cache", "PYTHONPATH": str(ROOT)}
        begin, load = time.perf_counter(), os.getloadavg()[0]
        subprocess.run(inside, cwd=place, env=environment, check=True)
        used = os.times()
        print(f"{options.rows:,} rows: {time.perf_counter() - begin:.1f} s in all; load before {load:.1f}")
        print(f"processor, of the check and of making the rows: {used.children_user + used.children_system:.1f} s")


def _inside(*, profile: bool) -> None:
    begin, used = time.perf_counter(), time.process_time()
    from mtl_transformers.checking.check import check
    from mtl_transformers.config import load_config

    print(f"imports: {time.perf_counter() - begin:.1f} s, processor {time.process_time() - used:.1f} s")
    begin, used = time.perf_counter(), time.process_time()
    profiler = cProfile.Profile()
    if profile:
        profiler.enable()
    report = check(load_config(ROOT / "configs" / "quickstart.yaml"))
    print(f"check: {time.perf_counter() - begin:.1f} s, processor {time.process_time() - used:.1f} s")
    print(f"{len(report.findings)} findings, {len(report.warnings)} warnings")
    if profile:
        profiler.disable()
        pstats.Stats(profiler).sort_stats("cumulative").print_stats(r"/mtl_transformers/", 60)


if __name__ == "__main__":
    main()
