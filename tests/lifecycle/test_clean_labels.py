"""``clean_labels``: a model that does not know a row answers it, once, and planted wrong labels are found."""

import json
import random
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from little import INTENTS, TICKET_TASKS, Row, mixed_config, ticket_config, tickets

from mtl_transformers.config import Config
from mtl_transformers.data.review import read_review, row_keys
from mtl_transformers.errors import ConfigError, DataError, FileError
from mtl_transformers.lifecycle.clean_labels import Report, clean_labels
from mtl_transformers.lifecycle.items import Items, joined
from mtl_transformers.lifecycle.out_of_fold import Answered, out_of_fold
from mtl_transformers.training.experiment import prepare

pytestmark = pytest.mark.slow  # its models are trained once for each fold

INTENT = {"intent": TICKET_TASKS["intent"]}


def answers(config: Config, *, num_folds: int, folds: dict[str, np.ndarray] | None = None) -> dict[str, Items]:
    """Return the items of each task, out of fold; row r of a dataset lies in fold r mod K."""
    experiment = prepare(config)
    counted = {name: np.arange(len(split)) % num_folds for name, split in experiment.of_split("train").items()}
    found: dict[str, list[Items]] = {}
    for event in out_of_fold(experiment, folds or counted, num_folds=num_folds):
        for name, items in event.items.items() if isinstance(event, Answered) else ():
            found.setdefault(name, []).append(items)
    return {name: joined(parts) for name, parts in found.items()}


def test_every_labelled_row_is_answered_once_for_each_task_that_can_be_judged(tmp_path: Path, tiny_bert: Path):
    config = mixed_config(tmp_path, tiny_bert, {"training.epochs": None, "training.steps": 2})
    found = answers(config, num_folds=3)
    splits = prepare(config).of_split("train")
    assert found.keys() == {"intent", "topics", "entities", "relation", "names"}
    for name, items in found.items():
        (labelled,) = (split.labelled[name] for split in splits.values() if name in split.labelled)
        assert not labelled.all() or name in ("relation", "names")  # alone on their datasets
        pairs = list(zip(items.rows.tolist(), items.places.tolist(), strict=True))
        assert len(set(pairs)) == len(pairs), name
        assert set(items.rows.tolist()) == set(np.flatnonzero(labelled).tolist()), name
        assert items.probabilities.sum(axis=1) == pytest.approx(np.ones(len(items)), abs=1e-5)


def test_the_labels_of_a_fold_do_not_change_its_answers_but_those_of_the_other_folds(tmp_path: Path, steady_bert: Path):
    def made(name: str, rows: list[Row]) -> Items:
        place = tmp_path / name
        place.mkdir()
        return answers(ticket_config(place, steady_bert, train=rows, tasks=INTENT), num_folds=2)["intent"]

    rows = tickets(24)
    names = sorted(INTENTS.values())
    turned = [
        row if number % 2 else {**row, "intent": names[names.index(row["intent"]) - 1]}
        for number, row in enumerate(rows)
    ]
    before, after = made("before", rows), made("after", turned)
    same = (before.probabilities == after.probabilities).all(axis=1)
    assert same.tolist() == [number % 2 == 0 for number in range(24)]
    assert (before.labels != after.labels).tolist() == [number % 2 == 0 for number in range(24)]


def noisy(num_rows: int, num_wrong: int) -> tuple[list[Row], set[int]]:
    """Tickets of two words, some with another intent than their word says; and the numbers of those."""
    rows = tickets(num_rows, max_fillers=1)
    for row in rows:
        row["body"] = f"{next(word for word in INTENTS if word in row['body'])} {row['id']}"
    wrong = set(random.Random(1).sample(range(num_rows), num_wrong))
    names = list(INTENTS.values())
    for number in wrong:
        rows[number]["intent"] = names[names.index(rows[number]["intent"]) - 1]
    return rows, wrong


def last(events: Iterable[Any]) -> Report:
    *_, report = events
    assert isinstance(report, Report)
    return report


LEARNS = {"training.epochs": 12, "training.learning_rate": 3.0e-3, "training.head_learning_rate": 3.0e-3}


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory, steady_bert: Path) -> tuple[Report, Path, set[int], Config]:
    """The report on 90 tickets of which six have a wrong intent."""
    place = tmp_path_factory.mktemp("noisy")
    rows, wrong = noisy(90, 6)
    config = ticket_config(place, steady_bert, LEARNS, train=rows, tasks=INTENT)
    return last(clean_labels(config, place / "review.jsonl", num_folds=2)), place, wrong, config


def test_planted_wrong_labels_lead_the_ranking(found):
    report, _, wrong, _ = found
    ranking = report.rankings["intent"]
    assert set(ranking.rows[:6].tolist()) == wrong
    assert sorted(ranking.rows.tolist()) == list(range(90))


