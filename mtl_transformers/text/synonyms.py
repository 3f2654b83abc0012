"""A user's file of synonyms: read, and refused with file and line."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from pathlib import Path

from mtl_transformers.errors import DataError
from mtl_transformers.text.noise import Synonyms

_Entry = tuple[str, list[str]]


def load_synonyms(path: str | Path) -> Synonyms:
    """Read other words for words; a word on several lines has them all, in the order of the lines.

    Args:
        path: by its ending: ``.jsonl`` has lines ``{"word": …, "synonyms": […]}``, ``.csv`` lines
            ``word,synonym,synonym``, every other file lines ``word<TAB>synonym,synonym``. UTF-8; empty lines are
            passed over.

    Raises:
        DataError: the file cannot be read, holds no synonyms, or a line is none of these; with file and line.
    """
    path = Path(path)
    try:
        content = path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        number = error.object.count(b"\n", 0, error.start) + 1
        raise DataError(f"{path}, line {number}: no UTF-8 text. Save the file as UTF-8") from error
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror or error}") from error
    read = {".jsonl": _from_json, ".csv": _from_csv}.get(path.suffix.lower(), _from_tabs)
    found: dict[str, list[str]] = {}
    for number, line in enumerate(content.split("\n"), start=1):
        if line.strip():
            try:
                word, synonyms = read(line.strip())
            except ValueError as error:
                raise DataError(f"{path}, line {number}: expected {error}; got {line.strip()[:60]!r}") from error
            known = found.setdefault(word.casefold(), [])
            known += [synonym for synonym in dict.fromkeys(synonyms) if synonym not in known]
    if not found:
        raise DataError(f"{path}: holds no synonyms; expected lines as word<TAB>synonym,synonym")
    return found


def _from_tabs(line: str) -> _Entry:
    word, _, synonyms = line.partition("\t")
    return _entry(word, synonyms.split(","), form="word<TAB>synonym,synonym")


def _from_csv(line: str) -> _Entry:
    word, *synonyms = next(csv.reader([line]))
    return _entry(word, synonyms, form="word,synonym,synonym")


def _from_json(line: str) -> _Entry:
    form = '{"word": "…", "synonyms": ["…"]}'
    try:
        given = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise ValueError(form) from error
    if not isinstance(given, dict) or given.keys() != {"word", "synonyms"}:
        raise ValueError(form)
    word, synonyms = given["word"], given["synonyms"]
    texts = [word, *synonyms] if isinstance(synonyms, list) else []
    if not texts or not all(isinstance(text, str) for text in texts):
        raise ValueError(form)
    return _entry(word, synonyms, form=form)


def _entry(word: str, synonyms: Sequence[str], *, form: str) -> _Entry:
    """Take the white space off both ends; an empty word, or none but empty synonyms, is no entry."""
    word, known = word.strip(), [synonym.strip() for synonym in synonyms if synonym.strip()]
    if not word or not known:
        raise ValueError(form)
    return word, known
