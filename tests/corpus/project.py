"""Little projects that are all right, and the cases that break one thing in one of them."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from sealing import seal

NUM_ROWS = 12
REMOVED = object()  # in place of a value: the key is left out

Content = str | bytes
Changes = Mapping[int, Mapping[str, Any]]
"""Cells by the line of a file of JSON lines."""


@dataclass(frozen=True)
class Case:
    """One broken input, and what a user must read about it.

    Attributes:
        name: what is broken.
        place: the file, row or key, as the message has it.
        remedy: what to do, as the message has it.
        project: the project that is broken, a key of `PROJECTS`.
        config: values by dotted path over the project's config.
        train: changed cells of ``train.jsonl``.
        validation: likewise.
        files: files over the project's; a name that ends in / is a directory, `None` removes.
        command: the arguments; ``{model}`` is a trained model.
        model: files of a copy of the trained model in ``copy/`` that are changed: from their content to another, or to
            nothing.
        sealed: the manifest of the copy is made to fit, as a stranger would do who wants it to load.
    """

    name: str
    place: str
    remedy: str
    project: str = "tickets"
    config: Mapping[str, Any] = field(default_factory=dict)
    train: Changes = field(default_factory=dict)
    validation: Changes = field(default_factory=dict)
    files: Mapping[str, Content | None] = field(default_factory=dict)
    command: Sequence[str] = ("check", "config.yaml")
    model: Mapping[str, Callable[[bytes], bytes | None]] = field(default_factory=dict)
    sealed: bool = False


def ticket(number: int) -> dict[str, Any]:
    """Return a row with a label of each kind."""
    word, intent = [("refund", "billing"), ("parcel", "delivery"), ("password", "account")][number % 3]
    return {
        "id": f"t{number}",
        "body": f"{word} my card in Berlin {number}",
        "intent": intent,
        "topics": [["card"], ["app", "card"], []][number % 3],
        "urgency": number / 2,
        "entities": [{"label": "PLACE", "start": len(word) + 12, "end": len(word) + 18}],
    }


def json_lines(changes: Changes) -> str:
    """Return the good rows with some cells changed, by line."""
    rows = [{**ticket(number), **changes.get(number + 1, {})} for number in range(NUM_ROWS)]
    kept = [{name: cell for name, cell in row.items() if cell is not REMOVED} for row in rows]
    return "".join(json.dumps(row) + "\n" for row in kept)


CSV = "id,body,intent,urgency,card,app\n" + "".join(
    f"{row['id']},{row['body']},{row['intent']},{row['urgency']},1,{n % 2}\n"
    for n, row in enumerate(map(ticket, range(NUM_ROWS)))
)
CONLL = "".join(f"Berlin B-PLACE\nis O\nnice O\n{n} O\n\n" for n in range(NUM_ROWS))
_COMMON = {"output": "run", "training": {"epochs": 1, "batch_size": 4, "precision": "fp32"}}
_INTENT = {"data": "tickets", "kind": "classification", "label": "intent"}

CONFIGS: dict[str, dict[str, Any]] = {
    "tickets": {
        "data": {
            "tickets": {
                "path": "json",
                "files": {"train": "train.jsonl", "validation": "validation.jsonl"},
                "text": "body",
                "id": "id",
            }
        },
        "tasks": {
            "intent": _INTENT,
            "topics": {"data": "tickets", "kind": "multi_label", "label": "topics"},
            "urgency": {"data": "tickets", "kind": "regression", "label": "urgency"},
            "entities": {"data": "tickets", "kind": "token_classification", "label": "entities", "scheme": "spans"},
        },
    },
    "csv": {
        "data": {
            "tickets": {
                "path": "csv",
                "files": {"train": "train.csv", "validation": "validation.csv"},
                "text": "body",
            }
        },
        "tasks": {"intent": _INTENT},
    },
    "conll": {
        "data": {
            "news": {
                "path": "conll",
                "files": {"train": "train.conll", "validation": "validation.conll"},
                "options": {"column_names": ["tokens", "tags"]},
                "text": "tokens",
            }
        },
        "tasks": {"names": {"data": "news", "kind": "token_classification", "label": "tags"}},
    },
}
_FILES: dict[str, dict[str, Content]] = {
    "tickets": {},
    "csv": {"train.csv": CSV, "validation.csv": CSV},
    "conll": {"train.conll": CONLL, "validation.conll": CONLL},
}
PROJECTS = tuple(CONFIGS)


def raw_config(project: str, changes: Mapping[str, Any], *, encoder: Path) -> dict[str, Any]:
    """Return a project's config with some values changed."""
    raw = json.loads(json.dumps({**_COMMON, "encoder": {"name": str(encoder)}, **CONFIGS[project]}))
    for path, value in changes.items():
        *sections, key = path.split("/", 1) if "/" in path else path.split(".")
        place = raw
        for section in sections:
            place = place.setdefault(section, {})
        if value is REMOVED:
            del place[key]
        else:
            place[key] = value
    return raw


def write_project(case: Case, folder: Path, *, encoder: Path) -> None:
    """Write the files of a case."""
    raw = raw_config(case.project, case.config, encoder=encoder)
    files: dict[str, Content | None] = {"config.yaml": yaml.safe_dump(raw, sort_keys=False), **_FILES[case.project]}
    if case.project == "tickets":
        files |= {"train.jsonl": json_lines(case.train), "validation.jsonl": json_lines(case.validation)}
    for name, content in {**files, **case.files}.items():
        path = folder / name
        if name.endswith("/"):
            path.mkdir(parents=True)
        elif content is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content if isinstance(content, bytes) else content.encode())


def copy_model(case: Case, folder: Path, *, model: Path) -> None:
    """Copy the trained model, and change the files that a case says."""
    copied = shutil.copytree(model, folder / "copy")
    for name, change in case.model.items():
        path = copied / name
        changed = change(path.read_bytes() if path.exists() else b"")
        path.unlink(missing_ok=True)
        if changed is not None:
            path.write_bytes(changed)
    if case.sealed:
        seal(copied)


def contents(folder: Path) -> dict[str, bytes | None]:
    """Return every file and directory below a folder, with what is in it."""
    return {
        str(path.relative_to(folder)): path.read_bytes() if path.is_file() else None
        for path in sorted(folder.rglob("*"))
    }
