"""Reads the files of a format into tables, and says of those that cannot be read which it is, where, and why.

Owns what is looked at before a builder reads, which would end the process or change rows in silence, and the repairs
after it. Does not find files (`resolving`) and knows no splits of ours. Tables stay in the cache of `datasets`.
"""

from __future__ import annotations

import glob
import inspect
from collections.abc import Mapping, Sequence
from dataclasses import replace
from hashlib import blake2b
from pathlib import Path
from tempfile import TemporaryDirectory

import datasets
import pyarrow as pa
from datasets.arrow_writer import SchemaInferenceError

from mtl_transformers.data import formats, squad
from mtl_transformers.data.faults import (
    FileFaultError,
    Types,
    csv_reason,
    json_fault,
    not_text,
    null_row,
    short_csv_row,
)
from mtl_transformers.data.formats import FORMATS
from mtl_transformers.data.json_files import in_utf8, json_features, without_encoding
from mtl_transformers.data.lines import check_conll_cells, is_plain_file, shown
from mtl_transformers.data.resolving import file_columns
from mtl_transformers.data.spec import Source
from mtl_transformers.errors import ConfigError, DataError, nearest
from mtl_transformers.text.undecodable import undecodable

FAULTS = (datasets.exceptions.DatasetsError, OSError, ValueError, TypeError, KeyError, pa.ArrowException)
"""What `datasets` raises for input that it cannot find or read."""

Files = Mapping[str, Sequence[str]]
"""By split of the source; of parallel files one for each column."""
Options = Mapping[str, object]


def read_files(source: Source, files: Files) -> dict[str, datasets.Dataset]:
    """Read the files of each split.

    Raises:
        ConfigError: an option that the format does not have.
        DataError: a file that cannot be read, with the place in it.
    """
    options = formats.builder_options(source.path, source.options, dataset=source.name)
    if source.path == "parallel":
        options |= _file_columns(source, options)
    _check_lines(source, files, options)
    try:
        return _build_files(source, files, options)
    except FAULTS as error:
        raise DataError(_describe_fault(source, files, options, error)) from error


def _file_columns(source: Source, options: Options) -> dict[str, object]:
    """Return the option that says which column each file is.

    Raises:
        ConfigError: splits of other columns, or words that are no column.
    """
    columns = file_columns(source)
    words = options.get("words") or ()
    assert isinstance(words, Sequence)  # checked with the options
    for name in words:
        if name not in columns:
            raise ConfigError(
                f"data.{source.name}.options.words: {name!r} is none of the columns in files ({', '.join(columns)})"
                f"{nearest(name, columns)}"
            )
    return {"file_columns": columns}


def _check_lines(source: Source, files: Files, options: Options) -> None:
    """Refuse lines of CoNLL that the builder would pad or cut, and rows and bytes of JSON that it does not survive."""
    if source.path not in ("conll", "conllu", "json"):
        return
    for split, paths in files.items():
        for file in filter(is_plain_file, paths):
            where = f"dataset {source.name!r}, split {split!r}, {shown(file)}"
            try:
                if source.path == "json":
                    _check_json(source, file, options, where=where)
                else:
                    check_conll_cells(file, options, where=where)
            except UnicodeDecodeError as error:
                raise DataError(f"{where}, {_not_text(file, options) or reason_of(error)}") from error


def _check_json(source: Source, file: str, options: Options, *, where: str) -> None:
    fault = _not_text(file, options)
    if fault is None and "field" not in options:
        fault = null_row(in_utf8(file, options, cache_dir=source.cache_dir))
    if fault:
        raise DataError(f"{where}, {fault}")


def _not_text(file: str, options: Options) -> str | None:
    """Return which byte of a file is no text, and what to do; nothing where options say what to do about it."""
    if (options.get("encoding_errors") or "strict") != "strict" or not is_plain_file(file):
        return None
    found = undecodable(file, str(options.get("encoding") or "utf-8"))
    return not_text(found) if found else None


def _build_files(source: Source, files: Files, options: Options) -> dict[str, datasets.Dataset]:
    match source.path:
        case "csv":
            return _build_csv(source, files, options)
        case "json":
            return _build_json(source, files, options)
        case "parallel":
            return formats.typed_by_all_rows(_build(source, files, options))
    tables = _build(source, files, options)
    match source.path:
        case "conllu":
            return {split: formats.syntactic_words(table) for split, table in tables.items()}
        case "squad":
            return squad.without_the_unsaid(tables)
    return tables


def _build_csv(source: Source, files: Files, options: Options) -> dict[str, datasets.Dataset]:
    typed = formats.csv_as_text(files, options, dataset=source.name)
    tables = _build(source, files, typed)
    _check_short_rows(source, files, tables, options)
    return formats.typed_by_all_rows(tables) if "features" in typed else tables


