"""A server under load, beside the offline predictor: throughput, answers under overload, memory.

    python scripts/bench/serve.py                                  # throughput, in turns; a few minutes
    python scripts/bench/serve.py --overload 60 --memory 300       # also 3 times what it can, and its memory

Eight tasks on MiniLM with untrained heads (``eight_tasks.py``), real texts of 10 to 60 tokens, 64 clients in a process
of their own on the same machine (``clients.py``), so that their cost counts against the server. Both sides have the
same threads, precision and texts, and take turns. Every accepted answer is compared with the offline one.
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
TOLERANCE = {"fp32": 1e-4, "bf16": 2e-2, "onnx": 2e-2}  # of a probability or a value, between two paddings
RSS_EVERY_S = 10


def run(*arguments: object) -> None:
    subprocess.run([sys.executable, *map(str, arguments)], check=True)


@contextmanager
def server(place: Path, given: argparse.Namespace) -> Iterator[tuple[str, int]]:
    """Start ``mtl serve``; give its address and process, and end it."""
    command = [
        *(sys.executable, "-m", "mtl_transformers", "serve", "--port", 0, "--threads", given.threads, *given.options),
        *((place / "model", "--precision", given.precision) if given.onnx is None else (given.onnx, "--onnx")),
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
    side = ("--precision", given.precision) if given.onnx is None else ("--onnx", given.onnx)
    run(HERE / "eight_tasks.py", place, "--time", out, "--threads", given.threads, *side)
    return json.loads(out.read_text())


def load(url: str, place: Path, *options: object) -> dict[str, Any]:
    out = place / "clients.json"
    run(HERE / "clients.py", url, place / "texts.json", out, *options)
    return json.loads(out.read_text())


def family(pid: int) -> list[int]:
    """Return a process and those that it started: the server has its encoder in one."""
    return [pid, *map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split())]


def cpu_seconds(pid: int) -> float:
    total = 0
    for each in family(pid):
        fields = Path(f"/proc/{each}/stat").read_text().rpartition(")")[2].split()
        total += int(fields[11]) + int(fields[12])
    return total / os.sysconf("SC_CLK_TCK")


def rss(pid: int) -> float:
    pages = sum(int(Path(f"/proc/{each}/statm").read_text().split()[1]) for each in family(pid))
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def counters(url: str) -> dict[str, float]:
    with urllib.request.urlopen(f"{url}/metrics") as response:
        lines = response.read().decode().splitlines()
    return {name: float(value) for name, value in (line.rsplit(" ", 1) for line in lines if not line.startswith("#"))}


def tolerance(given: argparse.Namespace) -> float:
    return TOLERANCE["onnx" if given.onnx else given.precision]


def differs(ours: Any, theirs: Any, most: float) -> bool:
    """Return whether two answers differ by more than rounding; labels may, where their scores are next to equal."""
    if isinstance(ours, dict) and isinstance(theirs, dict):
        if "label" in ours and ours["label"] != theirs.get("label"):
            return abs(ours["score"] - theirs["score"]) > most
        if "scores" in ours:  # which labels are given follows from the scores
            return differs(list(sorted_scores(ours)), list(sorted_scores(theirs)), most)
        return ours.keys() != theirs.keys() or any(differs(ours[key], theirs[key], most) for key in ours)
    if isinstance(ours, list) and isinstance(theirs, list):
        return len(ours) != len(theirs) or any(differs(*pair, most) for pair in zip(ours, theirs, strict=True))
    if isinstance(ours, float):
        return abs(ours - theirs) > most
    return bool(ours != theirs)


def sorted_scores(answer: dict[str, Any]) -> list[float]:
    return [answer["scores"][label] for label in sorted(answer["scores"])]


def wrong(report: dict[str, Any], answers: list[dict[str, Any]], *, most: float) -> int:
    """Count the rows whose answer is another one than offline.

    Spans of untrained heads are near ties everywhere, so rounding moves their borders: they are compared in fp32 only.
    """
    spans_too = most < 1e-3
    num_wrong = 0
    for first, body in report["got"]:
        for place, answer in enumerate(json.loads(body)["answers"]):
            expected = answers[(first + place) % len(answers)]
            tasks = [task for task in expected if spans_too or not isinstance(expected[task], list)]
            num_wrong += any(differs(answer.get(task), expected[task], most) for task in tasks)
    return num_wrong


def throughput(place: Path, given: argparse.Namespace) -> None:
    """Print texts per second of both sides, in turns, and texts per second of processor time.

    The second ratio is what remains of the first where all cores are busy, and it stands on a machine with other work.
    """
    wall: dict[int, list[float]] = {rows: [] for rows in given.rows}
    cpu: dict[int, list[float]] = {rows: [] for rows in given.rows}
    for _ in range(given.rounds):
        before = offline(place, given)
        for rows in given.rows:
            report = under_load(place, given, rows)
            after = offline(place, given)
            base, base_cpu = ((before[of] + after[of]) / 2 for of in ("texts_per_s", "texts_per_cpu_s"))
            before = after
            wall[rows].append(report["rows"] / report["seconds"] / base)
            cpu[rows].append(report["rows"] / report["cpu_s"] / base_cpu)
            num_wrong = wrong(report, after["answers"], most=tolerance(given))
            print(
                f"{rows} a request: ratio {wall[rows][-1]:.2f}, by processor time {cpu[rows][-1]:.2f}; server "
                f"{report['rows'] / report['seconds']:.0f} texts/s, offline {base:.0f} ({base_cpu:.0f} a processor "
                f"second); wrong {num_wrong}, lost {report['lost']}, {report['statuses']}; {report['said']}",
                flush=True,
            )
    for rows in given.rows:
        print(
            f"{rows} texts a request, median of {given.rounds}: ratio {statistics.median(wall[rows]):.2f}, "
            f"by processor time {statistics.median(cpu[rows]):.2f} (must reach 0.8)"
        )


def under_load(place: Path, given: argparse.Namespace, rows: int) -> dict[str, Any]:
    """Return what clients got in one turn, with the processor time of both sides and what the server counted."""
    with server(place, given) as (url, pid):
        load(url, place, "--rows", rows, "--seconds", 2)
        start, first = cpu_seconds(pid), counters(url)
        report = load(url, place, "--rows", rows, "--seconds", given.seconds, "--clients", given.clients, "--keep")
        server_cpu, last = cpu_seconds(pid) - start, counters(url)
    of = {name: last[name] - first[name] for name in last}
    passes, padded = of["mtl_batch_tokens_count"], of["mtl_batch_tokens_sum"]
    report["cpu_s"] = server_cpu + report["client_cpu_s"]
    seconds = report["seconds"]
    report["said"] = (
        f"median {report['median_s'] * 1e3:.0f} ms, p99 {report['p99_s'] * 1e3:.0f} ms; "
        f"a pass {padded / passes:.0f} tokens, fill {of['mtl_tokens_total'] / padded:.2f}, "
        f"{of['mtl_batch_questions_sum'] / passes:.1f} texts; "
        f"encoder busy {of['mtl_inference_seconds_sum'] / seconds:.0%}; "
        f"cores: server {server_cpu / seconds:.2f}, clients {report['client_cpu_s'] / seconds:.2f}"
    )
    return report


def overload(place: Path, given: argparse.Namespace) -> None:
    """Send three times what the server can, and compare every answer that it gave."""
    answers = offline(place, given)["answers"]
    with server(place, given) as (url, _):
        report = load(url, place, "--seconds", 8, "--clients", given.clients)
        capacity = report["rows"] / report["seconds"]
        report = load(url, place, "--seconds", given.overload, "--rate", 3 * capacity, "--keep")
    num_wrong = wrong(report, answers, most=tolerance(given))
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
    parser.add_argument("--onnx", type=Path, help="Serve this directory, which mtl export made of the model.")
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
