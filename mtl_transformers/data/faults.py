"""Why a file cannot be read, in words that a user can act on: the line, what is wrong there, what to do.

Looks into files that failed already, or whose readers would fail in silence: JSON that is no UTF-8, CSV rows that are
too short. Opens no dataset.
"""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from mmap import ACCESS_READ, mmap
from types import NoneType
from typing import Any, Literal

from mtl_transformers.text.undecodable import Undecodable, is_utf8

Types = dict[str, tuple[str, str]]
"""By path in a row, as ``entities[].start``: the type that was met first, and where."""

_BOM = b"\xef\xbb\xbf"
_NULL_LINE = re.compile(rb"(?:^|[\r\n])(?:\xef\xbb\xbf)?[ \t\r]*null")
_NULL_ELEMENT = re.compile(rb"[\[,]\s*null\s*[,\]]")
_HALF = re.compile("[\ud800-\udfff]")
_OBJECT = "expected an object with the columns of a row"
_LONGEST_CELL = 2**31 - 1
_CSV_SCAN = {"delimiter", "sep", "quotechar", "quoting", "encoding", "encoding_errors", "column_names", "names"}
_CSV_SCAN |= {"header", "keep_default_na", "na_values", "features", "chunksize"}
KINDS: Mapping[type, str] = {
    bool: "true or false",
    int: "a number",
    float: "a number",
    str: "text",
    list: "a list",
    dict: "an object",
    NoneType: "null",
}
"""The types of JSON in words."""


class FileFaultError(ValueError):
    """What is wrong with a file and what to do, in words that need no more than the file's name before them."""

    def __init__(self, file: str, words: str) -> None:
        super().__init__(words)
        self.file = file


class _RepeatedKeyError(ValueError):
    """A key that stands twice in an object."""


def json_fault(file: str, seen: Types, *, name: str, encoding: str = "utf-8") -> str | None:
    """Return where and why a JSON (lines) file cannot be read as a table, or ``None``.

    Args:
        file: to be read.
        seen: types of the files before it, which this one adds to.
        name: of the file, for messages.
        encoding: of the file.
    """
    with open(file, encoding="utf-8-sig" if is_utf8(encoding) else encoding, errors="replace") as stream:
        if stream.read(64).lstrip().startswith("["):
            stream.seek(0)
            return _array_fault(stream.read(), seen, name=name)
        stream.seek(0)
        for number, line in enumerate(stream, 1):
            if line.strip() and (fault := _line_fault(line, number, seen, name=name)):
                return fault
    return None


def null_row(file: str) -> str | None:
    """Return the first row of a JSON (lines) file that is null instead of an object, or ``None``.

    Arrow's reader ends the process (pyarrow 26) where a block of a file begins with such a row, so this is looked for
    before it reads.
    """
    with open(file, "rb") as stream, mmap(stream.fileno(), 0, access=ACCESS_READ) as content:
        if content[:64].removeprefix(_BOM).lstrip().startswith(b"["):
            return _null_element(bytes(content)) if _NULL_ELEMENT.search(content) else None
        found = _NULL_LINE.search(content)
        return found and f"line {_line_ends(content[: found.end()]) + 1}: {_OBJECT}; got null"


def _line_ends(content: bytes) -> int:
    return content.count(b"\n") + content.count(b"\r") - content.count(b"\r\n")


def _null_element(content: bytes) -> str | None:
    try:
        rows = json.loads(content)
    except (ValueError, RecursionError):
        return None  # told with the other faults
    return f"row {rows.index(None) + 1}: {_OBJECT}; got null" if None in rows else None


def _line_fault(line: str, number: int, seen: Types, *, name: str) -> str | None:
    place = f"line {number}"
    try:
        row = _parsed(line)
    except json.JSONDecodeError as error:
        return not_json(error, "Write one object on each line, with double quotes", line=number)
    except (_RepeatedKeyError, RecursionError) as error:
        return f"{place}: {error}. Fix the line"
    return _row_fault(row, place, seen, name=name)


def _array_fault(content: str, seen: Types, *, name: str) -> str | None:
    try:
        rows = _parsed(content)
    except json.JSONDecodeError as error:
        return not_json(error, "Close the list, or write one object on each line")
    except (_RepeatedKeyError, RecursionError) as error:
        return f"{error}. Fix the file"
    faults = (_row_fault(row, f"row {number}", seen, name=name) for number, row in enumerate(rows, 1))
    return next((fault for fault in faults if fault), None)


