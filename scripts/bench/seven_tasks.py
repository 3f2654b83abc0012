"""Train configs/seven_tasks.yaml over several seeds and write its table and JSON to docs/.

    python scripts/bench/seven_tasks.py --seeds 1 2 3

Each seed is a run of its own (``mtl train``); the scores are those of the best model on the validation splits.
"""

import argparse
import json
import statistics
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
CONFIG = "configs/seven_tasks.yaml"
FIRST_METRICS = {
    "intent": "accuracy",
    "slots": "span_f1",
    "banking": "accuracy",
    "entailment": "accuracy",
    "similarity": "pearson",
    "emotions": "f1_micro",
    "entities": "span_f1",
}


def run_seed(seed: int, runs: Path) -> dict[str, object]:
    """Train one seed and return its scores."""
    output = runs / f"seven_tasks-{seed}"
    command = [sys.executable, "-m", "mtl_transformers", "train", CONFIG, "--overwrite"]
    command += ["--set", f"seed={seed}", "--set", f"output={output}"]
    subprocess.run(command, cwd=ROOT, check=True)
    stored = json.loads((ROOT / output / "best" / "metrics.json").read_text(encoding="utf-8"))
    scores = {task: stored[task]["validation"][metric] for task, metric in FIRST_METRICS.items()}
    rows = {task: stored[task]["validation"]["num_rows"] for task in FIRST_METRICS}
    return {"seed": seed, "mean": statistics.mean(scores.values()), "scores": scores, "rows": rows}


def table(results: list[dict]) -> str:
    """Return the runs as a Markdown table."""
    seeds = [f"seed {result['seed']}" for result in results]
    lines = ["| task | metric | rows | " + " | ".join(seeds) + " |", "|---|---|---|" + "---|" * len(seeds)]
    for task, metric in FIRST_METRICS.items():
        values = " | ".join(f"{result['scores'][task]:.4f}" for result in results)
        lines.append(f"| {task} | {metric} | {results[0]['rows'][task]:,} | {values} |")
    lines.append("| **mean** | | | " + " | ".join(f"**{result['mean']:.4f}**" for result in results) + " |")
    return "\n".join(lines)


def main() -> None:
    """Run all seeds and write what they gave."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--runs", type=Path, default=Path("runs"))
    parser.add_argument("--out", type=Path, default=ROOT / "docs")
    given = parser.parse_args()
    results = [run_seed(seed, given.runs) for seed in given.seeds]
    overall = statistics.mean(result["mean"] for result in results)
    print(table(results))
    print(f"mean over seeds: {overall:.4f}, lowest: {min(result['mean'] for result in results):.4f}")
    given.out.mkdir(parents=True, exist_ok=True)
    summary = {"command": f"python scripts/bench/seven_tasks.py --seeds {' '.join(map(str, given.seeds))}"}
    summary |= {"config": CONFIG, "mean": overall, "runs": results}
    (given.out / "seven_tasks.json").write_text(json.dumps(summary, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
