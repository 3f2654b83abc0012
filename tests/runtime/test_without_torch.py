"""The runtime answers where neither torch nor transformers is: poisoned imports, and an environment that lacks them."""

import json
import os
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


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a virtual environment with ours, onnxruntime, tokenizers, numpy, and what this model's cleaning needs."""
    place = tmp_path_factory.mktemp("bare") / "venv"
    subprocess.run([sys.executable, "-m", "venv", str(place)], check=True)
    pip = [str(place / "bin/python"), "-m", "pip", "install", "--quiet", "-c", str(ROOT / "constraints.txt")]
    subprocess.run([*pip, "--no-deps", str(ROOT), "tokenizers", "regex", "stopwords"], check=True)
    subprocess.run([*pip, "onnxruntime", "numpy"], check=True)
    return place


@pytest.mark.slow
def test_it_answers_in_an_environment_without_torch(bare: Path, graph_dir: Path, torch_model: MultiTaskModel) -> None:
    listed = subprocess.run(
        [str(bare / "bin/python"), "-m", "pip", "list", "--format", "json"], capture_output=True, check=True
    )
    assert {of["name"] for of in json.loads(listed.stdout)} & set(HEAVY) == set()
    found = answers_of(str(bare / "bin/python"), ANSWER, graph_dir, PYTHONPATH="")
    assert_same(torch_model.predict(list(ROWS), top_k=3), found, rounding=1e-4)


@pytest.mark.slow
def test_it_serves_there_over_http(bare: Path, graph_dir: Path, torch_model: MultiTaskModel) -> None:
    pip = [str(bare / "bin/python"), "-m", "pip", "install", "--quiet", "-c", str(ROOT / "constraints.txt")]
    subprocess.run([*pip, "fastapi", "uvicorn", "prometheus-client", "typer", "rich", "tqdm"], check=True)
    server = subprocess.Popen(
        [str(bare / "bin/mtl"), "serve", str(graph_dir), "--onnx", "--port", "0"],
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": ""},
    )
    try:
        assert server.stderr is not None
        address = server.stderr.readline().split()[0].rstrip(":")
        body = json.dumps({"rows": ROWS, "top_k": 3}).encode()
        request = urllib.request.Request(f"{address}/predict", body, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=30) as response:
            found = json.loads(response.read())["answers"]
    finally:
        server.send_signal(signal.SIGTERM)
        assert server.wait(timeout=30) == 0
    assert_same(torch_model.predict(list(ROWS), top_k=3), found, rounding=1e-4)
