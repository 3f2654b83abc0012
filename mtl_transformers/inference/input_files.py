"""The files of a large input: which they are, and what identifies the content of each.

Owns finding them (a file, a pattern or a directory) and their facts: rows, columns, digest. A parquet file is
identified by its size and the SHA-256 of its footer, which holds the place, size and statistics of every part; any
other file by all of its bytes. Dividing them is ``sharding.py``'s.
"""

from __future__ import annotations

import glob
import hashlib
import json
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from mtl_transformers.errors import DataError
from mtl_transformers.inference.files import FORMATS, read_rows
from mtl_transformers.inference.parquet import parquet_errors, read_schema
from mtl_transformers.storage.files import disk_errors, sha256_of

_TAIL = 8  # bytes at the end of a parquet file: the length of the footer and a mark
_JSON_TYPES: Mapping[type, str] = {bool: "bool", int: "int64", float: "double", str: "string", type(None): "null"}
_LARGEST = 2**63 - 1  # of an int64


@dataclass(frozen=True, slots=True)
class InputFile:
    """A file of the input, as it was found.

    Attributes:
        path: where it lies.
        name: under the place that all files have in common, so that it is the same on every machine.
        size: bytes.
        sha256: of its content, of a parquet file of its footer.
        num_rows: of all.
        schema: its columns; of text files, types that all cells fit into.
    """

    path: Path
    name: str
    size: int
    sha256: str
    num_rows: int
    schema: pa.Schema

    def to_json(self) -> dict[str, Any]:
        """Return what identifies the file, and what is costly to find out again."""
        facts = {"name": self.name, "size": self.size, "sha256": self.sha256, "rows": self.num_rows}
        if self.path.suffix.lower() == ".parquet":
            return facts
        return {**facts, "columns": {field.name: str(field.type) for field in self.schema}}


def find_files(source: str) -> list[Path]:
    """Return the files that a name stands for, in the order of their names.

    Args:
        source: a file, a pattern as ``data/*.parquet``, or a directory, of which all files of one format are taken,
            in its folders too; names that begin with ``_`` or ``.`` are no data.

    Raises:
        DataError: there is none, or they are of several formats.
    """
    place = Path(source)
    if place.is_dir():
        found = _files_in(place)
    elif place.exists():
        found = [place]
    else:
        found = sorted(path for name in glob.glob(source, recursive=True) if (path := Path(name)).is_file())
    if not found:
        kinds = f"no file that ends in {', '.join(FORMATS)} lies there" if place.is_dir() else "no such file"
        raise DataError(f"{source}: {kinds}; name a file, a pattern in quotes, or a directory")
    suffixes = sorted({path.suffix.lower() for path in found})
    if len(suffixes) > 1:
        raise DataError(
            f"{source}: files of several formats, {', '.join(suffixes)}; name one kind, as '*{suffixes[0]}'"
        )
    if suffixes[0] not in FORMATS:
        raise DataError(f"{found[0]}: unknown kind of file; expected a name that ends in {', '.join(FORMATS)}")
    return found


def _files_in(place: Path) -> list[Path]:
    """Return the files of a directory that may be data."""
    return [
        path
        for path in sorted(place.rglob("*"))
        if path.suffix.lower() in FORMATS
        and path.is_file()
        and not any(part.startswith(("_", ".")) for part in path.relative_to(place).parts)
    ]


def describe_files(paths: Sequence[Path], *, known: Iterable[Mapping[str, Any]] = ()) -> list[InputFile]:
    """Read the facts of files; text files are read to their ends.

    Args:
        paths: the files.
        known: what `InputFile.to_json` returned of them before: rows of the same content are not counted again.

    Raises:
        DataError: a file is malformed; with its name.
    """
    common = os.path.commonpath([path.absolute().parent for path in paths])
    before = {facts["sha256"]: facts for facts in known if "columns" in facts}
    found = []
    for path in paths:
        name = path.absolute().relative_to(common).as_posix()
        try:
            with disk_errors(path):
                found.append(
                    _describe_parquet(path, name)
                    if path.suffix.lower() == ".parquet"
                    else _describe_text(path, name, before)
                )
        except DataError as error:
            raise DataError(f"{path}: {error}") from error
    return found


def _describe_parquet(path: Path, name: str) -> InputFile:
    schema = read_schema(path)
    with parquet_errors():
        num_rows = pq.read_metadata(path).num_rows
    size = path.stat().st_size
    with path.open("rb") as file:
        file.seek(size - _TAIL)
        length = int.from_bytes(file.read(4), "little")
        file.seek(size - _TAIL - length)
        footer = file.read(length)
    return InputFile(path, name, size, hashlib.sha256(footer).hexdigest(), num_rows, schema)


def _describe_text(path: Path, name: str, known: Mapping[str, Mapping[str, Any]]) -> InputFile:
    size, sha256 = path.stat().st_size, sha256_of(path)
    facts = known.get(sha256)
    if facts is None:
        num_rows, types = _count(path)
    else:
        num_rows, types = facts["rows"], facts["columns"]
    schema = pa.schema([(column, pa.type_for_alias(kind)) for column, kind in types.items()])
    return InputFile(path, name, size, sha256, num_rows, schema)


def _count(path: Path) -> tuple[int, dict[str, str]]:
    """Return the number of rows, and a type for each column that takes all of its cells."""
    num_rows, types = 0, dict[str, str]()
    for row in read_rows(path):
        num_rows += 1
        for column, cell in row.items():
            kind = _kind_of(cell)
            if types.setdefault(column, kind) != kind:
                types[column] = _both(types[column], kind)
    return num_rows, types


def _kind_of(cell: Any) -> str:
    if type(cell) is int and not -_LARGEST <= cell <= _LARGEST:
        return "string"
    return _JSON_TYPES.get(type(cell), "string")  # lists and objects are kept as JSON


def _both(first: str, second: str) -> str:
    """Return a type that takes the cells of two."""
    if "null" in (first, second):
        return second if first == "null" else first
    return "double" if {first, second} == {"int64", "double"} else "string"


def text_cell(cell: Any) -> Any:
    """Return a cell of a text file as its column has it: lists and objects as JSON."""
    return json.dumps(cell, ensure_ascii=False) if isinstance(cell, list | dict) else cell
