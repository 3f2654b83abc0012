"""The chapter "Pushing to the hub": its commands run as they stand, against a hub on this machine."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from huggingface_hub import ModelCard
from little import TICKET_TASKS, ticket_config
from local_hub import TOKEN, local_hub

from mtl_transformers import train

ROOT = Path(__file__).parents[2]
CHAPTER = (
    (ROOT / "README.md").read_text(encoding="utf-8").partition("\n## Pushing to the hub\n")[2].partition("\n## ")[0]
)
REPO = "your-name/tickets"


def make_model(place: Path, encoder: Path) -> None:
    config = ticket_config(
        place, encoder, {"output": str(place / "runs/tickets")}, tasks={"intent": TICKET_TASKS["intent"]}
    )
    train(config)
    (place / "in.csv").write_text("body\nMy card was charged twice\n", encoding="utf-8")


def environment(place: Path, address: str) -> dict[str, str]:
    """What a person's shell has who is logged in; the other variables of the hub are not theirs."""
    programs = place / "bin"
    programs.mkdir()
    (programs / "mtl").write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m mtl_transformers "$@"\n')
    (programs / "mtl").chmod(0o755)
    others = {name: value for name, value in os.environ.items() if not name.startswith("HF_HUB_")}
    return others | {
        "PATH": f"{programs}:{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
        "HF_ENDPOINT": address,
        "HF_HOME": str(place / "home"),
        "HF_TOKEN": TOKEN,
        "HF_HUB_DISABLE_XET": "1",
        "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    }


@pytest.mark.slow
def test_the_commands_of_the_chapter_run_as_they_stand(tmp_path: Path, tiny_bert: Path) -> None:
    make_model(tmp_path, tiny_bert)
    (commands,) = re.findall(r"```bash\n(.*?)```", CHAPTER, re.DOTALL)
    with local_hub() as hub:
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", commands],
            capture_output=True,
            text=True,
            check=False,
            cwd=tmp_path,
            env=environment(tmp_path, hub.address),
        )
    assert done.returncode == 0, done.stderr
    there = hub.repositories[REPO]
    assert there.visibility == "private"
    assert there.messages == ["initial commit", "First model"]  # the branch next began with equal files
    assert there.tags == {"v1": there.branches["main"]}
    assert there.files("next")["tasks.json"] == (tmp_path / "runs/tickets/best/tasks.json").read_bytes()
    (answer,) = map(json.loads, (tmp_path / "answers.jsonl").read_text(encoding="utf-8").splitlines())
    assert answer["intent"]["label"]
    listed, pushed, next_pushed = (
        done.stdout.split("would go to ")[1].partition("\nhttp")[0],
        *re.findall(r"^http\S+/commit/(\w+)$", done.stdout, re.MULTILINE),
    )
    assert listed.startswith(f"{REPO}, branch main:")
    assert pushed == next_pushed == there.branches["main"]
    assert f'MultiTaskModel.from_pretrained("{REPO}", revision="v1")' in done.stderr
    assert ModelCard(there.files("main")["README.md"].decode()).data.eval_results


@pytest.mark.slow
def test_a_mistake_is_one_line_and_no_traceback(tmp_path: Path) -> None:
    (tmp_path / "best").mkdir()
    with local_hub() as hub:
        done = subprocess.run(
            ["mtl", "push", "best", REPO],
            capture_output=True,
            text=True,
            check=False,
            cwd=tmp_path,
            env=environment(tmp_path, hub.address),
        )
    assert done.returncode == 2
    assert done.stderr.startswith("error: best holds no tasks")
    assert done.stderr.count("\n") == 1
    assert hub.requests == []
