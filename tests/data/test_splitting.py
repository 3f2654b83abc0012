from collections import Counter
from collections.abc import Callable
from hashlib import blake2b
from pathlib import Path
from random import Random
from typing import Any

import datasets
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mtl_transformers.data.splitting import (
    limit_rows,
    shuffle_rows,
    split_by_column,
    split_by_group,
    split_by_hash,
    split_by_strata,
    split_by_time,
)
from mtl_transformers.errors import ConfigError, DataError
from mtl_transformers.text.normalizing import normalize

Splits = dict[str, datasets.Dataset]


def table(texts: list[object], **columns: list[object]) -> datasets.Dataset:
    return datasets.Dataset.from_dict({"text": texts, **columns})


def by_hash(splits: Splits, *, text: tuple[str, ...] = ("text",), seed: int = 13, **ratios: float) -> Splits:
    return split_by_hash(splits, dataset="toy", ratios=ratios, text=text, seed=seed)


def texts(count: int) -> list[str]:
    return [f"text number {number}" for number in range(count)]


# by column


def by_column(splits: Splits, **values: str) -> Splits:
    return split_by_column(splits, dataset="toy", column="split", values=values)


def test_a_column_splits_the_rows_in_their_order_and_is_dropped() -> None:
    rows = table(["a", "b", "c", "d"], split=["dev", "train", "dev", "test"])
    parts = by_column({"train": rows}, dev="validation")
    assert {split: part.to_dict() for split, part in parts.items()} == {
        "train": {"text": ["b"]},
        "validation": {"text": ["a", "c"]},
        "test": {"text": ["d"]},
    }


def test_several_values_may_be_one_split_and_numbers_are_values() -> None:
    rows = table(["a", "b", "c"], split=[0, 1, 2])
    parts = by_column({"train": rows}, **{"0": "train", "1": "train", "2": "test"})
    assert {split: list(part["text"]) for split, part in parts.items()} == {
        "train": ["a", "b"],
        "test": ["c"],
    }


def test_rows_of_other_values_are_listed_with_their_number() -> None:
    rows = table(["a", "b", "c", "d"], split=["dev", "train", "dev", None])
    with pytest.raises(DataError, match=r"'toy', column 'split': 'dev' \(2 rows\), 'null' \(1 rows\).*values"):
        by_column({"train": rows})


