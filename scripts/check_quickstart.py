"""Check what the quickstart printed and left: each task learned, none was too easy, three tickets were answered.

Reads the validation scores of ``runs/quickstart/best``; validation sentences stand in no training row, as test's.
Each first metric must cover at least half of the way from its majority baseline to 1, and stay below 0.995: data
that is solved perfectly proves nothing.

    bash scripts/quickstart.sh | tee quickstart.log && python scripts/check_quickstart.py quickstart.log
"""

import json
import sys
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).parents[1]
FIRST_METRICS = {"intent": "accuracy", "topics": "f1_micro", "urgency": "pearson", "entities": "span_f1"}
TOO_GOOD = 0.995


def majority_baseline(task: str) -> float:
    """Return what the most frequent answer scores: a share of the rows for classes, else 0 by its metric."""
    if task != "intent":
        return 0.0
    lines = (ROOT / "data/tickets/validation.jsonl").read_text(encoding="utf-8").splitlines()
    labels = [json.loads(line)["intent"] for line in lines]
    counts = Counter(label for label in labels if label is not None)
    return max(counts.values()) / counts.total()


def task_problem(task: str, score: float) -> str | None:
    """Return what is wrong with a task's score, or None."""
    least = (1 + majority_baseline(task)) / 2
    print(f"{task}: {FIRST_METRICS[task]} {score:.3f}, to lie between {least:.3f} and {TOO_GOOD}")
    return None if least <= score <= TOO_GOOD else f"{task} scores {score:.3f}"


def answers_problem(log: str) -> str | None:
    """Return what is wrong with the printed predictions, or None."""
    rows = [json.loads(line) for line in log.splitlines() if line.startswith("{")]
    complete = [row for row in rows if FIRST_METRICS.keys() <= row.keys()]
    print(f"answers: {len(complete)} tickets answered for every task")
    return None if len(complete) == 3 else f"{len(complete)} tickets were answered, not 3"


def main(log: Path) -> int:
    """Print the checks and the count of those passed and failed; return the exit status."""
    scores = json.loads((ROOT / "runs/quickstart/best/metrics.json").read_text(encoding="utf-8"))
    problems = [task_problem(task, scores[task]["validation"][name]) for task, name in FIRST_METRICS.items()]
    problems.append(answers_problem(log.read_text(encoding="utf-8")))
    failed = [problem for problem in problems if problem is not None]
    for problem in failed:
        print(f"FAILED {problem}")
    print(f"quickstart: {len(problems) - len(failed)} passed, {len(failed)} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
