"""A server under load, beside the offline predictor: throughput, answers under overload, memory.

    python scripts/bench/serve.py                                  # throughput, in turns; a few minutes
    python scripts/bench/serve.py --overload 60 --memory 300       # also 3 times what it can, and its memory

Eight tasks on MiniLM with untrained heads (``eight_tasks.py``), real texts of 10 to 60 tokens, 64 clients in a process
of their own on the same machine (``clients.py``), so that their cost counts against the server. Both sides have the same
threads, precision and texts, and take turns. Every accepted answer is compared with the offline one.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

HERE = Path(__file__).parent
TOLERANCE = {"fp32": 1e-4, "bf16": 2e-2}  # of a probability or a value, between two paddings
RSS_EVERY_S = 10


def run(*arguments: object) -> None:
    subprocess.run([sys.executable, *map(str, arguments)], check=True)


@contextmanager
def server(place: Path, given: argparse.Namespace) -> Iterator[tuple[str, int]]:
    """Start ``mtl serve``; give its address and process, and end it."""
    command = [
        *(sys.executable, "-m", "mtl_transformers", "serve", place / "model", "--port", 0),
        *("--threads", given.threads, "--precision", given.precision, *given.options),
    ]
    process = subprocess.Popen(list(map(str, command)), stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    try:
        for line in process.stderr:
            if found := re.match(r"(http://\S+):", line):
                break
            sys.stderr.write(line)
        else:
            raise SystemExit("the server did not start")
        threading.Thread(target=sys.stderr.writelines, args=(process.stderr,), daemon=True).start()
        yield found[1], process.pid
    finally:
        process.send_signal(signal.SIGTERM)
        code = process.wait(timeout=60)
        if code:
            print(f"the server ended with {code}")


def offline(place: Path, given: argparse.Namespace) -> dict[str, Any]:
    out = place / "offline.json"
    run(HERE / "eight_tasks.py", place, "--time", out, "--threads", given.threads, "--precision", given.precision)
    return json.loads(out.read_text())


def load(url: str, place: Path, *options: object) -> dict[str, Any]:
    out = place / "clients.json"
    run(HERE / "clients.py", url, place / "texts.json", out, *options)
    return json.loads(out.read_text())


def cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def rss(pid: int) -> float:
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def counters(url: str) -> dict[str, float]:
    with urllib.request.urlopen(f"{url}/metrics") as response:
        lines = response.read().decode().splitlines()
    return {name: float(value) for name, value in (line.rsplit(" ", 1) for line in lines if not line.startswith("#"))}


def differs(ours: Any, theirs: Any, tolerance: float) -> bool:
    """Return whether two answers differ by more than rounding; labels may, where their scores are next to equal."""
    if isinstance(ours, dict) and isinstance(theirs, dict):
        if "label" in ours and ours["label"] != theirs.get("label"):
            return abs(ours["score"] - theirs["score"]) > tolerance
        if "scores" in ours:  # which labels are given follows from the scores
            return differs(list(sorted_scores(ours)), list(sorted_scores(theirs)), tolerance)
        return ours.keys() != theirs.keys() or any(differs(ours[key], theirs[key], tolerance) for key in ours)
    if isinstance(ours, list) and isinstance(theirs, list):
        return len(ours) != len(theirs) or any(differs(*pair, tolerance) for pair in zip(ours, theirs, strict=True))
    if isinstance(ours, float):
        return abs(ours - theirs) > tolerance
    return bool(ours != theirs)


def sorted_scores(answer: dict[str, Any]) -> list[float]:
    return [answer["scores"][label] for label in sorted(answer["scores"])]


def wrong(report: dict[str, Any], answers: list[dict[str, Any]], *, tolerance: float) -> int:
    """Count the rows whose answer is another one than offline.

    Spans of untrained heads are near ties everywhere, so rounding moves their borders: they are compared in fp32 only.
    """
    spans_too = tolerance < 1e-3
    num_wrong = 0
    for first, body in report["got"]:
        for place, answer in enumerate(json.loads(body)["answers"]):
            expected = answers[(first + place) % len(answers)]
            tasks = [task for task in expected if spans_too or not isinstance(expected[task], list)]
            num_wrong += any(differs(answer.get(task), expected[task], tolerance) for task in tasks)
    return num_wrong


def throughput(place: Path, given: argparse.Namespace) -> None:
    """Print texts per second of both sides, in turns."""
    ratios: dict[int, list[float]] = {rows: [] for rows in given.rows}
    for _ in range(given.rounds):
        before = offline(place, given)["texts_per_s"]
        for rows in given.rows:
            with server(place, given) as (url, pid):
                load(url, place, "--rows", rows, "--seconds", 2)
                start, first = cpu_seconds(pid), counters(url)
                report = load(url, place, "--rows", rows, "--seconds", given.seconds, "--clients", given.clients, "--keep")
                cpu, last = cpu_seconds(pid) - start, counters(url)
            after = offline(place, given)
            speed, base = report["rows"] / report["seconds"], (before + after["texts_per_s"]) / 2
            before = after["texts_per_s"]
            ratios[rows].append(speed / base)
            of = {name: last[name] - first[name] for name in last}
            passes = of["mtl_batch_tokens_count"]
            num_wrong = wrong(report, after["answers"], tolerance=TOLERANCE[given.precision])
            print(
                f"{rows} texts a request: server {speed:.0f} texts/s, offline {base:.0f}, ratio {speed / base:.2f}; "
                f"median {report['median_s'] * 1e3:.0f} ms, p99 {report['p99_s'] * 1e3:.0f} ms; "
                f"{report['statuses']}, wrong {num_wrong}, lost {report['lost']}; "
                f"a pass {of['mtl_batch_tokens_sum'] / passes:.0f} tokens, fill "
                f"{of['mtl_tokens_total'] / of['mtl_batch_tokens_sum']:.2f}, "
                f"{of['mtl_batch_questions_sum'] / passes:.1f} texts, encoder busy "
                f"{of['mtl_inference_seconds_sum'] / report['seconds']:.0%}; "
                f"cpu server {cpu / report['seconds']:.2f}, clients {report['client_cpu_s'] / report['seconds']:.2f} cores",
                flush=True,
            )
    for rows, found in ratios.items():
        print(f"{rows} texts a request: median ratio {statistics.median(found):.2f} of {len(found)} (must reach 0.8)")


def overload(place: Path, given: argparse.Namespace) -> None:
    """Send three times what the server can, and compare every answer that it gave."""
    answers = offline(place, given)["answers"]
    with server(place, given) as (url, _):
        report = load(url, place, "--seconds", 8, "--clients", given.clients)
        capacity = report["rows"] / report["seconds"]
        report = load(url, place, "--seconds", given.overload, "--rate", 3 * capacity, "--keep")
    num_wrong = wrong(report, answers, tolerance=TOLERANCE[given.precision])
    print(
        f"3 × {capacity:.0f} requests/s for {given.overload:.0f} s: {report['statuses']}, without Retry-After "
        f"{report['without_retry_after']}, lost {report['lost']}, wrong {num_wrong}; p99 {report['p99_s']:.2f} s"
    )


def memory(place: Path, given: argparse.Namespace) -> None:
    """Print the server's memory under load, and its slope over the second half."""
    with server(place, given) as (url, pid):
        done = threading.Event()

        def ask() -> None:
            load(url, place, "--seconds", given.memory, "--clients", given.clients)
            done.set()

        threading.Thread(target=ask).start()
        seen: list[tuple[float, float]] = []
        start = time.monotonic()
        while not done.wait(RSS_EVERY_S):
            seen.append((time.monotonic() - start, rss(pid)))
            print(f"{seen[-1][0]:.0f} s: {seen[-1][1]:.1f} MiB", flush=True)
    times, sizes = np.array(seen[len(seen) // 5 :]).T
    slope = np.polyfit(times, sizes, 1)[0] * 60
    print(f"memory: {sizes[0]:.1f} → {sizes[-1]:.1f} MiB, slope {slope:+.2f} MiB a minute after the first fifth")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--place", type=Path, help="A folder to keep the model in.")
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--precision", choices=("fp32", "bf16"), default="bf16")
    parser.add_argument("--clients", type=int, default=64)
    parser.add_argument("--rows", type=int, nargs="*", default=[1, 8])
    parser.add_argument("--seconds", type=float, default=15)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--overload", type=float, default=0)
    parser.add_argument("--memory", type=float, default=0)
    parser.add_argument("--options", nargs=argparse.REMAINDER, default=[], help="Further options of mtl serve.")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        place = given.place or Path(scratch)
        if not (place / "model").exists():
            run(HERE / "eight_tasks.py", place, "--data", given.data)
        throughput(place, given)
        if given.overload:
            overload(place, given)
        if given.memory:
            memory(place, given)


if __name__ == "__main__":
    main()
