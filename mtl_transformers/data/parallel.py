"""Reads parallel files: a column is a file, and line i of each file together a row.

SNIPS and ATIS have ``seq.in``, ``seq.out`` and ``label`` so. Owns the columns and the numbers of lines and words; the
files are named in ``data.<name>.files`` (`resolving`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import islice, zip_longest

import datasets
import pyarrow as pa
from datasets.builder import Key

from mtl_transformers.data.faults import FileFaultError, not_text
from mtl_transformers.data.lines import shown
from mtl_transformers.text.undecodable import undecodable

_BATCH_ROWS = 10_000


@dataclass
class ParallelConfig(datasets.BuilderConfig):  # type: ignore[misc]  # datasets has no types
    """The options of ``path: parallel``.

    Attributes:
        file_columns: the column that each file of a split is; said by ``files``, not by ``options``.
        words: columns that are lists of words, split at white space; the others are text.
        encoding: of all files.
        encoding_errors: what to do about bytes that are no text, as in `open`; ``None``: refuse them.
    """

    file_columns: list[str] = field(default_factory=list)
    words: list[str] = field(default_factory=list)
    encoding: str = "utf-8-sig"
    encoding_errors: str | None = None


class Parallel(datasets.ArrowBasedBuilder):  # type: ignore[misc]  # datasets has no types
    """Builds the tables of parallel files in the cache of `datasets`."""

    BUILDER_CONFIG_CLASS = ParallelConfig

    def _info(self) -> datasets.DatasetInfo:
        text = datasets.Value("string")
        columns = {
            name: datasets.List(text) if name in self.config.words else text for name in self.config.file_columns
        }
        return datasets.DatasetInfo(features=datasets.Features(columns))

    def _split_generators(self, dl_manager: datasets.DownloadManager) -> list[datasets.SplitGenerator]:
        unpacked = dl_manager.download_and_extract(self.config.data_files)
        # `datasets` would take a list for shards of the split
        return [datasets.SplitGenerator(split, gen_kwargs={"files": tuple(files)}) for split, files in unpacked.items()]

    def _generate_tables(self, files: Sequence[str]) -> Iterator[tuple[Key, pa.Table]]:
        encoding, errors = self.config.encoding, self.config.encoding_errors
        start = 0
        with ExitStack() as opened:
            streams = [opened.enter_context(open(file, encoding=encoding, errors=errors)) for file in files]
            rows = zip_longest(*streams)
            try:
                while batch := list(islice(rows, _BATCH_ROWS)):
                    yield Key(0, start), self._table(files, list(zip(*batch, strict=True)), start)
                    start += len(batch)
            except UnicodeDecodeError as error:
                raise _not_text(files, encoding, error) from error

    def _table(self, files: Sequence[str], lines: Sequence[Sequence[str]], start: int) -> pa.Table:
        """Return the rows of some lines of each file; ``start`` is the number of lines before them."""
        _check_ends(files, lines, start)
        words: dict[str, list[list[str]]] = {}
        cells: list[Sequence[object]] = []
        for file, name, column in zip(files, self.config.file_columns, lines, strict=True):
            if name in self.config.words:
                words[file] = [line.split() for line in column]
                cells.append(words[file])
            else:  # an empty line is null, as an empty cell of CSV
                cells.append([line.rstrip("\n") or None for line in column])
        _check_words({file: list(map(len, column)) for file, column in words.items()}, start)
        schema = self.info.features.arrow_schema
        return pa.Table.from_arrays(list(map(pa.array, cells, schema.types)), schema=schema)


def _check_ends(files: Sequence[str], columns: Sequence[Sequence[str | None]], start: int) -> None:
    """Refuse files of unequal length; ``start`` is the number of lines before these."""
    ends = [column.index(None) if None in column else len(column) for column in columns]
    if min(ends) < max(ends):
        shortest, longest = ends.index(min(ends)), ends.index(max(ends))
        raise FileFaultError(
            files[shortest],
            f"line {start + ends[shortest] + 1}: the file has ended, but {shown(files[longest])} goes on. "
            "Line i of each file is a row: give them equal numbers of lines",
        )


def _check_words(lengths: Mapping[str, Sequence[int]], start: int) -> None:
    """Refuse a row whose columns of words do not have equal numbers of them, by the file of each column."""
    for file, numbers in lengths.items():
        first, expected = next(iter(lengths.items()))
        for row, (number, wanted) in enumerate(zip(numbers, expected, strict=True)):
            if number != wanted:
                raise FileFaultError(
                    file,
                    f"line {start + row + 1}: {number} words, but {shown(first)} has {wanted} in that line. "
                    "Write one for each word, with white space between them",
                )


def _not_text(files: Sequence[str], encoding: str, error: UnicodeDecodeError) -> FileFaultError:
    """Return the fault of the first file that cannot be decoded."""
    faults = ((file, found) for file in files if (found := undecodable(file, encoding)))
    file, found = next(faults, (files[0], None))
    return FileFaultError(file, not_text(found) if found else str(error))