def test_the_file_lists_the_suspects_with_place_names_and_key(found):
    report, place, wrong, config = found
    lines = [json.loads(line) for line in (place / "review.jsonl").read_text(encoding="utf-8").splitlines()]
    assert lines == report.lines
    assert len(lines) == report.rankings["intent"].num_suspects
    first = lines[0]
    row = first["row"]
    assert row in wrong
    table = prepare(config).of_split("train")["tickets"].table
    assert first == {
        "dataset": "tickets",
        "split": "train",
        "row": row,
        "place": f"{place}/tickets-train.jsonl, line {row + 1}",
        "id": f"t{row}",
        "text": table[row]["body"],
        "task": "intent",
        "given": table[row]["intent"],
        "suggested": INTENTS[table[row]["body"].split()[0]],
        "score": float(report.rankings["intent"].scores[0]),
        "key": row_keys(table, text=["body"], label=["intent"])[row],
        "keep": False,
    }
    assert [line.key for line in read_review(place / "review.jsonl")] == [line["key"] for line in lines]


def test_no_run_is_written(found):
    _, place, _, config = found
    assert not Path(config.output).exists()
    assert sorted(path.name for path in place.iterdir()) == [
        "review.jsonl",
        "tickets-train.jsonl",
        "tickets-validation.jsonl",
    ]


def test_a_share_lists_so_many_rows_of_every_kind_of_task(tmp_path: Path, tiny_bert: Path):
    config = ticket_config(tmp_path, tiny_bert, {"training.epochs": None, "training.steps": 2}, train=tickets(20))
    report = last(clean_labels(config, tmp_path / "review.jsonl", num_folds=2, share=0.25))
    tasks = [line["task"] for line in report.lines]
    assert tasks == ["intent"] * 5 + ["topics"] * 5 + ["entities"] * 5
    for line in report.lines[10:]:
        assert all(line["text"][word["start"] : word["end"]] == word["text"] for word in line["given"])


def test_a_review_that_is_not_there_yet_is_not_read(tmp_path: Path, tiny_bert: Path):
    out = tmp_path / "review.jsonl"
    settings = {"training.epochs": None, "training.steps": 1, "tasks.intent.review": {"file": str(out)}}
    config = ticket_config(tmp_path, tiny_bert, settings, train=tickets(12), tasks=INTENT)
    assert len(last(clean_labels(config, out, num_folds=2, share=0.5)).lines) == 6


@pytest.mark.parametrize(
    ("given", "error", "said"),
    [
        ({"tasks": ["mood"]}, ConfigError, "the labels of 'mood' are no names; clean-labels ranks classification"),
        ({"tasks": ["intnt"]}, ConfigError, "unknown task 'intnt'; .*did you mean 'intent'"),
        ({"num_folds": 1}, ConfigError, "--folds 1: expected 2 or more"),
        ({"share": 0.0}, ConfigError, "--share 0.0: expected more than 0"),
        ({"share": 1.5}, ConfigError, "--share 1.5: expected more than 0, and at most 1"),
    ],
)
def test_what_cannot_be_honoured_is_refused_before_anything_is_trained(
    tmp_path: Path, tiny_bert: Path, given: dict[str, Any], error: type[Exception], said: str
):
    config = ticket_config(tmp_path, tiny_bert, train=tickets(12))
    with pytest.raises(error, match=said):
        next(clean_labels(config, tmp_path / "review.jsonl", **given))
    assert not (tmp_path / "review.jsonl").exists()


def test_a_file_with_edits_is_not_replaced_unless_told(tmp_path: Path, tiny_bert: Path):
    out = tmp_path / "review.jsonl"
    out.write_text("edited", encoding="utf-8")
    settings = {"training.epochs": None, "training.steps": 1}
    config = ticket_config(tmp_path, tiny_bert, settings, train=tickets(12), tasks=INTENT)
    with pytest.raises(FileError, match=r"review\.jsonl: lies there"):
        next(clean_labels(config, out))
    assert out.read_text(encoding="utf-8") == "edited"
    last(clean_labels(config, out, num_folds=2, share=0.5, overwrite=True))
    assert len(read_review(out)) == 6


def test_a_directory_that_is_not_there_is_refused(tmp_path: Path, tiny_bert: Path):
    config = ticket_config(tmp_path, tiny_bert, train=tickets(12))
    with pytest.raises(FileError, match="there is no directory"):
        next(clean_labels(config, tmp_path / "nowhere" / "review.jsonl"))


def test_tasks_without_names_as_labels_are_refused_together(tmp_path: Path, tiny_bert: Path):
    config = ticket_config(tmp_path, tiny_bert, train=tickets(12), tasks={"mood": TICKET_TASKS["mood"]})
    with pytest.raises(ConfigError, match="none has labels that clean-labels can rank"):
        next(clean_labels(config, tmp_path / "review.jsonl"))


def test_rows_that_all_have_one_text_cannot_be_folded(tmp_path: Path, tiny_bert: Path):
    rows = [{**row, "body": "the same"} for row in tickets(12)]
    config = ticket_config(tmp_path, tiny_bert, train=rows, tasks=INTENT)
    with pytest.raises(DataError, match=r"data\.tickets: all its training rows have one text"):
        last(clean_labels(config, tmp_path / "review.jsonl"))
