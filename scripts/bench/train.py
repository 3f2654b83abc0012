"""Measure the training loop: real tokens per second against a bare PyTorch loop and the Hugging Face Trainer.

    python scripts/bench/train.py                    # prints a table, writes docs/bench_train.json

Sides (``sides.py``):
    bare         a PyTorch loop that does nothing but train, on micro-batches collated before (``bare.py``)
    ours         the loop of ``mtl train`` on the same steps: equal rows, in the same order
    ours, best   the same with 64 rows of several datasets in a step
    Trainer      Hugging Face's, one task after another: its defaults, its defaults with more rows, and tuned

Every side lives in a process of its own, and they take turns: while one trains, the others wait. All have the same
encoder, rows, limits and number of threads. A real token is one that the attention mask counts; padding is none.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import platform
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import torch
import transformers
import yaml
from sides import STEPS_PER_LINE, BareSide, Measured, OurSide, Side, TrainerSide, trainer_tasks

ROOT = Path(__file__).resolve().parents[2]
CONFIG_DATA = "../shared/data"  # where the config reads its data
BEST = {"mixing.datasets_per_step": "many", "training.batch_size": 64}
LOOPS = ("bare", "ours", "ours, best")
LOOP_TURNS = 3  # of the loops in a round: neighbours in time are compared
WARM_STEPS = 2 * STEPS_PER_LINE
TRAINER_DEFAULT, TRAINER_MORE_ROWS = "Trainer, defaults", "Trainer, defaults but 32 rows"
TRAINER_TUNED_ROWS = (16, 32, 64)


@dataclass(frozen=True)
class Remote:
    """A side in another process."""

    name: str
    pipe: Connection

    def measure(self, num_steps: int, *, turn: int) -> Measured:
        """Let it train some steps."""
        self.pipe.send((self.name, num_steps, turn))
        measured: Measured = self.pipe.recv()
        return measured


def serve(build: Callable[[], Mapping[str, Side]], pipe: Connection) -> None:
    """Build some sides, then train one whenever asked; ``None`` ends it."""
    sides = build()
    pipe.send(list(sides))
    for name, num_steps, turn in iter(pipe.recv, None):
        pipe.send(sides[name].measure(num_steps, turn=turn))


def start(build: Callable[[], Mapping[str, Side]]) -> dict[str, Remote]:
    """Start a process and wait until its sides are built, so that the next one finds the encoded rows in the cache."""
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    context.Process(target=serve, args=(build, there), daemon=True).start()
    there.close()
    return {name: Remote(name, here) for name in here.recv()}


def build_bare(values: Mapping[str, Any]) -> dict[str, Side]:
    return {"bare": BareSide(values)}


def build_ours(values: Mapping[str, Any]) -> dict[str, Side]:
    return {"ours": OurSide(values, {})}


def build_best(values: Mapping[str, Any]) -> dict[str, Side]:
    return {"ours, best": OurSide(values, BEST)}


def build_trainers(values: Mapping[str, Any]) -> dict[str, Side]:
    """Return the Trainer's sides; they train the same models in turn."""
    tasks = trainer_tasks(values)
    tuned = {
        tuned_name(rows): TrainerSide(tasks, rows_per_step=rows, precision="bf16", strategy="group_by_length")
        for rows in TRAINER_TUNED_ROWS
    }
    return {
        TRAINER_DEFAULT: TrainerSide(tasks, rows_per_step=8),
        TRAINER_MORE_ROWS: TrainerSide(tasks, rows_per_step=32),
        **tuned,
    }


def tuned_name(rows: int) -> str:
    return f"Trainer, bf16, by length, {rows} rows"


def measure(sides: Mapping[str, Remote], *, rounds: int, seconds: float) -> dict[str, list[Measured]]:
    """Warm every side up, then let them take turns; return each side's turns."""
    warm_steps = {name: WARM_STEPS if name in LOOPS else 1 for name in sides}
    pace = {name: side.measure(warm_steps[name], turn=0) for name, side in sides.items()}
    num_steps = {name: max(1, round(seconds * warm.steps / warm.seconds)) for name, warm in pace.items()}
    for name in LOOPS:
        num_steps[name] = STEPS_PER_LINE * max(1, round(num_steps[name] / LOOP_TURNS / STEPS_PER_LINE))
    num_steps["bare"] = num_steps["ours"]
    order = [*LOOPS * LOOP_TURNS, *(name for name in sides if name not in LOOPS)]
    turns: dict[str, list[Measured]] = {name: [] for name in sides}
    for turn in range(1, rounds + 1):
        for name in order:
            done = sides[name].measure(num_steps[name], turn=turn)
            turns[name].append(done)
            print(f"round {turn}  {name:<34} {done.steps:>4} steps {done.seconds:>6.1f} s {speed(done):>7.0f} tokens/s")
    return turns


