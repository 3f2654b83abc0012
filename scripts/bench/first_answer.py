"""Time from the start of Python to the first answer: an exported graph without torch, beside the model with it.

    python scripts/bench/first_answer.py runs/quickstart/best runs/quickstart/int8

Each is the median over fresh processes, which take turns; the files are in the system's cache. The clock is wall time
of the whole process: start of Python, import, loading with its verification, and one answer.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import time
from pathlib import Path

TEXT = "My card was charged twice"
PROGRAMS = {
    "torch": "from mtl_transformers import MultiTaskModel as Model",
    "onnx": "from mtl_transformers.runtime import OnnxModel as Model",
}


def seconds(side: str, place: Path) -> float:
    """Return how long a process takes that answers one text."""
    program = f"{PROGRAMS[side]}; import sys; Model.from_pretrained(sys.argv[1]).predict([sys.argv[2]])"
    start = time.perf_counter()
    subprocess.run([sys.executable, "-c", program, str(place), TEXT], check=True)
    return time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("model", type=Path, help="A model directory.")
    parser.add_argument("graph", type=Path, help="Its export.")
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    places = {"torch": given.model, "onnx": given.graph}
    for side, place in places.items():
        seconds(side, place)  # reads the files once
    taken = {side: [] for side in places}
    for _ in range(given.rounds):
        for side, place in places.items():
            taken[side].append(seconds(side, place))
    medians = {side: statistics.median(of) for side, of in taken.items()}
    print(f"first answer: torch {medians['torch']:.2f} s, onnx {medians['onnx']:.2f} s (must reach 1.5)")


if __name__ == "__main__":
    main()