def _build_json(source: Source, files: Files, options: Options) -> dict[str, datasets.Dataset]:
    if all(is_plain_file(file) for paths in files.values() for file in paths):
        files = {
            split: [in_utf8(file, options, cache_dir=source.cache_dir) for file in paths]
            for split, paths in files.items()
        }
        options = without_encoding(options)
    try:
        return _build(source, files, options)
    except FAULTS:
        if options.keys() & {"field", "encoding"}:
            raise
        features = json_features(file for paths in files.values() for file in paths)
        return _build(source, files, {**options, "features": features})


def _check_short_rows(source: Source, files: Files, tables: Mapping[str, datasets.Dataset], options: Options) -> None:
    """Refuse CSV rows of too few cells, which the builder fills up with nulls; the last column tells."""
    for split, table in tables.items():
        if table.data.column(table.column_names[-1]).null_count:
            for file in filter(is_plain_file, files[split]):
                if fault := short_csv_row(file, options):
                    raise DataError(f"dataset {source.name!r}, split {split!r}, {shown(file)}, {fault}")


def _build(source: Source, files: Files, options: Options) -> dict[str, datasets.Dataset]:
    escaped = {split: [_escape(path) for path in paths] for split, paths in files.items()}
    builder = FORMATS[source.path].builder
    if isinstance(builder, str):
        return tables_of(
            source, datasets.load_dataset_builder(builder, data_files=escaped, cache_dir=source.cache_dir, **options)
        )
    code = blake2b(Path(inspect.getfile(builder)).read_bytes(), digest_size=8).hexdigest()
    ours = builder(cache_dir=source.cache_dir, data_files=escaped, hash=code, **options)
    return tables_of(source, ours)


def tables_of(source: Source, builder: datasets.DatasetBuilder) -> dict[str, datasets.Dataset]:
    """Build the tables of all splits, or find them in the cache.

    Raises:
        DataError: a split without rows.
    """
    builder.download_and_prepare()
    for split, info in builder.info.splits.items():
        if not info.num_examples:
            raise DataError(no_rows(source.name, split))
    return {split: builder.as_dataset(split=split) for split in builder.info.splits}


def no_rows(dataset: str, split: str) -> str:
    """Say that a split is empty."""
    return f"dataset {dataset!r}, split {split!r}: there are no rows. Put rows into it, or leave it out"


def _escape(path: str) -> str:
    """Shield a file's name from being read as a pattern by `datasets`."""
    return path if "://" in path else glob.escape(path)


def _describe_fault(source: Source, files: Files, options: Options, error: BaseException) -> str:
    """Say which file cannot be read and why, by reading each alone where the error does not tell."""
    cause = error.__cause__ or error
    if isinstance(cause, FileFaultError):
        split = next((f", split {name!r}" for name, paths in files.items() if cause.file in paths), "")
        return f"dataset {source.name!r}{split}, {shown(cause.file)}, {cause}"
    seen: Types = {}
    for split, paths in files.items():
        for file in paths:
            fault = _json_fault(source, file, seen, options) or _read_fault(source, file, options)
            if fault:
                return f"dataset {source.name!r}, split {split!r}, {shown(file)}{fault}"
    return (
        f"dataset {source.name!r}: its files can be read one by one but not as one table: {reason_of(error)}. "
        "All files need the same columns and types"
    )


def _json_fault(source: Source, file: str, seen: Types, options: Options) -> str | None:
    if source.path != "json" or "field" in options or not is_plain_file(file):
        return None
    fault = json_fault(file, seen, name=shown(file), encoding=str(options.get("encoding") or "utf-8"))
    return fault and (f", {fault}" if fault.startswith(("line", "row")) else f": {fault}")


def _read_fault(source: Source, file: str, options: Options) -> str | None:
    with TemporaryDirectory() as folder:
        try:
            _build_files(replace(source, cache_dir=folder), {"train": [file]}, options)
        except (*FAULTS, DataError) as error:
            reason = reason_of(error)
            if isinstance(error.__cause__ or error, UnicodeDecodeError):
                reason = _not_text(file, options) or reason
            if reason.startswith("line "):
                return f", {reason}"
            if reason.startswith(("there are no rows", "a byte ")):
                return f": {reason}"
            return f": {reason}. Write the file again, or set data.{source.name}.path to its format"
    return None


def reason_of(error: BaseException) -> str:
    """Return why something cannot be read, without a full stop."""
    cause = error.__cause__ or error
    text = " ".join(str(cause).split()).rstrip(".")
    if isinstance(cause, SchemaInferenceError) or "BatchSize must be greater than 0" in text:
        return "there are no rows. Put rows into it or leave it out of files"
    if isinstance(cause, UnicodeDecodeError):
        byte = cause.object[cause.start]
        return (
            f"a byte {byte:#04x} is no {cause.encoding.upper()} ({cause.reason}). Name the encoding in options.encoding"
        )
    return csv_reason(text) or type(cause).__name__
