"""Which format a file has, and how it is read: by its suffix and its first lines.

Owns the guess of delimiters, headers and the columns of CoNLL. Reads the head of a file, and no table.
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from mtl_transformers.errors import DataError

_HEAD_BYTES = 1 << 16
_PLAIN = {"parquet": "parquet", "pq": "parquet", "arrow": "arrow", "conllu": "conllu"}
_JSON, _TABLES, _CONLL, _TEXT = {"json", "jsonl", "ndjson"}, {"csv", "tsv", "tab"}, {"conll", "bio", "iob"}, {"txt"}
SUFFIXES = sorted({*_PLAIN, *_JSON, *_TABLES, *_CONLL, *_TEXT})
_TAG = re.compile(r"O|[BIESLU]-.+")
_SQUAD = re.compile(r'"(paragraphs|qas)"\s*:\s*\[')


@dataclass(frozen=True, slots=True)
class Layout:
    """How a file is read.

    Attributes:
        path: the format, as ``data.<name>.path`` names it.
        options: of its builder.
    """

    path: str
    options: Mapping[str, object] = field(default_factory=dict)


def layout_of(file: str) -> Layout:
    """Guess the format of a file and the options that it needs.

    Raises:
        DataError: there is no such file, it cannot be read, or its suffix is not known.
    """
    suffix = Path(file).suffix.removeprefix(".").lower()
    head = _head(file)
    if suffix in _PLAIN:
        return Layout(_PLAIN[suffix])
    if suffix in _JSON:
        return _json_layout(file, head)
    if suffix in _CONLL:
        return _conll_layout(_sentences(head))
    if suffix in _TABLES | _TEXT:
        sentences = _sentences(head)
        if _is_conll(head, sentences):
            return _conll_layout(sentences)
        return _table_layout(head, suffix)
    raise DataError(f"{file}: files that end in .{suffix} are not known; expected one of {', '.join(SUFFIXES)}")


def _head(file: str) -> str:
    """Return the first whole lines of a file; what is no UTF-8 is told by its reader."""
    try:
        with open(file, "rb") as stream:
            start = stream.read(_HEAD_BYTES)
    except OSError as error:
        raise DataError(f"{file}: cannot be read: {error.strerror or error}. Name a file or a directory") from error
    if len(start) == _HEAD_BYTES and b"\n" in start:
        start = start[: start.rindex(b"\n") + 1]
    return start.decode("utf-8-sig", errors="replace")


def _json_layout(file: str, head: str) -> Layout:
    """Tell lines of objects, a list of them, an object that holds the list, and SQuAD."""
    if _SQUAD.search(head) and '"data"' in head:
        return Layout("squad")
    if not head.lstrip().startswith("{") or _is_json(head.lstrip().splitlines()[0]):
        return Layout("json")
    with suppress(ValueError, OSError):  # told by its reader
        whole = json.loads(Path(file).read_text(encoding="utf-8-sig"))
        lists = [
            key for key, value in whole.items() if isinstance(value, list) and value and isinstance(value[0], dict)
        ]
        if len(lists) == 1:
            return Layout("json", {"field": lists[0]})
    return Layout("json")


def _is_json(line: str) -> bool:
    with suppress(ValueError):
        json.loads(line)
        return True
    return False


def _table_layout(head: str, suffix: str) -> Layout:
    delimiters = {"csv": ",;\t|", "txt": "\t|;"}.get(suffix, "\t,;|")
    delimiter = max(delimiters, key=lambda mark: _evenness(_rows(head, mark)))  # of equal ones the first
    rows = _rows(head, delimiter)
    if suffix in _TEXT and (_evenness(rows) < 1 or not rows):
        return Layout("text")
    options: dict[str, object] = {} if delimiter == "," or _evenness(rows) == 0 else {"delimiter": delimiter}
    if delimiter == "\t" and '"' in head and _evenness(_rows(head, delimiter, quoting=csv.QUOTE_NONE)) == 1:
        unquoted = _rows(head, delimiter, quoting=csv.QUOTE_NONE)
        if len(unquoted) != len(rows) or _evenness(rows) < 1:  # its quotes are characters like others
            rows, options = unquoted, {**options, "quoting": int(csv.QUOTE_NONE)}
    if not _has_header(rows):
        options["column_names"] = [f"column{number}" for number in range(1, len(rows[0]) + 1)]
    return Layout("csv", options)


def _rows(head: str, delimiter: str, *, quoting: int = csv.QUOTE_MINIMAL) -> list[list[str]]:
    with suppress(csv.Error):
        reader = csv.reader(io.StringIO(head, newline=""), delimiter=delimiter, quoting=quoting)  # type: ignore[arg-type]
        return [row for row in reader if row]
    return []


def _evenness(rows: Sequence[Sequence[str]]) -> float:
    """Return the share of rows that have as many cells as most rows; 0 where that is one."""
    widths = Counter(map(len, rows[:-1] if len(rows) > 1 else rows))  # the head may end within the last one
    ((width, times),) = widths.most_common(1) or [(0, 0)]
    return times / sum(widths.values()) if width > 1 else 0.0


def _has_header(rows: Sequence[Sequence[str]]) -> bool:
    """Tell names from cells: a name is no number, and does not come again in its column."""
    first, *others = rows or [[]]
    for place, name in enumerate(first):
        column = [row[place] for row in others if len(row) > place]
        if _is_number(name) or (name and column.count(name) > 1):
            return False
    return True


def _is_number(cell: str) -> bool:
    with suppress(ValueError):
        float(cell)
        return True
    return False


def _sentences(head: str) -> list[list[str]]:
    """Return the lines with words, by the sentences that empty lines end."""
    found: list[list[str]] = [[]]
    for line in head.splitlines():
        if line.startswith("-DOCSTART-"):
            continue
        if line.strip():
            found[-1].append(line)
        elif found[-1]:
            found.append([])
    return [lines for lines in found if lines]


def _is_conll(head: str, sentences: Sequence[Sequence[str]]) -> bool:
    """Tell a table from sentences: empty lines between, and a tag at the end of each line."""
    if len(sentences) < 2 or head.lstrip().startswith(("{", "[")):
        return False
    cells = [line.split() for lines in sentences for line in lines if not line.startswith("# ")]
    return bool(cells) and all(len(of_line) > 1 and _TAG.fullmatch(of_line[-1]) for of_line in cells)


def _conll_layout(sentences: Sequence[Sequence[str]]) -> Layout:
    lines = [line for sentence in sentences for line in sentence]
    words = [line for line in lines if not line.startswith("# ")]
    tabs = {len(line.split("\t")) for line in words}
    delimiter = "\t" if len(tabs) == 1 and tabs != {1} else None
    cells = [line.split(delimiter) for line in words]
    ((width, _),) = Counter(map(len, cells)).most_common(1) or [(2, 0)]
    numbered = bool(cells) and width > 2 and all(of_line[0].isdigit() for of_line in cells)
    if numbered and width == 10:
        return Layout("conllu")
    names = ["number", "tokens"] if numbered else ["tokens"]
    names += _between(width - len(names) - 1)
    options: dict[str, object] = {"column_names": [*names, "tags"]}
    if delimiter:
        options["delimiter"] = delimiter
    if len(words) < len(lines) and all(len(line.split(delimiter)) != width for line in set(lines) - set(words)):
        options["comment_prefix"] = "# "
    return Layout("conll", options)


def _between(count: int) -> list[str]:
    """Name the columns between words and tags; two are CoNLL-2003's."""
    return ["pos", "chunk"] if count == 2 else [f"tags{number}" for number in range(1, count + 1)]
