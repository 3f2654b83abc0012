"""Loads the splits of one dataset as Arrow tables.

Owns what ``path``, ``name``, ``revision``, ``files``, ``options`` and ``splits`` of a section ``data.<name>``
mean, and the errors of files that cannot be read. Does not know columns, texts or labels, and makes no splits
(``splitting.py``). Tables stay on disk in the cache of `datasets` and are memory-mapped; nothing is written
beside the user's files.
"""

from __future__ import annotations

import glob
import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import datasets
import pyarrow as pa
from datasets.arrow_writer import SchemaInferenceError

from mtl_transformers.data import formats
from mtl_transformers.data.faults import (
    Types,
    csv_reason,
    json_fault,
    not_decoded,
    null_row,
    short_csv_row,
    undecodable_line,
)
from mtl_transformers.data.formats import FORMATS
from mtl_transformers.data.lines import check_conll_cells, is_plain_file, shown
from mtl_transformers.data.resolving import resolved_files
from mtl_transformers.data.spec import SPLITS, Source
from mtl_transformers.errors import ConfigError, DataError, nearest

_LOG = logging.getLogger(__name__)
_FAULTS = (datasets.exceptions.DatasetsError, OSError, ValueError, TypeError, KeyError, pa.ArrowException)
"""What `datasets` raises for input that it cannot find or read."""


def load_splits(source: Source) -> dict[str, datasets.Dataset]:
    """Load the splits of a dataset.

    Returns:
        Tables by our split names, in the order train, validation, test; without those that the source lacks.

    Raises:
        ConfigError: a setting that the source does not have.
        DataError: a missing or unreadable file, an unknown path or split, an empty split.
    """
    with quiet_datasets():
        if source.path in FORMATS:
            tables = _load_files(source)
        elif _is_saved(source.path):
            tables = _load_saved(source)
        else:
            tables = _load_named(source)
    return _as_our_splits(source, tables)


@contextmanager
def quiet_datasets() -> Iterator[None]:
    """Silence the progress bars and the log of `datasets`, and restore both."""
    shows_bars = not datasets.are_progress_bars_disabled()
    verbosity = datasets.logging.get_verbosity()
    if shows_bars:
        datasets.disable_progress_bars()
    datasets.logging.set_verbosity(logging.CRITICAL)
    try:
        yield
    finally:
        datasets.logging.set_verbosity(verbosity)
        if shows_bars:
            datasets.enable_progress_bars()


def _load_files(source: Source) -> dict[str, datasets.Dataset]:
    _refuse(source, "name", source.config_name)
    _refuse(source, "revision", source.revision)
    options = formats.builder_options(source.path, source.options, dataset=source.name)
    files = resolved_files(source)
    _check_cells(source, files, options)
    try:
        tables = _build_files(source, files, options)
    except _FAULTS as error:
        raise DataError(_describe_fault(source, files, options, error)) from error
    if source.path == "conllu":
        return {split: formats.syntactic_words(table) for split, table in tables.items()}
    return tables


def num_rows_of(source: Source, file: str) -> int:
    """Count the rows of one file of a source, by reading it.

    Raises:
        DataError: it cannot be read any more.
    """
    options = formats.builder_options(source.path, source.options, dataset=source.name)
    with TemporaryDirectory() as folder, quiet_datasets():
        try:
            return len(_build_files(replace(source, cache_dir=folder), {"train": [file]}, options)["train"])
        except _FAULTS as error:
            raise DataError(f"{file}: {_reason(error)}") from error


def _check_cells(source: Source, files: Mapping[str, Sequence[str]], options: Mapping[str, object]) -> None:
    """Refuse lines of CoNLL that the builder would pad or cut, and rows of JSON that it does not survive."""
    if source.path not in ("conll", "conllu", "json"):
        return
    for split, paths in files.items():
        for file in filter(is_plain_file, paths):
            where = f"dataset {source.name!r}, split {split!r}, {shown(file)}"
            if source.path == "json":
                if "field" not in options and (fault := null_row(file)):
                    raise DataError(f"{where}, {fault}")
                continue
            try:
                check_conll_cells(file, options, where=where)
            except UnicodeDecodeError as error:
                raise DataError(f"{where}, {undecodable_line(file, error.encoding) or _reason(error)}") from error


