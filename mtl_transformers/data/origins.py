"""Where a row came from: the file and the row in it, for messages.

Owns the numbers that rows keep through split, shuffle, limit and filter, and the way back from a number to a place. A
number counts the rows of a dataset over all splits as they were loaded. Files are counted when a place is asked for.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate

import datasets
import numpy as np
from numpy.typing import NDArray

from mtl_transformers.data.columns import NUMBER
from mtl_transformers.data.formats import reading_options
from mtl_transformers.data.lines import line_of_row, shown
from mtl_transformers.data.loading import num_rows_of
from mtl_transformers.data.resolving import row_files
from mtl_transformers.data.spec import Source
from mtl_transformers.data.squad import question_id
from mtl_transformers.errors import DataError


@dataclass(frozen=True, slots=True)
class Origin:
    """What a dataset was loaded from.

    Attributes:
        source: the config's words on it.
        files: by split of ours as it was loaded; empty for what has no files, as a hub dataset.
        sizes: loaded rows, by split of ours in order.
    """

    source: Source
    files: Mapping[str, Sequence[str]]
    sizes: Mapping[str, int]

    def places(self, numbers: Iterable[int]) -> list[str]:
        """Name rows by file and row (counted from 1, without a header), or by file and line where rows are lines."""
        starts = list(accumulate(self.sizes.values(), initial=0))
        found: dict[int, str] = {}
        by_split: dict[int, list[int]] = {}
        given = list(numbers)
        for number in given:
            by_split.setdefault(bisect_right(starts, number) - 1, []).append(number)
        for index, of_split in by_split.items():
            rows = [number - starts[index] for number in of_split]
            found |= zip(of_split, self._places_in(list(self.sizes)[index], rows), strict=True)
        return [found[number] for number in given]

    def _places_in(self, split: str, rows: Sequence[int]) -> list[str]:
        files = self.files.get(split, ())
        if not files:
            return [f"{self._name}, {self.source.splits.get(split, split)}, row {row + 1}" for row in rows]
        try:
            starts = list(accumulate((num_rows_of(self.source, file) for file in files[:-1]), initial=0))
        except DataError:  # the files are not there any more
            return [f"row {row + 1} of {', '.join(map(shown, files))} together" for row in rows]
        return [self._place(files[at], row - starts[at]) for row in rows for at in [bisect_right(starts, row) - 1]]

    def _place(self, file: str, row: int) -> str:
        options = reading_options(self.source.path, self.source.options)
        if self.source.path == "squad":
            name = question_id(file, row, encoding=str(options["encoding"]))
            return f"{shown(file)}, question {row + 1}" + (f" (id {name!r})" if name else "")
        line = line_of_row(file, row, self.source.path, options)
        return f"{shown(file)}, row {row + 1}" if line is None else f"{shown(file)}, line {line}"

    @property
    def _name(self) -> str:
        config = f" ({self.source.config_name})" if self.source.config_name else ""
        return f"{self.source.path}{config}"


@dataclass(frozen=True, slots=True)
class Places:
    """The places of the rows of a table.

    Attributes:
        origin: of the dataset.
        numbers: ``[n]`` of its rows.
    """

    origin: Origin
    numbers: NDArray[np.int64]

    def of(self, rows: Sequence[int]) -> list[str]:
        """Name some rows, as ``train.csv, row 12``."""
        return self.origin.places(self.numbers[list(rows)].tolist())

    def select(self, rows: NDArray[np.int64]) -> Places:
        """Return the places of some of the rows."""
        return Places(self.origin, self.numbers[rows])


def origin_of(source: Source, tables: Mapping[str, datasets.Dataset]) -> Origin:
    """Return what some tables were just loaded from."""
    theirs = row_files(source)
    files = {split: theirs.get(source.splits.get(split, split), ()) for split in tables}
    return Origin(source, files, {split: len(table) for split, table in tables.items()})


def numbered(tables: Mapping[str, datasets.Dataset]) -> dict[str, datasets.Dataset]:
    """Add a column with each row's number, which stays with the row whatever is done with the table."""
    starts = accumulate((len(table) for table in tables.values()), initial=0)
    return {
        split: table.add_column(NUMBER, np.arange(start, start + len(table), dtype=np.int64))
        for (split, table), start in zip(tables.items(), starts, strict=False)
    }


def without_numbers(table: datasets.Dataset, origin: Origin) -> tuple[datasets.Dataset, Places]:
    """Return a numbered table without its numbers, and the places that they stand for."""
    numbers = table.data.column(NUMBER).to_numpy()
    if table._indices is not None:  # of rows that are selected; `datasets` would gather them one by one
        numbers = numbers[table._indices.column(0).to_numpy()]
    return table.remove_columns(NUMBER), Places(origin, numbers)
