"""``mtl export``: the README's commands as they stand, and what a user is told of a mistake."""

import json
import re
import shlex
import shutil
from pathlib import Path

import pytest
import yaml
from little import tickets, write_rows
from terminal import Mtl, Trained

from mtl_transformers.inference.multitask import MultiTaskModel

README = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
CHAPTER = README.partition("\n## ONNX without torch\n")[2].partition("\n## ")[0]
COMMANDS = [
    shlex.split(line) for line in re.findall(r"^mtl export .*", CHAPTER, re.MULTILINE)
]  # the other commands of the chapter are the runtime's


def words(text: str) -> list[str]:
    """The lines of an output without numbers and rules."""
    lines = (re.sub(r"[\s─]+", " ", re.sub(r"\d[\d.,e%-]*", "#", line)).strip() for line in text.splitlines())
    return [line for line in lines if line]


def write_config(trained: Trained, path: Path) -> None:
    """Write a config of one task whose labels the model never says: whatever int8 costs, its accuracy cannot fall."""
    raw = yaml.safe_load(trained.config.read_text(encoding="utf-8"))
    model = MultiTaskModel.from_pretrained(trained.model, precision="fp32")
    rows = tickets(20, seed=5)
    said = [answer["intent"]["label"] for answer in model.predict([row["body"] for row in rows], tasks=["intent"])]
    others = {label: next(str(of) for of in ("billing", "account") if of != label) for label in set(said)}
    labelled = [{**row, "intent": others[label]} for row, label in zip(rows, said, strict=True)]
    raw["data"]["tickets"]["files"]["validation"] = str(write_rows(path.with_suffix(".jsonl"), labelled).resolve())
    raw["tasks"] = {"intent": {**raw["tasks"]["intent"], "metrics": ["accuracy", "f1_macro"]}}
    path.write_text(yaml.safe_dump(raw, sort_keys=False), encoding="utf-8")


@pytest.mark.slow
def test_the_commands_of_the_readme_run_and_print_what_is_shown(mtl: Mtl, trained: Trained) -> None:
    shutil.copytree(trained.model, "runs/quickstart/best")
    Path("configs").mkdir()
    write_config(trained, Path("configs/quickstart.yaml"))
    assert len(COMMANDS) == 2
    printed = []
    for _, *arguments in COMMANDS:
        outcome = mtl(*arguments)
        assert outcome.code == 0, outcome.err
        printed.append(words(outcome.out))
    shown = words(re.findall(r"^```text\n(.*?)^```$", CHAPTER, re.MULTILINE | re.DOTALL)[0])
    of_intent = [line for line in shown if line.split()[0] not in ("topics", "urgency", "entities")]
    assert [line for line in printed[1] if line.split()[0] not in ("topics", "mood", "entities")] == of_intent
    assert [line for line in printed[0] if line.startswith("intent")] == ["intent made of the vocabulary # # #"]
    for name, precision in (("graph", "fp32"), ("int8", "int8")):
        parity = json.loads(Path("runs/quickstart", name, "parity.json").read_text(encoding="utf-8"))
        assert parity["precision"] == precision
    again = mtl(*COMMANDS[0][1:])
    assert again.code == 2
    assert "runs/quickstart/graph: holds another export; replace it with --overwrite" in again.err


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (["--int8", "--fp16"], "--int8 or --fp16? One graph has one precision"),
        (["--max-drop", "0.1"], "--max-drop needs --config, whose rows are scored"),
        (["--set", "seed=1"], "--set needs --config, whose rows are scored"),
        (["--split", "test"], "--split needs --config, whose rows are scored"),
        (["--max-drop", "0"], "--max-drop needs --config, whose rows are scored"),
        (["--rows", "none.csv"], "--rows none.csv: expected a file whose name ends in .csv, .tsv, .jsonl, .parquet"),
        ([], "no model 'none'"),
    ],
)
def test_a_mistake_is_told_before_anything_is_made(mtl: Mtl, given: list[str], told: str) -> None:
    outcome = mtl("export", "none", "--onnx", "out", *given)
    assert (outcome.code, outcome.out) == (2, "")
    assert outcome.err.startswith("error: ")
    assert told in outcome.err
    assert not list(Path.cwd().glob("*out*"))
