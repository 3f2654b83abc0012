"""The chapter on plain directories: its commands run as they stand and print what is shown, on a tiny model."""

import os
import re
import shlex
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from plain import fitted, model_of, write

from mtl_transformers.lifecycle.plain_tasks import plain_task
from mtl_transformers.model.native import AUTO_CLASSES
from mtl_transformers.model.native_names import FAMILIES
from mtl_transformers.tasks.kinds import KINDS

ROOT = Path(__file__).parents[2]
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
README = (ROOT / "README.md").read_text(encoding="utf-8")
CHAPTER = README.partition("\n## Plain transformers directories\n")[2].partition("\n## ")[0]


def without_numbers(text: str) -> list[str]:
    """The lines of an output without what differs between two models: numbers and labels."""
    return [
        re.sub(r"[\d.]+(e-\d+)?|'label': '\w+'", "#", line).replace("#, # of the largest", "#")
        for line in text.splitlines()
    ]


@pytest.mark.slow
def test_the_commands_run_and_print_what_is_shown(tmp_path: Path, tiny_bert: Path) -> None:
    (_, commands), (_, shown) = BLOCK.findall(CHAPTER)
    model = model_of(tiny_bert, {name: fitted()[name] for name in ("intent", "urgency")})
    for name, served in model.tasks.items():
        model.tasks[name] = replace(served, input=replace(served.input, columns=("body",)))
    write(model, tmp_path / "runs" / "tickets" / "best")
    (tmp_path / "new.csv").write_text("id,message\na1,My card was charged twice.\na2,Could you send it?\n")
    programs = tmp_path / "bin"
    programs.mkdir()
    for name, started in (("python", ""), ("mtl", "-m mtl_transformers")):
        (programs / name).write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} {started} "$@"\n')
        (programs / name).chmod(0o755)
    environment = {
        **os.environ,
        "PATH": f"{programs}:{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
        "HF_HUB_DISABLE_PROGRESS_BARS": "1",
        "TRANSFORMERS_VERBOSITY": "error",
    }
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", commands],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
        env=environment,
    )
    assert done.returncode == 0, done.stderr
    *lines, last = without_numbers(shown)
    assert without_numbers(done.stdout) == lines
    assert last in without_numbers(done.stderr)  # what predict says goes to stderr
    assert len((tmp_path / "joined.jsonl").read_text(encoding="utf-8").splitlines()) == 2


def test_the_table_of_classes_is_the_codes() -> None:
    rows = re.findall(r"^\| `(\w+)` \| (?:`(\w+)`|the same)", CHAPTER, re.MULTILINE)
    assert {kind for kind, _ in rows} == set(KINDS)
    said = {kind: name or "AutoModelForSequenceClassification" for kind, name in rows}
    assert said == {task.kind: AUTO_CLASSES[plain_task(task).form] for task in fitted().values()}


def test_every_family_is_named() -> None:
    said = CHAPTER.lower().replace("-", "")
    assert not [family for family in FAMILIES if family != "camembert" and family.replace("-", "") not in said]
