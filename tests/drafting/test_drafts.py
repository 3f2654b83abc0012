"""From files to configs that `check` accepts as they are, and what is told where there is none."""

import csv
import random
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml
from little import FILLERS, pairs, sentences, tickets, write_rows

from mtl_transformers.checking.check import check
from mtl_transformers.config import load_config
from mtl_transformers.drafting.drafts import drafts_of, write_config
from mtl_transformers.errors import ConfigError, DataError

ROOT = Path(__file__).parents[2]
SHARED = ROOT / ".." / "shared" / "data"
Raw = dict[str, Any]


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def text(rng: random.Random, num_words: int = 6) -> str:
    return " ".join(rng.choices(FILLERS, k=num_words))


def write_csv(name: str, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    Path(name).parent.mkdir(parents=True, exist_ok=True)
    with open(name, "w", newline="", encoding="utf-8") as stream:
        csv.writer(stream).writerows([columns, *rows])
    return name


def drafted(*paths: str) -> Raw:
    """The config that files give, as plain values."""
    written = write_config(drafts_of(paths), Path("drafted.yaml"), encoder="e", command="mtl init", overwrite=True)
    raw: Raw = yaml.safe_load(written.read_text(encoding="utf-8"))
    return raw


def checked(encoder: Path, *paths: str) -> Raw:
    """The config that files give, after `check` has accepted it; tiny encoders take 64 tokens."""
    raw = drafted(*paths)
    check(load_config("drafted.yaml", {"encoder.name": str(encoder), "encoder.max_length": 64}))
    return raw


# what check accepts


def test_a_messy_csv(tiny_bert: Path) -> None:
    rng = random.Random(1)
    rows = [
        [f"T-{n}", "2026-01-02 10:00", text(rng), rng.choice(["bill", "app", ""]), rng.choice(["a;b", "b", "a"]),
         rng.random(), rng.choice(["true", "false"]), "", "x"]
        for n in range(200)
    ]  # fmt: skip
    rows[3][2] = ""  # no text
    name = write_csv(
        "tickets.csv", ["Ticket ID", "date", "body", "intent", "topics", "urgency", "spam", "none", "same"], rows
    )
    raw = checked(tiny_bert, name)
    assert raw["data"] == {
        "tickets": {
            "path": "csv",
            "files": "tickets.csv",
            "split": {"validation": 0.1},
            "text": "body",
            "id": "Ticket ID",
            "filter": {"drop_empty": True},
        }
    }
    assert raw["tasks"] == {
        "intent": {"data": "tickets", "kind": "classification", "label": "intent"},
        "topics": {"data": "tickets", "kind": "multi_label", "label": "topics", "separator": ";"},
        "urgency": {"data": "tickets", "kind": "regression", "label": "urgency"},
        "spam": {"data": "tickets", "kind": "classification", "label": "spam"},
    }


def test_json_lines_of_all_kinds(tiny_bert: Path) -> None:
    write_rows(Path("train.jsonl"), tickets(60, holes=0.2))
    write_rows(Path("dev.jsonl"), tickets(20, seed=1))
    raw = checked(tiny_bert, "train.jsonl", "dev.jsonl")
    (section,) = raw["data"].values()
    assert section["files"] == {"train": "train.jsonl", "validation": "dev.jsonl"}
    assert "split" not in section
    kinds = {name: task["kind"] for name, task in raw["tasks"].items()}
    assert kinds["intent"] == "classification"
    assert kinds["topics"] == "multi_label"
    assert kinds["entities"] == "token_classification"
    assert raw["tasks"]["entities"]["scheme"] == "spans"


def test_parquet(tiny_bert: Path) -> None:
    pandas = pytest.importorskip("pandas")
    pandas.DataFrame(pairs(60)).to_parquet("pairs.parquet")
    raw = checked(tiny_bert, "pairs.parquet")
    assert raw["data"]["pairs"]["text"] == ["first", "second"]
    assert raw["tasks"] == {"relation": {"data": "pairs", "kind": "classification", "label": "relation"}}


def test_conll(tiny_bert: Path) -> None:
    blocks = (
        "".join(f"{w.replace(' ', '_')} {t}\n" for w, t in zip(*row.values(), strict=True)) for row in sentences(40)
    )
    Path("news.conll").write_text("\n".join(blocks), encoding="utf-8")
    raw = checked(tiny_bert, "news.conll")
    assert raw["data"]["news"]["options"] == {"column_names": ["tokens", "tags"]}
    assert raw["tasks"] == {"news": {"data": "news", "kind": "token_classification", "label": "tags", "scheme": "bio"}}


def test_conllu_is_trained_on_upos(tiny_bert: Path) -> None:
    line = "{}\t{}\t_\t{}\t_\tA=1\t{}\tdep\t_\t_\n"
    rng = random.Random(0)
    blocks = [
        "".join(
            line.format(n + 1, rng.choice(FILLERS), rng.choice(["NOUN", "VERB"]), n) for n in range(rng.randint(2, 6))
        )
        for _ in range(60)
    ]
    Path("tree.conllu").write_text("\n".join(blocks) + "\n", encoding="utf-8")
    raw = checked(tiny_bert, "tree.conllu")
    assert raw["data"]["tree"]["text"] == "form"
    assert [(task["label"], task["scheme"]) for task in raw["tasks"].values()] == [("upos", "plain")]


def test_a_label_that_validation_alone_has_is_ignored(tiny_bert: Path) -> None:
    rng = random.Random(3)
    for split, label in (("train", "b"), ("validation", "c")):
        write_csv(f"{split}.csv", ["text", "label"], [[text(rng), rng.choice(["a", label])] for _ in range(40)])
    (task,) = checked(tiny_bert, "train.csv", "validation.csv")["tasks"].values()
    assert task["unknown_label"] == "ignore"


def test_a_rare_label_that_the_hash_puts_into_validation_is_ignored(tiny_bert: Path) -> None:
    rng = random.Random(4)
    rows = [[text(rng), f"rare{n}" if n < 30 else "ab"[n % 2]] for n in range(300)]
    (task,) = checked(tiny_bert, write_csv("t.csv", ["text", "label"], rows))["tasks"].values()
    assert task["unknown_label"] == "ignore"


def test_a_few_rows_are_split_by_a_larger_share(tiny_bert: Path) -> None:
    rows = [[f"number {n} of a few", "ab"[n % 2]] for n in range(7)]
    raw = checked(tiny_bert, write_csv("few.csv", ["text", "label"], rows))
    assert raw["data"]["few"]["split"] == {"validation": 0.2}


def test_names_that_mean_something_in_yaml_are_quoted(tiny_bert: Path) -> None:
    rng = random.Random(5)
    rows = [[text(rng), rng.choice("ab"), rng.choice("cd")] for _ in range(50)]
    raw = checked(tiny_bert, write_csv("no: yes.csv", ["the: text #1", "yes", "a\n{b}"], rows))
    assert raw["data"]["no_yes"]["text"] == "the: text #1"
    assert [task["label"] for task in raw["tasks"].values()] == ["yes", "a\n{b}"]


# datasets and splits


def label_rows(rng: random.Random, num_rows: int = 40) -> list[list[str]]:
    return [[text(rng), rng.choice("ab")] for _ in range(num_rows)]


def test_files_of_other_columns_are_other_datasets_and_equal_ones_are_parts_of_one() -> None:
    rng = random.Random(6)
    for name in ("jan", "feb"):
        write_csv(f"{name}.csv", ["text", "label"], label_rows(rng))
    write_csv("other.csv", ["text", "mood"], label_rows(rng))
    raw = drafted("jan.csv", "feb.csv", "other.csv")
    assert {name: section["files"] for name, section in raw["data"].items()} == {
        "jan": ["jan.csv", "feb.csv"],
        "other": "other.csv",
    }
    assert {name: task["data"] for name, task in raw["tasks"].items()} == {"jan": "jan", "mood": "other"}


def test_a_directory_is_its_files_and_a_test_without_labels_is_left_out() -> None:
    rng = random.Random(7)
    write_csv("kaggle/train.csv", ["text", "label"], label_rows(rng))
    write_csv("kaggle/test.csv", ["text"], [[text(rng)] for _ in range(9)])
    Path("kaggle/notes.md").write_text("notes", encoding="utf-8")
    assert drafted("kaggle")["data"]["kaggle"]["files"] == "kaggle/train.csv"
    assert dict(drafts_of(["kaggle"]).datasets[0].left_out) == {"kaggle/test.csv": "it has no label"}


def test_a_column_can_say_the_split() -> None:
    rng = random.Random(8)
    rows = [[*row, ("train", "train", "dev", "test")[n % 4]] for n, row in enumerate(label_rows(rng))]
    raw = drafted(write_csv("t.csv", ["text", "label", "split"], rows))
    assert raw["data"]["t"]["split"] == {"column": "split", "values": {"dev": "validation"}}
    assert list(raw["tasks"]) == ["t"]


def test_tasks_of_two_datasets_have_names_of_their_own() -> None:
    rng = random.Random(9)
    write_csv("one/a.csv", ["text", "intent"], label_rows(rng))
    write_csv("two/b.csv", ["text", "intent"], label_rows(rng))
    assert list(drafted("one/a.csv", "two/b.csv")["tasks"]) == ["intent", "b_intent"]


def test_a_dataset_without_labels_beside_another_is_left_out_and_said() -> None:
    write_csv("t.csv", ["text", "label"], label_rows(random.Random(10)))
    Path("raw.txt").write_text("some line of text\nand another one of it\n", encoding="utf-8")
    drafts = drafts_of(["t.csv", "raw.txt"])
    assert [dataset.name for dataset in drafts.datasets] == ["t"]
    assert "none of the other columns" in drafts.left_out["raw"]


# families and kinds to come


def test_columns_of_0_and_1_are_one_task_and_letters_are_targets_of_one() -> None:
    rng = random.Random(11)
    rows = [[text(rng), *(rng.randrange(2) for _ in range(3)), rng.random(), rng.random()] for _ in range(60)]
    tasks = drafted(write_csv("t.csv", ["comment", "toxic", "rude", "threat", "V", "A"], rows))["tasks"]
    assert tasks == {
        "labels": {"data": "t", "kind": "multi_label", "label": ["toxic", "rude", "threat"], "multi_hot": True},
        "v_a": {"data": "t", "kind": "regression", "label": ["V", "A"]},
    }


def test_options_and_the_index_of_one_are_multiple_choice() -> None:
    rng = random.Random(12)
    rows = [{"statement": text(rng), "options": [text(rng), text(rng)], "answer": rng.randrange(2)} for _ in range(30)]
    write_rows(Path("c.jsonl"), rows)
    raw = drafted("c.jsonl")
    assert raw["data"]["c"]["text"] == "statement"
    assert raw["tasks"] == {"c": {"data": "c", "kind": "multiple_choice", "options": "options", "label": "answer"}}


def test_answers_in_a_context_are_question_answering() -> None:
    rng = random.Random(13)
    rows = [
        {"question": text(rng), "context": text(rng, 30), "answers": {"text": ["the"], "answer_start": [0]}}
        for _ in range(30)
    ]
    write_rows(Path("qa.jsonl"), rows)
    raw = drafted("qa.jsonl")
    assert raw["data"]["qa"]["text"] == ["question", "context"]
    assert raw["tasks"] == {"qa": {"data": "qa", "kind": "question_answering", "label": "answers"}}


def test_candidates_of_a_query_that_comes_again_are_hinted_at() -> None:
    rng = random.Random(14)
    queries = [text(rng) for _ in range(20)]
    rows = [[query, text(rng), rng.randrange(4)] for query in queries for _ in range(4)]
    (dataset,) = drafts_of([write_csv("r.csv", ["query", "candidate", "relevance"], rows)]).datasets
    assert [hint for hint in dataset.hints if "kind: ranking with group: query" in hint]


# errors


@pytest.mark.parametrize(
    ("columns", "rows", "message"),
    [
        (["a", "b"], [["x", "p"], ["y", "q"]] * 10, "none of its columns .* looks like text"),
        (["text"], [[f"a text of number {n}"] for n in range(20)], "none of the other columns .* looks like a label"),
        (["text", "label"], [], "no rows"),
    ],
)
def test_what_has_no_text_or_no_label_is_an_error(columns: list[str], rows: list[list[str]], message: str) -> None:
    with pytest.raises(DataError, match=message):
        drafts_of([write_csv("t.csv", columns, rows)])


def test_an_empty_file_and_an_empty_directory_are_errors() -> None:
    Path("t.csv").touch()
    Path("folder").mkdir()
    with pytest.raises(DataError, match=r"t\.csv is empty"):
        drafts_of(["t.csv"])
    with pytest.raises(DataError, match=r"folder: there is no file that ends in"):
        drafts_of(["folder"])


def test_tests_without_train_are_an_error() -> None:
    for split in ("dev", "test"):
        write_csv(f"{split}.csv", ["text", "label"], label_rows(random.Random(15)))
    with pytest.raises(DataError, match="no file of training rows"):
        drafts_of(["dev.csv", "test.csv"])


def test_a_config_is_replaced_only_when_asked() -> None:
    drafts = drafts_of([write_csv("t.csv", ["text", "label"], label_rows(random.Random(16)))])
    Path("t.yaml").write_text("mine", encoding="utf-8")
    with pytest.raises(ConfigError, match=r"t\.yaml is there already"):
        write_config(drafts, command="mtl init", overwrite=False)
    assert Path("t.yaml").read_text(encoding="utf-8") == "mine"
    write_config(drafts, command="mtl init", overwrite=True)
    load_config("t.yaml")


# real data

EXPECTED: Mapping[str, tuple[object, dict[str, tuple[str, object]]]] = {
    "banking77": ("text", {"category": ("classification", "category")}),
    "comve": ("statement", {"comve": ("multiple_choice", "answer")}),
    "emobank": ("text", {"v_a_d": ("regression", ["V", "A", "D"])}),
    "goemotions": ("text", {"emotions": ("multi_label", "emotions")}),
    "movies": (
        "text",
        {"polarity": ("classification", "polarity"), "subjectivity": ("classification", "subjectivity")},
    ),
    "snips": ("tokens", {"slots": ("token_classification", "slots"), "intent": ("classification", "intent")}),
    "snli": (["premise", "hypothesis"], {"snli": ("classification", "label")}),
    "sts": (["sentence1", "sentence2"], {"score": ("regression", "score")}),
    "ud_en_atis": ("form", {"upos": ("token_classification", "upos")}),
    "wnut17": ("tokens", {"wnut17": ("token_classification", "tags")}),
    "xquad": (["question", "context"], {"xquad": ("question_answering", "answers")}),
}


@pytest.mark.slow
@pytest.mark.skipif(not SHARED.is_dir(), reason="needs ../shared/data")
@pytest.mark.parametrize("name", EXPECTED)
def test_real_data_are_guessed_as_their_makers_mean_them(name: str, tiny_bert: Path) -> None:
    paths = [str((SHARED / name).resolve())]
    raw = checked(tiny_bert, *paths)
    text_columns, tasks = EXPECTED[name]
    assert raw["data"][name]["text"] == text_columns
    assert {task: (of["kind"], of["label"]) for task, of in raw["tasks"].items()} == tasks
