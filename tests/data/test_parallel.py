import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import datasets
import pytest

from mtl_transformers.data.loading import load_splits
from mtl_transformers.data.origins import origin_of
from mtl_transformers.data.spec import Source
from mtl_transformers.errors import ConfigError, DataError

SNIPS = {"tokens": "seq.in", "slots": "seq.out", "intent": "label"}
WORDS = {"words": ["tokens", "slots"]}
GOOD = {
    "seq.in": "play  some\tjazz\n\nbook it\n",
    "seq.out": "O O B-genre\n\nO O\n",
    "label": "PlayMusic\nNone\n\n",
}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    place = tmp_path / "work"
    place.mkdir()
    monkeypatch.chdir(place)
    return place


def load(
    cache: str, contents: Mapping[str, str | bytes], files: Any = None, **options: object
) -> dict[str, datasets.Dataset]:
    for name, content in contents.items():
        Path(name).write_bytes(content if isinstance(content, bytes) else content.encode())
    return load_splits(Source("toy", "parallel", files=files or {"train": SNIPS}, options=options, cache_dir=cache))


def test_line_i_of_each_file_together_is_a_row(folder: Path, cache: str) -> None:
    assert load(cache, GOOD, **WORDS)["train"].to_list() == [
        {"tokens": ["play", "some", "jazz"], "slots": ["O", "O", "B-genre"], "intent": "PlayMusic"},
        {"tokens": [], "slots": [], "intent": "None"},
        {"tokens": ["book", "it"], "slots": ["O", "O"], "intent": None},
    ]


def test_columns_that_are_not_named_as_words_are_text(folder: Path, cache: str) -> None:
    table = load(cache, GOOD)["train"]
    assert table["tokens"][:] == ["play  some\tjazz", None, "book it"]


def test_numbers_are_typed_as_those_of_csv(folder: Path, cache: str) -> None:
    files = {"train": {"a": "a", "score": "s"}, "test": {"a": "b", "score": "t"}}
    tables = load(cache, {"a": "x\ny\n", "s": "1\n\n", "b": "z\n", "t": "0.5\n"}, files)
    assert {split: table["score"][:] for split, table in tables.items()} == {"train": [1.0, None], "test": [0.5]}


def test_a_last_line_needs_no_end(folder: Path, cache: str) -> None:
    assert len(load(cache, {**GOOD, "label": "a\nb\nc"}, **WORDS)["train"]) == 3


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"label": "a\nb\n"}, r"label, line 3: the file has ended, but seq\.in goes on\. Line i of each file is a row"),
        ({"seq.in": GOOD["seq.in"] + "\n"}, r"seq\.out, line 4: the file has ended, but seq\.in goes on"),
        ({"seq.out": "O O B-genre\n\nO\n"}, r"seq\.out, line 3: 1 words, but seq\.in has 2 in that line"),
        ({"label": b"a\nb\n\xe9\n"}, r"label, line 3: byte 0xe9 at offset 4 is no UTF-8.*\{encoding: latin-1\}"),
    ],
)
def test_unequal_lines_and_words_are_told_with_file_and_line(
    folder: Path, cache: str, changes: dict[str, str | bytes], words: str
) -> None:
    with pytest.raises(DataError, match=rf"^dataset 'toy', split 'train', {words}"):
        load(cache, {**GOOD, **changes}, **WORDS)


def test_lines_are_counted_over_all_that_was_read_before(folder: Path, cache: str) -> None:
    """Lines are read 10,000 at a time."""
    lines = {"seq.in": "a b\n" * 25_000, "seq.out": "O O\n" * 24_000 + "O\n" + "O O\n" * 999, "label": "x\n" * 25_000}
    with pytest.raises(DataError, match=r"seq\.out, line 24001: 1 words"):
        load(cache, lines, **WORDS)
    with pytest.raises(DataError, match=r"label, line 20001: the file has ended"):
        load(cache, {**lines, "label": "x\n" * 20_000}, **WORDS)


def test_a_row_is_placed_by_its_line_in_the_first_file(folder: Path, cache: str) -> None:
    tables = load(cache, GOOD, **WORDS)
    source = Source("toy", "parallel", files={"train": SNIPS}, options=WORDS, cache_dir=cache)
    assert origin_of(source, tables).places([0, 2]) == ["seq.in, line 1", "seq.in, line 3"]


@pytest.mark.parametrize(
    ("files", "options", "words"),
    [
        ({"train": "seq.in"}, {}, r"data\.toy\.files\.train: parallel needs a file for each column, as \{train: \{"),
        ("seq.in", {}, r"data\.toy\.files: parallel needs a file for each column"),
        (SNIPS, {}, r"data\.toy\.files\.tokens: parallel needs a file for each column"),
        (
            {"train": SNIPS, "test": {"tokens": "seq.in"}},
            {},
            r"data\.toy\.files\.test: the columns are tokens, but those of train are tokens, slots, intent",
        ),
        ({"train": {"tokens": "seq.*"}}, {}, r"data\.toy\.files\.train\.tokens: 2 files; name one"),
        ({"train": SNIPS}, {"words": ["token"]}, r"options\.words: 'token' is none .*did you mean 'tokens'"),
        ({"train": SNIPS}, {"words": "tokens"}, r"options\.words: expected a list of text"),
        ({"train": SNIPS}, {"file_columns": ["a"]}, r"options\.file_columns: parallel has the options encoding"),
    ],
)
def test_files_and_words_are_columns_or_refused(
    folder: Path, cache: str, files: Any, options: dict[str, object], words: str
) -> None:
    with pytest.raises(ConfigError, match=words):
        load(cache, GOOD, files, **options)


def test_a_file_that_is_not_there_is_told_with_its_column(folder: Path, cache: str) -> None:
    with pytest.raises(DataError, match=r"split 'train\.slots': there is no file seq\.uot.*did you mean 'seq\.out'"):
        load(cache, GOOD, {"train": {**SNIPS, "slots": "seq.uot"}})


def test_a_file_for_each_column_is_for_parallel_files_alone(folder: Path, cache: str) -> None:
    with pytest.raises(ConfigError, match=r"data\.toy\.files\.train: a file for each column is for path parallel"):
        load_splits(Source("toy", "text", files={"train": SNIPS}, cache_dir=cache))


def test_snips_as_parallel_files_equals_snips(shared_data: Path, folder: Path, cache: str) -> None:
    path = shared_data / "snips" / "validation.jsonl"
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    contents = {
        "seq.in": "".join(" ".join(row["tokens"]) + "\n" for row in rows),
        "seq.out": "".join(" ".join(row["slots"]) + "\n" for row in rows),
        "label": "".join(row["intent"] + "\n" for row in rows),
    }
    assert load(cache, contents, **WORDS)["train"].to_list() == rows
