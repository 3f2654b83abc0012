"""What ``mtl check`` finds, counted by hand on a dozen rows; and that it leaves nothing behind."""

from collections.abc import Sequence
from pathlib import Path

import pytest
from little import Row, dataset, questions, raw_config, sentences

from mtl_transformers.checking.check import CheckedTask, Report, check
from mtl_transformers.config import Config, load_config
from mtl_transformers.errors import DataError
from mtl_transformers.inference.precision import default_device
from mtl_transformers.tasks.answer_cells import AnswerCounts
from mtl_transformers.tasks.span_cells import SpanCounts

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


def test_labels_and_nulls_are_counted_for_each_task_and_split(report: Report) -> None:
    assert list(report.tasks) == [
        CheckedTask(
            task="intent",
            kind="classification",
            labelled={"train": 10, "validation": 3, "test": 0},
            nulls={"train": 2, "validation": 0, "test": 2},
            counts={
                "train": {"account": 3, "billing": 6, "delivery": 1},
                "validation": {"account": 1, "billing": 2, "delivery": 0},
                "test": {"account": 0, "billing": 0, "delivery": 0},
            },
            spans={"train": SpanCounts(), "validation": SpanCounts(), "test": SpanCounts()},
        ),
        CheckedTask(
            task="things",
            kind="token_classification",
            labelled={"train": 4, "validation": 1, "test": 2},
            nulls={"train": 8, "validation": 2, "test": 0},
            counts={"train": {"THING": 5}, "validation": {"THING": 1}, "test": {"THING": 2}},
            spans={"train": SpanCounts(widened=2), "validation": SpanCounts(), "test": SpanCounts(widened=1)},
        ),
    ]


def test_the_warnings_are_these_and_no_others(report: Report) -> None:
    assert list(report.warnings) == [
        "data.tickets, train: 9% of the rows are cut to 20 tokens; raise data.tickets.max_length if their ends matter",
        "data.tickets, train: rows without any label, which are left out: 1",
        "data.tickets, validation: 33% of the rows are cut to 20 tokens; raise data.tickets.max_length if their ends "
        "matter",
        "tasks.intent, test: no row has a label, so it cannot be scored there",
        "tasks.intent, train: labels that occur fewer than 5 times: account, delivery",
        "tasks.intent, validation: labels that do not occur, so that nothing scores them: delivery",
        "tasks.things, train: 8 of 12 labels are null",
        "tasks.things, train: spans that do not end at the edges of words, and are widened to whole words: 2",
        "tasks.things, validation: 2 of 3 labels are null",
        "tasks.things, test: spans that do not end at the edges of words, and are widened to whole words: 1",
    ]


def test_the_plan_is_the_one_that_a_training_would_show(report: Report) -> None:
    (line,) = report.plan["datasets"]
    assert (line["rows"], line["unlabelled_rows_left_out"], line["validation_rows"]) == (11, 1, 3)
    assert line["truncated"] == pytest.approx(1 / 11, abs=1e-4)
    assert report.plan["steps"] == 2  # 11 rows, at most 8 in a step
    assert [(task["task"], task["labelled_rows"]) for task in report.plan["tasks"]] == [("intent", 10), ("things", 4)]


def test_data_without_fault_give_no_warning(tmp_path: Path, tiny_bert: Path) -> None:
    rows = [row(f"refund {n}", ("billing", "account")[n % 2], (0, 6)) for n in range(20)]
    assert list(check(config_of(tmp_path, tiny_bert, train=rows, validation=rows[:4])).warnings) == []


def test_overlaps_are_refused_with_their_row_or_dropped_and_counted(tmp_path: Path, tiny_bert: Path) -> None:
    rows = [row(f"my refund {n}", ("billing", "account")[n % 2], (3, 9)) for n in range(20)]
    rows[7] = row("my refund 7", "billing", (3, 9), (0, 9), (3, 9), (4, 6))
    with pytest.raises(DataError, match=r"'things'.*'train'.*line 8.*overlap.*overlaps to longest or first"):
        check(config_of(tmp_path, tiny_bert, train=rows, validation=rows[:4]))
    found = check(config_of(tmp_path, tiny_bert, overlaps="longest", train=rows, validation=rows[:4]))
    assert found.tasks[1].spans == {"train": SpanCounts(dropped=2), "validation": SpanCounts()}
    assert found.tasks[1].counts["train"] == {"THING": 20}
    assert list(found.warnings) == [
        "tasks.things, train: spans that overlap one that is kept, and are dropped: 2",
    ]


