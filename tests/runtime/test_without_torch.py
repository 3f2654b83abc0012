"""The runtime answers where neither torch nor transformers is: poisoned imports, and an environment that lacks them."""

import ast
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest
from answers import assert_same
from every_kind import ROWS

from mtl_transformers.inference.multitask import MultiTaskModel

ROOT = Path(__file__).parents[2]
CHAPTER = (ROOT / "README.md").read_text().partition("\n## ONNX without torch\n")[2].partition("\n## ")[0]
BASH = [block for block in re.findall(r"^```bash\n(.*?)^```$", CHAPTER, re.MULTILINE | re.DOTALL) if "bare/" in block]
HEAVY = (
    *("torch", "transformers", "datasets", "accelerate", "evaluate", "safetensors", "huggingface_hub", "sklearn"),
    *("scipy", "pyarrow", "pandas", "pydantic", "yaml", "annotated_types", "onnx"),
)
"""What the runtime must not need."""

POISONED = f"""
import sys

class Poison:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {HEAVY!r}:
            raise ImportError(f"{{name}} was imported")

sys.meta_path.insert(0, Poison())
"""

ANSWER = """
import json, sys
from mtl_transformers.runtime import OnnxModel

model = OnnxModel.from_pretrained(sys.argv[1])
print(json.dumps(model.predict(json.loads(sys.argv[2]), top_k=3)))
"""


def answers_of(python: str, program: str, graph_dir: Path, **environment: str) -> object:
    command = [python, "-c", program, str(graph_dir), json.dumps(ROWS)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env={**os.environ, **environment})
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_it_answers_though_every_heavy_import_fails(graph_dir: Path, torch_model: MultiTaskModel) -> None:
    found = answers_of(sys.executable, POISONED + ANSWER, graph_dir)
    assert_same(torch_model.predict(list(ROWS), top_k=3), found, rounding=1e-4)


def test_a_poisoned_import_does_fail() -> None:
    done = subprocess.run(
        [sys.executable, "-c", POISONED + "import torch"], capture_output=True, text=True, check=False
    )
    assert "torch was imported" in done.stderr


def shell(block: str, place: Path) -> str:
    """Run a block of the README in a place, with the versions of CI; return what it printed last."""
    environment = {**os.environ, "PYTHONPATH": "", "PIP_CONSTRAINT": str(ROOT / "constraints.txt")}
    command = ["bash", "-euo", "pipefail", "-c", block]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=place, env=environment)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()[-1]


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory, graph_dir: Path) -> Path:
    """Return a clone with the export in it."""
    place = tmp_path_factory.mktemp("clone")
    shutil.copytree(ROOT / "mtl_transformers", place / "mtl_transformers")
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, place)
    shutil.copytree(graph_dir, place / "runs/quickstart/graph")
    return place


@pytest.mark.slow
def test_the_readmes_environment_without_torch_answers_and_serves(clone: Path, torch_model: MultiTaskModel) -> None:
    making, serving = BASH
    printed = shell(making, clone)
    (expected,) = torch_model.predict(["My card was charged twice"])
    assert_same([expected], ast.literal_eval(printed), rounding=1e-4)
    listed = json.loads(shell("bare/bin/python -m pip list --format json", clone))
    assert {of["name"] for of in listed} & {*HEAVY, "huggingface-hub", "scikit-learn"} == set()
    found = answers_of(str(clone / "bare/bin/python"), ANSWER, clone / "runs/quickstart/graph", PYTHONPATH="")
    assert_same(torch_model.predict(list(ROWS), top_k=3), found, rounding=1e-4)

    installing, server = serving.splitlines()
    shell(installing, clone)
    assert_same(torch_model.predict(list(ROWS), top_k=3), asked(server, clone), rounding=1e-4)


def asked(command: str, place: Path) -> object:
    """Start a server, and return what it answers over HTTP."""
    options = {"stderr": subprocess.PIPE, "text": True, "cwd": place, "env": {**os.environ, "PYTHONPATH": ""}}
    with subprocess.Popen([*shlex.split(command), "--port", "0"], **options) as server:
        assert server.stderr is not None
        try:
            address = server.stderr.readline().split()[0].rstrip(":")
            body = json.dumps({"rows": ROWS, "top_k": 3}).encode()
            request = urllib.request.Request(f"{address}/predict", body, {"Content-Type": "application/json"})
            with urllib.request.urlopen(request, timeout=30) as response:
                return json.loads(response.read())["answers"]
        finally:
            server.send_signal(signal.SIGTERM)
            assert server.wait(timeout=30) == 0
