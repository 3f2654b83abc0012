"""Train texts that stand in validation or test of any dataset."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mtl_transformers.data.leaks import leaks_of, rows_within, without_leaks
from mtl_transformers.data.preparing import Tables, load_tables
from mtl_transformers.data.spec import DatasetSpec, Filters, Source
from mtl_transformers.errors import DataError

DROP = Filters(drop_leaks=True)


def tables(
    place: Path, name: str, *, text: tuple[str, ...] = ("text",), filters: Filters = DROP, **splits: list[Any]
) -> Tables:
    """Store rows, or texts alone, and load them."""
    (place / name).mkdir(parents=True)
    files = {}
    for split, rows in splits.items():
        files[split] = str(place / name / f"{split}.jsonl")
        lines = [row if isinstance(row, dict) else {"text": row} for row in rows]
        Path(files[split]).write_text("".join(json.dumps(line) + "\n" for line in lines))
    spec = DatasetSpec(Source(name, "json", files=files, cache_dir=str(place / "cache")), text, filters=filters)
    return load_tables(spec, seed=0)


def test_leaks_are_found_across_datasets_with_their_counterparts(tmp_path: Path) -> None:
    given = {
        "a": tables(tmp_path, "a", train=["x", "Pay now!", "y"], validation=["z"], test=["w", "pay now", "PAY now"]),
        "b": tables(tmp_path, "b", train=[["z"], ["q"]], validation=[["y"]]),
    }
    leaks = {(of.dataset, of.other, of.split): of.found for of in leaks_of(given)}
    assert {where: (found.rows.tolist(), found.others.tolist()) for where, found in leaks.items()} == {
        ("a", "a", "test"): ([1], [1]),
        ("a", "b", "validation"): ([2], [0]),
        ("b", "a", "validation"): ([0], [0]),
    }


def test_leaked_rows_are_left_out_where_it_is_asked_for_and_places_stay_right(tmp_path: Path) -> None:
    given = {
        "a": tables(tmp_path, "a", train=["x", "y", "z", "v"], validation=["Y"], test=["z", "y"]),
        "b": tables(tmp_path, "b", train=["x", "y", "n"], validation=["m"], filters=Filters()),
    }
    ready = without_leaks(given)
    assert list(ready["a"].splits["train"]["text"]) == ["x", "v"]
    assert ready["a"].places["train"].of([1])[0].endswith("train.jsonl, line 4")
    assert ready["a"].num_dropped == {"train": {"drop_leaks": 2}, "validation": {}, "test": {}}
    assert ready["b"] is given["b"]
    assert list(ready["a"].splits["test"]["text"]) == ["z", "y"]
    assert leaks_of({"a": ready["a"]}) == []


def test_no_leak_is_a_count_of_zero(tmp_path: Path) -> None:
    given = {"a": tables(tmp_path, "a", train=["x"], validation=["y"])}
    assert without_leaks(given)["a"].num_dropped["train"] == {"drop_leaks": 0}


def test_pairs_leak_as_pairs(tmp_path: Path) -> None:
    pair = [{"p": "x", "q": "y"}, {"p": "y", "q": "x"}]
    given = {
        "pairs": tables(tmp_path, "pairs", text=("p", "q"), train=pair, validation=[{"p": "X", "q": "Y."}]),
        "texts": tables(tmp_path, "texts", train=["n"], validation=["x", "y", "x y"]),
    }
    assert [(of.dataset, of.other, of.found.rows.tolist()) for of in leaks_of(given)] == [("pairs", "pairs", [0])]


def test_leaks_that_leave_no_row_are_an_error(tmp_path: Path) -> None:
    given = {"a": tables(tmp_path, "a", train=["x", "x"], validation=["x"])}
    with pytest.raises(DataError, match=r"data\.a\.filter\.drop_leaks leaves no row: all 2 texts of train"):
        without_leaks(given)


@given(st.lists(st.integers(0, 2**64 - 1) | st.integers(0, 9)), st.lists(st.integers(0, 9) | st.just(2**64 - 1)))
def test_rows_within_are_those_of_a_dict(rows: list[int], others: list[int]) -> None:
    found = rows_within(np.array(rows, dtype=np.uint64), np.array(others, dtype=np.uint64))
    first = {number: row for row, number in reversed(list(enumerate(others)))}
    assert dict(zip(found.rows.tolist(), found.others.tolist(), strict=True)) == {
        row: first[number] for row, number in enumerate(rows) if number in first
    }


@pytest.mark.parametrize(
    ("name", "path", "files", "text", "leaked"),
    [
        ("snips", "json", "{}.jsonl", "tokens", 25),
        ("banking77", "csv", "{}.csv", "text", 25),
        ("goemotions", "json", "{}.jsonl", "text", 90),
    ],
)
def test_the_known_leaks_of_the_shared_data_are_found(
    shared_data: Path, tmp_path: Path, name: str, path: str, files: str, text: str, leaked: int
) -> None:
    """Distinct test texts that stand in train, as the data's README counts them."""
    at = {split: str(shared_data / name / files.format(split)) for split in ("train", "test")}
    spec = DatasetSpec(Source(name, path, files={**at, "validation": at["test"]}, cache_dir=str(tmp_path)), (text,))
    (leak,) = [of for of in leaks_of({name: load_tables(spec, seed=0)}) if of.split == "test"]
    assert len(np.unique(leak.found.others)) == leaked
