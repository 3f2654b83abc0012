"""The model directory: what is loaded, shared and served.

Owns the public format below, writing it so that it is never seen half-written, and reading it strictly. Does
not build the network (`network.py`), word the card (`card.py`) or know what a task's entry says beyond its
head.

    best/
    ├── config.json  model.safetensors   the plain encoder as the family's AutoModel expects it
    ├── tokenizer.json …                 AutoTokenizer opens it
    ├── heads.safetensors                heads.<task>.<parameter>
    ├── tasks.json                       {"format_version": 1, "tasks": {<task>: {"head": {…} or null, …}}, …}; for the
    │                                    card "datasets": [{…}] and "card": {…}, which first directories lack
    ├── metrics.json                     {<task>: {<split>: {<metric>: number, or null where undefined, "num_rows",
    │                                    "baseline": {<metric>: …}}}}
    ├── README.md                        the model card, which may be edited
    └── manifest.json                    sizes and SHA-256 of all of the above but README.md, versions of libraries

It is written beside its place and swapped in (`storage/swap.py`). `verifying.py` checks it against its manifest.
"""

from __future__ import annotations

import copy
import json
import math
import re
import shutil
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from torch import Tensor
from transformers import PreTrainedTokenizerFast
from transformers.utils import logging as transformers_logging

from mtl_transformers.errors import FileError, ModelError
from mtl_transformers.model.card import is_hub_id
from mtl_transformers.model.encoder import Encoder, encoder_state
from mtl_transformers.model.fetching import fetch
from mtl_transformers.model.head_spec import has_parameters
from mtl_transformers.model.tensors import read_tensors, tensors_to_bytes
from mtl_transformers.model.verifying import (
    AGAIN,
    CARD,
    CONFIG,
    CONVERT,
    ENCODER_FILES,
    HEADS,
    METRICS,
    TOKENIZER,
    WEIGHTS,
    WEIGHTS_INDEX,
    matches,
    verify,
    write_model_manifest,
)
from mtl_transformers.model.verifying import (
    TASKS as TASKS,
)
from mtl_transformers.storage.files import disk_errors, fault_of, write_file
from mtl_transformers.storage.manifest import facts_of, facts_of_file
from mtl_transformers.storage.swap import finish_swap, replacing

FORMAT_VERSION = 1
TASK_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")


@dataclass(frozen=True, slots=True)
class ModelDirectory:
    """A model directory as read; the encoder and the tokenizer are loaded from its path.

    Attributes:
        path: where it lies, for a hub id in the hub's cache.
        tasks: the content of ``tasks.json``; ``tasks["tasks"]`` holds an entry for each task, in order.
        metrics: the content of ``metrics.json``.
        heads: ``heads.<task>.<parameter>`` of every head.
    """

    path: Path
    tasks: dict[str, Any]
    metrics: dict[str, Any]
    heads: dict[str, Tensor]


def save(
    path: str | Path,
    *,
    encoder: Encoder,
    tokenizer: PreTrainedTokenizerFast,
    heads: Mapping[str, Tensor],
    tasks: Mapping[str, Any],
    metrics: Mapping[str, Any],
    card: str,
    encoder_source: Path | None = None,
) -> None:
    """Write a model directory; a model directory that lies there is replaced in one step.

    Args:
        path: the directory.
        encoder: the encoder; its original pooler is written with it.
        tokenizer: written without padding and truncation; the one given is not changed.
        heads: ``heads.<task>.<parameter>`` as `Network.heads_state` returns them.
        tasks: the content of ``tasks.json``, ``format_version`` included.
        metrics: the content of ``metrics.json``; a number that is not finite is written as null.
        card: the text of README.md.
        encoder_source: the directory that a frozen encoder was read from: its files are copied byte for byte.

    Raises:
        ModelError: tasks and heads do not fit each other, or the source has no safetensors.
        FileError: the place holds something else, the disk is full, or whatever else the system reports. What lies
            there is as it was, or complete and new where only the removal of the old one failed.
    """
    path = Path(path).resolve()
    _check_tasks(tasks, heads, place=str(path))
    contents = {
        HEADS: tensors_to_bytes(heads),
        TASKS: json_bytes(tasks),
        METRICS: json_bytes(finite(metrics)),
    }
    with replacing(path, marker=TASKS) as new:
        _save_encoder(encoder, encoder_source, new)
        save_tokenizer(tokenizer, new)
        files = {entry.name: facts_of_file(entry) for entry in sorted(new.iterdir())}
        for name, content in contents.items():
            write_file(new / name, content)
            files[name] = facts_of(content)  # of what was meant to be written
        write_file(new / CARD, card.encode())
        write_model_manifest(new, files)