def _build_files(
    source: Source, files: Mapping[str, list[str]], options: Mapping[str, object]
) -> dict[str, datasets.Dataset]:
    if source.path == "csv":
        typed = formats.csv_as_text(files, options, dataset=source.name)
        tables = _build(source, files, typed)
        _check_short_rows(source, files, tables, options)
        return formats.typed_by_all_rows(tables) if "features" in typed else tables
    try:
        return _build(source, files, options)
    except _FAULTS:
        if source.path != "json" or options.keys() & {"field", "encoding"}:
            raise
        features = formats.json_features(file for paths in files.values() for file in paths)
        return _build(source, files, {**options, "features": features})


def _check_short_rows(
    source: Source,
    files: Mapping[str, Sequence[str]],
    tables: Mapping[str, datasets.Dataset],
    options: Mapping[str, object],
) -> None:
    """Refuse CSV rows of too few cells, which the builder fills up with nulls; the last column tells."""
    for split, table in tables.items():
        if table.data.column(table.column_names[-1]).null_count:
            for file in filter(is_plain_file, files[split]):
                if fault := short_csv_row(file, options):
                    raise DataError(f"dataset {source.name!r}, split {split!r}, {shown(file)}, {fault}")


def _build(
    source: Source, files: Mapping[str, list[str]], options: Mapping[str, object]
) -> dict[str, datasets.Dataset]:
    escaped = {split: [_escape(path) for path in paths] for split, paths in files.items()}
    builder = datasets.load_dataset_builder(
        FORMATS[source.path].builder, data_files=escaped, cache_dir=source.cache_dir, **options
    )
    return _tables(source, builder)


def _tables(source: Source, builder: datasets.DatasetBuilder) -> dict[str, datasets.Dataset]:
    builder.download_and_prepare()
    for split, info in builder.info.splits.items():
        if not info.num_examples:
            raise DataError(_no_rows(source.name, split))
    return {split: builder.as_dataset(split=split) for split in builder.info.splits}


def _escape(path: str) -> str:
    """Shield a file's name from being read as a pattern by `datasets`."""
    return path if "://" in path else glob.escape(path)


def _describe_fault(
    source: Source, files: Mapping[str, list[str]], options: Mapping[str, object], error: BaseException
) -> str:
    """Say which file cannot be read and why, by reading each alone."""
    seen: Types = {}
    for split, paths in files.items():
        for file in paths:
            fault = _json_fault(source, file, seen, options) or _read_fault(source, file, options)
            if fault:
                return f"dataset {source.name!r}, split {split!r}, {shown(file)}{fault}"
    return (
        f"dataset {source.name!r}: its files can be read one by one but not as one table: {_reason(error)}. "
        "All files need the same columns and types"
    )


def _json_fault(source: Source, file: str, seen: Types, options: Mapping[str, object]) -> str | None:
    if source.path != "json" or "field" in options or not is_plain_file(file):
        return None
    fault = json_fault(file, seen, name=shown(file), encoding=str(options.get("encoding") or "utf-8"))
    return fault and (f", {fault}" if fault.startswith(("line", "row")) else f": {fault}")


def _read_fault(source: Source, file: str, options: Mapping[str, object]) -> str | None:
    with TemporaryDirectory() as folder:
        try:
            _build_files(replace(source, cache_dir=folder), {"train": [file]}, options)
        except (*_FAULTS, DataError) as error:
            reason = _reason(error)
            cause = error.__cause__ or error
            if isinstance(cause, UnicodeDecodeError) and is_plain_file(file):
                reason = undecodable_line(file, cause.encoding) or reason
            if reason.startswith("line "):
                return f", {reason}"
            if reason.startswith(("there are no rows", "byte ")):
                return f": {reason}"
            return f": {reason}. Write the file again, or set data.{source.name}.path to its format"
    return None


def _reason(error: BaseException) -> str:
    cause = error.__cause__ or error
    text = " ".join(str(cause).split()).rstrip(".")
    if isinstance(cause, SchemaInferenceError) or "BatchSize must be greater than 0" in text:
        return "there are no rows. Put rows into it or leave it out of files"
    if isinstance(cause, UnicodeDecodeError):
        return not_decoded(cause)
    return csv_reason(text) or type(cause).__name__


