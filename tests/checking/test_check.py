"""What ``mtl check`` finds, counted by hand on a dozen rows; and that it leaves nothing behind."""

import json
import math
from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
from little import Row, dataset, questions, raw_config, sentences

from mtl_transformers.checking.altered import DROPPED, LOST, REPAIRED, WIDENED
from mtl_transformers.checking.check import Report, check, write_report
from mtl_transformers.config import Config, load_config
from mtl_transformers.errors import DataError
from mtl_transformers.inference.precision import default_device

LONG = "the refund of my card " * 9


def row(body: str, intent: str | None, *spans: tuple[int, int]) -> Row:
    """Return a ticket; without spans their cell is null."""
    entities = [{"label": "THING", "start": start, "end": end} for start, end in spans]
    return {"body": body, "intent": intent, "entities": entities or None}


TRAIN = [
    *(row(f"refund {n}", "billing") for n in range(5)),
    row("my refund", "billing", (3, 9)),  # a word
    row("my refund", "account", (3, 6)),  # the beginning of one
    row("my refund", "account", (0, 2), (4, 9)),  # a word, and the end of one
    row(LONG, "account"),
    row("the parcel", "delivery"),
    row("the parcel", None, (4, 10)),
    row("no label at all", None),
]
VALIDATION = [
    row("refund", "billing"),
    row("the card", "billing", (4, 8)),
    row(LONG, "account"),
]
TEST = [row("the card", None, (4, 8)), row("card", None, (0, 3))]


def config_of(directory: Path, encoder: Path, *, overlaps: str = "error", **splits: Sequence[Row]) -> Config:
    tasks = {
        "intent": {"data": "tickets", "kind": "classification", "label": "intent"},
        "things": {
            "data": "tickets",
            "kind": "token_classification",
            "label": "entities",
            "scheme": "spans",
            "overlaps": overlaps,
        },
    }
    data = {"tickets": {**dataset(directory, "tickets", text="body", **splits), "max_length": 20}}
    return load_config(raw_config(directory, encoder, data=data, tasks=tasks))


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory, tiny_bert: Path) -> Report:
    place = tmp_path_factory.mktemp("check")
    return check(config_of(place, tiny_bert, train=TRAIN, validation=VALIDATION, test=TEST))


def said(report: Report, *topics: str) -> list[str]:
    """Return the findings about some topics, a warning marked by a bang."""
    return [
        f"{'!' if finding.severity == 'warning' else ''}{finding}"
        for finding in report.findings
        if finding.topic in topics
    ]


def test_labels_and_nulls_are_counted_for_each_task_and_split(report: Report) -> None:
    intent, things = report.tasks
    assert [(of.labelled, of.nulls) for of in intent.labels.values()] == [(10, 2), (3, 0), (0, 2)]
    assert {split: dict(of.counts) for split, of in intent.labels.items()} == {
        "train": {"account": 3, "billing": 6, "delivery": 1},
        "validation": {"account": 1, "billing": 2, "delivery": 0},
        "test": {},
    }
    assert [(of.labelled, of.nulls, dict(of.counts)) for of in things.labels.values()] == [
        (4, 8, {"THING": 5}),
        (1, 2, {"THING": 1}),
        (2, 0, {"THING": 2}),
    ]
    assert things.altered == {"train": {WIDENED: 2}, "validation": {}, "test": {WIDENED: 1}}


def test_the_balance_is_the_share_of_the_largest_label_and_the_number_of_even_ones(report: Report) -> None:
    train = report.tasks[0].labels["train"]
    assert train.majority == pytest.approx(0.6)
    assert train.effective_labels == pytest.approx(0.3**-0.3 * 0.6**-0.6 * 0.1**-0.1)


def test_the_findings_about_labels_are_these_and_no_others(report: Report) -> None:
    assert said(report, "nulls", "labels", "spans", "numbers") == [
        "data.tickets, train: rows without any label, which are left out: 1",
        "!tasks.intent, train: labels that occur fewer than 5 times: account, delivery",
        "!tasks.intent, validation: labels that do not occur, so that nothing scores them: delivery",
        "!tasks.intent, test: no row has a label, so it cannot be scored there",
        "!tasks.things, train: 8 of 12 labels are null",
        "!tasks.things, validation: 2 of 3 labels are null",
        "!tasks.things, train: spans that do not end at the edges of words, and are widened to whole words: 2",
        "!tasks.things, test: spans that do not end at the edges of words, and are widened to whole words: 1",
    ]


