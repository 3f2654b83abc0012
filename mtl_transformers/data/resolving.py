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
    """Return the files of a format, by the source's splits; of other sources none.

    Raises:
        ConfigError, DataError: no files, or files that are not there or empty.
    """
    if source.path not in FORMATS:
        return {}
    return {split: _resolve(source.name, split, paths) for split, paths in _files_by_split(source).items()}


def _files_by_split(source: Source) -> Mapping[str, str | Sequence[str]]:
    if not source.files:
        raise ConfigError(
            f"data.{source.name}.files: path {source.path} needs files, as {{train: train.{source.path}}}"
        )
    return source.files if isinstance(source.files, Mapping) else {"train": source.files}


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
