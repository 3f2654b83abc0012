"""What ``add-task``, ``replace-task``, ``drop-task``, ``rename-task`` and ``diff`` print; computes nothing."""

from __future__ import annotations

import json
from math import isfinite
from typing import TYPE_CHECKING, Any

from mtl_transformers.cli.tables import show, show_scores, table

if TYPE_CHECKING:  # heavy, and only named here
    from collections.abc import Iterable, Iterator, Sequence

    from mtl_transformers.lifecycle.change import Change
    from mtl_transformers.lifecycle.comparing import Compared
    from mtl_transformers.lifecycle.diff import Diff, TaskDiff
    from mtl_transformers.lifecycle.values import Names, Value
    from mtl_transformers.model.differences import TensorDifferences

MOST_LINES = 12  # of a task
MOST_TEXT = 32  # characters of a value
MOST_NAMES = 6  # of labels in a line


def show_change(change: Change, *, path: str) -> None:
    """Print the scores of the new tasks, what became of the old ones, and where the model lies."""
    show("")
    show_scores(change.scores, title=f"{', '.join(change.new)} on validation")
    show("")
    if change.compared:
        show("the other tasks, before and after:", "", _comparison(change.compared, max_drop=change.max_drop), "")
    if change.left:
        show(f"not trained, because the encoder is frozen: {', '.join(change.left)}")
    for task, others in change.sharing.items():
        passes = f"shares the encoder pass of {', '.join(others)}" if others else "needs an encoder pass of its own"
        show(f"{task} {passes}")
    if change.frozen:
        show("the encoder and all other heads are byte for byte as they were")
    if not change.refused:
        show(f"→ {path}")


def _comparison(compared: Sequence[Compared], *, max_drop: float) -> Any:
    rows = (
        (
            of.task,
            of.metric,
            _number(of.before),
            _number(of.after),
            f"{of.after - of.before:+.4f}",
            f"{of.num_rows:,}",
            "fell" if of.drop > max_drop else "",
        )
        for of in compared
    )
    return table(("task", "metric", "before", "after", "change", "rows", ""), rows, num_names=2)


def show_edited(what: str, path: str) -> None:
    """Print what was done without a training, and where the model lies."""
    show(f"{what}; the encoder and all other heads are byte for byte as they were", f"→ {path}")


def show_diff(found: Diff, *, before: str, after: str) -> None:
    """Print what changed: the encoder, then each task."""
    parts = [
        ("encoder", [*_tensors(found.encoder), *map(_value, found.config)]),
        ("tokenizer", [f"differs: {name}" for name in found.tokenizer]),
        ("model", [_value(of) for of in found.model]),
    ]
    rows = [row for part, lines in parts for row in _rows((part, "changed" if lines else "same"), lines)]
    show(f"{before} → {after}", "", table(("part", "change", "what"), rows, num_names=3), "")
    tasks = [row for task in found.tasks for row in _rows((task.task, task.change), list(_of_task(task)))]
    show(table(("task", "change", "what"), tasks, num_names=3))


def diff_json(found: Diff) -> str:
    """Return what changed as JSON."""
    return json.dumps(found.to_json(), indent=2, ensure_ascii=False, allow_nan=False)


def _rows(names: tuple[str, str], lines: Sequence[str]) -> Iterator[tuple[str, str, str]]:
    """Yield the rows of a part: its name once, and a line of what changed in each."""
    shown = list(lines[:MOST_LINES])
    if len(lines) > MOST_LINES:
        shown.append(f"… and {len(lines) - MOST_LINES} more, see --json")
    for number, line in enumerate(shown or [""]):
        yield (*(("", "") if number else names), line)


def _of_task(task: TaskDiff) -> Iterator[str]:
    if task.was is not None:
        yield f"was {task.was}"
    if task.head is not None:
        kind = [of for of in task.entry if of.key == "kind"]
        if not kind:
            yield from (f"head: {line}" for line in _tensors(task.head))
        yield from _labels(task.labels)
        yield from map(_value, kind or task.entry)  # of another kind everything is another
        yield from map(_value, task.metrics)
        return
    names = task.labels.added or task.labels.removed
    said = [str(of.after if task.change == "added" else of.before) for of in task.entry]
    yield ", ".join([*said, *([f"{len(names)} labels"] if len(names) > 1 else [])])


def _tensors(of: TensorDifferences) -> Iterator[str]:
    if of.largest:
        largest = max(of.largest.values())
        size = f"by at most {largest:.3g}" if isfinite(largest) else "of other shapes or types too"
        yield f"{len(of.largest)} of {of.total} tensors differ, {size}"
    for said, names in (("gone", of.only_before), ("new", of.only_after)):
        if names:
            yield f"tensors {said}: {_listed(names)}"


def _labels(labels: Names) -> Iterator[str]:
    for said, names in (("new", labels.added), ("gone", labels.removed)):
        if names:
            yield f"labels {said}: {_listed(names)}"
    if labels.reordered:
        yield "labels in another order"


def _value(of: Value) -> str:
    return f"{of.key}: {_shown(of.before)} → {_shown(of.after)}"


def _shown(value: Any) -> str:
    if value is None:
        return "–"
    if isinstance(value, float):
        return f"{value:.4g}" if value else "0"
    text = json.dumps(value, ensure_ascii=False) if isinstance(value, list | dict | bool) else str(value)
    return text if len(text) <= MOST_TEXT else f"{text[: MOST_TEXT - 1]}…"


def _listed(names: Iterable[str]) -> str:
    found = list(names)
    more = f" and {len(found) - MOST_NAMES} more" if len(found) > MOST_NAMES else ""
    return ", ".join(found[:MOST_NAMES]) + more


def _number(value: float) -> str:
    return f"{value:.4f}" if isfinite(value) else "undefined"
