"""Which files the paths and globs of a section ``data.<name>.files`` name. Reads none of them."""

from __future__ import annotations

import glob
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from mtl_transformers.data.formats import FORMATS
from mtl_transformers.data.spec import Source
from mtl_transformers.errors import ConfigError, DataError, nearest


def resolved_files(source: Source) -> dict[str, list[str]]:
    """Return the files of a format, by the source's splits; of parallel files one for each column; of others none.

    Raises:
        ConfigError, DataError: no files, or files that are not there or empty.
    """
    if source.path not in FORMATS:
        return {}
    if source.path == "parallel":
        return {split: _one_each(source.name, split, files) for split, files in _files_by_column(source).items()}
    return {split: _resolve(source.name, split, paths) for split, paths in _files_by_split(source).items()}


def row_files(source: Source) -> dict[str, list[str]]:
    """Return the files in which a row is looked up, by the source's splits: of parallel files the first column's."""
    files = resolved_files(source)
    return {split: paths[:1] for split, paths in files.items()} if source.path == "parallel" else files


def file_columns(source: Source) -> list[str]:
    """Return the columns of parallel files, in the order of the files.

    Raises:
        ConfigError: a split has other columns than the first.
    """
    (first, columns), *others = _files_by_column(source).items()
    for split, files in others:
        if list(files) != list(columns):
            raise ConfigError(
                f"data.{source.name}.files.{split}: the columns are {', '.join(files)}, but those of {first} are "
                f"{', '.join(columns)}. Name the same columns in the same order"
            )
    return list(columns)


def _files_by_column(source: Source) -> dict[str, Mapping[str, str]]:
    example = "{train: {tokens: train/seq.in, tags: train/seq.out}}"
    files = source.files if isinstance(source.files, Mapping) else {}
    by_column = {split: paths for split, paths in files.items() if isinstance(paths, Mapping) and paths}
    if not by_column or len(by_column) < len(files):
        split = next((f".{split}" for split in files if split not in by_column), "")
        raise ConfigError(f"data.{source.name}.files{split}: parallel needs a file for each column, as {example}")
    return by_column


def _files_by_split(source: Source) -> dict[str, str | Sequence[str]]:
    if not source.files:
        raise ConfigError(
            f"data.{source.name}.files: path {source.path} needs files, as {{train: train.{source.path}}}"
        )
    files = source.files if isinstance(source.files, Mapping) else {"train": source.files}
    by_split = {split: paths for split, paths in files.items() if not isinstance(paths, Mapping)}
    for split in files.keys() - by_split.keys():
        raise ConfigError(
            f"data.{source.name}.files.{split}: a file for each column is for path parallel, and the path is "
            f"{source.path}. Name the split's files, as {split}.{source.path}"
        )
    return by_split


def _one_each(dataset: str, split: str, files: Mapping[str, str]) -> list[str]:
    """Return the file of each column; one for each."""
    found = {column: _resolve(dataset, f"{split}.{column}", path) for column, path in files.items()}
    for column, paths in found.items():
        if len(paths) > 1:
            raise ConfigError(f"data.{dataset}.files.{split}.{column}: {len(paths)} files; name one file")
    return [path for (path,) in found.values()]


def _resolve(dataset: str, split: str, paths: str | Sequence[str]) -> list[str]:
    """Return the files that some paths and globs name, in order; at least one for each."""
    if not paths:
        raise ConfigError(f"data.{dataset}.files.{split}: no file is named; name one, as {split}.csv")
    return [
        file
        for path in ([paths] if isinstance(paths, str) else paths)
        for file in ([path] if "://" in path else _resolve_one(dataset, split, path))
    ]


def _resolve_one(dataset: str, split: str, path: str) -> list[str]:
    where = f"dataset {dataset!r}, split {split!r}"
    if Path(path).is_dir():
        raise DataError(f"{where}: {path} is a directory; name its files, as {path.rstrip('/')}/*")
    found = [path] if Path(path).is_file() else sorted(filter(os.path.isfile, glob.glob(path, recursive=True)))
    if not found:
        what = "no file matches" if glob.has_magic(path) else "there is no file"
        raise DataError(
            f"{where}: {what} {path} (working directory: {os.getcwd()}); set data.{dataset}.files"
            f"{_neighbour(Path(path))}"
        )
    for file in found:
        if not Path(file).stat().st_size:
            raise DataError(f"{where}: file {file} is empty; put rows into it or leave it out of data.{dataset}.files")
    return [os.path.abspath(file) for file in found]


def _neighbour(path: Path) -> str:
    folder = path.parent
    if not folder.is_dir():
        return f"; there is no folder {folder}" if not glob.has_magic(str(folder)) else ""
    return nearest(path.name, sorted(entry.name for entry in folder.iterdir()))
