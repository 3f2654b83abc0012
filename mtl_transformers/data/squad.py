"""Reads the JSON files of SQuAD 1.1 and 2.0, one row for each question (arXiv:1606.05250, arXiv:1806.03822).

Owns what a file must hold, and the columns of its rows. Answers are taken as they stand: where they lie in the context
is the task's to check. One file is in memory at a time, and rows are written a thousand at once.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import datasets
import pyarrow as pa
from datasets.builder import Key

from mtl_transformers.data.faults import KINDS, FileFaultError, half_of_a_character, not_json, not_text
from mtl_transformers.errors import nearest
from mtl_transformers.text.undecodable import undecodable

SAID = "is_impossible"
"""The column of SQuAD 2.0; null where a file does not say it."""

_FEATURES = datasets.Features(
    {
        "id": datasets.Value("string"),
        "title": datasets.Value("string"),
        "context": datasets.Value("string"),
        "question": datasets.Value("string"),
        "answers": datasets.List({"text": datasets.Value("string"), "answer_start": datasets.Value("int32")}),
        SAID: datasets.Value("bool"),
    }
)
_BATCH_ROWS = 1000
_LARGEST = 2**31 - 1
_FORM = (
    'SQuAD is {"data": [{"title", "paragraphs": [{"context", "qas": [{"id", "question", "answers": [{"text", '
    '"answer_start"}]}]}]}]}'
)


@dataclass
class SquadConfig(datasets.BuilderConfig):  # type: ignore[misc]  # datasets has no types
    """The options of ``path: squad``.

    Attributes:
        encoding: of the files.
        encoding_errors: what to do about bytes that are no text, as in `open`; ``None``: refuse them.
    """

    encoding: str = "utf-8-sig"
    encoding_errors: str | None = None


class Squad(datasets.ArrowBasedBuilder):  # type: ignore[misc]  # datasets has no types
    """Builds the tables of SQuAD files in the cache of `datasets`."""

    BUILDER_CONFIG_CLASS = SquadConfig

    def _info(self) -> datasets.DatasetInfo:
        return datasets.DatasetInfo(features=_FEATURES)

    def _split_generators(self, dl_manager: datasets.DownloadManager) -> list[datasets.SplitGenerator]:
        unpacked = dl_manager.download_and_extract(self.config.data_files)
        return [datasets.SplitGenerator(split, gen_kwargs={"files": files}) for split, files in unpacked.items()]

    def _generate_tables(self, files: Sequence[str]) -> Iterator[tuple[Key, pa.Table]]:
        for shard, file in enumerate(files):
            rows = read_questions(file, encoding=self.config.encoding, encoding_errors=self.config.encoding_errors)
            number = 0
            while batch := list(islice(rows, _BATCH_ROWS)):
                yield Key(shard, number), pa.Table.from_pylist(batch, schema=_FEATURES.arrow_schema)
                number += 1


def read_questions(file: str, *, encoding: str, encoding_errors: str | None = None) -> Iterator[dict[str, Any]]:
    """Yield the questions of a file in order, as rows.

    Raises:
        FileFaultError: bytes that are no text, no JSON, a key that lacks or a value of another kind.
    """
    try:
        with open(file, encoding=encoding, errors=encoding_errors) as stream:
            content = json.load(stream)
    except UnicodeDecodeError as error:
        found = undecodable(file, encoding)
        raise FileFaultError(file, not_text(found) if found else str(error)) from error
    except json.JSONDecodeError as error:
        raise FileFaultError(file, not_json(error, "Write the file again")) from error
    except RecursionError as error:
        raise FileFaultError(file, f"{error}. Write the file again") from error
    try:
        yield from _rows(content)
    except _FormError as error:
        raise FileFaultError(file, f"{error}. {_FORM}") from error


def without_the_unsaid(tables: Mapping[str, datasets.Dataset]) -> dict[str, datasets.Dataset]:
    """Drop ``is_impossible`` where no file has it: SQuAD 1.1."""
    if any(table.data.column(SAID).null_count < len(table) for table in tables.values()):
        return dict(tables)
    return {split: table.remove_columns(SAID) for split, table in tables.items()}


def question_id(file: str, row: int, *, encoding: str) -> str | None:
    """Return the id of a question, which its reader finds it by; ``None`` where it is not there any more."""
    try:
        found = next(islice(read_questions(file, encoding=encoding, encoding_errors="replace"), row, None), None)
    except (OSError, FileFaultError):
        return None
    return str(found["id"]) if found else None


class _FormError(ValueError):
    """What a file lacks, and where in it."""


def _rows(content: Any) -> Iterator[dict[str, Any]]:
    for number, article in enumerate(_value(content, "data", list, "the file"), 1):
        in_article = f"article {number}"
        title = _text(article, "title", in_article) if isinstance(article, dict) and article.get("title") else None
        for at, paragraph in enumerate(_value(article, "paragraphs", list, in_article), 1):
            place = f"{in_article}, paragraph {at}"
            context = _text(paragraph, "context", place)
            for index, question in enumerate(_value(paragraph, "qas", list, place), 1):
                yield _row(question, f"{place}, question {index}", title=title, context=context)


def _row(question: Any, place: str, *, title: str | None, context: str) -> dict[str, Any]:
    name = _text(question, "id", place)
    place = f"{place} (id {name!r})"
    answers = _value(question, "answers", list, place)
    said = _value(question, SAID, bool, place) if SAID in question else None
    if said and answers:
        raise _FormError(f"{place}: is_impossible is true, but there are answers; one of them is wrong")
    return {
        "id": name,
        "title": title,
        "context": context,
        "question": _text(question, "question", place),
        "answers": [_answer(answer, f"{place}, answer {number}") for number, answer in enumerate(answers, 1)],
        SAID: said,
    }


def _answer(answer: Any, place: str) -> dict[str, Any]:
    start = _value(answer, "answer_start", int, place)
    if abs(start) > _LARGEST:
        raise _FormError(f"{place}: answer_start {start} lies outside of every text")
    return {"text": _text(answer, "text", place), "answer_start": start}


def _text(entry: Any, key: str, place: str) -> str:
    text = str(_value(entry, key, str, place))
    if fault := half_of_a_character(text):
        raise _FormError(f"{place}, {key}: {fault}")
    return text


def _value(entry: Any, key: str, kind: type, place: str) -> Any:
    """Return the value of a key, which must be there and of a kind."""
    if not isinstance(entry, dict):
        raise _FormError(f"{place}: expected an object with {key!r}; got {KINDS[type(entry)]}")
    if key not in entry:
        raise _FormError(f"{place}: there is no {key!r}{nearest(key, entry)}")
    value = entry[key]
    if type(value) is not kind:
        expected = "a whole number" if kind is int else KINDS[kind]
        raise _FormError(f"{place}, {key}: expected {expected}; got {KINDS[type(value)]}")
    return value
