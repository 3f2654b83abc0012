"""The review file: labels that are probably wrong, and how a training finds their rows again.

Owns its format, its keys and the match of lines with rows; does not decide which labels are listed. JSON lines, one
object for each row and task, the worst first:

    {"dataset": "tickets", "split": "train", "row": 12, "place": "tickets.csv, row 13", "id": 12, "text": "…",
     "task": "intent", "given": "refund", "suggested": "delivery", "score": 0.03, "key": "5e1f…", "keep": false}

A person takes a line away, or sets ``keep`` to true, where the label is right. ``key`` is a hash of the row's
normalised text and its label cells: it finds the row wherever it stands, and no longer once the label is corrected.
Rows with equal text and label have equal keys; one line that keeps them is enough.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import datasets

from mtl_transformers.data.caching import digest
from mtl_transformers.data.cells import cells_of
from mtl_transformers.data.fingerprints import normalized_texts
from mtl_transformers.errors import DataError
from mtl_transformers.storage.files import disk_errors, replace_file

TEXT = ("dataset", "split", "task", "key")  # the fields that a line cannot do without
_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Review:
    """What a config says of a review file: where it lies, and what the labels weigh that it lists (0: nothing)."""

    file: str
    weight: float


@dataclass(frozen=True, slots=True)
class Line:
    """What a training reads of a line.

    Attributes:
        dataset: of the row.
        split: of the row.
        task: whose label is in doubt.
        key: of row and label.
        keep: a person found the label right.
    """

    dataset: str
    split: str
    task: str
    key: str
    keep: bool


def row_keys(table: datasets.Dataset, *, text: Sequence[str], label: Sequence[str]) -> list[str]:
    """Return the key of each row: a hash of its normalised text and its label cells.

    Args:
        table: the rows.
        text: the text columns.
        label: the label columns of a task.
    """
    cells = (json.dumps(_plain(row), sort_keys=True, default=str) for row in cells_of(table, label))
    return [digest(*row) for row in zip(normalized_texts(table, text), cells, strict=True)]


def _plain(cell: Any) -> Any:
    """Return a cell as it was meant: a hole elsewhere turns the 1 of a column into 1.0, or gives objects a null."""
    if isinstance(cell, float) and cell.is_integer():
        return int(cell)
    if isinstance(cell, list | tuple):
        return [_plain(value) for value in cell]
    if isinstance(cell, Mapping):
        return {name: _plain(value) for name, value in cell.items() if value is not None}
    return cell


def write_review(path: Path, lines: Iterable[Mapping[str, Any]]) -> None:
    """Write a review file, whole or not at all.

    Raises:
        FileError: it cannot be written.
    """
    text = "".join(json.dumps(line, ensure_ascii=False, default=str) + "\n" for line in lines)
    replace_file(path, text.encode())


def read_review(path: Path) -> list[Line]:
    """Read a review file that a person may have edited; blank lines are none.

    Raises:
        FileError: it cannot be read.
        DataError: a line that is no object, lacks a field or has another type there; with its number.
    """
    with disk_errors(path):
        content = path.read_bytes()
    try:
        written = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: cannot be read as UTF-8: {error}. Save the file as UTF-8") from error
    return [
        _line(text, where=f"{path}, line {number}")
        for number, text in enumerate(written.split("\n"), start=1)
        if text.strip()
    ]


def _line(text: str, *, where: str) -> Line:
    try:
        read = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise DataError(f"{where}: no JSON: {error}. Leave whole lines, as mtl clean-labels wrote them") from error
    if not isinstance(read, dict):
        raise DataError(f"{where}: expected an object, as mtl clean-labels writes it")
    for field in TEXT:
        if not isinstance(read.get(field), str):
            raise DataError(
                f"{where}: {field!r} is missing or no text; leave whole lines, as mtl clean-labels wrote them"
            )
    keep = read.get("keep", False)
    if not isinstance(keep, bool):
        raise DataError(f"{where}: keep is {keep!r}; expected true or false")
    return Line(dataset=read["dataset"], split=read["split"], task=read["task"], key=read["key"], keep=keep)


def reviewed_weights(
    review: Review, table: datasets.Dataset, *, dataset: str, task: str, text: Sequence[str], label: Sequence[str]
) -> dict[int, float]:
    """Return what the labels of a task weigh in the rows of a train split that a review file lists.

    Args:
        review: of the task.
        table: the train split.
        dataset: its name.
        task: its name.
        text: the text columns.
        label: the label columns of the task.

    Returns:
        The weight by row number; rows that are not listed, or are kept, weigh 1 and are not in it.

    Raises:
        FileError, DataError: the file cannot be read, or none of its lines on the task fits a row.
    """
    lines = [
        line
        for line in read_review(Path(review.file))
        if (line.dataset, line.split, line.task) == (dataset, "train", task)
    ]
    if not lines:
        _LOG.warning("tasks.%s.review: %s lists no train row of the task", task, review.file)
        return {}
    keys = row_keys(table, text=text, label=label)
    known = set(keys)
    num_unmatched = sum(line.key not in known for line in lines)
    if num_unmatched == len(lines):
        raise DataError(
            f"tasks.{task}.review: none of the {len(lines)} lines of {review.file} fits a row of data.{dataset}, "
            "split 'train': texts or labels are others. Make the file anew: mtl clean-labels"
        )
    rows = list(_listed(lines, keys))
    _LOG.info(
        "tasks.%s.review: %d of %d lines of %s fit a row; %d rows are %s",
        task,
        len(lines) - num_unmatched,
        len(lines),
        review.file,
        len(rows),
        f"weighed {review.weight:g}" if review.weight else "left out",
    )
    return dict.fromkeys(rows, review.weight)


def _listed(lines: Sequence[Line], keys: Sequence[str]) -> Iterator[int]:
    """Yield the rows whose label is in doubt and was not kept."""
    doubted = {line.key for line in lines} - {line.key for line in lines if line.keep}
    return (row for row, key in enumerate(keys) if key in doubted)