def test_answers_at_wrong_places_are_repaired_and_lost_ones_left_out_and_both_are_counted(
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
    assert task.answers == {"train": AnswerCounts(repaired=1, lost=1), "validation": AnswerCounts(lost=1)}
    assert (task.labelled["train"], task.nulls["train"], task.counts) == (4, 2, {})
    assert [warning for warning in found.warnings if warning.startswith("tasks")] == [
        "tasks.qa, train: answers that do not stand where the data say, and are repaired: 1",
        "tasks.qa, train: answers that are not in their context, and are left out: 1",
        "tasks.qa, validation: answers that are not in their context, and are left out: 1",
    ]
    (line,) = found.plan["tasks"]
    assert (line["answers_repaired"], line["answers_lost"]) == (1, 1)


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
    assert [task.counts for task in found] == [
        {"train": {"P": 6}, "validation": {"P": 2}},
        {"train": {"a": 2, "b": 1}, "validation": {"a": 1, "b": 1}},
    ]
    assert [task.nulls["train"] for task in found] == [0, 1]


def test_numbers_have_no_labels_to_count(tmp_path: Path, tiny_bert: Path) -> None:
    rows = [{"body": "refund", "urgency": float(n)} for n in range(3)]
    data = {"tickets": dataset(tmp_path, "tickets", text="body", train=rows, validation=rows)}
    tasks = {"urgency": {"data": "tickets", "kind": "regression", "label": "urgency"}}
    (task,) = check(load_config(raw_config(tmp_path, tiny_bert, data=data, tasks=tasks))).tasks
    assert (task.labelled["train"], task.counts) == (3, {})


def test_counts_are_over_all_chunks_of_rows(tmp_path: Path, tiny_bert: Path) -> None:
    rows = sentences(2100, seed=3)
    data = {"news": dataset(tmp_path, "news", text="tokens", train=rows, validation=rows[:5])}
    tasks = {"names": {"data": "news", "kind": "token_classification", "label": "tags"}}
    (task,) = check(load_config(raw_config(tmp_path, tiny_bert, data=data, tasks=tasks))).tasks
    assert task.counts["train"] == {"PLACE": sum(tag == "B-PLACE" for of in rows for tag in of["tags"])}


def test_what_would_stop_a_training_stops_the_check(tmp_path: Path, tiny_bert: Path) -> None:
    wrong = [*VALIDATION, row("parcel", "delivry")]
    with pytest.raises(DataError, match=r"'intent'.*'validation'.*line 4.*'delivry' is not among the 3"):
        check(config_of(tmp_path, tiny_bert, train=TRAIN, validation=wrong))


def test_an_output_that_is_taken_is_a_warning(tmp_path: Path, tiny_bert: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "notes.txt").write_text("mine", encoding="utf-8")
    first, *_ = check(config_of(tmp_path, tiny_bert, train=TRAIN, validation=VALIDATION)).warnings
    assert first.startswith(f"output: {tmp_path / 'run'}: holds something that is no run of ours")


@pytest.mark.skipif(default_device().type == "cuda", reason="this machine has the precision")
def test_a_precision_that_this_machine_has_not_is_a_warning(tmp_path: Path, tiny_bert: Path) -> None:
    config = config_of(tmp_path, tiny_bert, train=TRAIN, validation=VALIDATION)
    training = config.training.model_copy(update={"precision": "fp16"})
    first, *_ = check(config.model_copy(update={"training": training})).warnings
    assert first == "training.precision: precision fp16 needs a GPU; this is cpu. Use bf16, fp32 or auto"


def test_nothing_is_written(tmp_path: Path, tiny_bert: Path, datasets_cache: Path) -> None:
    config = config_of(tmp_path, tiny_bert, train=TRAIN, validation=VALIDATION)

    def outside_the_cache() -> list[Path]:
        return sorted(path for path in tmp_path.rglob("*") if datasets_cache not in (path, *path.parents))

    before = outside_the_cache()
    check(config)
    assert outside_the_cache() == before
    assert not Path(config.output).exists()
