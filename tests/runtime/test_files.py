"""Files and shards are answered by a graph as by its model, and without torch."""

import json
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from every_kind import ROWS
from little import write_rows

from mtl_transformers.errors import DataError
from mtl_transformers.inference.bulk import predict_file
from mtl_transformers.inference.multitask import MultiTaskModel
from mtl_transformers.inference.shard_run import plan_run
from mtl_transformers.inference.shards import make_shards
from mtl_transformers.inference.table_rows import cells_like, cells_of
from mtl_transformers.runtime import OnnxModel
from mtl_transformers.text.encoding import Features

POISONED = """
import sys

class Poison:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("torch", "transformers", "datasets", "sklearn"):
            raise ImportError(f"{name} was imported")

sys.meta_path.insert(0, Poison())
from mtl_transformers.cli.main import main

main()
"""


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return write_rows(tmp_path / "in.jsonl", [{"id": n, **row} for n, row in enumerate(ROWS)])


def test_a_graph_answers_a_file_as_its_model_does(
    torch_model: MultiTaskModel, onnx_model: OnnxModel, source: Path, tmp_path: Path
) -> None:
    tables = []
    for name, model in (("torch", torch_model), ("onnx", onnx_model)):
        assert predict_file(model, source, tmp_path / f"{name}.parquet") == len(ROWS)
        tables.append(pq.read_table(tmp_path / f"{name}.parquet"))
    assert tables[0].schema == tables[1].schema
    for name in ("id", "intent", "topics", "tags", "choice"):
        assert tables[0].column(name).to_pylist() == tables[1].column(name).to_pylist()
    scores = [table.column("intent_score").to_pylist() for table in tables]
    assert scores[0] == pytest.approx(scores[1], abs=1e-4)


def test_shards_that_a_graph_began_are_not_gone_on_with_by_its_model(
    torch_model: MultiTaskModel, onnx_model: OnnxModel, source: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    assert make_shards(onnx_model, plan_run(onnx_model, source, out, shard_rows=1)).num_shards == len(ROWS)
    assert plan_run(onnx_model, source, out, shard_rows=1).missing == []
    with pytest.raises(DataError, match="was begun otherwise: the model has other weights"):
        plan_run(torch_model, source, out, shard_rows=1)


def test_columns_have_the_types_of_every_kinds_answers(torch_model: MultiTaskModel) -> None:
    for name, served in torch_model.tasks.items():
        like = cells_like({name: served.answerable}, errors=False)
        told = cells_of({name: served.task.majority(Features((), ()))})
        assert {key: type(cell) for key, cell in like.items()} == {key: type(cell) for key, cell in told.items()}


def mtl(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", POISONED, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.mark.slow
def test_the_command_needs_no_torch_with_a_graph(
    onnx_model: OnnxModel, graph_dir: Path, model_dir: Path, source: Path, tmp_path: Path
) -> None:
    done = mtl("predict", graph_dir, source, tmp_path / "out.jsonl", "--onnx")
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
    found = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text(encoding="utf-8").splitlines()]
    assert [row["intent"]["label"] for row in found] == [
        answer["intent"]["label"]  # type: ignore[call-overload]
        for answer in onnx_model.predict(list(ROWS))
    ]
    assert mtl("predict", graph_dir, source, tmp_path / "out", "--onnx").returncode == 0
    assert "torch was imported" in mtl("predict", model_dir, source, tmp_path / "not.jsonl").stderr
    refused = mtl("predict", graph_dir, source, tmp_path / "no.jsonl", "--onnx", "--revision", "main")
    assert (refused.returncode, refused.stderr[:23]) == (2, "error: --revision main:")
