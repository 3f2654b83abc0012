"""Some rows of each split of a source, spread evenly over it, for whoever looks at data before there is a config."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mtl_transformers.data.cells import cells_of, class_names
from mtl_transformers.data.loading import load_splits
from mtl_transformers.data.spec import Source


@dataclass(frozen=True, slots=True)
class Sample:
    """Some rows of a table.

    Attributes:
        num_rows: of the whole table.
        values: by column, the cells of the sampled rows in order; the ids of a ClassLabel stand as names.
        class_names: by column, of a ClassLabel.
    """

    num_rows: int
    values: Mapping[str, Sequence[Any]]
    class_names: Mapping[str, Sequence[str] | None]


def sample_splits(source: Source, *, max_rows: int) -> dict[str, Sample]:
    """Load a source and return at most so many rows of each split.

    Raises:
        ConfigError, DataError: as `load_splits`.
    """
    found = {}
    for split, table in load_splits(source).items():
        names = table.column_names
        every = -(-len(table) // max_rows)
        rows = list(cells_of(table.select(range(0, len(table), every)), names))
        values = {name: [row[place] for row in rows] for place, name in enumerate(names)}
        found[split] = Sample(len(table), values, {name: class_names(table, name) for name in names})
    return found
