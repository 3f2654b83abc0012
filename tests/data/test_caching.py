from collections.abc import Mapping
from pathlib import Path
from typing import Any

import datasets
import numpy as np

from mtl_transformers.data.caching import cached_map, content_key, contiguous, digest, values_key

ROWS = {
    "text": [None if n % 7 == 0 else f"text {n}" for n in range(2500)],
    "words": [None if n % 5 == 0 else [str(n)] * (n % 3) for n in range(2500)],
    "flag": [None if n % 3 == 0 else n % 2 == 0 for n in range(2500)],
}
COLUMNS = ["text", "words", "flag"]
TABLE = datasets.Dataset.from_dict(ROWS)


def test_equal_rows_have_one_key_however_they_are_stored() -> None:
    part = range(1003, 2405)
    copied = datasets.Dataset.from_dict(TABLE[part], features=TABLE.features)
    there_and_back = TABLE.select(np.array(part)[::-1]).select(range(len(part) - 1, -1, -1))
    keys = {content_key(table, COLUMNS) for table in (copied, TABLE.select(part), there_and_back)}
    assert len(keys) == 1


def test_a_changed_row_or_order_changes_the_key() -> None:
    changed = datasets.Dataset.from_dict({**ROWS, "text": ["another", *ROWS["text"][1:]]})
    moved = TABLE.select([1, 0, *range(2, 2500)])
    keys = {content_key(table, COLUMNS) for table in (TABLE, changed, moved, TABLE.select(range(2499)))}
    assert len(keys) == 4


def test_columns_that_are_not_read_do_not_change_the_key() -> None:
    assert content_key(TABLE, ["text"]) == content_key(TABLE.remove_columns("flag"), ["text"])


def test_null_is_not_an_empty_text() -> None:
    null, empty = (datasets.Dataset.from_dict({"a": ["x", value]}) for value in (None, ""))
    assert content_key(null, ["a"]) != content_key(empty, ["a"])


def test_where_a_part_ends_changes_a_digest() -> None:
    assert len({digest("ab", "c"), digest("a", "bc"), digest("abc"), digest("abc", "")}) == 4


def test_a_table_is_computed_once_for_a_key_and_stored_under_it(datasets_cache: Path) -> None:
    calls: list[int] = []

    def doubled(batch: Mapping[str, list[Any]], numbers: list[int]) -> dict[str, list[int]]:
        calls.append(len(numbers))
        return {"double": [2 * number for number in numbers]}

    def compute(key: str) -> datasets.Dataset:
        return cached_map(TABLE, doubled, features={"double": datasets.Value("int64")}, key=key)

    first, again = compute("a" * 32), compute("a" * 32)
    assert calls == [1000, 1000, 500]
    assert first[:] == again[:] == {"double": list(range(0, 5000, 2))}
    assert [file.name for file in datasets_cache.rglob("*.arrow")] == [f"{'a' * 32}.arrow"]
    compute("b" * 32)
    assert len(calls) == 6


def test_selected_rows_are_written_one_after_another_and_only_into_the_cache(
    tmp_path: Path, datasets_cache: Path
) -> None:
    TABLE.save_to_disk(tmp_path / "saved")
    before = sorted(tmp_path.joinpath("saved").iterdir())
    selected = datasets.load_from_disk(tmp_path / "saved").select([5, 3, 9])
    written = contiguous(selected)
    assert written[:] == selected[:]
    assert written.data.column("text").to_pylist() == ["text 5", "text 3", "text 9"]  # no indices in between
    assert sorted(tmp_path.joinpath("saved").iterdir()) == before
    assert len(list(datasets_cache.rglob("*.arrow"))) == 1


ANSWERS = datasets.Features(
    {"answers": datasets.List({"text": datasets.Value("string"), "start": datasets.Value("int32")})}
)


def answers_key(*rows: list[dict[str, Any]] | None) -> str:
    return values_key(datasets.Dataset.from_dict({"answers": list(rows)}, features=ANSWERS))


def test_texts_in_lists_of_objects_are_hashed_with_their_edges_and_nulls() -> None:
    def answer(text: str, start: int = 0) -> dict[str, Any]:
        return {"text": text, "start": start}

    keys = [
        answers_key([answer("ab"), answer("c")], None),
        answers_key([answer("a"), answer("bc")], None),
        answers_key([answer("ab", 1), answer("c")], None),
        answers_key([answer("ab")], [answer("c")]),
        answers_key([answer("ab"), answer("c")], []),
    ]
    assert len(set(keys)) == 5
    table = datasets.Dataset.from_dict({"answers": [None, [answer("ab"), answer("c")]]}, features=ANSWERS)
    assert values_key(table.select([1, 0])) == keys[0]
