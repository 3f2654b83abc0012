import json
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest

from mtl_transformers.data.loading import load_splits
from mtl_transformers.data.origins import origin_of
from mtl_transformers.data.spec import Source
from mtl_transformers.errors import ConfigError, DataError

Rows = list[dict[str, Any]]
REMOVED = object()


def question(name: str, *answers: tuple[str, int], **more: Any) -> dict[str, Any]:
    return {
        "id": name,
        "question": f"What is {name}?",
        "answers": [{"text": text, "answer_start": start} for text, start in answers],
        **more,
    }


def squad(*questions: dict[str, Any]) -> dict[str, Any]:
    """A file of two articles; the questions stand in the second paragraph of the second one."""
    empty = {"context": "Nothing.", "qas": []}
    articles = [
        {"title": "A", "paragraphs": [empty]},
        {"title": "B", "paragraphs": [empty, {"context": "A cat is a cat.", "qas": list(questions)}]},
    ]
    return {"version": "1.1", "data": articles}


V1 = squad(question("q0", ("cat", 2), ("cat", 11)), question("q1", ("A", 0)))
V2 = squad(
    question("q2", ("cat", 2), is_impossible=False),
    question("q3", is_impossible=True, plausible_answers=[{"text": "cat", "answer_start": 2}]),
)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    place = tmp_path / "work"
    place.mkdir()
    monkeypatch.chdir(place)
    return place


def source(cache: str, files: object, **options: object) -> Source:
    return Source("toy", "squad", files=files, options=options, cache_dir=cache)  # type: ignore[arg-type]


def rows_of(cache: str, content: object, **options: object) -> Rows:
    text = content if isinstance(content, str) else json.dumps(content)
    Path("dev.json").write_text(text, encoding=str(options.get("encoding", "utf-8")))
    rows: Rows = load_splits(source(cache, "dev.json", **options))["train"].to_list()
    return rows


def test_a_question_is_a_row_with_all_of_its_answers(folder: Path, cache: str) -> None:
    assert rows_of(cache, V1) == [
        {
            "id": "q0",
            "title": "B",
            "context": "A cat is a cat.",
            "question": "What is q0?",
            "answers": [{"text": "cat", "answer_start": 2}, {"text": "cat", "answer_start": 11}],
        },
        {
            "id": "q1",
            "title": "B",
            "context": "A cat is a cat.",
            "question": "What is q1?",
            "answers": [{"text": "A", "answer_start": 0}],
        },
    ]


def test_no_answer_is_an_empty_list_and_plausible_answers_are_none(folder: Path, cache: str) -> None:
    assert [(row["answers"], row["is_impossible"]) for row in rows_of(cache, V2)] == [
        ([{"text": "cat", "answer_start": 2}], False),
        ([], True),
    ]


def test_is_impossible_is_null_where_only_another_file_says_it(folder: Path, cache: str) -> None:
    Path("one.json").write_text(json.dumps(V1), encoding="utf-8")
    Path("two.json").write_text(json.dumps(V2), encoding="utf-8")
    tables = load_splits(source(cache, {"train": "one.json", "validation": "two.json"}))
    assert {split: table["is_impossible"][:] for split, table in tables.items()} == {
        "train": [None, None],
        "validation": [False, True],
    }


def test_wrong_offsets_are_left_to_the_task(folder: Path, cache: str) -> None:
    (row,) = rows_of(cache, squad(question("q", ("dog", 999), ("cat", -1))))
    assert [answer["answer_start"] for answer in row["answers"]] == [999, -1]


def test_an_article_needs_no_title(folder: Path, cache: str) -> None:
    content = deepcopy(V1)
    del content["data"][1]["title"]
    assert [row["title"] for row in rows_of(cache, content)] == [None, None]


def changed(path: str, value: object) -> dict[str, Any]:
    """V1 with one value changed or removed, by its path."""
    content: Any = deepcopy(V1)
    place = content
    *outer, key = (int(part) if part.isdigit() else part for part in path.split("."))
    for part in outer:
        place = place[part]
    if value is REMOVED:
        del place[key]
    else:
        place[key] = value
    return dict(content)