def is_hub_dataset(path: str) -> bool:
    """Return whether a ``path`` names a dataset on the hub."""
    return path not in FORMATS and not _is_saved(path)


def _is_saved(path: str) -> bool:
    return any(Path(path, name).is_file() for name in ("dataset_dict.json", "state.json"))


def _load_saved(source: Source) -> dict[str, datasets.Dataset]:
    for key, value in (("name", source.config_name), ("revision", source.revision), ("files", source.files)):
        _refuse(source, key, value)
    _refuse(source, "options", source.options)
    try:
        loaded = datasets.load_from_disk(source.path)
    except _FAULTS as error:
        raise DataError(
            f"dataset {source.name!r}: {source.path} cannot be read: {_reason(error)}. Write it again with save_to_disk"
        ) from error
    return dict(loaded) if isinstance(loaded, datasets.DatasetDict) else {"train": loaded}


def _refuse(source: Source, key: str, value: object) -> None:
    if value:
        kind = "files" if source.path in FORMATS else "a directory of save_to_disk"
        raise ConfigError(f"data.{source.name}.{key}: {kind} ({source.path}) has no {key}; remove it")


def _load_named(source: Source) -> dict[str, datasets.Dataset]:
    """Load a dataset of the hub, of its cache, or of a local folder of data files."""
    try:
        if source.options:
            probe = _named_builder(source, {})
            formats.check_options(type(probe.config), source.options, dataset=source.name, path=source.path)
        return _tables(source, _named_builder(source, source.options))
    except (*_FAULTS, RuntimeError) as error:  # a RuntimeError says that loading scripts are never run
        raise DataError(_describe_path(source, error)) from error


def _named_builder(source: Source, options: Mapping[str, object]) -> datasets.DatasetBuilder:
    return datasets.load_dataset_builder(
        source.path,
        source.config_name,
        revision=source.revision,
        data_files=source.files or None,
        cache_dir=source.cache_dir,
        **options,
    )


def _describe_path(source: Source, error: BaseException) -> str:
    form = formats.suggested_by(source.path)
    if Path(source.path).is_file():
        return (
            f"dataset {source.name!r}: path {source.path} is a file; "
            f"set path: {form or 'csv'} and files: {{train: {source.path}}}"
        )
    return (
        f"dataset {source.name!r}: path {source.path!r} cannot be loaded ({_reason(error)}). A path is "
        f"a format of files ({', '.join(FORMATS)}), a directory written by save_to_disk, or the id of "
        f"a dataset on the hub, which must be reachable or in the cache{nearest(source.path, FORMATS)}"
    )


def _as_our_splits(source: Source, tables: Mapping[str, datasets.Dataset]) -> dict[str, datasets.Dataset]:
    available = ", ".join(tables)
    for ours, theirs in source.splits.items():
        if ours not in SPLITS:
            raise ConfigError(f"data.{source.name}.splits.{ours}: our splits are {', '.join(SPLITS)}")
        if theirs not in tables:
            raise DataError(
                f"data.{source.name}.splits.{ours}: dataset {source.name!r} has the splits {available} "
                f"and no {theirs!r}{nearest(theirs, tables)}"
            )
    kept = {name: name for name in tables if name in SPLITS and name not in source.splits.values()}
    kept |= source.splits
    if not kept:
        raise DataError(
            f"dataset {source.name!r} has the splits {available}, none of which is {', '.join(SPLITS)}. "
            f"Map them: data.{source.name}.splits: {{train: {next(iter(tables))}}}"
        )
    left_out = [name for name in tables if name not in kept.values()]
    if left_out:
        _LOG.info("dataset %r: left out the splits %s", source.name, ", ".join(left_out))
    for ours, theirs in kept.items():
        if not len(tables[theirs]):
            raise DataError(_no_rows(source.name, ours))
    return {split: tables[kept[split]] for split in SPLITS if split in kept}


def _no_rows(dataset: str, split: str) -> str:
    return f"dataset {dataset!r}, split {split!r}: there are no rows. Put rows into it, or leave it out"