def load(name: str | Path, *, revision: str | None = None) -> ModelDirectory:
    """Read a model directory and check that its parts fit each other.

    Args:
        name: a directory, or a hub id ``owner/name``, of which only the files of the format are fetched.
        revision: branch, tag or commit of a hub id.

    Raises:
        ModelError: it does not exist, is no model directory of ours, a file is missing, malformed or not as it was
            written, its format is unknown, its weights are pickled, or its heads are not those of its tasks.
    """
    path = _find(name, revision)
    if (path / "best" / TASKS).is_file():
        raise ModelError(f"{path} is a run directory; its best model is {path / 'best'}")
    if not (path / TASKS).is_file():
        raise ModelError(
            f"{path} holds no tasks: {TASKS} is missing. A plain transformers directory is an encoder: name "
            "it under encoder.name and train tasks on it."
        )
    verify(path)
    tasks, metrics = _read_json(path / TASKS), _read_json(path / METRICS)
    heads = _read_heads(path / HEADS)
    _check_tasks(tasks, heads, place=str(path))
    return ModelDirectory(path=path, tasks=tasks, metrics=metrics, heads=heads)


def repair(path: str | Path) -> None:
    """Finish an interrupted swap: rename ``<name>.old`` back when it is alone, else remove it.

    `save` calls it. `load` does so only for a directory that is missing, so a reader never removes anything
    under a writer. A ``<name>.old`` that is no model directory is left alone.
    """
    finish_swap(Path(path).resolve(), marker=TASKS)


def _save_encoder(encoder: Encoder, source: Path | None, target: Path) -> None:
    if source is not None:
        _copy_encoder(source, target)
        return
    with library_errors(target / WEIGHTS), no_progress_bar():
        encoder.model.save_pretrained(target, state_dict=encoder_state(encoder))


def _copy_encoder(source: Path, target: Path) -> None:
    names = [entry.name for entry in source.iterdir() if matches(entry.name, ENCODER_FILES)]
    if CONFIG not in names or not {WEIGHTS, WEIGHTS_INDEX} & set(names):
        raise ModelError(f"frozen encoder: {source} holds no {CONFIG} with {WEIGHTS} to copy; {CONVERT}")
    for name in names:
        with disk_errors(target / name):
            shutil.copyfile(source / name, target / name)


@contextmanager
def library_errors(path: Path) -> Iterator[None]:
    """Turn what the libraries raise that write by themselves into a `FileError`."""
    try:
        yield
    except (OSError, SafetensorError) as error:
        raise FileError(fault_of(path, error)) from error
    except Exception as error:
        if type(error) is not Exception:  # which is what tokenizers raises for a fault of the disk
            raise
        raise FileError(fault_of(path, error)) from error


@contextmanager
def no_progress_bar() -> Iterator[None]:
    """Keep transformers from drawing a bar for the one file it writes."""
    drawn = transformers_logging.is_progress_bar_enabled()
    transformers_logging.disable_progress_bar()  # type: ignore[no-untyped-call]  # transformers' own gap
    try:
        yield
    finally:
        if drawn:
            transformers_logging.enable_progress_bar()  # type: ignore[no-untyped-call]


