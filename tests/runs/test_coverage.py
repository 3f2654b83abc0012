"""Promise 2: every row is trained on as planned, and the ledger says so."""

import json
from collections import Counter
from typing import Any

import pytest
from little import TICKET_TASKS, mixed_config, ticket_config, tickets
from observed import observed_run

from mtl_transformers import CheckpointError, MultiTaskModel, train
from mtl_transformers.training import steps
from mtl_transformers.training.experiment import prepare

NOTHING = dict.fromkeys(("intent", "topics", "urgency", "calm", "entities"))


def times_trained(seen: dict[str, Any]) -> Counter[tuple[str, int]]:
    return Counter((dataset, row) for parts in seen["parts"] for _, rows in parts for dataset, row in rows)


@pytest.mark.parametrize("datasets_per_step", ["one", "many"])
def test_proportional_over_three_epochs_is_every_labelled_row_three_times(datasets_per_step, tmp_path, tiny_bert):
    settings = {"training.epochs": 3, "mixing.datasets_per_step": datasets_per_step}
    config = mixed_config(tmp_path, tiny_bert, settings)
    sizes = {name: len(split) for name, split in prepare(config).of_split("train").items()}
    seen = observed_run(config)
    assert times_trained(seen) == {(name, row): 3 for name, size in sizes.items() for row in range(size)}
    assert {line["passes"] for line in seen["coverage"].values()} == {3.0}


def test_rows_without_any_label_are_left_out_and_counted(tmp_path, tiny_bert):
    rows = tickets(20)
    rows[3] |= NOTHING
    rows[7] |= NOTHING
    config = ticket_config(tmp_path, tiny_bert, train=rows)
    seen = observed_run(config)
    assert times_trained(seen) == {("tickets", row): 1 for row in range(18)}
    plan = json.loads((tmp_path / "run" / "plan.json").read_text())
    assert [(line["rows"], line["unlabelled_rows_left_out"]) for line in plan["datasets"]] == [(18, 2)]
    assert {line["rows_seen"] for line in seen["coverage"].values()} == {18}


def test_the_ledger_counts_labelled_rows_by_task(tmp_path, tiny_bert):
    rows = tickets(20)
    for row in rows[:5]:
        row["intent"] = None
    rows[5]["topics"] = []  # a label: none of them
    result = train(ticket_config(tmp_path, tiny_bert, {"training.epochs": 2}, train=rows))
    assert result.coverage["intent"] == {"rows_available": 15, "rows_seen": 30, "passes": 2.0, "rows_skipped": 0}
    assert result.coverage["topics"] == {"rows_available": 20, "rows_seen": 40, "passes": 2.0, "rows_skipped": 0}


MIXTURES = {
    "temperature": {"mixing.strategy": "temperature"},
    "uniform-steps": {"mixing.strategy": "uniform", "training.epochs": None, "training.steps": 25},
    "capped-half-a-pass": {"mixing.strategy": "capped", "mixing.cap": 30, "training.epochs": 0.5},
    "many-steps": {"mixing.datasets_per_step": "many", "training.epochs": None, "training.steps": 25},
}


@pytest.mark.parametrize("mixture", MIXTURES)
def test_the_ledger_is_what_was_trained_in_every_mixture(mixture, tmp_path, tiny_bert):
    config = mixed_config(tmp_path, tiny_bert, MIXTURES[mixture])
    splits = prepare(config).of_split("train")
    seen = observed_run(config)
    times = times_trained(seen)
    for name, split in splits.items():
        labels = split.labels_of(range(len(split)))
        for task, of_task in labels.items():
            rows = sum(times[name, row] for row, label in enumerate(of_task) if label is not None)
            assert seen["coverage"][task]["rows_seen"] == rows


def test_a_withheld_row_stops_the_run(tmp_path, tiny_bert):
    original = steps.micro_batches_of
    withheld = []

    def all_but_one(rows: Any, data: Any, **given: Any) -> Any:
        if not withheld:
            withheld.append(int(rows.rows[-1]))
            rows = rows.pick(slice(0, len(rows) - 1))
        return original(rows, data, **given)

    config = ticket_config(tmp_path, tiny_bert)
    with pytest.raises(
        CheckpointError,
        match=r"dataset .tickets.: 39 rows trained, 0 left out, 40 planned; task .intent.: 39 rows trained",
    ):
        observed_run(config, sabotage=lambda patch: patch.setattr(steps, "micro_batches_of", all_but_one))


def test_the_ledger_is_logged_and_stored(tmp_path, tiny_bert):
    settings = {"training.epochs": 2, "evaluation.every_steps": 5}
    result = train(ticket_config(tmp_path, tiny_bert, settings))
    lines = [json.loads(line) for line in (result.output / "metrics.jsonl").read_text().splitlines()]
    seen = [(line["step"], line["ledger/intent/rows_seen"]) for line in lines if "ledger/intent/rows_seen" in line]
    assert seen == [(5, 40), (10, 80)]
    stored = MultiTaskModel.from_pretrained(result.output / "last").tasks
    assert {name: served.rows_seen for name, served in stored.items()} == dict.fromkeys(TICKET_TASKS, 80)


def test_a_run_that_stops_early_is_held_to_the_steps_that_it_ran(tmp_path, tiny_bert):
    settings = {"training.learning_rate": 1e-12, "training.head_learning_rate": 1e-12, "training.early_stop": 1}
    config = ticket_config(tmp_path, tiny_bert, {**settings, "training.epochs": 5, "evaluation.every_steps": 2})
    result = train(config)
    assert result.num_steps == 4
    assert result.coverage["intent"]["rows_seen"] == 32