def speed(done: Measured) -> float:
    return done.tokens / done.seconds


def summary(turns: Mapping[str, Sequence[Measured]]) -> list[dict[str, Any]]:
    """Return one line for each side: medians over its turns."""
    return [
        {
            "side": name,
            "rows_per_step": round(sum(t.rows for t in of_side) / sum(t.steps for t in of_side), 1),
            "tokens_per_step": round(sum(t.tokens for t in of_side) / sum(t.steps for t in of_side)),
            "tokens_per_s": round(statistics.median(map(speed, of_side))),
            "turns": [round(speed(t)) for t in of_side],
            "steps": sum(t.steps for t in of_side),
        }
        for name, of_side in turns.items()
    ]


def ratios(turns: Mapping[str, Sequence[Measured]]) -> list[dict[str, Any]]:
    """Return the quotients that the project promises; ours ÷ bare turn by turn, on the same steps."""
    of = {name: statistics.median(map(speed, of_side)) for name, of_side in turns.items()}
    pairs = [speed(ours) / speed(bare) for ours, bare in zip(turns["ours"], turns["bare"], strict=True)]
    tuned = max((tuned_name(rows) for rows in TRAINER_TUNED_ROWS), key=lambda name: of[name])
    return [
        {"ratio": "ours / bare, equal rows", "value": round(statistics.median(pairs), 3), "target": 0.9},
        *(
            {
                "ratio": f"ours, best / {name}",
                "value": round(of["ours, best"] / of[name], 2),
                "target": target,
            }
            for name, target in ((TRAINER_DEFAULT, 3.5), (TRAINER_MORE_ROWS, None), (tuned, 1.5))
        ),
    ]


def show(report: Mapping[str, Any]) -> None:
    print(f"\n{'side':<36}{'rows/step':>10}{'tokens/step':>13}{'tokens/s':>10}   turns")
    for line in report["sides"]:
        print(
            f"{line['side']:<36}{line['rows_per_step']:>10}{line['tokens_per_step']:>13}{line['tokens_per_s']:>10}   "
            + " ".join(map(str, line["turns"]))
        )
    print()
    for line in report["ratios"]:
        target = "" if line["target"] is None else f"   (at least {line['target']})"
        print(f"{line['ratio']:<60}{line['value']:>6}{target}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--config", type=Path, default=ROOT / "configs/seven_tasks.yaml")
    parser.add_argument("--data", default=CONFIG_DATA, help="stands for ../shared/data in the config")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=12, help="of each side in a round, about")
    parser.add_argument("--out", type=Path, default=ROOT / "docs/bench_train.json")
    arguments = parser.parse_args()
    os.environ["ACCELERATE_USE_CPU"] = "true"  # all sides; the processes inherit it
    started = time.perf_counter()
    values = yaml.safe_load(arguments.config.read_text(encoding="utf-8").replace(CONFIG_DATA, arguments.data))
    sides: dict[str, Remote] = {}
    for build in (build_bare, build_ours, build_best, build_trainers):
        sides |= start(partial(build, values))
    turns = measure(sides, rounds=arguments.rounds, seconds=arguments.seconds)
    for pipe in {side.pipe for side in sides.values()}:
        pipe.send(None)
    for process in multiprocessing.active_children():
        process.join()
    report = {
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, {torch.get_num_threads()} threads",
        "versions": {"torch": torch.__version__, "transformers": transformers.__version__},
        "config": arguments.config.name,
        "rounds": arguments.rounds,
        "seconds": round(time.perf_counter() - started),
        "sides": summary(turns),
        "ratios": ratios(turns),
    }
    show(report)
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    arguments.out.write_text(json.dumps(report, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    print(f"\n{report['seconds']} s; written to {arguments.out}")


if __name__ == "__main__":
    main()
