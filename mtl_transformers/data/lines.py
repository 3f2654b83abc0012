"""Files whose rows are lines: which line a row stands in, and lines of CoNLL that do not have their cells.

Reads a file only when something is wrong with it or with one of its rows, CoNLL excepted: its builder pads and cuts
lines in silence, so that they are counted here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path

from mtl_transformers.errors import DataError

_PACKED = (".gz", ".bz2", ".xz", ".zst", ".zip", ".lz4", ".7z")
_READING = {"encoding": "utf-8-sig", "encoding_errors": "strict"}
_CONLL = ("conll", "conllu")


def shown(file: str) -> str:
    """Return a file's path as a user in the working directory would write it."""
    path = Path(file)
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else file


def is_plain_file(file: str) -> bool:
    """Return whether a file is on this machine and not packed."""
    return Path(file).is_file() and not file.endswith(_PACKED)


def line_of_row(file: str, row: int, path: str, options: Mapping[str, object]) -> int | None:
    """Return the line, counted from 1, in which a row of a file stands or begins.

    Args:
        file: on this machine.
        row: counted from 0.
        path: the format.
        options: of the builder, with our defaults.

    Returns:
        ``None`` where rows are not lines, or the file is not there any more.
    """
    if not is_plain_file(file):
        return None
    encoding = str(options.get("encoding") or _READING["encoding"])
    if path == "json" and "field" not in options:
        return _line_of_object(file, row, encoding)
    if path == "parallel" or (path == "text" and options.get("sample_by", "line") == "line"):
        return row + 1
    if path in _CONLL:
        firsts = (number for number, _, is_first in conll_lines(file, options) if is_first)
        return next(islice(firsts, row, None), None)
    return None


def _line_of_object(file: str, row: int, encoding: str) -> int | None:
    with open(file, encoding=encoding, errors="replace") as stream:
        if stream.read(64).lstrip("\ufeff \t\r\n").startswith("["):
            return None
        stream.seek(0)
        lines = list(islice((line for line in enumerate(stream, 1) if line[1].strip().lstrip("\ufeff")), row + 1))
    one_each = all(line.strip().lstrip("\ufeff").startswith("{") and line.rstrip().endswith("}") for _, line in lines)
    return lines[row][0] if one_each and row < len(lines) else None


def conll_lines(file: str, options: Mapping[str, object]) -> Iterator[tuple[int, str, bool]]:
    """Yield number, text and "opens a sentence" of each line with a word, read as the builder reads them."""
    comment = options.get("comment_prefix")
    in_sentence = False
    encoding, errors = (str(options.get(name) or default) for name, default in _READING.items())
    with open(file, encoding=encoding, errors=errors) as stream:
        for number, raw in enumerate(stream, 1):
            line = raw.rstrip("\r\n")
            if not line.strip():
                in_sentence = False
                continue
            if options.get("skip_docstart", True) and line.startswith("-DOCSTART-"):
                continue
            if comment is not None and line.startswith(str(comment)):
                continue
            yield number, line, not in_sentence
            in_sentence = True


def check_conll_cells(file: str, options: Mapping[str, object], *, where: str) -> None:
    """Refuse a line with more or fewer cells than there are columns.

    Raises:
        DataError: with the line.
    """
    delimiter, columns = options.get("delimiter"), options["column_names"]
    assert isinstance(columns, Sequence)  # checked with the options
    for number, line, _ in conll_lines(file, options):
        cells = line.split(None if delimiter is None else str(delimiter))
        if len(cells) != len(columns):
            raise DataError(
                f"{where}, line {number}: {len(cells)} cells, but there are {len(columns)} columns "
                f"({', '.join(map(str, columns))}): {line[:60]!r}. Fix the line, or set options.column_names "
                "or options.delimiter"
            )
