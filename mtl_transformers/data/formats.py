"""What each file format needs from its `datasets` builder.

Owns the formats that ``data.<name>.path`` may name, their options and our defaults for them, and repairs: CSV columns
are typed by all of their rows, and CoNLL-U keeps syntactic words only; those of JSON are in ``json_files``. Does not
resolve paths and decides nothing about splits.
"""

from __future__ import annotations

import codecs
import dataclasses
import importlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

import datasets
import pandas as pd  # type: ignore[import-untyped]  # datasets brings pandas, and nobody its stubs
import pyarrow as pa
import pyarrow.compute as pc
from datasets.packaged_modules.csv.csv import CsvConfig

from mtl_transformers.data.columns import delimiter_hint
from mtl_transformers.data.lines import shown
from mtl_transformers.data.parallel import Parallel
from mtl_transformers.data.squad import Squad
from mtl_transformers.errors import ConfigError, DataError, nearest
from mtl_transformers.text.undecodable import is_utf8

CONLLU_COLUMNS = ["id", "form", "lemma", "upos", "xpos", "feats", "head", "deprel", "deps", "misc"]
"""The ten columns of CoNLL-U (https://universaldependencies.org/format.html)."""

_WHOLE = r"^(0|-?[1-9][0-9]{0,17})$"  # what int64 holds; 007 is text, and so is a longer number
_NUMBER = r"^[+-]?((0|[1-9][0-9]{0,17})(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?$"
_NOT_OPTIONS = {  # other keys of the section say these
    "name",
    "version",
    "data_dir",
    "data_files",
    "description",
    "file_columns",
}
_NOT_IN_YAML = {"features", "converters", "fragment_scan_options"}  # objects and functions
_PLAIN: Mapping[Any, str] = {
    str: "text",
    int: "a whole number",
    bool: "true or false",
    float: "a number",
    NoneType: "null",
}
_CSV_TYPES = {"decimal", "thousands", "true_values", "false_values", "date_format", "float_precision"}


@dataclass(frozen=True, slots=True)
class Format:
    """A builder of `datasets` or of ours, with options that hold unless the user gives others, and fixed ones."""

    builder: str | type[datasets.ArrowBasedBuilder]
    defaults: Mapping[str, object] = field(default_factory=dict)
    fixed: Mapping[str, object] = field(default_factory=dict)


_UTF8 = {"encoding": "utf-8-sig"}  # the mark (BOM) at the beginning of a file is none of its text

FORMATS: dict[str, Format] = {
    "csv": Format("csv", defaults={"keep_default_na": False, "na_values": [""]}),  # 'None' may be a label
    "json": Format("json", defaults={"on_mixed_types": None}, fixed={"parse_agent_traces": False}),
    "parquet": Format("parquet"),
    "arrow": Format("arrow"),
    "text": Format("text", defaults=_UTF8),
    "conll": Format("conll", defaults=_UTF8),
    "conllu": Format(
        "conll", defaults=_UTF8, fixed={"column_names": CONLLU_COLUMNS, "delimiter": "\t", "comment_prefix": "#"}
    ),
    "squad": Format(Squad, defaults=_UTF8),
    "parallel": Format(Parallel, defaults=_UTF8),
}


def builder_options(path: str, options: Mapping[str, object], *, dataset: str) -> dict[str, object]:
    """Return the options for a format's builder: the user's, checked, over our defaults.

    Raises:
        ConfigError: an option that the builder does not have, or ``conll`` without its columns.
    """
    form = FORMATS[path]
    check_options(_builder(form).BUILDER_CONFIG_CLASS, options, refused=form.fixed, dataset=dataset, path=path)
    if path == "conll" and "column_names" not in options:
        raise ConfigError(
            f"data.{dataset}.options.column_names: conll files need the names of their columns, words first, "
            "as {column_names: [tokens, tags]}; without them every tag would be lost"
        )
    return reading_options(path, options)


