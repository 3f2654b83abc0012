"""A review in the config: what it lists is null or weighs less, for one task, on train rows only."""

from contextlib import ExitStack
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pytest
from little import TICKET_TASKS, Row, ticket_config, tickets

from mtl_transformers.data.encoded import EncodedSplit
from mtl_transformers.data.review import row_keys, write_review
from mtl_transformers.errors import CheckpointError
from mtl_transformers.plan.batching import StepRows
from mtl_transformers.training.experiment import prepare
from mtl_transformers.training.starting import find_start
from mtl_transformers.training.steps import micro_batch_of, training_data

LISTED = (2, 5, 6)
TASKS = {name: TICKET_TASKS[name] for name in ("intent", "topics")}


def prepared(place: Path, encoder: Path, rows: list[Row], **intent: Any) -> dict[str, EncodedSplit]:
    place.mkdir(exist_ok=True)
    tasks = {**TASKS, "intent": {**TASKS["intent"], **intent}}
    validation = [{**row, "sure": None} for row in tickets(4, seed=1)]
    return prepare(ticket_config(place, encoder, train=rows, validation=validation, tasks=tasks)).splits["tickets"]


@pytest.fixture
def review(tmp_path: Path, tiny_bert: Path) -> Path:
    """A review file that doubts three intents, and keeps a fourth one."""
    table = prepared(tmp_path / "first", tiny_bert, tickets(12))["train"].table
    keys = row_keys(table, text=["body"], label=["intent"])
    line = {"dataset": "tickets", "split": "train", "task": "intent"}
    path = tmp_path / "review.jsonl"
    write_review(path, [*({**line, "key": keys[row]} for row in LISTED), {**line, "key": keys[9], "keep": True}])
    return path


def labels(split: EncodedSplit) -> dict[str, list[Any]]:
    return split.labels_of(range(len(split)))


def test_a_listed_label_is_as_good_as_null(tmp_path: Path, tiny_bert: Path, review: Path):
    rows = tickets(12)
    holes = [{**row, "intent": None} if number in LISTED else row for number, row in enumerate(rows)]
    with_review = prepared(tmp_path / "review", tiny_bert, rows, review={"file": str(review)})
    with_nulls = prepared(tmp_path / "nulls", tiny_bert, holes)
    assert labels(with_review["train"]) == labels(with_nulls["train"])
    assert with_review["train"].fingerprint == with_nulls["train"].fingerprint
    assert np.flatnonzero(~with_review["train"].labelled["intent"]).tolist() == list(LISTED)
    assert with_review["train"].labelled["topics"].all()
    without = prepared(tmp_path / "without", tiny_bert, rows)
    assert without["train"].labelled["intent"].all()
    assert without["train"].fingerprint != with_review["train"].fingerprint
    assert without["validation"].fingerprint == with_review["validation"].fingerprint


def test_a_row_whose_only_label_is_listed_is_left_out(tmp_path: Path, tiny_bert: Path, review: Path):
    rows = [{**row, "topics": None if number in LISTED else row["topics"]} for number, row in enumerate(tickets(12))]
    train = prepared(tmp_path / "review", tiny_bert, rows, review={"file": str(review)})["train"]
    assert (len(train), train.num_unlabelled) == (9, 3)
    assert not set(train.numbers.tolist()) & set(LISTED)


def test_a_listed_label_that_weighs_less_is_as_a_column_of_weights(tmp_path: Path, tiny_bert: Path, review: Path):
    lighter = {"file": str(review), "weight": 0.2}
    with_review = prepared(tmp_path / "review", tiny_bert, tickets(12), review=lighter)["train"]
    sure = [{**row, "sure": 0.2 if number in LISTED else 1.0} for number, row in enumerate(tickets(12))]
    with_column = prepared(tmp_path / "column", tiny_bert, sure, row_weight="sure")["train"]
    assert with_review.weights.keys() == {"intent"}
    assert with_review.fingerprint == with_column.fingerprint
    without = prepared(tmp_path / "without", tiny_bert, tickets(12))["train"]
    assert with_review.fingerprint != without.fingerprint


def test_a_review_multiplies_the_column_of_weights(tmp_path: Path, tiny_bert: Path, review: Path):
    rows = [{**row, "sure": 0.5} for row in tickets(12)]
    validation = [{**row, "sure": 1.0} for row in tickets(4, seed=1)]
    tasks = {"intent": {**TASKS["intent"], "row_weight": "sure", "review": {"file": str(review), "weight": 0.2}}}
    config = ticket_config(tmp_path, tiny_bert, train=rows, validation=validation, tasks=tasks)
    train = prepare(config).splits["tickets"]["train"]
    assert train.weights["intent"] == pytest.approx([0.1 if row in LISTED else 0.5 for row in range(12)])


def test_some_rows_of_a_split_are_those_rows(tmp_path: Path, tiny_bert: Path, review: Path):
    split = prepared(tmp_path / "review", tiny_bert, tickets(12), review={"file": str(review), "weight": 0.2})["train"]
    rows = np.array([7, 2, 5])
    some = split.select(rows)
    assert len(some) == 3
    assert labels(some) == {name: [of[row] for row in rows] for name, of in labels(split).items()}
    assert some.input_of("intent").features_of([0, 1]) == split.input_of("intent").features_of([7, 2])
    assert some.ids_of([0, 1, 2]) == ["t7", "t2", "t5"]
    assert some.places_of([1]) == split.places_of([2])
    assert some.lengths.tolist() == split.lengths[rows].tolist()
    assert some.weights["intent"] == pytest.approx([1.0, 0.2, 0.2])
    assert some.labelled["topics"].tolist() == [True, True, True]


def test_noise_in_a_text_does_not_bring_a_listed_label_back(tmp_path: Path, tiny_bert: Path):
    rows = tickets(12)
    table = datasets.Dataset.from_list(rows)
    keys = row_keys(table, text=["body"], label=["entities"])
    path = tmp_path / "review.jsonl"
    line = {"dataset": "tickets", "split": "train", "task": "entities"}
    write_review(path, [{**line, "key": keys[row]} for row in LISTED])
    tasks = {**TASKS, "entities": {**TICKET_TASKS["entities"], "review": {"file": str(path)}}}
    noisy = {"data.tickets.augment": {"token_dropout": 0.3}}
    experiment = prepare(ticket_config(tmp_path, tiny_bert, noisy, train=rows, tasks=tasks))
    data = training_data(experiment)
    step = StepRows(np.zeros(12, dtype=np.int16), np.arange(12), np.ones(12, dtype=np.int32))
    batch = micro_batch_of(step, data, units=[np.array([row]) for row in range(12)], step=0)
    assert {name: target.num_rows for name, target in batch.targets.items()} == {
        "intent": 12,
        "topics": 12,
        "entities": 9,
    }


def test_a_review_in_a_run_that_is_to_be_replaced_is_not_lost(tmp_path: Path, tiny_bert: Path):
    config = ticket_config(tmp_path, tiny_bert, train=tickets(12), tasks=TASKS)
    run = Path(config.output)
    run.mkdir()
    for name in ("config.yaml", "plan.json", "review.jsonl"):
        (run / name).touch()
    inside = ticket_config(
        tmp_path, tiny_bert, {"tasks.intent.review": {"file": str(run / "review.jsonl")}}, tasks=TASKS
    )
    given = {"overwrite": True, "resume": False, "allow_config_change": False}
    with ExitStack() as locks:
        find_start(config, locks=locks, **given)
        with pytest.raises(CheckpointError, match="review"):
            find_start(inside, locks=locks, **given)