@pytest.mark.parametrize(
    ("splits", "values", "words"),
    [
        (("train", "test"), {}, "has the splits train, test already"),
        (("train",), {"dev": "devel"}, r"values\.dev: our splits are train, validation, test, not 'devel'"),
    ],
)
def test_a_column_split_that_cannot_be_is_refused(splits: tuple[str, ...], values: dict[str, str], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        by_column({split: table(["a"], split=["train"]) for split in splits}, **values)


def test_a_missing_split_column_names_the_nearest() -> None:
    with pytest.raises(DataError, match=r"columns text, spilt and no 'split'; did you mean 'spilt'"):
        by_column({"train": table(["a"], spilt=["train"])})


# by hash


def test_hash_splits_take_about_their_share_and_every_row_once() -> None:
    parts = by_hash({"train": table(texts(5_000))}, validation=0.1, test=0.2)
    assert list(parts) == ["train", "validation", "test"]
    assert sorted(text for part in parts.values() for text in part["text"]) == sorted(texts(5_000))
    assert len(parts["validation"]) == pytest.approx(500, abs=4 * (5_000 * 0.1 * 0.9) ** 0.5)
    assert len(parts["test"]) == pytest.approx(1_000, abs=4 * (5_000 * 0.2 * 0.8) ** 0.5)


def test_a_texts_side_depends_on_its_hash_only() -> None:
    def place(text: str, seed: int) -> float:
        """The formula again, from its description."""
        digest = blake2b(text.encode(), digest_size=6, key=seed.to_bytes(16, "big", signed=True)).digest()
        return int(digest.hex(), 16) / 16**12

    for seed in (13, 14):
        parts = by_hash({"train": table(texts(200))}, seed=seed, validation=0.3, test=0.2)
        assert list(parts["validation"]["text"]) == [text for text in texts(200) if place(text, seed) < 0.3]
        assert list(parts["test"]["text"]) == [text for text in texts(200) if place(text, seed) >= 0.8]


def test_equal_texts_fall_on_the_same_side_in_every_dataset_and_order() -> None:
    first = by_hash({"train": table(texts(300))}, validation=0.2)
    words = [text.upper().split() for text in reversed(texts(300))]
    second = by_hash({"train": table(words, label=list(range(300)))}, validation=0.2)
    sides = {split: {normalize(text) for text in part["text"]} for split, part in first.items()}
    assert {split: {normalize(row) for row in part["text"]} for split, part in second.items()} == sides


def test_a_dataset_that_makes_a_test_split_only_makes_the_same_one() -> None:
    both = by_hash({"train": table(texts(300))}, validation=0.2, test=0.2)
    one = by_hash({"train": table(texts(300))}, test=0.2)
    assert list(one["test"]["text"]) == list(both["test"]["text"])


def test_another_seed_makes_another_split() -> None:
    sides = [list(by_hash({"train": table(texts(99))}, seed=s, test=0.3)["test"]["text"]) for s in (1, 2, 1)]
    assert sides[0] == sides[2] != sides[1]


def test_both_sides_of_a_pair_count() -> None:
    pairs = table(["same"] * 300, other=texts(300))
    assert 0 < len(by_hash({"train": pairs}, text=("text", "other"), test=0.3)["test"]) < 300
    with pytest.raises(DataError, match="without a row"):  # by its first side alone it is one text
        by_hash({"train": pairs}, test=0.3)


def test_a_split_that_the_source_has_is_kept() -> None:
    source = {"train": table(texts(99)), "test": table(["other"])}
    parts = by_hash(source, validation=0.3)
    assert list(parts) == ["train", "validation", "test"]
    assert parts["test"] is source["test"]


def test_null_texts_are_split_too() -> None:
    parts = by_hash({"train": table([None, *texts(50)])}, validation=0.4)
    assert sum(len(part) for part in parts.values()) == 51


@pytest.mark.parametrize(
    ("ratios", "words"),
    [
        ({"validation": 0.5, "test": 0.5}, "add up to 1"),
        ({"validation": 0.0}, r"split\.validation: 0\.0 is not between 0 and 1"),
        ({"dev": 0.1}, r"split\.dev: ratios are for"),
        ({}, "add up to 0"),
    ],
)
def test_ratios_that_cannot_be_are_refused(ratios: dict[str, float], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        by_hash({"train": table(texts(9))}, **ratios)


def test_a_split_that_exists_is_not_made_again() -> None:
    with pytest.raises(ConfigError, match=r"data\.toy\.split\.test: the dataset has a test split already"):
        by_hash({"train": table(texts(9)), "test": table(["a"])}, test=0.1)


def test_splitting_needs_train_and_its_text_columns_and_enough_rows() -> None:
    with pytest.raises(DataError, match="no train split"):
        by_hash({"test": table(["a"])}, validation=0.1)
    with pytest.raises(DataError, match="and no 'txt'; did you mean 'text'"):
        by_hash({"train": table(["a"])}, text=("txt",), validation=0.1)
    with pytest.raises(DataError, match=r"split 'validation' without a row \(3 rows in all\)"):
        by_hash({"train": table(texts(3))}, validation=1e-9)


# by group


def by_group(rows: datasets.Dataset, *, seed: int = 13, **ratios: float) -> Splits:
    return split_by_group({"train": rows}, dataset="toy", ratios=ratios, column="user", text=("text",), seed=seed)


def test_no_group_is_on_two_sides_and_the_shares_are_of_groups() -> None:
    users = [number // 5 for number in range(5_000)]
    parts = by_group(table(texts(5_000), user=users), validation=0.1, test=0.2)
    sides = [set(part["user"]) for part in parts.values()]
    assert sum(map(len, sides)) == len(set().union(*sides)) == 1_000
    assert len(sides[1]) == pytest.approx(100, abs=4 * (1_000 * 0.1 * 0.9) ** 0.5)
    assert len(sides[2]) == pytest.approx(200, abs=4 * (1_000 * 0.2 * 0.8) ** 0.5)


def test_by_text_a_group_is_on_several_sides() -> None:
    """Negative control."""
    parts = by_hash({"train": table(texts(100), user=[0] * 100)}, test=0.3)
    assert [set(part["user"]) for part in parts.values()] == [{0}, {0}]


def test_rows_without_a_group_are_grouped_by_their_text() -> None:
    parts = by_group(table(texts(200) + texts(200), user=[None] * 400), test=0.3)
    train, test = (set(part["text"]) for part in parts.values())
    assert not train & test
    assert len(train) > 100 > len(test) > 30


def test_a_group_is_no_list() -> None:
    with pytest.raises(DataError, match=r"split\.group: .* column 'user' holds list.*; a group is a name"):
        by_group(table(["a"], user=[["b"]]), test=0.3)


# by time


def by_time(rows: datasets.Dataset, **ratios: float) -> Splits:
    return split_by_time({"train": rows}, dataset="toy", ratios=ratios, column="at")


def test_test_is_the_newest_and_validation_is_before_it() -> None:
    days = [(7 * number) % 20 for number in range(20)]
    parts = by_time(table(texts(20), at=[f"2024-01-{day + 1:02}" for day in days]), validation=0.1, test=0.2)
    assert list(parts["train"]["text"]) == [f"text number {number}" for number in range(20) if days[number] < 14]
    assert sorted(parts["validation"]["at"]) == ["2024-01-15", "2024-01-16"]
    assert sorted(parts["test"]["at"]) == ["2024-01-17", "2024-01-18", "2024-01-19", "2024-01-20"]


def test_times_that_leave_a_split_without_a_row_are_an_error() -> None:
    with pytest.raises(DataError, match="leaves the split 'test' without a row"):
        by_time(table(texts(9), at=[1] * 9), test=0.3)


# by strata


def by_strata(rows: datasets.Dataset, *, seed: int = 13, **ratios: float) -> Splits:
    return split_by_strata({"train": rows}, dataset="toy", ratios=ratios, column="label", text=("text",), seed=seed)


def test_every_label_has_its_share_null_too() -> None:
    labels = ["a"] * 400 + ["b"] * 80 + [None] * 20
    parts = by_strata(table(texts(500), label=labels), validation=0.1, test=0.2)
    counts = [Counter(part["label"]) for part in parts.values()]
    assert counts == [{"a": 280, "b": 56, None: 14}, {"a": 40, "b": 8, None: 2}, {"a": 80, "b": 16, None: 4}]


def test_of_lists_every_label_has_its_share() -> None:
    labels = [[name for name, every in (("a", 2), ("b", 5), ("c", 7)) if number % every == 0] for number in range(700)]
    parts = by_strata(table(texts(700), label=labels), test=0.2)
    counts = Counter(name for row in parts["test"]["label"] for name in row or ["none"])
    assert counts == pytest.approx({"a": 70, "b": 28, "c": 20, "none": 240 * 0.2}, abs=3)


def test_fractions_are_stratified_by_tenths_and_whole_numbers_one_by_one() -> None:
    scores = [number / 1_000 for number in range(1_000)]
    parts = by_strata(table(texts(1_000), label=scores), test=0.1)
    assert Counter(int(score * 10) for score in parts["test"]["label"]) == dict.fromkeys(range(10), 10)
    parts = by_strata(table(texts(300), label=[float(number % 15) for number in range(300)]), test=0.1)
    assert Counter(parts["test"]["label"]) == dict.fromkeys(map(float, range(15)), 2)


def test_another_seed_takes_other_rows_with_the_same_shares() -> None:
    rows = table(texts(100), label=["a", "b"] * 50)
    first, second = (by_strata(rows, seed=seed, test=0.3)["test"] for seed in (1, 2))
    assert Counter(first["label"]) == Counter(second["label"]) == {"a": 15, "b": 15}
    assert set(first["text"]) != set(second["text"])


def test_strata_are_no_objects() -> None:
    with pytest.raises(DataError, match=r"split\.stratify: .* column 'label' holds list.*; strata are names"):
        by_strata(table(["a"], label=[[{"start": 1}]]), test=0.3)


# by any of these

WAYS: dict[str, Callable[..., Splits]] = {
    "hash": lambda rows, **ratios: by_hash({"train": rows}, **ratios),
    "group": by_group,
    "time": by_time,
    "strata": by_strata,
}
UNITS: dict[str, Callable[..., object]] = {
    "hash": lambda text, user, at, label: normalize(text),
    "group": lambda text, user, at, label: user or f"text {normalize(text)}",
    "time": lambda text, user, at, label: at,
    "strata": lambda text, user, at, label: normalize(text),
}
ROWS = st.tuples(
    st.sampled_from(["a", "A", "b!", "b", "c", "d", "e", "f g", "F  G"]),
    st.sampled_from(["u", "v", "w", "x", "y", None]),
    st.integers(0, 9),
    st.lists(st.sampled_from("pqr"), max_size=2, unique=True) | st.none(),
)


@pytest.mark.parametrize(("way", "column"), [("group", "user"), ("time", "at"), ("strata", "label")])
def test_a_column_that_is_not_there_names_the_nearest(way: str, column: str) -> None:
    with pytest.raises(DataError, match=f"and no '{column}'; did you mean '{column}s'"):
        WAYS[way](table(texts(9), **{f"{column}s": [0] * 9}), test=0.3)


def sides_by_id(way: str, rows: list[Any]) -> dict[int, str] | None:
    """Return the split of each row, or None where one would have no row."""
    names = ("text", "user", "at", "label", "id")
    columns = dict(zip(names, map(list, zip(*rows, strict=True)), strict=True))
    try:
        parts = WAYS[way](table(columns.pop("text"), **columns), validation=0.3, test=0.3)
    except DataError as error:
        if "without a row" in str(error):
            return None
        raise
    return {number: split for split, part in parts.items() for number in part["id"]}


@pytest.mark.parametrize("way", WAYS)
@settings(max_examples=40, deadline=None)
@given(st.lists(ROWS, min_size=8, max_size=40), st.randoms(use_true_random=False))
def test_sides_do_not_depend_on_the_order_of_rows_and_what_belongs_together_is_on_one(
    way: str, rows: list[Any], random: Random
) -> None:
    numbered = [(*row, number) for number, row in enumerate(rows)]
    sides = sides_by_id(way, numbered)
    assert sides_by_id(way, random.sample(numbered, len(numbered))) == sides
    if sides is None:
        return
    assert sides.keys() == set(range(len(rows)))
    by_unit: dict[object, set[str]] = {}
    for number, row in enumerate(rows):
        by_unit.setdefault(UNITS[way](*row), set()).add(sides[number])
    assert all(len(found) == 1 for found in by_unit.values())
    if way == "time":
        times = {split: [rows[number][2] for number in sides if sides[number] == split] for split in sides.values()}
        assert max(times["train"]) < min(times["validation"])
        assert max(times["validation"]) < min(times["test"])


# order and limit


def test_shuffling_keeps_every_row_once_and_depends_on_seed_and_names() -> None:
    rows = table(texts(100))
    first = list(shuffle_rows(rows, dataset="toy", split="train", seed=1)["text"])
    assert first != texts(100)
    assert sorted(first) == sorted(texts(100))
    assert list(shuffle_rows(rows, dataset="toy", split="train", seed=1)["text"]) == first
    for other in ({"seed": 2}, {"dataset": "b"}, {"split": "test"}):
        assert list(shuffle_rows(rows, **{"dataset": "toy", "split": "train", "seed": 1, **other})["text"]) != first


def test_shuffling_writes_nothing_beside_a_saved_dataset(tmp_path: Path) -> None:
    folder = f"{tmp_path}/saved"
    table(texts(9)).save_to_disk(folder)
    saved = datasets.load_from_disk(folder)
    parts = by_hash({"train": shuffle_rows(saved, dataset="toy", split="train", seed=1)}, test=0.4)
    limit_rows(parts["train"], 2).to_list()
    assert {file["filename"] for file in saved.cache_files} == {f"{folder}/data-00000-of-00001.arrow"}
    assert sorted(entry.name for entry in Path(folder).iterdir()) == [
        "data-00000-of-00001.arrow",
        "dataset_info.json",
        "state.json",
    ]


def test_a_limit_keeps_the_first_rows() -> None:
    rows = table(texts(5))
    assert list(limit_rows(rows, 2)["text"]) == texts(2)
    assert limit_rows(rows, 9) is limit_rows(rows, None) is rows
