"""What JSON files need besides their builder, which reads UTF-8 and takes a column's type from the rows it meets first.

Owns the types of columns by all rows of all files, and copies in UTF-8 of files in another encoding; those stand in the
cache of `datasets`, by what they were copied from.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from hashlib import blake2b
from pathlib import Path
from shutil import copyfileobj
from tempfile import TemporaryDirectory

import datasets
import pyarrow as pa
import pyarrow.json

from mtl_transformers.data.lines import is_plain_file
from mtl_transformers.text.undecodable import is_utf8

_BLOCK_BYTES = 10 << 20
_ENCODING = {"encoding": "utf-8", "encoding_errors": "strict"}


def in_utf8(file: str, options: Mapping[str, object], *, cache_dir: str | None) -> str:
    """Return a file whose text is UTF-8: the file itself, or a copy where options name another encoding.

    Raises:
        UnicodeDecodeError: it does not have that encoding.
    """
    encoding, errors = (str(options.get(name) or default) for name, default in _ENCODING.items())
    if (is_utf8(encoding) and errors == "strict") or not is_plain_file(file):
        return file
    status = os.stat(file)
    key = blake2b(repr((file, status.st_size, status.st_mtime_ns, encoding, errors)).encode(), digest_size=16)
    copy = Path(cache_dir or datasets.config.HF_DATASETS_CACHE, "mtl_transformers", f"{key.hexdigest()}.json")
    if not copy.exists():
        copy.parent.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(dir=copy.parent) as folder:
            part = Path(folder, copy.name)
            with (
                open(file, encoding=encoding, errors=errors, newline="") as source,
                part.open("w", encoding="utf-8", newline="") as target,
            ):
                copyfileobj(source, target)
            part.replace(copy)
    return str(copy)


def without_encoding(options: Mapping[str, object]) -> dict[str, object]:
    """Return the options for files in UTF-8."""
    return {name: value for name, value in options.items() if name not in _ENCODING}


def json_features(files: Iterable[str]) -> datasets.Features:
    """Return the features of JSON lines files by all of their rows: null gives way to a type, int to float.

    Raises:
        pa.ArrowException: a line that is not JSON, or a column of mixed types.
    """
    schema = pa.unify_schemas(
        [_without_timestamps(pa.json.read_json(pa.BufferReader(block)).schema) for block in _blocks(files)],
        promote_options="permissive",
    )
    return datasets.Features.from_arrow_schema(schema)


def _blocks(files: Iterable[str]) -> Iterator[bytes]:
    for file in files:
        with open(file, "rb") as stream:
            while block := stream.read(_BLOCK_BYTES):
                yield block + stream.readline()


def _without_timestamps(schema: pa.Schema) -> pa.Schema:
    """Pyarrow guesses timestamps from text; a later block of the column may be any text."""
    return pa.schema([entry.with_type(pa.string()) if pa.types.is_timestamp(entry.type) else entry for entry in schema])