def test_the_findings_about_texts_are_these_and_no_others(report: Report) -> None:
    assert said(report, "duplicates", "conflicts", "leakage") == [
        "!tasks.intent, train: rows whose text stands there with another label too: 3 "
        "(data.tickets.filter.drop_conflicts leaves them out)",
        "!tasks.things, train: rows whose text stands there with another label too: 3 "
        "(data.tickets.filter.drop_conflicts leaves them out)",
        "!data.tickets, validation: texts that stand in train of tickets: 1, in 1 rows "
        "(data.tickets.filter.drop_leaks leaves them out there)",
        "data.tickets, test: texts that stand in validation of tickets: 1, in 1 rows",
    ]
    assert report.in_train == {"tickets": {"validation": 1, "test": 0}}


def test_findings_name_the_first_rows(report: Report) -> None:
    rows = {str(finding).partition(": ")[0]: finding.rows for finding in report.findings if finding.topic == "spans"}
    assert [row.rpartition("-")[2] for row in rows["tasks.things, train"]] == [
        "train.jsonl, line 7",
        "train.jsonl, line 8",
    ]
    (conflict, *_) = (finding for finding in report.findings if finding.topic == "conflicts")
    assert [row.rpartition("-")[2] for row in conflict.rows] == [
        "train.jsonl, line 6 = line 7",
        "train.jsonl, line 7 = line 6",
        "train.jsonl, line 8 = line 6",
    ]
    (leak,) = (finding for finding in report.warnings if finding.topic == "leakage")
    (row,) = leak.rows
    assert [part.rpartition("-")[2] for part in row.split(" = ")] == ["validation.jsonl, line 3", "train.jsonl, line 9"]


def test_rows_that_are_cut_are_counted_with_what_they_lose(report: Report) -> None:
    train, validation, test = report.lengths
    assert [(of.split, of.rows, of.truncated) for of in report.lengths] == [
        ("train", 11, 1),
        ("validation", 3, 1),
        ("test", 2, 0),
    ]
    assert train.percentiles["100"] == train.max_length == 20
    assert train.enough == 56  # nine times six pieces, and two special tokens
    assert train.tokens_lost == pytest.approx(36 / (train.mean * 11 + 36))
    assert 0 < train.tokens_lost < validation.tokens_lost < 1
    assert test.tokens_lost == 0
    assert said(report, "lengths")[0].startswith(
        "!data.tickets, train: rows that are cut to 20 tokens: 1 (9.1%); raise data.tickets.max_length"
    )


def test_the_plan_is_the_one_that_a_training_would_show(report: Report) -> None:
    (line,) = report.plan["datasets"]
    assert (line["rows"], line["unlabelled_rows_left_out"], line["validation_rows"]) == (11, 1, 3)
    assert line["truncated"] == pytest.approx(1 / 11, abs=1e-4)
    assert report.plan["steps"] == 2  # 11 rows, at most 8 in a step
    assert [(task["task"], task["labelled_rows"]) for task in report.plan["tasks"]] == [("intent", 10), ("things", 4)]
    assert [(task["passes"], task["labelled_rows_planned"]) for task in report.plan["tasks"]] == [(1, 10), (1, 4)]


def test_data_without_fault_give_no_finding(tmp_path: Path, tiny_bert: Path) -> None:
    rows = [row(f"refund {n}", ("billing", "account")[n % 2], (0, 6)) for n in range(24)]
    assert check(config_of(tmp_path, tiny_bert, train=rows[4:], validation=rows[:4])).findings == []


def test_overlaps_are_refused_with_their_row_or_dropped_and_counted(tmp_path: Path, tiny_bert: Path) -> None:
    rows = [row(f"my refund {n}", ("billing", "account")[n % 2], (3, 9)) for n in range(20)]
    rows[7] = row("my refund 7", "billing", (3, 9), (0, 9), (3, 9), (4, 6))
    with pytest.raises(DataError, match=r"'things'.*'train'.*line 8.*overlap.*overlaps to longest or first"):
        check(config_of(tmp_path, tiny_bert, train=rows, validation=rows[:4]))
    validation = [row("your refund", "billing", (5, 11)), row("your parcel", "account", (5, 11))]
    found = check(config_of(tmp_path, tiny_bert, overlaps="longest", train=rows, validation=validation))
    assert found.tasks[1].altered == {"train": {DROPPED: 2}, "validation": {}}
    assert found.tasks[1].labels["train"].counts == {"THING": 20}
    assert list(map(str, found.warnings)) == [
        "tasks.things, train: spans that overlap one that is kept, and are dropped: 2",
    ]