def _builder(form: Format) -> type[datasets.DatasetBuilder]:
    if not isinstance(form.builder, str):
        return form.builder
    module = importlib.import_module(f"datasets.packaged_modules.{form.builder}.{form.builder}")
    builder: type[datasets.DatasetBuilder] = getattr(module, form.builder.capitalize())
    return builder


def reading_options(path: str, options: Mapping[str, object]) -> dict[str, object]:
    """Return the options by which files are read: a user's over our defaults; the user's alone of what is no format."""
    form = FORMATS.get(path, Format(path))
    reading = {**form.defaults, **options, **form.fixed}
    encoding = reading.get("encoding")
    return {**reading, **_UTF8} if isinstance(encoding, str) and is_utf8(encoding) else reading


def check_options(
    config: type[datasets.BuilderConfig],
    options: Mapping[str, object],
    *,
    refused: Iterable[str] = (),
    dataset: str,
    path: str,
) -> None:
    """Raise ConfigError for an option that is no field of a builder's configuration."""
    fields = {entry.name for entry in dataclasses.fields(config)} - _NOT_OPTIONS - _NOT_IN_YAML - set(refused)
    for name in options:
        if name == "streaming":
            raise ConfigError(
                f"data.{dataset}.options.streaming: streaming datasets are refused, because the plan reads "
                "rows by their number. Remove the option; rows stay on disk and are memory-mapped"
            )
        if name not in fields:
            raise ConfigError(
                f"data.{dataset}.options.{name}: {path} has the options {', '.join(sorted(fields))} "
                f"and not this one{nearest(name, fields)}"
            )
    _check_option_types(config, options, dataset=dataset)


def _check_option_types(config: type[datasets.BuilderConfig], options: Mapping[str, object], *, dataset: str) -> None:
    hints = get_type_hints(config)
    for name, value in options.items():
        if not _fits(value, hints[name]):
            raise ConfigError(
                f"data.{dataset}.options.{name}: expected {' or '.join(_written(hints[name]))}; got {value!r}"
            )
    encoding = options.get("encoding")
    if isinstance(encoding, str):
        try:
            codecs.lookup(encoding)
        except LookupError as error:
            raise ConfigError(
                f"data.{dataset}.options.encoding: unknown encoding {encoding!r}; expected one as utf-8 or latin-1"
            ) from error


def _fits(value: object, hint: Any) -> bool:
    """Tell whether a value of YAML has a type; what YAML cannot write is left to the builder."""
    match get_origin(hint):
        case origin if origin in (Union, UnionType):
            return any(_fits(value, part) for part in get_args(hint))
        case origin if origin is Literal:
            return value in get_args(hint)
        case origin if origin is list:
            return isinstance(value, list) and all(_fits(item, part) for part in get_args(hint) for item in value)
        case _:
            return isinstance(value, hint) and (hint is bool or not isinstance(value, bool)) if hint in _PLAIN else True


def _written(hint: Any) -> list[str]:
    """Return the types of a hint in words."""
    match get_origin(hint):
        case origin if origin in (Union, UnionType):
            return [words for part in get_args(hint) for words in _written(part)]
        case origin if origin is Literal:
            return list(map(repr, get_args(hint)))
        case origin if origin is list:
            return [f"a list of {' or '.join(_written(part))}" for part in get_args(hint)] or ["a list"]
        case _:
            return [_PLAIN.get(hint, str(hint))]


def csv_as_text(
    files: Mapping[str, Sequence[str]], options: Mapping[str, object], *, dataset: str
) -> dict[str, object]:
    """Return options that read every column of some CSV files as text, for `typed_by_all_rows` to type.

    Left to itself the builder types a column by 10,000 rows at a time: it fails, or turns ``1`` into ``1.0``,
    where a column has holes, and reads ``007`` as 7. Options that tell how values are written are left to it.

    Raises:
        DataError: files of unequal columns.
    """
    if _CSV_TYPES & options.keys():
        return dict(options)
    headers = {shown(file): csv_columns(file, options, dataset=dataset) for paths in files.values() for file in paths}
    (first, columns), *others = headers.items()
    for file, names in others:
        if set(names) != set(columns):
            raise DataError(
                f"dataset {dataset!r}: {file} has the columns {', '.join(names)}, but {first} has "
                f"{', '.join(columns)}. All files of a dataset need the same columns{delimiter_hint(names + columns)}"
            )
    features = datasets.Features({name: datasets.Value("string") for name in columns})
    unnamed = options.get("header", "infer") is None and not options.keys() & {"names", "column_names"}
    return {**options, "features": features, **({"column_names": columns} if unnamed else {})}


