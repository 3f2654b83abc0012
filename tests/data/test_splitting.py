from hashlib import blake2b
from pathlib import Path

import datasets
import pytest

from mtl_transformers.data.fingerprints import normalize
from mtl_transformers.data.splitting import (
    limit_rows,
    shuffle_rows,
    split_by_column,
    split_by_hash,
)
from mtl_transformers.errors import ConfigError, DataError

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