def test_labels_of_words_and_several_labels_are_counted_too(tmp_path: Path, tiny_bert: Path) -> None:
    words = [{"tokens": ["in", "New", "York", "or", "Quito"], "tags": ["O", "B-P", "I-P", "O", "B-P"]}] * 3
    many = [{"body": "refund", "topics": topics} for topics in (["a", "b"], ["a"], [], None)]
    data = {
        "words": dataset(tmp_path, "words", text="tokens", train=words, validation=words[:1]),
        "many": dataset(tmp_path, "many", text="body", train=many, validation=many[:1]),
    }
    tasks = {
        "places": {"data": "words", "kind": "token_classification", "label": "tags"},
        "topics": {"data": "many", "kind": "multi_label", "label": "topics"},
    }
    found = check(load_config(raw_config(tmp_path, tiny_bert, data=data, tasks=tasks))).tasks
    assert [{split: of.counts for split, of in task.labels.items()} for task in found] == [
        {"train": {"P": 6}, "validation": {"P": 2}},
        {"train": {"a": 2, "b": 1}, "validation": {"a": 1, "b": 1}},
    ]
    assert [task.labels["train"].nulls for task in found] == [0, 1]


def test_numbers_have_a_spread_and_no_labels_to_count(tmp_path: Path, tiny_bert: Path) -> None:
    rows = [{"body": f"refund {n}", "urgency": float(n % 2)} for n in range(98)]
    rows += [{"body": "my parcel", "urgency": 100.0}, {"body": "the parcel", "urgency": None}]
    validation = [{"body": f"parcel {n}", "urgency": 1.0} for n in range(3)]
    data = {"tickets": dataset(tmp_path, "tickets", text="body", train=rows, validation=validation)}
    tasks = {"urgency": {"data": "tickets", "kind": "regression", "label": "urgency"}}
    report = check(load_config(raw_config(tmp_path, tiny_bert, data=data, tasks=tasks)))
    (task,) = report.tasks
    assert (task.labels["train"].labelled, task.labels["train"].counts) == (99, {})
    spread = task.numbers["train"]["urgency"]
    assert spread is not None
    assert (spread.num, spread.low, spread.high) == (99, 0.0, 100.0)
    assert (spread.mean, spread.std) == (pytest.approx(149 / 99), pytest.approx((10049 / 99 - (149 / 99) ** 2) ** 0.5))
    assert said(report, "numbers") == [
        "!tasks.urgency, train: urgency is more than 6 standard deviations from the mean of train: 1 rows",
        "!tasks.urgency, validation: urgency is 1 in every row",
    ]
    (far,) = report.warnings[0].rows
    assert far.endswith("train.jsonl, line 99")


def test_labels_that_train_has_not_are_named_where_they_are_ignored(tmp_path: Path, tiny_bert: Path) -> None:
    rows = [{"body": f"refund {n}", "intent": ("billing", "account")[n % 2], "topics": ["a"]} for n in range(12)]
    test = [
        {"body": "parcel", "intent": "delivery", "topics": ["b", "a", "c"]},
        {"body": "card", "intent": "billing", "topics": []},
        {"body": "phone", "intent": "account", "topics": ["b"]},
    ]
    data = {"tickets": dataset(tmp_path, "tickets", text="body", train=rows[4:], validation=rows[:4], test=test)}
    common = {"data": "tickets", "unknown_label": "ignore"}
    tasks = {
        "intent": {**common, "kind": "classification", "label": "intent"},
        "topics": {**common, "kind": "multi_label", "label": "topics"},
    }
    report = check(load_config(raw_config(tmp_path, tiny_bert, data=data, tasks=tasks)))
    assert [dict(task.labels["test"].unseen) for task in report.tasks] == [{"delivery": 1}, {"b": 2, "c": 1}]
    found = [finding for finding in report.findings if finding.split == "test" and finding.topic == "labels"]
    assert [(str(finding), [row.rpartition("-")[2] for row in finding.rows]) for finding in found] == [
        (
            "tasks.intent, test: labels that train has not, and that are ignored: delivery",
            ["test.jsonl, line 1"],
        ),
        (
            "tasks.topics, test: labels that train has not, and that are ignored: b, c",
            ["test.jsonl, line 1", "test.jsonl, line 3"],
        ),
    ]


def test_counts_are_over_all_chunks_of_rows(tmp_path: Path, tiny_bert: Path) -> None:
    rows = sentences(2100, seed=3)
    data = {"news": dataset(tmp_path, "news", text="tokens", train=rows, validation=rows[:5])}
    tasks = {"names": {"data": "news", "kind": "token_classification", "label": "tags"}}
    (task,) = check(load_config(raw_config(tmp_path, tiny_bert, data=data, tasks=tasks))).tasks
    assert task.labels["train"].counts == {"PLACE": sum(tag == "B-PLACE" for of in rows for tag in of["tags"])}


