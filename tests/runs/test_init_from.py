"""Starting from a model directory: encoder and heads continue, by name; a new task changes no other."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from little import TICKET_TASKS, ticket_config, tickets
from observed import largest_difference, weights_of
from safetensors.torch import load_file

from mtl_transformers import ConfigError, MultiTaskModel, train
from mtl_transformers.training.experiment import prepare

STILL = {"training.learning_rate": 1.0e-12, "training.head_learning_rate": 1.0e-12}
TEXTS = [row["body"] for row in tickets(9, seed=3)]
THREE_TASKS = {name: TICKET_TASKS[name] for name in ("intent", "topics", "mood")}


@pytest.fixture(scope="module")
def start(tmp_path_factory: pytest.TempPathFactory, tiny_bert: Path) -> Path:
    place = tmp_path_factory.mktemp("start")
    return train(ticket_config(place, tiny_bert, {"training.epochs": 3}, tasks=THREE_TASKS)).best


def starting_from(start: Path, overrides: dict[str, Any] | None = None) -> dict[str, Any]:
    return {"init_from": str(start), "encoder.name": None, **(overrides or {})}


def test_encoder_and_heads_go_on_from_where_they_were(start, tmp_path, tiny_bert):
    config = ticket_config(tmp_path, tiny_bert, starting_from(start, STILL), tasks=THREE_TASKS)
    result = train(config)
    assert largest_difference(weights_of(result.best), weights_of(start)) < 1e-8
    fresh = train(ticket_config(tmp_path / "fresh", tiny_bert, STILL, tasks=THREE_TASKS))
    assert largest_difference(weights_of(fresh.best), weights_of(start)) > 1e-3


def test_the_original_pooler_stays_in_the_encoder(start, tmp_path, tiny_bert):
    result = train(ticket_config(tmp_path, tiny_bert, starting_from(start), tasks=THREE_TASKS))
    before, after = (load_file(place / "model.safetensors") for place in (tiny_bert, result.best))
    assert before.keys() == after.keys()
    assert torch.equal(before["pooler.dense.weight"], after["pooler.dense.weight"])


def test_labels_keep_their_stored_order_when_the_new_rows_have_fewer(start, tmp_path, tiny_bert):
    rows = [row for row in tickets(40, seed=8) if row["intent"] != "account"]
    validation = [row for row in tickets(13, seed=1) if row["intent"] != "account"]
    config = ticket_config(
        tmp_path, tiny_bert, starting_from(start), train=rows, validation=validation, tasks=THREE_TASKS
    )
    task = MultiTaskModel.from_pretrained(train(config).best).tasks["intent"].task
    assert task.labels == ("account", "billing", "delivery")


def test_a_scale_is_kept_so_that_the_head_keeps_its_meaning(start, tmp_path, tiny_bert):
    rows = [{**row, "urgency": row["urgency"] * 100} for row in tickets(40)]
    config = ticket_config(tmp_path, tiny_bert, starting_from(start, STILL), train=rows, tasks=THREE_TASKS)
    before, after = (MultiTaskModel.from_pretrained(place) for place in (start, train(config).best))
    values = [[answer["mood"]["values"] for answer in model.predict(TEXTS)] for model in (before, after)]
    for old, new in zip(*values, strict=True):
        assert new == pytest.approx(old, abs=1e-5)


def test_a_new_task_begins_as_in_any_run_and_changes_no_other(start, tmp_path, tiny_bert):
    with_new = prepare(ticket_config(tmp_path, tiny_bert, starting_from(start))).network.heads_state()
    fresh = prepare(ticket_config(tmp_path / "fresh", tiny_bert)).network.heads_state()
    stored = load_file(start / "heads.safetensors")
    for name, tensor in with_new.items():
        expected = fresh if name.startswith("heads.entities.") else stored
        assert torch.equal(tensor, expected[name]), name
    assert {name.split(".")[1] for name in with_new} == set(TICKET_TASKS)


def test_adding_a_task_leaves_the_others_heads_as_they_would_begin(tmp_path, tiny_bert):
    three = prepare(ticket_config(tmp_path / "a", tiny_bert, tasks=THREE_TASKS)).network.heads_state()
    four = prepare(ticket_config(tmp_path / "b", tiny_bert)).network.heads_state()
    assert all(torch.equal(four[name], tensor) for name, tensor in three.items())
    assert four.keys() - three.keys()


def test_a_frozen_start_is_copied_for_a_new_task(start, tmp_path, tiny_bert):
    only = {"entities": TICKET_TASKS["entities"]}
    best = train(ticket_config(tmp_path, tiny_bert, starting_from(start, {"encoder.freeze": "all"}), tasks=only)).best
    assert (best / "model.safetensors").read_bytes() == (start / "model.safetensors").read_bytes()
    assert list(json.loads((best / "tasks.json").read_text())["tasks"]) == ["entities"]


def test_a_task_of_another_kind_under_a_known_name_is_refused(start, tmp_path, tiny_bert):
    tasks = {"intent": {**TICKET_TASKS["mood"], "label": "urgency"}}
    with pytest.raises(ConfigError, match=r"tasks\.intent\.kind: regression.*classification"):
        train(ticket_config(tmp_path, tiny_bert, starting_from(start), tasks=tasks))


def test_the_name_of_the_pretrained_encoder_is_handed_on(start, tmp_path, tiny_bert):
    result = train(ticket_config(tmp_path, tiny_bert, starting_from(start), tasks=THREE_TASKS))
    assert json.loads((result.best / "tasks.json").read_text())["encoder"] == tiny_bert.name


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ({"tasks.mood.label": ["calm", "urgency"]}, "tasks.mood.label: .* but the model"),
        ({"tasks.intent.label_names": ["account", "billing", "delivery"]}, "tasks.intent.label_names: .* None"),
    ],
)
def test_options_that_would_change_what_a_trained_head_means_are_refused(
    start, tmp_path, tiny_bert, overrides, message
):
    with pytest.raises(ConfigError, match=message):
        prepare(ticket_config(tmp_path, tiny_bert, starting_from(start, overrides), tasks=THREE_TASKS))


def test_a_new_threshold_and_new_counts_are_taken_over(start, tmp_path, tiny_bert):
    rows = tickets(30, seed=8)
    overrides = starting_from(start, {"tasks.topics.threshold": 0.25})
    made = prepare(ticket_config(tmp_path, tiny_bert, overrides, train=rows, tasks=THREE_TASKS))
    topics, intent = (made.tasks[name].task for name in ("topics", "intent"))
    assert set(topics.thresholds) == {0.25}
    counted = {label: sum(row["intent"] == label for row in rows) for label in intent.labels}
    assert intent.label_counts == counted
