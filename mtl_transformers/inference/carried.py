"""Columns of the input that predictions read or carry: the ids, columns that are kept, and columns with other names.

Pure: names in, names out.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from mtl_transformers.errors import ConfigError, DataError, nearest
from mtl_transformers.inference.table_rows import ID
from mtl_transformers.runtime.questions import Answerable
from mtl_transformers.runtime.rows import listed


def carried_columns(columns: Collection[str], *, id_column: str | None, keep: Sequence[str]) -> dict[str, str]:
    """Return the column of the input for each column of the output that is not an answer.

    Args:
        columns: of the input.
        id_column: names the rows; ``None``: the column ``id`` where there is one.
        keep: columns that the output has too.

    Raises:
        ConfigError: two columns of the output would have the name ``id``.
        DataError: the input lacks one.
    """
    ids = id_column or (ID if ID in columns else None)
    carried = {} if ids is None else {ID: ids}
    for name, what in [*((name, "to keep") for name in keep), *([(ids, "for the ids")] if ids is not None else [])]:
        if name not in columns:
            raise DataError(f"no column {name!r} {what}; it has {listed(columns)}{nearest(name, columns)}")
    for name in keep:
        if carried.setdefault(name, name) != name:
            raise ConfigError(f"the ids are {ids!r}, and the output calls them {ID!r}: leave {ID!r} out of --keep")
    return carried


def check_renamed(tasks: Mapping[str, Answerable], renamed: Mapping[str, str]) -> None:
    """Refuse other names for columns that no task reads.

    Args:
        tasks: of the model.
        renamed: the input's column by the column that the model reads.

    Raises:
        ConfigError: with the nearest one that is read.
    """
    read = sorted(read_columns(tasks.values()))
    for ours in renamed:
        if ours not in read:
            raise ConfigError(f"--columns {ours}=…: the model reads {listed(read)}{nearest(ours, read)}")


def read_columns(tasks: Iterable[Answerable]) -> set[str]:
    """Return the columns that any of some tasks reads."""
    return {column for task in tasks for column in task.input.columns}


def named_as_read(columns: Collection[str], renamed: Mapping[str, str]) -> dict[str, str]:
    """Return the column of the input for each name under which rows have it.

    Raises:
        DataError: the input lacks a column that is named.
    """
    for theirs in renamed.values():
        if theirs not in columns:
            raise DataError(f"no column {theirs!r}; it has {listed(columns)}{nearest(theirs, columns)}")
    return {name: name for name in columns} | dict(renamed)


def row_as_read(row: Mapping[str, Any], renamed: Mapping[str, str]) -> dict[str, Any]:
    """Return a row under the names that the model reads; a column that it lacks is missing under either name."""
    found = dict(row)
    for ours, theirs in renamed.items():
        found.pop(ours, None)
        if theirs in row:
            found[ours] = row[theirs]
    return found
