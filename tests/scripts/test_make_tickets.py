"""The quickstart's tickets: reproducible, honestly labelled, with holes, and without leakage."""

import importlib.util
import json
import re
import sys
from collections import Counter
from itertools import combinations
from pathlib import Path
from types import ModuleType

import datasets
import pytest

SCRIPT = Path(__file__).parents[2] / "scripts" / "make_tickets.py"
LABELS = ("intent", "topics", "urgency", "entities")
SPLITS = ("train", "validation", "test")


def load_script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("make_tickets", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


make_tickets = load_script()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("tickets")
    make_tickets.main(["--out", str(out)])
    return out


def rows(folder: Path, split: str) -> list[dict]:
    return [json.loads(line) for line in (folder / f"{split}.jsonl").read_text(encoding="utf-8").splitlines()]


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def test_equal_seeds_write_equal_bytes_and_another_seed_does_not(folder: Path, tmp_path: Path) -> None:
    make_tickets.main(["--out", str(tmp_path / "again")])
    make_tickets.main(["--out", str(tmp_path / "other"), "--seed", "14"])
    assert list(files(folder)) == ["test.jsonl", "train.jsonl", "validation.jsonl"]
    assert files(tmp_path / "again") == files(folder)
    assert all(files(tmp_path / "other")[name] != content for name, content in files(folder).items())


def test_the_number_of_train_rows_leaves_the_other_splits_alone(folder: Path, tmp_path: Path) -> None:
    make_tickets.main(["--out", str(tmp_path), "--rows", "40"])
    assert rows(tmp_path, "train") == rows(folder, "train")[:40]
    assert rows(tmp_path, "test") == rows(folder, "test")


def test_there_are_enough_rows_of_each_split(folder: Path) -> None:
    counts = {split: len(rows(folder, split)) for split in SPLITS}
    assert counts["train"] >= 4000
    assert (counts["validation"], counts["test"]) == (500, 500)


def test_no_id_and_no_body_stands_twice_in_any_splits(folder: Path) -> None:
    everything = [row for split in SPLITS for row in rows(folder, split)]
    assert len({row["id"] for row in everything}) == len(everything)
    assert len({row["body"].lower() for row in everything}) > 0.99 * len(everything)
    for first, second in combinations(SPLITS, 2):
        assert {row["body"].lower() for row in rows(folder, first)}.isdisjoint(
            row["body"].lower() for row in rows(folder, second)
        )


def test_no_sentence_belongs_to_two_splits() -> None:
    sentences = {split: {text.lower() for text in make_tickets.read_wording(split).templates()} for split in SPLITS}
    for first, second in combinations(SPLITS, 2):
        assert sentences[first].isdisjoint(sentences[second])


def test_no_sentence_stands_in_the_page_twice() -> None:
    page = make_tickets.WORDING.read_text(encoding="utf-8").split("\nopenings:")[0]
    sentences = Counter(line.strip().lower() for line in page.splitlines() if line.startswith("      "))
    assert [text for text, count in sentences.items() if count > 1] == []


def test_each_intent_has_thirty_training_sentences_or_more() -> None:
    intents = make_tickets.read_wording("train").intents
    assert 8 <= len(intents) <= 10
    assert min(len(set(intent.templates)) for intent in intents.values()) >= 30


def test_every_slot_of_the_wording_has_values() -> None:
    for split in SPLITS:
        wording = make_tickets.read_wording(split)
        slots = {slot for text in wording.templates() for slot in re.findall(r"\{(.*?)\}", text)}
        assert slots == {"AMOUNT", "DATE", "ORDER_ID"} | wording.values.keys()


@pytest.mark.parametrize("split", SPLITS)
@pytest.mark.parametrize("label", LABELS)
def test_each_label_column_has_about_a_fifth_of_holes(folder: Path, split: str, label: str) -> None:
    values = [row[label] for row in rows(folder, split)]
    assert 0.15 <= values.count(None) / len(values) <= 0.25


@pytest.mark.parametrize("split", SPLITS)
def test_labels_are_of_their_columns_type_and_some_topics_are_empty(folder: Path, split: str) -> None:
    wording = make_tickets.read_wording(split)
    table = rows(folder, split)
    assert {row["intent"] for row in table} == {None, *wording.intents}
    assert all(0 <= row["urgency"] <= 1 for row in table if row["urgency"] is not None)
    topics = [row["topics"] for row in table if row["topics"] is not None]
    assert {name for names in topics for name in names} == set(wording.topics)
    assert all(len(names) == len(set(names)) for names in topics)
    assert [] in topics


@pytest.mark.parametrize("split", SPLITS)
def test_entities_are_marked_to_the_character_in_order_and_apart(folder: Path, split: str) -> None:
    values = {name: {v.lower() for v in vs} for name, vs in make_tickets.read_wording(split).values.items()}
    marked = mislabelled = 0
    for row in rows(folder, split):
        end = 0
        for span in row["entities"] or []:
            text = row["body"][span["start"] : span["end"]]
            assert end <= span["start"] < span["end"] <= len(row["body"])
            assert text == text.strip()
            end = span["end"]
            marked += 1
            mislabelled += span["label"] in values and text.lower() not in values[span["label"]]
    assert marked > 200
    assert mislabelled / marked < 0.03


def test_spans_say_exactly_what_was_filled_in() -> None:
    wording = make_tickets.read_wording("train")
    body, entities = make_tickets.join(["Hi,", "the {PRODUCT} for {CITY}."], wording, make_tickets.random.Random(1))
    product, city = (body[span["start"] : span["end"]] for span in entities)
    assert [span["label"] for span in entities] == ["PRODUCT", "CITY"]
    assert body == f"Hi, the {product} for {city}."
    assert product in wording.values["PRODUCT"]
    assert city in wording.values["CITY"]


def test_some_entities_of_the_test_split_are_new_to_the_model(folder: Path) -> None:
    def products(split: str) -> set[str]:
        return {
            row["body"][span["start"] : span["end"]].lower()
            for row in rows(folder, split)
            for span in row["entities"] or []
            if span["label"] == "PRODUCT"
        }

    assert len(products("test") - products("train")) >= 5


def test_tickets_have_the_length_of_a_short_message(folder: Path) -> None:
    lengths = sorted(len(re.findall(r"\w+|[^\w\s]", row["body"])) for row in rows(folder, "train"))
    assert lengths[len(lengths) // 20] >= 9
    assert lengths[-len(lengths) // 20] <= 40


def test_datasets_reads_holes_empty_lists_and_spans_back(folder: Path, tmp_path: Path) -> None:
    loaded = datasets.load_dataset(
        "json",
        data_files={split: str(folder / f"{split}.jsonl") for split in SPLITS},
        cache_dir=str(tmp_path),
    )
    for split in SPLITS:
        assert [dict(row) for row in loaded[split]] == rows(folder, split)
