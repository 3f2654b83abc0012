"""Why a file cannot be read, in words that a user can act on: the line, what is wrong there, what to do.

Looks into files that failed already; CSV rows that are too short are looked for where the last column has holes,
because the builder fills them up in silence. Opens no dataset.
"""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from mmap import ACCESS_READ, mmap
from pathlib import Path
from typing import Any

Types = dict[str, tuple[str, str]]
"""By path in a row, as ``entities[].start``: the type that was met first, and where."""

_BOM = b"\xef\xbb\xbf"
_NEWLINE = b"\n"
_NULL_LINE = re.compile(rb"(?:^|\n)(?:\xef\xbb\xbf)?[ \t\r]*null")
_NULL_ELEMENT = re.compile(rb"[\[,]\s*null\s*[,\]]")
_OBJECT = "expected an object with the columns of a row"
_LONGEST_CELL = 2**31 - 1
_CSV_SCAN = {"delimiter", "sep", "quotechar", "encoding", "keep_default_na", "na_values", "features", "chunksize"}
_TYPES = {bool: "true or false", int: "a number", float: "a number", str: "text", list: "a list", dict: "an object"}


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
    with open(file, "rb") as stream:
        if stream.read(64).removeprefix(_BOM).lstrip().startswith(b"["):
            return _array_fault(Path(file).read_bytes(), seen, name=name, encoding=encoding)
        stream.seek(0)
        for number, line in enumerate(stream, 1):
            if line.strip() and (fault := _line_fault(line, number, seen, name=name, encoding=encoding)):
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
        return found and f"line {content[: found.end()].count(_NEWLINE) + 1}: {_OBJECT}; got null"


def _null_element(content: bytes) -> str | None:
    try:
        rows = json.loads(content)
    except (ValueError, RecursionError):
        return None  # told with the other faults
    return f"row {rows.index(None) + 1}: {_OBJECT}; got null" if None in rows else None


def _line_fault(line: bytes, number: int, seen: Types, *, name: str, encoding: str) -> str | None:
    place = f"line {number}"
    try:
        row = _parsed(_decoded(line, encoding))
    except UnicodeDecodeError as error:
        return f"{place}: {not_decoded(error)}"
    except json.JSONDecodeError as error:
        at = error.doc[error.pos :][:40].strip()
        return f"{place}: no JSON: {error.msg}: {at!r}. Write one object on each line, with double quotes"
    except (_RepeatedKeyError, RecursionError) as error:
        return f"{place}: {error}. Fix the line"
    return _row_fault(row, place, seen, name=name)


def _array_fault(content: bytes, seen: Types, *, name: str, encoding: str) -> str | None:
    try:
        rows = _parsed(_decoded(content, encoding))
    except UnicodeDecodeError as error:
        return not_decoded(error)
    except json.JSONDecodeError as error:
        at = error.doc[error.pos :][:40].strip()
        return f"line {error.lineno}: no JSON: {error.msg}: {at!r}. Close the list, or write one object on each line"
    except (_RepeatedKeyError, RecursionError) as error:
        return f"{error}. Fix the file"
    faults = (_row_fault(row, f"row {number}", seen, name=name) for number, row in enumerate(rows, 1))
    return next((fault for fault in faults if fault), None)


def _decoded(content: bytes, encoding: str) -> str:
    return content.removeprefix(_BOM).decode(encoding)


def undecodable_line(file: str, encoding: str) -> str | None:
    """Return the first line of a file whose bytes are no text in an encoding where lines end with one byte."""
    with open(file, "rb") as stream:
        for number, line in enumerate(stream, 1):
            try:
                line.decode(encoding)
            except UnicodeDecodeError as error:
                return f"line {number}: {not_decoded(error)}"
    return None


def not_decoded(error: UnicodeDecodeError) -> str:
    """Say what to do about bytes in another encoding."""
    byte = error.object[error.start]
    return (
        f"byte {byte:#04x} is no {error.encoding.upper()} ({error.reason}). Save the file as UTF-8; if it has another "
        "encoding, set options.encoding"
    )


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
        kind = "null" if row is None else _TYPES[type(row)]
        return f"{place}: {_OBJECT}; got {kind}"
    for path, value in _values(row, ""):
        if isinstance(value, str) and any("\ud800" <= character <= "\udfff" for character in value):
            return (
                f"{place}, column {path!r}: text with half of a character: {value[:40]!a}. Write the character itself"
            )
        kind = _TYPES[type(value)]
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
    """Return the first line of a CSV file with fewer cells than its header, and what to do, or ``None``.

    Files that are read by other options than those of the `csv` module are left to their reader.
    """
    if options.keys() - _CSV_SCAN:
        return None
    delimiter = str(options.get("delimiter") or options.get("sep") or ",")
    quote = str(options.get("quotechar") or '"')
    if len(delimiter) != 1 or len(quote) != 1:
        return None
    csv.field_size_limit(_LONGEST_CELL)
    with open(file, encoding=str(options.get("encoding") or "utf-8-sig"), newline="") as stream:
        reader = csv.reader(stream, delimiter=delimiter, quotechar=quote)
        (header,) = islice(filter(None, reader), 1)
        for cells in filter(None, reader):
            if len(cells) < len(header):
                return (
                    f"line {reader.line_num}: {len(cells)} cells, but there are {len(header)} columns. Fix the line: "
                    "an empty cell still has its delimiter"
                )
    return None
