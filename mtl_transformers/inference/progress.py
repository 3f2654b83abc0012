"""What a directory of shards says of itself, and which of its shards are there.

Owns ``_progress.json``, which fixes what the answers depend on, so that a run goes on as it began or is refused:

    {
      "format_version": 1,
      "model": {"weights": sha256, "tokenizer": sha256, "tasks": sha256, "precision": …},
      "tasks": […],
      "options": {"columns": {…}, "id": …, "keep": […], "errors": …, "shard_rows": …},
      "inputs": [{"name": …, "size": bytes, "sha256": …, "rows": …, "columns": {…} of text files}, …]
    }

Each shard carries the SHA-256 of that file in its own metadata: one that was made otherwise is not taken for ours.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from mtl_transformers.errors import DataError
from mtl_transformers.inference.sharding import Shard
from mtl_transformers.inference.table_rows import ERROR
from mtl_transformers.storage.files import disk_errors, write_file

PROGRESS = "_progress.json"
FORMAT_VERSION = 1
RUN = b"mtl_transformers.run"  # the key of a shard's metadata
_SHARDS = "part-*.parquet"


@dataclass(frozen=True, slots=True)
class Made:
    """A shard that is there.

    Attributes:
        num_rows: of its answers.
        num_errors: rows that could not be read.
    """

    num_rows: int
    num_errors: int


def read_progress(target: Path) -> dict[str, Any] | None:
    """Return the content of ``_progress.json``, or ``None`` where there is nothing yet.

    Raises:
        DataError: the directory holds something else, or the file is malformed.
    """
    path = target / PROGRESS
    if not path.is_file():
        if target.exists() and not _is_empty(target):
            raise DataError(
                f"{target}: holds something else ({PROGRESS} is missing); name a directory that is new or empty"
            )
        return None
    try:
        with disk_errors(path):
            content = json.loads(path.read_bytes())
        if content["format_version"] != FORMAT_VERSION:
            raise DataError(f"{path} has format_version {content['format_version']!r}; expected {FORMAT_VERSION}")
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise DataError(f"{path} is malformed: {error}; remove {target}") from error
    return dict(content)


def _is_empty(target: Path) -> bool:
    """Return whether a directory holds nothing, or only what a run that was killed at once has left."""
    return target.is_dir() and all(path.name.startswith(f".{PROGRESS}.") for path in target.iterdir())


def run_of(content: Mapping[str, Any]) -> str:
    """Return what identifies a run."""
    return hashlib.sha256(_bytes(content)).hexdigest()


def begin(target: Path, content: Mapping[str, Any], *, found: Mapping[str, Any] | None, overwrite: bool) -> None:
    """Begin a run, or go on with one.

    Args:
        target: the directory.
        content: what ``_progress.json`` has to say.
        found: what it said when the run was planned; another worker may have begun since then.
        overwrite: start anew where something is found.

    Raises:
        DataError: the run that is there was begun otherwise; with what differs.
    """
    if found is None:
        found = read_progress(target)
    if found is not None and not overwrite:
        differences = list(_differences(found, content))
        if differences:
            raise DataError(
                f"{target} was begun otherwise: {'; '.join(differences)}. Give the same again, name another directory, "
                "or start anew with --overwrite"
            )
        return
    with disk_errors(target):
        target.mkdir(parents=True, exist_ok=True)
        for path in target.glob(_SHARDS):
            path.unlink()
        new = target / f".{PROGRESS}.{os.getpid()}.tmp"
        write_file(new, _bytes(content))
        new.replace(target / PROGRESS)


def made(target: Path, shard: Shard, *, run: str, keeps_errors: bool) -> Made | None:
    """Return what is there of a shard; ``None``: nothing, or it is not whole, or not of this run.

    Args:
        target: the directory.
        shard: which one.
        run: what identifies the run.
        keeps_errors: the column ``error`` is ours; else one of that name is carried from the input.
    """
    try:
        with pq.ParquetFile(target / shard.name) as file:
            metadata = file.metadata
    except (OSError, pa.ArrowException):
        return None
    if metadata.num_rows != shard.num_rows or (metadata.metadata or {}).get(RUN) != run.encode():
        return None
    return Made(metadata.num_rows, _num_errors(metadata) if keeps_errors else 0)


def remove_leftovers(target: Path) -> None:
    """Remove what writers that were killed left behind; other workers have nothing to write any more."""
    for pattern in (_SHARDS, PROGRESS):
        for path in target.glob(f".{pattern}.*.tmp"):
            with suppress(OSError):
                path.unlink()


def _num_errors(metadata: pq.FileMetaData) -> int:
    """Return the number of rows with an error, which the statistics of the footer tell."""
    names = [metadata.schema.column(place).path for place in range(metadata.num_columns)]
    groups = map(metadata.row_group, range(metadata.num_row_groups))
    return sum(group.num_rows - group.column(names.index(ERROR)).statistics.null_count for group in groups)


def _bytes(content: Mapping[str, Any]) -> bytes:
    return json.dumps(content, indent=2, ensure_ascii=False).encode() + b"\n"


def _differences(found: Mapping[str, Any], wanted: Mapping[str, Any]) -> Iterator[str]:
    """Yield what differs between two runs."""
    for part in ("weights", "tokenizer", "tasks"):
        if found["model"][part] != wanted["model"][part]:
            yield f"the model has other {part}" if part != "tokenizer" else "the model has another tokenizer"
    now = {"precision": wanted["model"]["precision"], "tasks": wanted["tasks"], **wanted["options"]}
    then = {"precision": found["model"]["precision"], "tasks": found["tasks"], **found["options"]}
    for name, value in now.items():
        if then.get(name) != value:
            yield f"{name} {_shown(value)} instead of {_shown(then.get(name))}"
    yield from _changed_inputs(found["inputs"], wanted["inputs"])


def _changed_inputs(found: list[dict[str, Any]], wanted: list[dict[str, Any]]) -> Iterator[str]:
    then, now = ({of["name"]: of for of in files} for files in (found, wanted))
    for what, names in (("is gone", then.keys() - now), ("is new", now.keys() - then)):
        yield from (f"the input {name} {what}" for name in sorted(names)[:1])
    changed = sorted(name for name in then.keys() & now if then[name] != now[name])
    yield from (f"the input {name} has another content" for name in changed[:1])


def _shown(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)
