"""``mtl calibrate`` as a user types it: one table, mistakes told in a line, a model that changes only when asked."""

import json
import shutil
from pathlib import Path

import pytest
from terminal import Mtl, Trained


@pytest.fixture
def model(trained: Trained, tmp_path: Path) -> Path:
    """A copy of the trained model."""
    assert trained.outcome.code == 0
    return shutil.copytree(trained.model, tmp_path / "best")


def test_figures_decisions_and_what_is_left_alone_are_printed_and_stored(mtl: Mtl, trained: Trained, model: Path):
    outcome = mtl("calibrate", model, trained.config, "--min-score", "0.4", "--report", "report")
    assert outcome.code == 0, outcome.err
    lines = outcome.out.splitlines()
    assert lines[0] == f"{model} on validation, cross-fitted in 5 folds"
    header, rows = lines[2].split(), [line.split() for line in lines[4:13]]
    assert header == ["task", "figure", "before", "after", "cross-fitted"]
    shown = {(task, figure): values for task, figure, *values in rows}
    assert {figure for task, figure in shown if task == "topics"} == {"f1_micro", "f1_macro", "precision", "recall"}
    assert {"nll", "ece", "brier"} <= {figure for task, figure in shown if task == "intent"}
    report = json.loads(Path("report/calibration.json").read_text(encoding="utf-8"))["tasks"]["intent"]
    assert shown["intent", "nll"] == [
        f"{report[of][when]['nll']:.4f}"
        for of, when in (("fitted", "before"), ("fitted", "after"), ("held_out", "after"))
    ]
    entry = json.loads((model / "tasks.json").read_text(encoding="utf-8"))["tasks"]["intent"]
    assert f"intent: temperature {entry['temperature']:.4f}, min_score 0.4000" in lines
    assert entry["min_score"] == 0.4
    assert "note: intent: fitted on 12 rows only" in lines
    assert "left alone: mood: its answers are numbers" in lines
    assert lines[-2:] == ["→ report", f"→ {model}"]


def test_another_split_has_its_own_before(mtl: Mtl, trained: Trained, model: Path):
    outcome = mtl("calibrate", model, trained.config, "--report-split", "test", "--tasks", "topics", "--dry-run")
    assert outcome.code == 0, outcome.err
    assert outcome.out.splitlines()[0].endswith("on validation, and measured on test")
    assert "test before" in outcome.out
    assert "left alone" not in outcome.out


def test_a_dry_run_changes_nothing(mtl: Mtl, trained: Trained, model: Path):
    before = {path.name: path.read_bytes() for path in model.iterdir()}
    outcome = mtl("calibrate", model, trained.config, "--dry-run")
    assert outcome.out.splitlines()[-1] == "nothing was changed (--dry-run)"
    assert {path.name: path.read_bytes() for path in model.iterdir()} == before


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--target", "accuracy=0.9"), "--target 'accuracy=0.9': expected f1, precision=P or recall=R"),
        (("--min-score", "high"), "--min-score 'high': expected a probability"),
        (("--tasks", "intnt"), "unknown task 'intnt'; known: intent, topics, mood, entities; did you mean 'intent'?"),
        (("--out", "."), "something lies there"),
        (("--report", "best/report"), "lies in the model directory"),
    ],
)
def test_a_mistake_is_told_and_nothing_is_changed(
    mtl: Mtl, trained: Trained, model: Path, arguments: tuple[str, ...], said: str
):
    before = (model / "manifest.json").read_bytes()
    outcome = mtl("calibrate", model, trained.config, *arguments)
    assert (outcome.code, outcome.out) == (2, "")
    assert said in outcome.err
    assert (model / "manifest.json").read_bytes() == before
