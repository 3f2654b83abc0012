"""The review file: lines find their rows by text and label, wherever these stand, and a person's edits are kept."""

import json
import logging
from pathlib import Path
from typing import Any

import datasets
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mtl_transformers.data.review import Line, Review, read_review, reviewed_weights, row_keys, write_review
from mtl_transformers.errors import DataError, FileError

TEXTS = ["my refund", "the parcel", "a password", "the parcel"]
LABELS = ["delivery", "delivery", "account", "billing"]


def table(texts: list[str] = TEXTS, labels: list[Any] = LABELS) -> datasets.Dataset:
    return datasets.Dataset.from_dict({"body": texts, "intent": labels})


def keys(rows: datasets.Dataset) -> list[str]:
    return row_keys(rows, text=["body"], label=["intent"])


def line(key: str, **other: Any) -> dict[str, Any]:
    return {"dataset": "tickets", "split": "train", "task": "intent", "key": key, **other}


def weights(path: Path, rows: datasets.Dataset, *, weight: float = 0.0) -> dict[int, float]:
    review = Review(str(path), weight)
    return reviewed_weights(review, rows, dataset="tickets", task="intent", text=["body"], label=["intent"])


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "review.jsonl"


# keys


def test_a_key_knows_text_and_label():
    assert len(set(keys(table()))) == 4


def test_a_key_does_not_see_case_or_spaces_of_a_text():
    assert keys(table(["My  Refund"], ["delivery"])) == keys(table(["my refund"], ["delivery"]))


@pytest.mark.parametrize(
    ("label", "same"),
    [(1, 1.0), ([1, 2], [1.0, 2.0]), ([{"label": "A", "start": 0}], [{"label": "A", "start": 0.0, "text": None}])],
)
def test_a_key_does_not_see_what_a_hole_elsewhere_does_to_a_column(label: Any, same: Any):
    assert keys(table(["my refund"], [label])) == keys(table(["my refund"], [same]))


def test_a_key_sees_the_names_of_a_class_label_and_not_its_numbers():
    one, other = (
        table(["my refund"], [number]).cast_column("intent", datasets.ClassLabel(names=names))
        for number, names in ((0, ["billing", "delivery"]), (1, ["delivery", "billing"]))
    )
    assert keys(one) == keys(other) == keys(table(["my refund"], ["billing"]))


def test_a_key_sees_each_label_column_and_each_text_column():
    rows = datasets.Dataset.from_dict({"a": ["x", "xy"], "b": ["yz", "z"], "c": [1, 1], "d": [0, 1]})
    assert len(set(row_keys(rows, text=["a", "b"], label=["c"]))) == 2
    assert len(set(row_keys(rows.select([0, 0]), text=["a"], label=["c", "d"]))) == 1
    assert row_keys(rows, text=["a"], label=["c", "d"])[0] != row_keys(rows, text=["a"], label=["c"])[0]


# matching


def test_listed_rows_weigh_what_the_config_says(path: Path):
    write_review(path, [line(keys(table())[2]), line(keys(table())[0])])
    assert weights(path, table(), weight=0.2) == {0: 0.2, 2: 0.2}


@settings(deadline=None, max_examples=25)
@given(order=st.permutations(range(4)), listed=st.sets(st.integers(0, 3), min_size=1))
def test_lines_find_their_rows_wherever_they_stand(tmp_path_factory, order: list[int], listed: set[int]):
    path = tmp_path_factory.mktemp("moved") / "review.jsonl"
    write_review(path, [line(keys(table())[row]) for row in sorted(listed)])
    found = weights(path, table().select(order))
    assert {order[row] for row in found} == listed


def test_rows_with_equal_text_and_label_are_all_found_by_one_line(path: Path):
    rows = table(["my refund", "My refund", "my refund"], ["delivery", "delivery", "billing"])
    write_review(path, [line(keys(rows)[0])])
    assert weights(path, rows) == {0: 0.0, 1: 0.0}


def test_a_line_that_a_person_keeps_leaves_its_rows_alone(path: Path):
    both = keys(table())[:2]
    write_review(path, [line(both[0], keep=True), line(both[1]), line(both[0])])
    assert weights(path, table()) == {1: 0.0}


def test_a_corrected_label_is_not_in_doubt_any_more_and_the_log_counts_it(path: Path, caplog):
    write_review(path, [line(key) for key in keys(table())[:2]])
    corrected = table(labels=["billing", *LABELS[1:]])
    with caplog.at_level(logging.INFO, logger="mtl_transformers"):
        assert weights(path, corrected) == {1: 0.0}
    assert caplog.messages == [f"tasks.intent.review: 1 of 2 lines of {path} fit a row; 1 rows are left out"]


@pytest.mark.parametrize("other", [{"task": "topics"}, {"dataset": "mails"}, {"split": "test"}])
def test_lines_on_other_tasks_datasets_and_splits_are_not_read(path: Path, caplog, other: dict[str, str]):
    write_review(path, [line(keys(table())[0]) | other])
    assert weights(path, table()) == {}
    assert caplog.messages == [f"tasks.intent.review: {path} lists no train row of the task"]


def test_a_file_that_fits_no_row_is_an_error(path: Path):
    write_review(path, [line("0" * 32), line("1" * 32)])
    with pytest.raises(DataError, match=r"none of the 2 lines of .*review\.jsonl fits a row of data\.tickets"):
        weights(path, table())


# the file


def test_what_was_written_is_read(path: Path):
    write_review(path, [line("aé"), line("b", keep=True, score=0.5)])
    assert read_review(path) == [
        Line(dataset="tickets", split="train", task="intent", key="aé", keep=False),
        Line(dataset="tickets", split="train", task="intent", key="b", keep=True),
    ]


def test_a_file_that_an_editor_saved_with_blank_lines_and_a_mark_is_read(path: Path):
    path.write_text("\ufeff" + json.dumps(line("a")) + "\r\n\r\n", encoding="utf-8")
    assert [of.key for of in read_review(path)] == ["a"]


def test_a_text_may_hold_the_line_ends_of_unicode(path: Path):
    write_review(path, [line("a", text="one\u2028two\x85three")])
    assert len(read_review(path)) == 1


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b'{"dataset": "tickets", "split"\n', "line 1: no JSON"),
        (b"[1]\n", "line 1: expected an object"),
        (json.dumps({**line("a"), "key": 3}).encode(), "line 1: 'key' is missing or no text"),
        (json.dumps(line("a")).encode() + b'\n{"split": "train"}', "line 2: 'dataset' is missing"),
        (json.dumps(line("a", keep="yes")).encode(), "line 1: keep is 'yes'; expected true or false"),
        (b"\xff\xfe", "cannot be read as UTF-8"),
    ],
)
def test_a_broken_file_is_an_error_that_names_the_line(path: Path, content: bytes, said: str):
    path.write_bytes(content)
    with pytest.raises(DataError, match=said) as caught:
        read_review(path)
    assert str(path) in str(caught.value)


def test_a_file_that_is_not_there_is_named(path: Path):
    with pytest.raises(FileError, match=r"review\.jsonl: No such file"):
        read_review(path)