PARAGRAPH = "data.1.paragraphs.1"


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        ("data", REMOVED, "the file: there is no 'data'"),
        ("data", {}, "the file, data: expected a list; got an object"),
        ("data.0", "A", "article 1: expected an object with 'paragraphs'; got text"),
        ("data.1.paragraphs", REMOVED, "article 2: there is no 'paragraphs'"),
        (f"{PARAGRAPH}.context", REMOVED, "article 2, paragraph 2: there is no 'context'"),
        (f"{PARAGRAPH}.context", "\ud800", "article 2, paragraph 2, context: text with half of a character"),
        (f"{PARAGRAPH}.qas", None, "article 2, paragraph 2, qas: expected a list; got null"),
        (f"{PARAGRAPH}.qas.1.id", REMOVED, "article 2, paragraph 2, question 2: there is no 'id'"),
        (f"{PARAGRAPH}.qas.1.question", 7, "paragraph 2, question 2 (id 'q1'), question: expected text; got a number"),
        (f"{PARAGRAPH}.qas.1.answers", REMOVED, "question 2 (id 'q1'): there is no 'answers'"),
        (f"{PARAGRAPH}.qas.0.answers.1.text", REMOVED, "question 1 (id 'q0'), answer 2: there is no 'text'"),
        (f"{PARAGRAPH}.qas.0.answers.1.answer_start", "2", "answer 2, answer_start: expected a whole number; got text"),
        (f"{PARAGRAPH}.qas.0.answers.1.answer_start", 2**31, "answer_start 2147483648 lies outside"),
        (f"{PARAGRAPH}.qas.0.is_impossible", "yes", "is_impossible: expected true or false; got text"),
        (f"{PARAGRAPH}.qas.0.is_impossible", True, "question 1 (id 'q0'): is_impossible is true, but there are"),
    ],
)
def test_what_a_file_lacks_is_told_with_its_place(
    folder: Path, cache: str, path: str, value: object, words: str
) -> None:
    with pytest.raises(DataError) as raised:
        rows_of(cache, changed(path, value))
    assert str(raised.value).startswith("dataset 'toy', split 'train', dev.json, ")
    assert words in str(raised.value)
    assert 'SQuAD is {"data": [' in str(raised.value)


def test_a_misspelt_key_suggests_the_nearest(folder: Path, cache: str) -> None:
    with pytest.raises(DataError, match="there is no 'answers'; did you mean 'answer'"):
        rows_of(cache, json.dumps(V1).replace('"answers"', '"answer"'))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (json.dumps(V1, indent=1)[:-3], r"dev\.json, line \d+: no JSON: .*Write the file again"),
        ("[" * 100_000, r"dev\.json, .*recursion.*Write the file again"),
        ("[]", r"dev\.json, the file: expected an object with 'data'; got a list"),
        ('{"data": []}', r"no rows"),
    ],
)
def test_a_file_that_is_no_squad_is_refused(folder: Path, cache: str, text: str, words: str) -> None:
    with pytest.raises(DataError, match=words):
        rows_of(cache, text)


def test_a_row_is_placed_by_the_number_and_the_id_of_its_question(folder: Path, cache: str) -> None:
    Path("one.json").write_text(json.dumps(V1), encoding="utf-8")
    Path("two.json").write_text(json.dumps(V2), encoding="utf-8")
    both = source(cache, ["one.json", "two.json"])
    origin = origin_of(both, load_splits(both))
    assert origin.places([1, 3]) == ["one.json, question 2 (id 'q1')", "two.json, question 2 (id 'q3')"]
    Path("two.json").unlink()
    assert origin.places([3]) == ["two.json, question 2"]


def test_options_of_squad_are_its_encoding(folder: Path, cache: str) -> None:
    with pytest.raises(ConfigError, match="squad has the options encoding, encoding_errors and not this one"):
        rows_of(cache, V1, field="data")


def test_nothing_is_written_beside_a_file(folder: Path, cache: str) -> None:
    rows_of(cache, V1)
    assert [path.name for path in folder.iterdir()] == ["dev.json"]


def test_xquad_equals_its_files(shared_data: Path, cache: str) -> None:
    files = {split: str(shared_data / "xquad" / f"{split}.json") for split in ("train", "validation")}
    tables = load_splits(source(cache, files))
    assert {split: len(table) for split, table in tables.items()} == {"train": 786, "validation": 139}
    for split, table in tables.items():
        content = json.loads(Path(files[split]).read_text(encoding="utf-8"))
        by_hand = [
            {**entry, "context": paragraph["context"], "title": article["title"]}
            for article in content["data"]
            for paragraph in article["paragraphs"]
            for entry in paragraph["qas"]
        ]
        assert table.to_list() == by_hand
        assert all(
            row["context"][answer["answer_start"] :].startswith(answer["text"])
            for row in table
            for answer in row["answers"]
        )
