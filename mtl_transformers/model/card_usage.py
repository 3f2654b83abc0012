"""How to use a model, as its card says it: with us and without us, on a row that its own tasks can read."""

from __future__ import annotations

import json
import shlex
from collections.abc import Sequence

from mtl_transformers.model.card_content import LIBRARY, CardTask
from mtl_transformers.model.markdown import codes
from mtl_transformers.text.inputs import Input


def usage(tasks: Sequence[CardTask]) -> list[str]:
    """Return the sections; ``MODEL`` in them stands for the directory or its hub id."""
    row, first = _row(tasks), tasks[0].name if tasks else "TASK"
    columns = codes(_example(tasks)) or "`text`"
    return [
        "`MODEL` stands for this directory, or for its id on the hub, `owner/name`; there `revision=` or `--revision` "
        "names a branch, a tag or a commit.",
        f"### With `{LIBRARY}`",
        _block("python", _with_us(row, first)),
        f"Or a table (`.csv`, `.jsonl`, `.parquet`) with the columns {columns}, and a server:",
        _block("bash", "mtl predict MODEL texts.csv answers.jsonl\nmtl serve MODEL --port 8080"),
        f"### Without `{LIBRARY}`",
        "One task as a plain transformers directory, which `AutoModelFor…` and `pipeline` open:",
        _block("bash", f"mtl split MODEL {shlex.quote(first)} plain/"),
        "All tasks as one ONNX graph, answered by onnxruntime, tokenizers and numpy, without torch:",
        _block("bash", "mtl export MODEL --onnx onnx/"),
        _block("python", _onnx(row)),
        "The encoder with its tokenizer; the heads are in `heads.safetensors`, described by `tasks.json`:",
        _block("python", _ENCODER),
    ]


_ENCODER = """\
from transformers import AutoModel, AutoTokenizer

tokenizer = AutoTokenizer.from_pretrained("MODEL")
encoder = AutoModel.from_pretrained("MODEL")"""


def _with_us(row: str, first: str) -> str:
    return f"""\
from {LIBRARY} import MultiTaskModel

model = MultiTaskModel.from_pretrained("MODEL")
row = {row}
model.predict([row])  # for each row one JSON object, with the names of the tasks as keys
model.predict([row], tasks=["{first}"])  # else every task whose columns are given"""


def _onnx(row: str) -> str:
    return f"""\
from {LIBRARY}.runtime import OnnxModel

model = OnnxModel.from_pretrained("onnx")
model.predict([{row}])"""


def _row(tasks: Sequence[CardTask]) -> str:
    """Return a row as Python: a text where each task reads one, else all columns with something in each."""
    inputs = [task.input for task in tasks if task.input is not None]
    if all(given.form == "text" for given in inputs):
        return json.dumps("a text")
    return json.dumps(_example(tasks), ensure_ascii=False)


def _example(tasks: Sequence[CardTask]) -> dict[str, str | list[str]]:
    """Return a row that every task can read."""
    example: dict[str, str | list[str]] = {}
    for task in tasks:
        if task.input is not None:
            example |= _cells(task.input)
    return example


def _cells(given: Input) -> dict[str, str | list[str]]:
    if given.form == "words":
        return {given.columns[0]: ["some", "words"]}
    options = given.columns[given.num_context :]
    if given.form == "options" and len(options) == 1:
        return {**dict.fromkeys(given.columns[: given.num_context], "a text"), options[0]: ["one", "another"]}
    return dict.fromkeys(given.columns, "a text")


def _block(language: str, content: str) -> str:
    return f"```{language}\n{content}\n```"
