"""Which model is kept as best, and when a training stops."""

import json
from pathlib import Path
from typing import Any

import pytest
from little import TICKET_TASKS, ticket_config

from mtl_transformers import Result, train

OFTEN = {
    "training.epochs": 4,
    "evaluation.every_steps": 4,
    "training.head_learning_rate": 2.0e-2,
    "training.schedule": "constant",
    "tasks.mood.metrics": ["mse", "pearson"],
    "best.metric": "intent/accuracy",
}
STILL = {"training.learning_rate": 1.0e-12, "training.head_learning_rate": 1.0e-12}


def evaluations(output: Path) -> dict[int, dict[str, Any]]:
    """Return the logged metrics by step."""
    lines = [json.loads(line) for line in (output / "metrics.jsonl").read_text().splitlines()]
    return {line["step"]: line for line in lines if "eval/intent/accuracy" in line}


def step_of(model: Path) -> int:
    return json.loads((model / "tasks.json").read_text())["step"]


def check_directories(result: Result) -> None:
    """``best/`` is of the best step and ``last/`` of the last one; each holds the scores of its own step."""
    assert (step_of(result.best), step_of(result.output / "last")) == (result.best_step, result.num_steps)
    logged = evaluations(result.output)
    for model in (result.best, result.output / "last"):
        stored = json.loads((model / "metrics.json").read_text())
        assert stored["intent"]["validation"]["accuracy"] == logged[step_of(model)]["eval/intent/accuracy"]


@pytest.mark.parametrize(("metric", "better"), [("intent/accuracy", max), ("mood/mse", min), ("mood/pearson", max)])
def test_the_best_model_is_the_one_of_the_best_value_of_the_chosen_metric(metric, better, tmp_path, tiny_bert):
    result = train(ticket_config(tmp_path, tiny_bert, {**OFTEN, "best.metric": metric}))
    values = {step: line[f"eval/{metric}"] for step, line in evaluations(result.output).items()}
    assert list(values) == [4, 8, 12, 16, 20]
    assert len(set(values.values())) > 2
    assert result.best_step == next(step for step, value in values.items() if value == better(values.values()))
    check_directories(result)


def test_the_best_model_by_mean_is_the_one_of_the_best_mean(tmp_path, tiny_bert):
    settings = {**OFTEN, "best.metric": "mean", "tasks.mood.metrics": ["pearson", "mse"]}
    result = train(ticket_config(tmp_path, tiny_bert, settings))
    means = {step: line["eval/mean"] for step, line in evaluations(result.output).items()}
    assert result.mean == max(means.values()) == means[result.best_step]
    check_directories(result)


def test_a_mean_that_has_no_meaning_is_logged_as_null(tmp_path, tiny_bert):
    result = train(ticket_config(tmp_path, tiny_bert, OFTEN))  # its tasks' first metrics hold an mse
    assert {line["eval/mean"] for line in evaluations(result.output).values()} == {None}


def test_a_floor_comes_before_the_metric(tmp_path, tiny_bert):
    settings = {**OFTEN, "best.metric": "mood/pearson", "best.floors": {"intent/accuracy": 2.0}}
    result = train(ticket_config(tmp_path, tiny_bert, settings))
    accuracies = {step: line["eval/intent/accuracy"] for step, line in evaluations(result.output).items()}
    pearsons = {step: line["eval/mood/pearson"] for step, line in evaluations(result.output).items()}
    nearest = [step for step, value in accuracies.items() if value == max(accuracies.values())]
    assert result.best_step == max(nearest, key=lambda step: pearsons[step])
    assert result.shortfall == pytest.approx(2.0 - max(accuracies.values()))


def test_floors_that_are_met_leave_the_choice_to_the_metric(tmp_path, tiny_bert):
    result = train(ticket_config(tmp_path, tiny_bert, {**OFTEN, "best.floors": {"intent/accuracy": 0.0}}))
    free = train(ticket_config(tmp_path / "free", tiny_bert, OFTEN))
    assert (result.best_step, result.shortfall) == (free.best_step, 0.0)


def test_training_stops_after_so_many_evaluations_without_a_better_model(tmp_path, tiny_bert):
    settings = {**OFTEN, **STILL, "training.early_stop": 2}
    result = train(ticket_config(tmp_path, tiny_bert, settings))
    assert (result.best_step, result.num_steps) == (4, 12)  # nothing moves: the first one stays the best
    check_directories(result)


def stop_after(values: dict[int, float], *, patience: int) -> int | None:
    """Return the step of the evaluation at which a training that lowers some values runs out of patience."""
    best, without_better = float("inf"), 0
    for step, value in values.items():
        best, without_better = (value, 0) if value < best else (best, without_better + 1)
        if without_better == patience:
            return step
    return None


def test_training_stops_where_its_patience_ends_and_not_before(tmp_path, tiny_bert):
    settings = {**OFTEN, "best.metric": "mood/mse", "evaluation.every_steps": 2}
    whole = train(ticket_config(tmp_path / "whole", tiny_bert, settings))
    values = {step: line["eval/mood/mse"] for step, line in evaluations(whole.output).items()}
    expected = [stop_after(values, patience=patience) for patience in (1, 2)]
    assert 2 < expected[0] < expected[1] < 20  # else this would prove nothing
    for patience, step in enumerate(expected, start=1):
        stopping = {**settings, "training.early_stop": patience}
        assert train(ticket_config(tmp_path / str(patience), tiny_bert, stopping)).num_steps == step


def test_without_evaluations_on_the_way_the_last_model_is_the_best(tmp_path, tiny_bert):
    result = train(ticket_config(tmp_path, tiny_bert))
    assert result.best_step == result.num_steps == 5
    assert list(evaluations(result.output)) == [5]
    assert set(result.scores) == set(TICKET_TASKS)


def test_losses_are_logged_up_to_each_evaluation(tmp_path, tiny_bert):
    settings = {"training.epochs": 5, "evaluation.every_steps": 7, "tracking.every_steps": 10}
    result = train(ticket_config(tmp_path, tiny_bert, settings))
    lines = [json.loads(line) for line in (result.output / "metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines if "train/intent/loss" in line] == [7, 10, 14, 20, 21, 25]
    assert [line["step"] for line in lines if "eval/mean" in line] == [7, 14, 21, 25]
    assert all({"lr", "tokens_per_s", "gradient_norm"} <= line.keys() for line in lines if "train/intent/loss" in line)