def csv_columns(file: str, options: Mapping[str, object], *, dataset: str) -> list[str]:
    """Return the column names of one CSV file, read as the builder reads it.

    Raises:
        DataError: a name that stands twice, or rows of more cells than there are names: the builder would rename the
            one and move the cells of the others.
    """
    reading = {**CsvConfig(**options).pd_read_csv_kwargs, "chunksize": None}
    if reading.get("header", "infer") == "infer" and reading.get("names") is None:
        first = pd.read_csv(file, **{**reading, "header": None, "nrows": 1, "dtype": str})
        names = [str(name) for name in first.to_numpy().ravel().tolist()]
        if repeated := sorted({name for name in names if names.count(name) > 1}):
            where = f"dataset {dataset!r}, {shown(file)}, line 1"
            raise DataError(
                f"{where}: column {repeated[0]!r} stands twice. Name every column once; where the file has no header, "
                "name them in options.column_names"
            )
    found = pd.read_csv(file, **{**reading, "nrows": 1})
    if not isinstance(found.index, pd.RangeIndex) and reading.get("index_col") is None:
        raise DataError(
            f"dataset {dataset!r}, {shown(file)}: the rows have more cells than the {len(found.columns)} columns "
            f"({', '.join(map(str, found.columns))}). Name every column, in the header or in options.column_names"
        )
    return [str(name) for name in found.columns]


def typed_by_all_rows(tables: Mapping[str, datasets.Dataset]) -> dict[str, datasets.Dataset]:
    """Cast text columns that hold only whole numbers, or only numbers, in all splits; nulls are no values."""
    features = next(iter(tables.values())).features.copy()
    for name in [name for name, feature in features.items() if feature == datasets.Value("string")]:
        columns = [table.data.column(name) for table in tables.values()]
        if all(column.null_count == len(column) for column in columns):
            continue
        for pattern, dtype in ((_WHOLE, "int64"), (_NUMBER, "float64")):
            if all(_all_match(column, pattern) for column in columns):
                features[name] = datasets.Value(dtype)
                break
    return {split: table.cast(features) for split, table in tables.items()}


def _all_match(column: pa.ChunkedArray, pattern: str) -> bool:
    return all(pc.all(pc.match_substring_regex(chunk, pattern)).as_py() is not False for chunk in column.chunks)


def syntactic_words(table: datasets.Dataset) -> datasets.Dataset:
    """Drop CoNLL-U's lines of multiword tokens (``3-4``), whose words follow, and empty nodes (``3.1``)."""
    ids = table.data.column("id")
    flat = pc.list_flatten(ids)
    if pc.all(pc.match_substring_regex(flat, "^[0-9]+$")).as_py() is not False:
        return table
    return table.map(_keep_whole_ids)


def _keep_whole_ids(row: dict[str, list[str]]) -> dict[str, list[str]]:
    kept = [index for index, number in enumerate(row["id"]) if number.isdigit()]
    return {name: [values[index] for index in kept] for name, values in row.items()}


def suggested_by(path: str) -> str | None:
    """Return the format that a file's name suggests, or ``None``."""
    suffixes = {"csv": "csv", "tsv": "csv", "json": "json", "jsonl": "json", "txt": "text"}
    suffix = Path(path).suffix.removeprefix(".")
    return suffixes.get(suffix, suffix if suffix in FORMATS else None)
