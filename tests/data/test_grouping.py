"""Rows of pairs become queries with their candidates, and nothing divides a query."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from little import searches, write_rows

from mtl_transformers.data.preparing import Tables, load_tables
from mtl_transformers.data.spec import DatasetSpec, Filters, Grouping, HashSplit, Source
from mtl_transformers.errors import DataError

ROWS: list[dict[str, Any]] = [
    {"key": 7, "query": "red", "candidate": "a", "relevance": 1, "source": "x"},
    {"key": 3, "query": "blue", "candidate": "b", "relevance": 0, "source": "y"},
    {"key": 7, "query": "red", "candidate": "c", "relevance": None, "source": "z"},
    {"key": 3, "query": "blue", "candidate": "d", "relevance": 2, "source": "y"},
    {"key": 7, "query": "red", "candidate": "e", "relevance": 0, "source": "x"},
]
QUERIES = [
    {"key": 7, "query": "red", "candidate": ["a", "c", "e"], "relevance": [1, None, 0], "source": "x"},
    {"key": 3, "query": "blue", "candidate": ["b", "d"], "relevance": [0, 2], "source": "y"},
]


def load(place: Path, rows: Iterable[Mapping[str, Any]], *, column: str | None = "key", **given: Any) -> Tables:
    source = Source("faq", "json", files={"test": str(write_rows(place / "faq.jsonl", rows))})
    group = Grouping(column, given.pop("labels", ("relevance",)))
    return load_tables(DatasetSpec(source, text=("query", "candidate"), group=group, **given), seed=1)


def rows_of(tables: Tables, split: str = "test") -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = tables.splits[split].to_list()
    return rows


def changed(number: int, **cells: Any) -> list[dict[str, Any]]:
    return [{**row, **cells} if n == number else row for n, row in enumerate(ROWS)]


def test_a_query_is_a_row_with_lists_in_the_order_of_first_appearance(tmp_path: Path) -> None:
    tables = load(tmp_path, ROWS)
    assert (tables.form, rows_of(tables)) == ("options", QUERIES)


def test_a_query_stands_where_its_first_row_stood(tmp_path: Path) -> None:
    rows = [*ROWS, {**ROWS[0], "key": 9}]
    places = load(tmp_path, rows).places["test"].of([0, 1, 2])
    assert [place.rpartition("/")[2] for place in places] == [f"faq.jsonl, line {line}" for line in (1, 2, 6)]


def test_without_a_column_equal_texts_are_one_query(tmp_path: Path) -> None:
    assert rows_of(load(tmp_path, ROWS, column=None)) == QUERIES


def test_two_groups_may_have_the_same_text(tmp_path: Path) -> None:
    found = rows_of(load(tmp_path, changed(4, key=8)))
    assert [(row["key"], row["query"], row["candidate"]) for row in found] == [
        (7, "red", ["a", "c"]),
        (3, "blue", ["b", "d"]),
        (8, "red", ["e"]),
    ]


def test_the_labels_of_several_tasks_become_lists(tmp_path: Path) -> None:
    (first, _) = rows_of(load(tmp_path, ROWS, labels=("relevance", "source")))
    assert (first["relevance"], first["source"]) == ([1, None, 0], ["x", "z", "x"])


def test_rows_that_are_queries_already_stay(tmp_path: Path) -> None:
    assert rows_of(load(tmp_path, QUERIES, column=None)) == QUERIES
    unlabelled = [*QUERIES, {**QUERIES[0], "relevance": None}]
    assert rows_of(load(tmp_path, unlabelled, column=None)) == unlabelled


def test_many_queries_are_grouped_as_a_plain_loop_would(tmp_path: Path) -> None:
    rows = searches(2500, seed=3)  # more than are in memory at once
    expected: dict[str, list[tuple[str, float]]] = {}
    for row in rows:
        expected.setdefault(row["query_id"], []).append((row["candidate"], row["relevance"]))
    found = rows_of(load(tmp_path, rows, column="query_id"))
    lists = {row["query_id"]: list(zip(row["candidate"], row["relevance"], strict=True)) for row in found}
    assert list(lists.items()) == list(expected.items())


def test_a_split_by_hash_never_divides_a_query_and_knows_the_query_only(tmp_path: Path) -> None:
    def sides(rows: Iterable[Mapping[str, Any]], place: Path) -> dict[str, str]:
        source = Source("faq", "json", files=str(write_rows(place / "faq.jsonl", rows)))
        spec = DatasetSpec(
            source,
            text=("query", "candidate"),
            group=Grouping("query_id", ("relevance",)),
            split=HashSplit({"validation": 0.3}),
        )
        splits = load_tables(spec, seed=1).splits
        return {row["query_id"]: split for split, table in splits.items() for row in table.to_list()}

    rows = searches(60)
    found = sides(rows, tmp_path / "a")
    assert len(found) == 60
    assert sorted(set(found.values())) == ["train", "validation"]
    others = [{**row, "candidate": f"another {row['candidate']}"} for row in np.random.default_rng(0).permutation(rows)]
    assert sides(others, tmp_path / "b") == found


def test_limits_count_queries(tmp_path: Path) -> None:
    assert rows_of(load(tmp_path, ROWS, limit={"test": 1})) == QUERIES[:1]


def test_empty_candidates_are_left_out_and_not_their_queries(tmp_path: Path) -> None:
    found = rows_of(load(tmp_path, changed(2, candidate=" "), filters=Filters(drop_empty=True)))
    assert [row["candidate"] for row in found] == [["a", "e"], ["b", "d"]]
    assert found[0]["relevance"] == [1, 0]


@pytest.mark.parametrize(
    ("rows", "given", "message"),
    [
        (changed(2, candidate=None), {}, r"faq.jsonl, line 3, column 'candidate': the text is null or empty"),
        (
            changed(3, query="green"),
            {},
            r"'query': .*line 2 and .*line 4 are of one group, and their texts differ",
        ),
        (changed(1, key=None), {}, r"faq.jsonl, line 2, column 'key': the group is null"),
        (ROWS, {"column": "kye"}, r"split 'test' has the columns .* and no 'kye'; did you mean 'key'\?"),
        (ROWS, {"labels": ("rel",)}, "no 'rel'"),
        (QUERIES, {}, "holds lists, so each row is a query already; remove group: key"),
        ([{**QUERIES[0], "relevance": 1}], {"column": None}, "'relevance' needs lists too"),
        (
            [QUERIES[1], {**QUERIES[0], "relevance": [1, 0]}],
            {"column": None},
            r"faq.jsonl, line 2: 3 cells in 'candidate', 2 in 'relevance'",
        ),
        ([{**row, "key": [1]} for row in ROWS], {}, "column 'key' holds lists"),
    ],
)
def test_what_is_no_query_with_candidates_is_refused(
    rows: list[dict[str, Any]], given: dict[str, Any], message: str, tmp_path: Path
) -> None:
    with pytest.raises(DataError, match=message):
        load(tmp_path, rows, **given)
