"""The commands that change a task, as a user meets them: what they print, how they end, and what they leave."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from changed import bytes_of
from little import dataset, tickets
from terminal import Mtl, Trained

FILES = ("config.json", "model.safetensors", "heads.safetensors", "tasks.json", "metrics.json", "manifest.json")


@pytest.fixture
def model(trained: Trained, tmp_path: Path) -> Path:
    """Return a copy of the trained model in a copy of its run, as ``runs/best`` of the working directory."""
    shutil.copytree(trained.model.parent, tmp_path / "runs", ignore=shutil.ignore_patterns("checkpoints", "last"))
    return Path("runs/best")


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """Write the config of a new task: whether a text ends in a mark."""
    rows = [{"body": row["body"], "loud": "yes" if row["urgency"] else "no"} for row in tickets(40, seed=5)]
    raw = {
        "data": {"marks": dataset(tmp_path, "marks", text="body", train=rows, validation=rows[:10])},
        "tasks": {"loud": {"data": "marks", "kind": "classification", "label": "loud"}},
        "training": {"epochs": 1, "batch_size": 8},
    }
    path = tmp_path / "loud.yaml"
    path.write_text(yaml.safe_dump(raw, sort_keys=False), encoding="utf-8")
    return path


@pytest.mark.slow
def test_a_task_is_added_with_its_plan_its_scores_and_where_the_model_lies(mtl: Mtl, model: Path, config: Path):
    outcome = mtl("add-task", model, config, "--freeze", "all")
    assert outcome.code == 0, outcome.err
    lines = [line.rstrip() for line in outcome.out.splitlines()]
    assert lines[0].startswith("plan: 5 steps, 40 rows")
    assert "loud on validation" in lines
    assert lines[-3:] == [
        "loud shares the encoder pass of intent, topics, mood, entities",
        "the encoder and all other heads are byte for byte as they were",
        "→ runs/best",
    ]
    assert list(json.loads((model / "tasks.json").read_text())["tasks"])[-1] == "loud"


@pytest.mark.slow
def test_a_refusal_shows_who_fell_and_ends_with_exit_code_2(mtl: Mtl, model: Path, config: Path):
    before = bytes_of(model, FILES)
    harm = ("--set", "training.learning_rate=0.05", "--set", "training.epochs=3", "--max-drop", "0")
    outcome = mtl("add-task", model, config, *harm)
    assert outcome.code == 2
    assert "the other tasks, before and after:" in outcome.out
    fallen = [line.split()[0] for line in outcome.out.splitlines() if line.rstrip().endswith("fell")]
    assert fallen
    assert "→ runs" not in outcome.out
    error = next(line for line in outcome.err.splitlines() if line.startswith("error: "))
    assert error.startswith(f"error: refused: {fallen[0]} fell in ")
    assert "runs/best was not written, the candidate lies in runs/best.candidate." in error
    assert bytes_of(model, FILES) == before
    assert sorted(path.name for path in Path("runs").iterdir() if path.is_dir()) == ["best", "best.candidate"]
    told = mtl("diff", model, "runs/best.candidate", "--exit-code")
    assert told.code == 1
    assert "tensors differ, by at most" in told.out


@pytest.mark.slow
def test_a_task_is_trained_anew(mtl: Mtl, model: Path, config: Path):
    assert mtl("rename-task", model, "mood", "loud").code == 0
    assert mtl("replace-task", model, config, "--freeze", "all").code == 0
    assert json.loads((model / "tasks.json").read_text())["tasks"]["loud"]["kind"] == "classification"


@pytest.mark.slow
def test_a_killed_training_leaves_the_model(model: Path, config: Path, tmp_path: Path):
    before = bytes_of(tmp_path / model, FILES)
    command = [sys.executable, "-m", "mtl_transformers", "add-task", str(model), str(config), "--freeze", "all"]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen(
        [*command, "--set", "training.epochs=1000"], cwd=tmp_path, env=environment, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stderr is not None
        assert any(line.startswith("step ") for line in process.stderr)
        process.kill()
    assert bytes_of(tmp_path / model, FILES) == before


def test_a_renamed_and_a_dropped_task_are_told_and_their_difference_too(mtl: Mtl, model: Path):
    shutil.copytree(model, "before")
    assert mtl("rename-task", model, "mood", "feeling").out.splitlines() == [
        "renamed mood to feeling; the encoder and all other heads are byte for byte as they were",
        "→ runs/best",
    ]
    assert mtl("drop-task", model, "intent", "--out", "less").out.splitlines()[-1] == "→ less"
    outcome = mtl("diff", "before", "less")
    assert outcome.code == 0
    lines = [" ".join(line.split()) for line in outcome.out.splitlines()]
    assert lines[0] == "before → less"
    assert "encoder same" in lines
    assert [line for line in lines if line.split(" ")[0] in ("topics", "feeling", "entities", "intent")] == [
        "topics same",
        "feeling renamed was mood",
        "entities same",
        "intent dropped classification, tickets, 3 labels",
    ]
    assert json.loads(mtl("diff", "before", "less", "--json").out)["is_empty"] is False
    assert mtl("diff", "before", "less", "--exit-code").code == 1
    assert mtl("diff", "before", "before", "--exit-code").code == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["drop-task", "runs/best", "intnt"], "did you mean 'intent'"),
        (["rename-task", "runs/best", "intent", "topics"], "there is a task 'topics' already"),
        (["add-task", "runs/best", "none.yaml"], "none.yaml: no such file"),
        (["add-task", "runs/best", "loud.yaml", "--freeze", "everything"], "encoder.freeze"),
        (["replace-task", "runs/best", "loud.yaml"], "the model has no such task to replace"),
        (["add-task", "runs", "loud.yaml"], "is a run directory"),
        (["diff", "runs/best", "none"], "no model 'none'"),
    ],
)
def test_a_mistake_is_an_error_of_ours(mtl: Mtl, model: Path, config: Path, arguments: list[str], message: str):
    outcome = mtl(*arguments)
    assert (outcome.code, outcome.out) == (2, "")
    assert message in outcome.err
    assert "Traceback" not in outcome.err


def test_a_negative_drop_is_a_usage_error(mtl: Mtl, model: Path, config: Path):
    assert mtl("add-task", model, config, "--max-drop", "-1").err.startswith("Usage: mtl")
