"""The tables that files hold, as far as a guess needs them: rows spread over each split, and their columns.

Reads through `data.loading`, so that a file is read here as it is in a training. Guesses nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import datasets

from mtl_transformers.data.cells import cells_of, class_names
from mtl_transformers.data.loading import load_splits
from mtl_transformers.data.spec import Source
from mtl_transformers.drafting.files import Group

SAMPLE_ROWS = 10_000
"""Rows of a split that are looked at."""


@dataclass(frozen=True, slots=True)
class Column:
    """A column as it was sampled.

    Attributes:
        name: of the column.
        values: by split, in the order of the rows; the ids of a ClassLabel stand as names.
        class_names: of a ClassLabel.
    """

    name: str
    values: Mapping[str, Sequence[Any]]
    class_names: Sequence[str] | None = None


@dataclass(frozen=True, slots=True)
class Seen:
    """A dataset as it was seen.

    Attributes:
        group: its files.
        num_rows: by split, of all rows.
        columns: by name, as sampled.
        left_out: files that have other columns than those of train, with the reason.
    """

    group: Group
    num_rows: Mapping[str, int]
    columns: Mapping[str, Column]
    left_out: Mapping[str, str] = field(default_factory=dict)


def seen_datasets(groups: Sequence[Group]) -> list[Seen]:
    """Read the datasets of some files; those whose files say no split and have equal columns are one.

    Raises:
        DataError: a file that cannot be read, or without rows.
    """
    return [_seen(group, tables, left_out) for group, tables, left_out in _joined(map(_read, groups))]


_Read = tuple[Group, dict[str, list[datasets.Dataset]], dict[str, str]]


def _read(group: Group) -> _Read:
    """Return a group without the files that do not fit, its tables by split, and why the files were left out."""
    if not group.files:
        return group, {split: [table] for split, table in load_splits(_source(group, ())).items()}, {}
    tables: dict[str, list[datasets.Dataset]] = {}
    kept: dict[str, tuple[str, ...]] = {}
    left_out: dict[str, str] = {}
    expected: set[str] = set()
    for split, files in group.files.items():
        for file in files:
            table = load_splits(_source(group, (file,)))["train"]
            expected = expected or set(table.column_names)
            if reason := _difference(expected, set(table.column_names)):
                left_out[file] = reason
                continue
            tables.setdefault(split, []).append(table)
            kept[split] = (*kept.get(split, ()), file)
    return replace(group, files=kept), tables, left_out


def _source(group: Group, files: Sequence[str]) -> Source:
    return Source(name=group.name, path=group.layout.path, files=list(files), options=group.layout.options)


def _difference(expected: set[str], found: set[str]) -> str | None:
    missing, extra = sorted(expected - found), sorted(found - expected)
    parts = [f"it has no {', '.join(missing)}"] * bool(missing) + [f"it also has {', '.join(extra)}"] * bool(extra)
    return " and ".join(parts) or None


def _joined(read: Iterable[_Read]) -> Iterator[_Read]:
    """Join groups of one folder and layout whose files say no split and have equal columns."""
    found: dict[Any, _Read] = {}
    for group, tables, left_out in read:
        columns = tuple(next(iter(tables.values()))[0].column_names)
        apart = group.name if group.says_splits else None
        key = (group.folder, group.layout.path, tuple(sorted(group.layout.options)), columns, apart)
        if key in found:
            first, before, missed = found[key]
            files = (*first.files["train"], *group.files["train"])
            joined = {"train": [*before["train"], *tables["train"]]}
            found[key] = replace(first, files={"train": files}), joined, {**missed, **left_out}
        else:
            found[key] = group, tables, left_out
    yield from found.values()


def _seen(group: Group, tables: Mapping[str, Sequence[datasets.Dataset]], left_out: Mapping[str, str]) -> Seen:
    first = next(iter(tables.values()))[0]
    num_rows = {split: sum(map(len, parts)) for split, parts in tables.items()}
    values = {split: _sampled(parts, first.column_names) for split, parts in tables.items()}
    columns = {
        name: Column(name, {split: of_split[name] for split, of_split in values.items()}, class_names(first, name))
        for name in first.column_names
    }
    return Seen(group, num_rows, columns, left_out)


def _sampled(tables: Sequence[datasets.Dataset], columns: Sequence[str]) -> dict[str, list[Any]]:
    """Return the cells of rows that are spread evenly over some tables, by column."""
    every = -(-sum(map(len, tables)) // SAMPLE_ROWS) or 1
    rows = [row for table in tables for row in cells_of(table.select(range(0, len(table), every)), columns)]
    return {name: [row[place] for row in rows] for place, name in enumerate(columns)}