def not_json(error: json.JSONDecodeError, remedy: str, *, line: int | None = None) -> str:
    """Say where JSON breaks off, what stands there, and what to do; ``line`` is that of a text of one line."""
    at = error.doc[error.pos :][:40].strip()
    return f"line {line or error.lineno}: no JSON: {error.msg}: {at!r}. {remedy}"


def not_text(found: Undecodable) -> str:
    """Say which byte is no text, and what to do."""
    if found.after_nul:
        return f"{found}, and zero bytes stand before it: this is no text. Set path to the file's format, as parquet"
    return f"{found}. Save the file as UTF-8, or name its encoding, as options: {{encoding: {found.likely}}}"


def half_of_a_character(text: str) -> str | None:
    """Return what is wrong with a text that cannot be written as UTF-8, and what to do, or ``None``."""
    if _HALF.search(text):
        return f"text with half of a character: {text[:40]!a}. Write the character itself"
    return None


def _parsed(text: str) -> Any:
    return json.loads(text, object_pairs_hook=_without_repeats)


def _without_repeats(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise _RepeatedKeyError(f"the key {key!r} stands twice")
        found[key] = value
    return found


def _row_fault(row: Any, place: str, seen: Types, *, name: str) -> str | None:
    if not isinstance(row, dict):
        return f"{place}: {_OBJECT}; got {KINDS[type(row)]}"
    for path, value in _values(row, ""):
        if isinstance(value, str) and (fault := half_of_a_character(value)):
            return f"{place}, column {path!r}: {fault}"
        kind = KINDS[type(value)]
        first, where = seen.setdefault(path, (kind, f"{name}, {place}"))
        if kind != first:
            return f"{place}, column {path!r}: {kind}, but {where} has {first}. Write the column in one way in all rows"
    return None


def _values(value: Any, path: str) -> Iterator[tuple[str, Any]]:
    """Yield the values inside of a value by their path, outer ones first; null has no type."""
    if value is None:
        return
    if path:
        yield path, value
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _values(inner, f"{path}.{key}" if path else key)
    elif isinstance(value, list):
        for inner in value:
            yield from _values(inner, f"{path}[]")


def csv_reason(reason: str) -> str:
    """Say in our words what the reader of CSV says in its own."""
    if match := re.search(r"Expected (\d+) fields in line (\d+), saw (\d+)", reason):
        expected, line, cells = match.groups()
        return f"line {line}: {cells} cells, but there are {expected} columns. Quote cells that hold the delimiter"
    if match := re.search(r"EOF inside string starting at row (\d+)", reason):
        return f"line {int(match[1]) + 1}: a quote is opened and never closed. Close it, or double it inside of a cell"
    if "No columns to parse" in reason:
        return "there are no rows. Write a header and rows"
    return reason


def short_csv_row(file: str, options: Mapping[str, object]) -> str | None:
    """Return the first line of a CSV file with fewer cells than columns, and what to do, or ``None``.

    Files that are read by other options than those of the `csv` module are left to their reader.
    """
    if options.keys() - _CSV_SCAN or options.get("header", "infer") not in ("infer", None):
        return None
    names = options.get("column_names") or options.get("names")
    delimiter = str(options.get("delimiter") or options.get("sep") or ",")
    quote = str(options.get("quotechar") or '"')
    style: Literal[0, 3] = csv.QUOTE_NONE if options.get("quoting") == csv.QUOTE_NONE else csv.QUOTE_MINIMAL
    if len(delimiter) != 1 or len(quote) != 1:
        return None
    csv.field_size_limit(_LONGEST_CELL)
    encoding, errors = (options.get(name) for name in ("encoding", "encoding_errors"))
    with open(file, encoding=str(encoding or "utf-8-sig"), errors=str(errors or "strict"), newline="") as stream:
        reader = csv.reader(stream, delimiter=delimiter, quotechar=quote, quoting=style)
        columns = names if isinstance(names, Sequence) else next(filter(None, reader))
        for cells in filter(None, reader):
            if len(cells) < len(columns):
                return (
                    f"line {reader.line_num}: {len(cells)} cells, but there are {len(columns)} columns. Fix the line: "
                    "an empty cell still has its delimiter"
                )
    return None
