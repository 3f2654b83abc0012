"""An exported directory is read strictly: what is missing, changed or of another version is told with its file."""

import json
import shutil
from pathlib import Path

import pytest

from mtl_transformers.errors import ModelError
from mtl_transformers.runtime import OnnxModel
from mtl_transformers.runtime.onnx_directory import GRAPH, RUNTIME, TOKENIZER, load
from mtl_transformers.storage.manifest import MANIFEST, write_manifest


@pytest.fixture
def copied(graph_dir: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(graph_dir, tmp_path / "graph"))


def sealed_again(place: Path) -> None:
    """Write a manifest of the files as they are now."""
    names = [entry.name for entry in place.iterdir() if entry.name != MANIFEST]
    write_manifest(place, names, facts={})


@pytest.mark.parametrize("name", [GRAPH, RUNTIME, TOKENIZER, MANIFEST])
def test_a_flipped_bit_is_refused_with_the_file(copied: Path, name: str) -> None:
    content = bytearray((copied / name).read_bytes())
    content[len(content) // 2] ^= 1
    (copied / name).write_bytes(bytes(content))
    with pytest.raises(ModelError, match=name):
        OnnxModel.from_pretrained(copied)


@pytest.mark.parametrize("name", [GRAPH, RUNTIME, TOKENIZER, MANIFEST])
def test_a_missing_file_is_refused_with_its_name(copied: Path, name: str) -> None:
    (copied / name).unlink()
    with pytest.raises(ModelError, match=name):
        load(copied)


def test_a_truncated_graph_is_refused(copied: Path) -> None:
    (copied / GRAPH).write_bytes((copied / GRAPH).read_bytes()[:-10])
    with pytest.raises(ModelError, match=r"model\.onnx has .* bytes instead of"):
        load(copied)


def test_a_graph_that_onnxruntime_cannot_read_is_an_error_of_ours(copied: Path) -> None:
    (copied / GRAPH).write_bytes(b"no graph")
    sealed_again(copied)
    with pytest.raises(ModelError, match="onnxruntime cannot run it"):
        OnnxModel.from_pretrained(copied)


def test_a_model_directory_is_no_export(model_dir: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"is no exported directory: it has no model\.onnx"):
        load(model_dir)
    with pytest.raises(ModelError, match="is no directory"):
        load(tmp_path / "none")


def changed(place: Path, **facts: object) -> Path:
    content = json.loads((place / RUNTIME).read_text(encoding="utf-8"))
    (place / RUNTIME).write_text(json.dumps({**content, **facts}), encoding="utf-8")
    sealed_again(place)
    return place


def test_another_version_of_the_format_is_refused(copied: Path) -> None:
    with pytest.raises(ModelError, match="format_version 2; this version of mtl_transformers reads 1"):
        load(changed(copied, format_version=2))


def test_a_task_without_an_output_is_refused(copied: Path) -> None:
    tasks = json.loads((copied / RUNTIME).read_text(encoding="utf-8"))["tasks"]
    with pytest.raises(ModelError, match="no output for the task 'other'"):
        OnnxModel.from_pretrained(changed(copied, tasks={**tasks, "other": tasks["intent"]}))


def test_an_unknown_decoder_and_a_malformed_entry_are_refused(copied: Path) -> None:
    tasks = json.loads((copied / RUNTIME).read_text(encoding="utf-8"))["tasks"]
    strange = {**tasks["intent"], "decoder": {"type": "OracleDecoder"}}
    with pytest.raises(ModelError, match="OracleDecoder"):
        load(changed(copied, tasks={"intent": strange}))
    with pytest.raises(ModelError, match=r"runtime\.json is malformed: KeyError at 'decoder'"):
        load(changed(copied, tasks={"intent": {key: of for key, of in tasks["intent"].items() if key != "decoder"}}))


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        (RUNTIME, "[" * 100_000, r"runtime\.json is malformed: RecursionError"),
        (RUNTIME, '{"format_version": 1, "tasks": {}}', r"runtime\.json holds no task"),
        (TOKENIZER, '{"version": "1.0"}', r"tokenizer\.json cannot be read: Model missing"),
        (TOKENIZER, "{", r"tokenizer\.json cannot be read: EOF"),
    ],
)
def test_a_file_that_a_stranger_wrote_is_an_error_of_ours(copied: Path, name: str, content: str, told: str) -> None:
    (copied / name).write_text(content, encoding="utf-8")
    sealed_again(copied)
    with pytest.raises(ModelError, match=told):
        load(copied)
