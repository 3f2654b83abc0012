"""Texts that are known before they are scored: between datasets too, and the known ones of the shared data."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from little import write_rows

from mtl_transformers.checking.leakage import Leakage, leakage_findings, leakage_of, rows_in_train
from mtl_transformers.checking.repeats import texts_of
from mtl_transformers.data.preparing import Tables, load_tables
from mtl_transformers.data.spec import DatasetSpec, Source

SHARED = Path(__file__).parents[3] / "shared" / "data"


def loaded(place: Path, datasets: Mapping[str, Mapping[str, list[str]]]) -> dict[str, Tables]:
    tables = {}
    for name, splits in datasets.items():
        files = {
            split: str(write_rows(place / f"{name}-{split}.jsonl", [{"text": text} for text in texts]))
            for split, texts in splits.items()
        }
        tables[name] = load_tables(DatasetSpec(Source(name, "json", files=files), text=("text",)), seed=0)
    return tables


def found_in(tables: Mapping[str, Tables]) -> list[Leakage]:
    return leakage_of(tables, {name: texts_of(of) for name, of in tables.items()})


def shape(of: Leakage) -> tuple[str, ...]:
    return (f"{of.dataset} {of.split}", f"{of.known_dataset} {of.known_split}", f"{of.texts} {of.rows} {of.known_rows}")


def test_texts_are_found_in_train_of_any_dataset_and_in_validation(tmp_path: Path) -> None:
    tables = loaded(
        tmp_path,
        {
            "first": {"train": ["a b", "A, b!", "c"], "validation": ["d", "c d"], "test": ["a b", "a B.", "d", "x"]},
            "second": {"train": ["x", "y"], "validation": ["c"]},
        },
    )
    assert list(map(shape, found_in(tables))) == [
        ("first test", "first train", "1 2 2"),
        ("first test", "second train", "1 1 1"),
        ("first test", "first validation", "1 1 1"),
        ("second validation", "first train", "1 1 1"),
    ]
    assert rows_in_train({name: texts_of(of) for name, of in tables.items()}) == {
        "first": {"validation": 0, "test": 3},
        "second": {"validation": 1},
    }


def test_rows_that_are_equal_as_written_are_told_from_those_that_are_nearly(tmp_path: Path) -> None:
    (of,) = found_in(loaded(tmp_path, {"one": {"train": ["a b"], "validation": ["a b", "A b!", "c"]}}))
    assert (of.rows, of.rows_as_written) == (2, 1)
    (finding,) = leakage_findings([of])
    assert (finding.severity, finding.count) == ("warning", 2)
    assert [row.replace(f"{tmp_path}/", "") for row in finding.rows] == [
        "one-validation.jsonl, line 1 = one-train.jsonl, line 1",
        "one-validation.jsonl, line 2 = one-train.jsonl, line 1",
    ]


def test_splits_without_a_common_text_have_no_leak(tmp_path: Path) -> None:
    assert found_in(loaded(tmp_path, {"one": {"train": ["a b"], "validation": ["a", "b"], "test": ["ab"]}})) == []


@pytest.mark.skipif(not SHARED.is_dir(), reason="needs ../shared/data")
@pytest.mark.parametrize(
    ("name", "path", "text", "known"),
    [("snips", "json", "tokens", 25), ("banking77", "csv", "text", 25), ("goemotions", "json", "text", 90)],
)
def test_the_known_leaks_of_the_shared_data_are_found(name: str, path: str, text: str, known: int) -> None:
    ending = "csv" if path == "csv" else "jsonl"
    files: dict[str, Any] = {
        ours: str(SHARED / name / f"{theirs}.{ending}") for ours, theirs in (("train", "train"), ("validation", "test"))
    }
    (of,) = found_in({name: load_tables(DatasetSpec(Source(name, path, files=files), text=(text,)), seed=0)})
    assert (of.texts, len(of.examples)) == (known, 3)
