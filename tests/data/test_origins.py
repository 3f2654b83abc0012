"""Where rows come from is kept through all that is done with a table, and told as a user would look it up."""

import json
from pathlib import Path
from typing import Any

import datasets
import pytest

from mtl_transformers.data.preparing import Tables, load_tables
from mtl_transformers.data.spec import ColumnSplit, DatasetSpec, Filters, HashSplit, Source


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory of a test."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write(name: str, first: int, count: int, **more: Any) -> str:
    rows = [{"text": f"text {n}", **more} for n in range(first, first + count)]
    Path(name).write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return name


def load(path: str, files: Any, *, source: dict[str, Any] | None = None, **settings: Any) -> Tables:
    return load_tables(DatasetSpec(Source("toy", path, files=files, **(source or {})), ("text",), **settings), seed=3)


def places(tables: Tables, split: str = "train") -> dict[str, str]:
    """The place of each row of a split by its text."""
    table = tables.splits[split]
    return dict(zip(table["text"], tables.places[split].of(range(len(table))), strict=True))


def test_rows_are_counted_from_1_without_the_header(folder: Path) -> None:
    Path("a.csv").write_text('text\none\n"two\nlines"\n\nthree\n', encoding="utf-8")
    assert places(load("csv", {"train": "a.csv", "validation": "a.csv"})) == {
        "one": "a.csv, row 1",
        "two\nlines": "a.csv, row 2",
        "three": "a.csv, row 3",
    }


def test_a_row_of_json_lines_is_named_by_its_line(folder: Path) -> None:
    Path("a.jsonl").write_text('{"text": "one"}\n\n  \n{"text": "two"}\n', encoding="utf-8")
    Path("a.json").write_text('[\n{"text": "one"},\n{"text": "two"}\n]', encoding="utf-8")
    assert list(places(load("json", {"train": "a.jsonl", "validation": "a.json"})).values()) == [
        "a.jsonl, line 1",
        "a.jsonl, line 4",
    ]
    assert list(places(load("json", {"train": "a.jsonl", "validation": "a.json"}), "validation").values()) == [
        "a.json, row 1",
        "a.json, row 2",
    ]


def test_a_sentence_is_named_by_its_first_line(folder: Path) -> None:
    Path("a.conll").write_text("-DOCSTART- O\n\nNew B\nYork I\n\n\n# no\nso O\n", encoding="utf-8")
    options = {"column_names": ["text", "tag"], "comment_prefix": "#"}
    files = {"train": "a.conll", "validation": "a.conll"}
    tables = load("conll", files, source={"options": options})
    assert tables.places["train"].of([0, 1]) == ["a.conll, line 3", "a.conll, line 8"]


def test_places_are_kept_through_split_shuffle_limit_and_filter(folder: Path) -> None:
    write("a.jsonl", 0, 400)
    Path("b.jsonl").write_text('{"text": ""}\n{"text": "text 400"}\n', encoding="utf-8")
    write("c.jsonl", 401, 400)
    tables = load(
        "json",
        {"train": ["a.jsonl", "[bc].jsonl"]},
        split=HashSplit({"validation": 0.2, "test": 0.1}),
        shuffle=True,
        limit={"train": 500},
        filters=Filters(drop_empty=True),
    )
    found = {text: place for split in tables.splits for text, place in places(tables, split).items()}
    assert len(found) > 600
    expected = {f"text {n}": f"a.jsonl, line {n + 1}" for n in range(400)} | {"text 400": "b.jsonl, line 2"}
    expected |= {f"text {n}": f"c.jsonl, line {n - 400}" for n in range(401, 801)}
    assert found == {text: expected[text] for text in found}


def test_a_split_by_column_keeps_its_places(folder: Path) -> None:
    Path("a.csv").write_text("text,part\none,train\ntwo,dev\nthree,train\n", encoding="utf-8")
    tables = load("csv", "a.csv", split=ColumnSplit("part", {"dev": "validation"}))
    assert places(tables) == {"one": "a.csv, row 1", "three": "a.csv, row 3"}
    assert places(tables, "validation") == {"two": "a.csv, row 2"}
    assert tables.splits["train"].column_names == ["text"]


def test_splits_under_other_names_keep_their_files(folder: Path) -> None:
    files = {"train": write("a.jsonl", 0, 2), "dev": write("b.jsonl", 2, 2)}
    tables = load("json", files, source={"splits": {"validation": "dev"}})
    assert places(tables, "validation") == {"text 2": "b.jsonl, line 1", "text 3": "b.jsonl, line 2"}


def test_a_saved_dataset_is_named_with_its_split(folder: Path) -> None:
    table = datasets.Dataset.from_dict({"text": ["a", "b"]})
    datasets.DatasetDict({"train": table, "dev": table}).save_to_disk("saved")
    tables = load("saved", (), source={"splits": {"validation": "dev"}})
    assert tables.places["validation"].of([1, 0, 1]) == ["saved, dev, row 2", "saved, dev, row 1", "saved, dev, row 2"]


def test_a_file_outside_of_the_working_directory_is_named_in_full(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tables = load("json", {"train": write("a.jsonl", 0, 2), "validation": "a.jsonl"})
    (folder / "elsewhere").mkdir()
    monkeypatch.chdir(folder / "elsewhere")
    assert tables.places["train"].of([1]) == [f"{folder}/a.jsonl, line 2"]


def test_files_that_are_gone_are_named_together(folder: Path) -> None:
    tables = load("json", {"train": [write("a.jsonl", 0, 2), write("b.jsonl", 2, 2)], "validation": "a.jsonl"})
    Path("a.jsonl").unlink()
    assert tables.places["train"].of([3]) == ["row 4 of a.jsonl, b.jsonl together"]
