"""Writing an exported directory: a graph, and all that a runtime without torch needs to answer from it.

Owns what is written of a model; the format and reading it are `runtime.onnx_directory`'s, the graph itself
``onnx_graph.py``'s. Whether the graph answers as the model does is ``parity.py``'s.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import onnx

from mtl_transformers.errors import ModelError
from mtl_transformers.inference.multitask import MultiTaskModel
from mtl_transformers.inference.quantizing import GraphPrecision
from mtl_transformers.model.card import public_name
from mtl_transformers.model.tokenizer import pad_id, text_backend, words_backend
from mtl_transformers.runtime.onnx_directory import (
    FORMAT_VERSION,
    GRAPH,
    PARITY,
    RUNTIME,
    TOKENIZER,
    WORDS_TOKENIZER,
)
from mtl_transformers.storage.files import write_file
from mtl_transformers.storage.manifest import write_manifest

LEFT_OUT = ("masked_lm",)  # kinds: their heads are as large as the vocabulary, and serve training


def exportable(model: MultiTaskModel) -> list[str]:
    """Return the tasks that an export answers.

    Raises:
        ModelError: there is none.
    """
    tasks = [name for name, served in model.tasks.items() if served.task.kind not in LEFT_OUT]
    if not tasks:
        raise ModelError(f"no task can be exported: all are of the kind {', '.join(LEFT_OUT)}, which is left out")
    return tasks


def write_answers(
    place: Path, model: MultiTaskModel, tasks: Sequence[str], graph: onnx.ModelProto, *, precision: GraphPrecision
) -> None:
    """Write all of a directory but its parity, so that it can be loaded and compared.

    Args:
        place: a directory; files of before are replaced.
        model: that the graph was made of.
        tasks: that it answers.
        graph: in its precision.
        precision: of the graph.

    Raises:
        FileError: the disk is full, or whatever else the system reports.
    """
    write_file(place / GRAPH, graph.SerializeToString())
    for name, content in _tokenizers(model).items():
        write_file(place / name, content.encode())
    write_file(place / RUNTIME, _json(_facts(model, tasks, precision)))
    _write_manifest(place)


def write_parity(place: Path, parity: Mapping[str, Any]) -> None:
    """Add to a directory how it compares with its model.

    Raises:
        FileError: likewise.
    """
    write_file(place / PARITY, _json(parity))
    _write_manifest(place)


def _tokenizers(model: MultiTaskModel) -> dict[str, str]:
    """Return the tokenizer of texts, and that of words where it is another one, by the names of their files."""
    text, words = (backend(model.tokenizer).to_str(pretty=True) for backend in (text_backend, words_backend))
    return {TOKENIZER: text} if words == text else {TOKENIZER: text, WORDS_TOKENIZER: words}


def _facts(model: MultiTaskModel, tasks: Sequence[str], precision: GraphPrecision) -> dict[str, Any]:
    encoder = model.network.encoder
    return {
        "format_version": FORMAT_VERSION,
        "precision": precision,
        "encoder": public_name(model.encoder_name),
        "pad_id": pad_id(model.tokenizer),
        "uses_token_types": encoder.uses_token_types,
        "max_length": encoder.max_length,
        "tasks": {name: _entry(model, name) for name in tasks},
    }


def _entry(model: MultiTaskModel, name: str) -> dict[str, Any]:
    task = model.tasks[name].answerable
    return {
        "kind": task.kind,
        "dataset": task.dataset,
        "input": task.input.to_json(),
        "decoder": task.decoder.to_json(),
    }


def _write_manifest(place: Path) -> None:
    written = [name for name in (GRAPH, TOKENIZER, WORDS_TOKENIZER, RUNTIME, PARITY) if (place / name).is_file()]
    versions = {name: version(name) for name in ("mtl_transformers", "torch", "onnxruntime")}
    write_manifest(place, written, facts=versions)


def _json(content: object) -> bytes:
    return f"{json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False)}\n".encode()
