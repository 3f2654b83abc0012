"""What a draft needs so that `check` accepts it: settings that only all rows tell, not a sample.

Makes the splits as a training would make them, and looks for rows without text and for labels that train lacks.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from mtl_transformers.data.cells import cells_of, class_names
from mtl_transformers.data.preparing import Tables, load_tables
from mtl_transformers.data.spec import ColumnSplit, DatasetSpec, Filters, HashSplit, Source
from mtl_transformers.drafting.draft import DraftDataset, DraftTask
from mtl_transformers.errors import DataError

_SEED = 13  # the config's default
_SHARES = (0.1, 0.2, 0.3, 0.5)
_UNKNOWN = ("classification", "multi_label", "token_classification")


def secured(draft: DraftDataset) -> DraftDataset:
    """Return a draft with the settings that its rows need: how to split, empty texts, labels that train lacks.

    Raises:
        DataError: there are too few rows to split off some for validation, or text that no tokenizer reads.
    """
    tables, split, why = _split(draft)
    tasks = tuple(_secured_task(task, tables) for task in draft.tasks)
    num_empty = sum(sum(of_split.values()) for of_split in tables.num_dropped.values())
    return replace(draft, split=split, split_why=why, tasks=tasks, num_empty=num_empty)


def _split(draft: DraftDataset) -> tuple[Tables, Mapping[str, object], str]:
    """Load the dataset with the splits of the draft, or with the smallest share for validation that has rows."""
    if draft.split:
        values = draft.split.get("values") or {}
        assert isinstance(values, Mapping)  # of the guess
        by_column = ColumnSplit(str(draft.split["column"]), values)
        return load_tables(_spec(draft, by_column), seed=_SEED), draft.split, draft.split_why
    if "validation" in draft.num_rows:
        return load_tables(_spec(draft, None), seed=_SEED), {}, ""
    problems: list[DataError] = []
    for share in _SHARES:
        try:
            tables = load_tables(_spec(draft, HashSplit({"validation": share})), seed=_SEED)
        except DataError as error:
            problems.append(error)
            continue
        return tables, {"validation": share}, "by a seeded hash of the text; equal texts fall on the same side"
    raise problems[0]


def _spec(draft: DraftDataset, split: ColumnSplit | HashSplit | None) -> DatasetSpec:
    source = Source(name=draft.name, path=draft.path, files=draft.files, options=draft.options)
    return DatasetSpec(source=source, text=draft.text, id=draft.id, split=split, filters=Filters(drop_empty=True))


def _secured_task(task: DraftTask, tables: Tables) -> DraftTask:
    """Let labels be ignored that validation or test have and train has not."""
    label = task.options.get("label")
    if task.kind not in _UNKNOWN or not isinstance(label, str) or class_names(tables.splits["train"], label):
        return task
    by_split = {split: _labels(tables, split, label, task) for split in tables.splits}
    unseen = sorted(set().union(*by_split.values()) - by_split["train"])
    if not unseen:
        return task
    listed = ", ".join(unseen[:3]) + (f" and {len(unseen) - 3} more" if len(unseen) > 3 else "")
    return replace(
        task,
        options={**task.options, "unknown_label": "ignore"},
        why=f"{task.why}; {listed}: not among the training rows, so ignored",
    )


def _labels(tables: Tables, split: str, column: str, task: DraftTask) -> set[str]:
    found: set[str] = set()
    for (cell,) in cells_of(tables.splits[split], (column,)):
        found.update(_written(cell, task))
    return found


def _written(cell: Any, task: DraftTask) -> set[str]:
    """Return the labels of a cell as they are compared: whole numbers without a fraction, spans by their label."""
    separator = task.options.get("separator")
    match cell:
        case None:
            return set()
        case str() if isinstance(separator, str):
            return {part.strip() for part in cell.split(separator)} - {""}
        case list():
            return {_label_in(item, task) for item in cell if item is not None and item != "O"}
        case float():
            return {f"{cell:g}"}
        case _:
            return {str(cell)}


def _label_in(item: Any, task: DraftTask) -> str:
    scheme = task.options.get("scheme", "plain")
    if isinstance(item, Mapping):
        return str(item["label"])
    return str(item) if scheme == "plain" else str(item)[2:]