def test_what_would_stop_a_training_stops_the_check(tmp_path: Path, tiny_bert: Path) -> None:
    wrong = [*VALIDATION, row("parcel", "delivry")]
    with pytest.raises(DataError, match=r"'intent'.*'validation'.*line 4.*'delivry' is not among the 3"):
        check(config_of(tmp_path, tiny_bert, train=TRAIN, validation=wrong))


def test_an_output_that_is_taken_is_a_warning(tmp_path: Path, tiny_bert: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "notes.txt").write_text("mine", encoding="utf-8")
    first, *_ = check(config_of(tmp_path, tiny_bert, train=TRAIN, validation=VALIDATION)).warnings
    assert str(first).startswith(f"output: {tmp_path / 'run'}: holds something that is no run of ours")


@pytest.mark.skipif(default_device().type == "cuda", reason="this machine has the precision")
def test_a_precision_that_this_machine_has_not_is_a_warning(tmp_path: Path, tiny_bert: Path) -> None:
    config = config_of(tmp_path, tiny_bert, train=TRAIN, validation=VALIDATION)
    training = config.training.model_copy(update={"precision": "fp16"})
    first, *_ = check(config.model_copy(update={"training": training})).warnings
    assert str(first) == "training.precision: precision fp16 needs a GPU; this is cpu. Use bf16, fp32 or auto"


def test_nothing_is_written(tmp_path: Path, tiny_bert: Path, datasets_cache: Path) -> None:
    config = config_of(tmp_path, tiny_bert, train=TRAIN, validation=VALIDATION)

    def outside_the_cache() -> list[Path]:
        return sorted(path for path in tmp_path.rglob("*") if datasets_cache not in (path, *path.parents))

    before = outside_the_cache()
    check(config)
    assert outside_the_cache() == before
    assert not Path(config.output).exists()


def test_a_report_is_written_as_json(report: Report, tmp_path: Path) -> None:
    write_report(report, tmp_path / "check.json")
    read = json.loads((tmp_path / "check.json").read_text(encoding="utf-8"))
    assert read["plan"] == json.loads(json.dumps(report.plan))
    assert [(finding["topic"], finding["count"]) for finding in read["findings"]] == [
        (finding.topic, finding.count) for finding in report.findings
    ]
    assert read["tasks"][0]["start"]["of_equal_logits"] == pytest.approx(math.log(3))
    assert read["estimate"]["memory_bytes"] == report.estimate.weight_bytes + report.estimate.activation_bytes


def test_answers_at_wrong_places_are_repaired_and_lost_ones_left_out_and_both_are_named(
    tmp_path: Path, tiny_bert: Path
) -> None:
    rows = questions(6)
    rows[1]["answers"][0]["answer_start"] += 1
    rows[2]["answers"] = [{"text": "nowhere", "answer_start": 0}]
    rows[3]["answers"] = None
    data = {"faq": dataset(tmp_path, "faq", text=["question", "context"], train=rows, validation=rows[2:])}
    tasks = {"qa": {"data": "faq", "kind": "question_answering", "label": "answers"}}
    found = check(load_config(raw_config(tmp_path, tiny_bert, data=data, tasks=tasks)))
    (task,) = found.tasks
    assert task.altered == {"train": {REPAIRED: 1, LOST: 1}, "validation": {LOST: 1}}
    named = {(finding.split, finding.message): finding.rows for finding in found.findings if finding.topic == "answers"}
    assert {key: [row.rpartition(", ")[2] for row in rows] for key, rows in named.items()} == {
        ("train", f"{REPAIRED}: 1"): ["line 2"],
        ("train", f"{LOST}: 1"): ["line 3"],
        ("validation", f"{LOST}: 1"): ["line 1"],
    }
    (line,) = found.plan["tasks"]
    assert (line["answers_repaired"], line["answers_lost"]) == (1, 1)


def test_bf16_without_hardware_is_told(tmp_path: Path, tiny_bert: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = {"news": dataset(tmp_path, "news", text="tokens", train=sentences(8), validation=sentences(4, seed=1))}
    tasks = {"names": {"data": "news", "kind": "token_classification", "label": "tags"}}
    config = load_config(raw_config(tmp_path, tiny_bert, data=data, tasks=tasks), {"training.precision": "bf16"})
    for fast in (False, True):
        monkeypatch.setattr(torch.cpu, "get_capabilities", lambda fast=fast: {"avx512_bf16": fast})
        told = [finding for finding in check(config).findings if finding.place == "training.precision"]
        assert bool(told) is not fast
