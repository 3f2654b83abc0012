"""Names that files and columns suggest: legal names of datasets and tasks, splits, and what a column is called for.

Knows words, and no values.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection

_SPLITS = {
    "train": ("train", "training"),
    "validation": ("validation", "valid", "val", "dev", "devel", "development"),
    "test": ("test", "testing", "heldout", "holdout"),
}
SPLIT_WORDS = {word: split for split, words in _SPLITS.items() for word in words}
"""Our split by what it is called elsewhere."""

SPLIT_COLUMNS = {"split", "set", "fold", "partition", "subset"}
TEXTS = {
    "text", "body", "sentence", "message", "content", "comment", "review", "tweet", "utterance", "question", "query",
    "statement", "description", "post", "document", "email", "title", "subject", "headline", "prompt", "input",
}  # fmt: skip
PAIRS = (
    ("premise", "hypothesis"), ("question", "context"), ("question", "passage"), ("question", "sentence"),
    ("question", "answer"), ("query", "document"), ("query", "passage"), ("query", "candidate"), ("query", "title"),
    ("context", "response"), ("anchor", "positive"), ("claim", "evidence"), ("source", "target"), ("first", "second"),
)  # fmt: skip
WORDS = ("tokens", "words", "token", "word", "form", "text", "sentence")
LABELS = {"label", "labels", "class", "target", "category", "intent", "gold", "y", "answer"}
GENERIC = {"label", "labels", "class", "target", "gold", "y", "answer", "answers", "tags"}
"""What the only label of a table is called; the task then has the name of its dataset."""
SCALES = {"score", "rating", "stars", "similarity", "relevance", "value", "grade", "intensity", "degree"}
ORIGINS = {
    "source", "origin", "domain", "dataset", "corpus", "lang", "language", "locale", "user", "username", "author",
    "annotator", "worker", "url", "link", "file", "filename", "path", "version", "year", "month", "day", "country",
    "split", "set", "fold", "partition", "subset",
}  # fmt: skip
"""Columns that say where a row is from: seldom what is to be predicted."""

_ID = re.compile(r"(?i:(^|[_\W])(id|idx|index|guid|uuid|key|rowid)$)|[a-z]I[dD]$")
_NUMBERED = re.compile(r"(.*?)[_ -]?([12ab])$", re.IGNORECASE)


def legal_name(text: str, *, otherwise: str, taken: Collection[str] = ()) -> str:
    """Return a name of a dataset or a task that is none of those taken."""
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().lower()
    name = re.sub(r"[^a-z0-9_-]+", "_", plain).strip("_-")[:60] or otherwise
    numbers = (f"{name}_{number}" for number in range(2, len(taken) + 3))
    return next(free for free in (name, *numbers) if free not in taken)


def split_in(stem: str) -> tuple[str | None, str]:
    """Return our split that a file's name says, and the name without it and without the numbers of parts."""
    parts = [part for part in re.split(r"[\W_]+", stem) if part]
    said = next((part for part in parts if part.lower() in SPLIT_WORDS), None)
    rest = [part for part in parts if part != said and not (part.isdigit() or (said and part == "of"))]
    return (SPLIT_WORDS[said.lower()] if said else None), "_".join(rest)


def is_id(name: str) -> bool:
    """Tell whether a column's name is that of ids."""
    return _ID.search(name) is not None


def is_one_of(name: str, known: Collection[str]) -> bool:
    """Tell whether a column's name, or a word of it, is one of some names."""
    return any(part in known for part in (name.lower(), *re.split(r"[\W_]+|(?<=[a-z])(?=[A-Z])", name.lower())))


def pair_in(names: Collection[str]) -> tuple[str, str] | None:
    """Return the two of some columns whose names are those of a pair."""
    by_lower = {name.lower(): name for name in names}
    for first, second in PAIRS:
        if first in by_lower and second in by_lower:
            return by_lower[first], by_lower[second]
    stems: dict[tuple[str, str], str] = {}
    for name in names:
        if (found := _NUMBERED.fullmatch(name)) and found[1]:
            stems[found[1].lower(), found[2].lower()] = name
    for (stem, mark), name in stems.items():
        other = {"1": "2", "a": "b"}.get(mark)
        if other and (stem, other) in stems:
            return name, stems[stem, other]
    return None