def save_tokenizer(tokenizer: PreTrainedTokenizerFast, target: Path) -> None:
    """Write the tokenizer without the padding and truncation that using it has left in its state."""
    clean = copy.deepcopy(tokenizer)
    clean.backend_tokenizer.no_padding()
    clean.backend_tokenizer.no_truncation()
    with library_errors(target / TOKENIZER):
        clean.save_pretrained(target)


def json_bytes(content: object) -> bytes:
    """Return the bytes of a JSON file of a model directory."""
    return f"{json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False)}\n".encode()


def finite(content: Any) -> Any:
    """Replace numbers that JSON cannot hold by None."""
    if isinstance(content, Mapping):
        return {key: finite(value) for key, value in content.items()}
    if isinstance(content, list | tuple):
        return [finite(value) for value in content]
    return None if isinstance(content, float) and not math.isfinite(content) else content


def _find(name: str | Path, revision: str | None) -> Path:
    path = Path(name)
    if not path.exists():
        repair(path)
    if path.is_dir():
        if revision is not None:
            raise ModelError(f"{name} is a local directory without revisions; leave out revision {revision!r}.")
        return path
    if path.exists() or not is_hub_id(str(name)):
        raise ModelError(
            f"no model {str(name)!r}. A name is a directory that holds {TASKS}, as runs/tickets/best, or a hub id of "
            "the form owner/name."
        )
    return fetch(str(name), revision=revision)


def _read_heads(path: Path) -> dict[str, Tensor]:
    try:
        return read_tensors(path)
    except FileError as error:
        raise ModelError(f"{error}. {AGAIN}") from error


def _read_json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        raise ModelError(f"{path} is malformed: {error}. {AGAIN}") from error
    if not isinstance(content, dict):
        raise ModelError(f"{path} is malformed: a JSON object was expected, not {type(content).__name__}.")
    return content


def _check_tasks(tasks: Mapping[str, Any], heads: Iterable[str], *, place: str) -> None:
    """Check version and names of ``tasks.json``, and that the heads are those of its tasks."""
    version = tasks.get("format_version")
    if version != FORMAT_VERSION:
        raise ModelError(
            f"{place}: {TASKS} has format_version {version!r}; this version of mtl_transformers reads "
            f"{FORMAT_VERSION}. Use the version that wrote it, or train again."
        )
    entries = tasks.get("tasks")
    if not isinstance(entries, Mapping):
        raise ModelError(f'{place}: {TASKS} is malformed: "tasks" must be an object, by task name.')
    for name, entry in entries.items():
        check_task_name(name, place=place)
        if not isinstance(entry, Mapping) or "head" not in entry:
            raise ModelError(f'{place}: {TASKS}, task {name!r}: an object with the key "head" was expected.')
    described = {name for name, entry in entries.items() if entry["head"] is not None and has_parameters(entry["head"])}
    stored = {_task_of(parameter, place=place) for parameter in heads}
    for name in sorted(described - stored):
        raise ModelError(f"{place}: task {name!r} is in {TASKS} but {HEADS} has no head for it.")
    for name in sorted(stored - described):
        raise ModelError(f"{place}: {HEADS} has a head for {name!r}, but {TASKS} has no task with that head.")


def check_task_name(name: str, *, place: str) -> None:
    """Refuse a task name that is no safe name of a tensor or a file.

    Raises:
        ModelError: naming the task and the legal form.
    """
    if TASK_NAME.fullmatch(name) is None:
        raise ModelError(
            f"{place}: illegal task name {name!r}. A name has 1 to 64 of the characters a-z, 0-9, _ and -, "
            "and starts with a letter or a digit."
        )


def _task_of(parameter: str, *, place: str) -> str:
    prefix, _, rest = parameter.partition(".")
    task, _, attribute = rest.partition(".")
    if prefix != "heads" or not attribute:
        raise ModelError(f"{place}: {HEADS} holds {parameter!r}; expected heads.<task>.<parameter>.")
    return task
