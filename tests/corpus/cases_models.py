"""Model directories whose files are missing, cut, changed, of another model or of another version."""

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from corpus.project import Case

Change = Callable[[bytes], bytes | None]
FILES = {"in.csv": "body\nhello\n"}


def _model(name: str, model: Mapping[str, Change], place: str, remedy: str) -> Case:
    return Case(name, place, remedy, files=FILES, model=model, command=("predict", "copy", "in.csv", "out.csv"))


def _sealed(name: str, model: Mapping[str, Change], place: str, remedy: str) -> Case:
    return replace(_model(name, model, place, remedy), sealed=True)


def _gone(_: bytes) -> None:
    """No such file."""


def _empty(_: bytes) -> bytes:
    return b""


def _cut(content: bytes) -> bytes:
    return content[: len(content) // 2]


def _flipped(content: bytes) -> bytes:
    return content[:-9] + bytes([content[-9] ^ 64]) + content[-8:]


def _text(text: str) -> Change:
    return lambda _: text.encode()


def _tasks(change: Callable[[dict[str, Any]], object]) -> Mapping[str, Change]:
    """Change the content of ``tasks.json``."""

    def changed(content: bytes) -> bytes:
        tasks = json.loads(content)
        change(tasks)
        return json.dumps(tasks).encode()

    return {"tasks.json": changed}


def _cases_of(file: str) -> list[Case]:
    return [
        _model(f"{file} is empty", {file: _empty}, f"copy … {file} has 0 bytes", AGAIN),
        _model(f"{file} is cut", {file: _cut}, f"copy … {file} has ", AGAIN),
        _model(f"{file} has another byte", {file: _flipped}, f"copy … {file} was changed", AGAIN),
    ]


AGAIN = "Copy or fetch the directory again"
NAMES = ("config.json", "model.safetensors", "tokenizer.json", "heads.safetensors", "tasks.json")
CASES = [
    *(case for name in NAMES for case in _cases_of(name)),
    *(_model(f"{name} is missing", {name: _gone}, f"copy is not complete, {name}", AGAIN) for name in NAMES[:-1]),
    _model(
        "tasks.json is missing", {"tasks.json": _gone}, "copy holds no tasks: tasks.json", "name it under encoder.name"
    ),
    _model("manifest.json is no JSON", {"manifest.json": _text("{")}, "copy/manifest.json", AGAIN),
    _sealed("heads that are missing", {"heads.safetensors": _gone}, "copy is not complete, heads.safetensors", AGAIN),
    _sealed("heads that are cut", {"heads.safetensors": _cut}, "copy/heads.safetensors", AGAIN),
    _sealed("weights that are cut", {"model.safetensors": _cut}, "copy/model.safetensors", AGAIN),
    _sealed("a config that is no JSON", {"config.json": _text("{")}, "copy/config.json", AGAIN),
    _sealed(
        "a config of no family", {"config.json": _text("{}")}, "encoder 'copy'", "of a family that transformers knows"
    ),
    _sealed(
        "pickled weights",
        {"model.safetensors": _gone, "pytorch_model.bin": _text("x")},
        "copy holds pytorch_model.bin",
        "Convert them where you trust them",
    ),
    _sealed("tasks that are a list", {"tasks.json": _text("[]")}, "copy/tasks.json", "a JSON object was expected"),
    _sealed("tasks that are no JSON", {"tasks.json": _text("{")}, "copy/tasks.json", AGAIN),
    _sealed(
        "tasks of a later version",
        _tasks(lambda tasks: tasks.update(format_version=99)),
        "copy: tasks.json has format_version 99",
        "Use the version that wrote it, or train again",
    ),
    _sealed(
        "tasks of no version",
        _tasks(lambda tasks: tasks.pop("format_version")),
        "copy: tasks.json has format_version None",
        "Use the version that wrote it, or train again",
    ),
    _sealed(
        "no tasks in a model",
        _tasks(lambda tasks: tasks.update(tasks={})),
        "heads.safetensors has a head for",
        "but tasks.json has no task with that head",
    ),
    _sealed(
        "a task without a head",
        _tasks(lambda tasks: tasks["tasks"].update(more=tasks["tasks"]["intent"])),
        "task 'more' is in tasks.json",
        "but heads.safetensors has no head for it",
    ),
    _sealed(
        "a head without a task",
        _tasks(lambda tasks: tasks["tasks"].pop("intent")),
        "heads.safetensors has a head for 'intent'",
        "but tasks.json has no task with that head",
    ),
    _sealed(
        "a task with a path as name",
        _tasks(lambda tasks: tasks["tasks"].update({"../x": {}})),
        "copy: illegal task name '../x'",
        "A name has 1 to 64 of the characters",
    ),
    _sealed(
        "a task of a kind of nobody",
        _tasks(lambda tasks: tasks["tasks"]["intent"].update(kind="magic")),
        "tasks.json: task 'intent' is of kind 'magic'",
        "this version of mtl_transformers knows classification",
    ),
    _sealed(
        "a task with a label less",
        _tasks(lambda tasks: tasks["tasks"]["intent"]["labels"].pop()),
        "tasks.json: task 'intent'",
        "it has 2 outputs, its head has 3",
    ),
    _sealed(
        "a task without its input",
        _tasks(lambda tasks: tasks["tasks"]["intent"].pop("input")),
        "tasks.json: task 'intent'",
        "the key 'input' is missing",
    ),
    _sealed("heads of an encoder", {"heads.safetensors": _text("x" * 100)}, "copy/heads.safetensors", AGAIN),
    _sealed("a tokenizer that is no JSON", {"tokenizer.json": _text("{")}, "copy/tokenizer.json", AGAIN),
    _model("no manifest", {"manifest.json": _gone}, "copy is not complete, manifest.json", AGAIN),
]
