"""Train configs/shared/xquad.yaml and compare its F1 with the best answer that does not read the question.

    python scripts/bench/xquad.py

The constant rules: no answer, the whole context, its first sentence, its first or last k words, k from 1 to 30. The
best of them is chosen on the validation split itself, which favours the rules.
"""

import argparse
import json
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from mtl_transformers.metrics.named import compute

ROOT = Path(__file__).parents[2]
CONFIG = "configs/shared/xquad.yaml"
MOST_WORDS = 30

Rule = Callable[[str], str]


def rules() -> Iterator[tuple[str, Rule]]:
    """Yield each constant rule by its name."""
    yield "no answer", lambda context: ""
    yield "the whole context", lambda context: context
    yield "the first sentence", lambda context: re.split(r"(?<=[.!?])\s", context, maxsplit=1)[0]
    for k in range(1, MOST_WORDS + 1):
        yield f"the first {k} words", lambda context, k=k: " ".join(context.split()[:k])
        yield f"the last {k} words", lambda context, k=k: " ".join(context.split()[-k:])


def questions(path: Path) -> list[tuple[str, list[str]]]:
    """Return context and right answers of each question of a SQuAD file."""
    articles = json.loads(path.read_text(encoding="utf-8"))["data"]
    return [
        (paragraph["context"], [answer["text"] for answer in question["answers"]])
        for article in articles
        for paragraph in article["paragraphs"]
        for question in paragraph["qas"]
    ]


def best_rule(path: Path) -> tuple[float, str]:
    """Return the F1 and the name of the best constant rule."""
    contexts, gold = zip(*questions(path), strict=True)
    return max(
        (compute("squad_f1", predictions=[rule(context) for context in contexts], references=gold), name)
        for name, rule in rules()
    )


def train(data: Path, output: Path) -> dict[str, float]:
    """Train the config and return the scores of its model."""
    command = [sys.executable, "-m", "mtl_transformers", "train", CONFIG, "--overwrite"]
    for setting in (
        f"output={output}",
        f"data.xquad.files.train={data / 'train.json'}",
        f"data.xquad.files.validation={data / 'validation.json'}",
    ):
        command += ["--set", setting]
    subprocess.run(command, cwd=ROOT, check=True)
    scores: dict[str, float] = json.loads((ROOT / output / "best" / "metrics.json").read_text())["qa"]["validation"]
    return scores


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=ROOT / "../shared/data/xquad")
    parser.add_argument("--output", type=Path, default=Path("runs/xquad"))
    given = parser.parse_args()
    data = given.data.resolve()
    scores = train(data, given.output)
    rule_f1, rule = best_rule(data / "validation.json")
    print(f"F1 {scores['squad_f1']:.4f}, exact match {scores['exact_match']:.4f}, {scores['num_rows']} questions")
    print(
        f"the best constant rule, {rule}: F1 {rule_f1:.4f}; the model has {scores['squad_f1'] / rule_f1:.1f} times that"
    )


if __name__ == "__main__":
    main()
