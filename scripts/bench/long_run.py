"""Measure whether a long training keeps its memory and its files: resident bytes and open files every few steps.

    python scripts/bench/long_run.py --out report.json          # 2,000 steps, evaluation and saving every 20

The training is that of the tests: a tiny random BERT, three datasets, six tasks of all kinds. What is measured is the
process that trains. Ends with 1 where the memory of the last half grows by a megabyte or more in 100 steps (the slope
of the least-squares line), or where the number of open files is not the same throughout that half.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import datasets
import numpy as np

from mtl_transformers.config import Config
from mtl_transformers.training.loop import run
from mtl_transformers.training.run import Evaluated

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tests"))

from little import mixed_config
from tiny import tiny_encoder_dir

LARGEST_SLOPE = 1.0  # MB in 100 steps
_MB = 1e6


@dataclass(frozen=True, slots=True)
class Sample:
    """What the process holds after a step.

    Attributes:
        step: steps done.
        resident_bytes: memory of the process.
        open_files: its file descriptors.
    """

    step: int
    resident_bytes: int
    open_files: int


@dataclass(frozen=True, slots=True)
class Growth:
    """What came of the last half of the samples.

    Attributes:
        mb_per_100_steps: slope of the least-squares line through the resident memory.
        open_files: the fewest and the most.
    """

    mb_per_100_steps: float
    open_files: tuple[int, int]

    @property
    def is_flat(self) -> bool:
        """Whether neither grows."""
        return self.mb_per_100_steps < LARGEST_SLOPE and self.open_files[0] == self.open_files[1]


def sample(step: int) -> Sample:
    """Measure this process."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return Sample(step, pages * os.sysconf("SC_PAGE_SIZE"), len(os.listdir("/proc/self/fd")))


def growth(samples: Sequence[Sample]) -> Growth:
    """Return how the last half of the samples grew."""
    last = samples[len(samples) // 2 :]
    slope = np.polyfit([of.step for of in last], [of.resident_bytes for of in last], deg=1)[0]
    files = [of.open_files for of in last]
    return Growth(float(100 * slope / _MB), (min(files), max(files)))


def long_config(place: Path, *, num_steps: int, every_steps: int) -> Config:
    """Return the config of a training that is scored and saved every few steps."""
    settings = {
        "training.epochs": None,
        "training.steps": num_steps,
        "training.max_tokens": 120,  # a few micro-batches a step, of changing sizes
        "training.save_every_steps": every_steps,
        "training.keep_checkpoints": 2,
        "evaluation.every_steps": every_steps,
        "tracking.every_steps": every_steps,
        "mixing.datasets_per_step": "many",
    }
    return mixed_config(place, tiny_encoder_dir("bert", place / "encoder"), settings)


def samples_of(config: Config) -> Iterator[Sample]:
    """Train, and measure after each evaluation."""
    for event in run(config):
        if isinstance(event, Evaluated):
            yield sample(event.step)


def main() -> None:
    """Train, measure, write the report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=2000)
    parser.add_argument("--every", type=int, default=20, metavar="STEPS")
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    started = time.perf_counter()
    with tempfile.TemporaryDirectory() as place:
        datasets.config.HF_DATASETS_CACHE = Path(place) / "cache"
        config = long_config(Path(place), num_steps=given.steps, every_steps=given.every)
        samples = list(samples_of(config))
    found = growth(samples)
    report = {
        "command": f"python scripts/bench/long_run.py --steps {given.steps} --every {given.every}",
        "seconds": round(time.perf_counter() - started, 1),
        "first_mb": samples[0].resident_bytes / _MB,
        "last_mb": samples[-1].resident_bytes / _MB,
        **asdict(found),
        "is_flat": found.is_flat,
        "samples": [asdict(of) for of in samples],
    }
    if given.out:
        given.out.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    print(
        f"{given.steps} steps in {report['seconds']} s: from {report['first_mb']:.0f} to {report['last_mb']:.0f} MB, "
        f"in the last half {found.mb_per_100_steps:+.3f} MB in 100 steps, open files {found.open_files}"
    )
    sys.exit(not found.is_flat)


if __name__ == "__main__":
    main()
