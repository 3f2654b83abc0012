"""The batch that is tried: a new head begins at the loss of equal logits, and the estimate follows from the trial."""

import math
from pathlib import Path

import pytest
import torch
from little import TICKET_TASKS, mixed_config, ticket_config

from mtl_transformers.checking.estimates import estimate_of
from mtl_transformers.checking.start import StartLoss, Trial, start_findings, try_start
from mtl_transformers.training.experiment import Experiment, prepare

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def experiment(tmp_path_factory: pytest.TempPathFactory, tiny_bert: Path) -> Experiment:
    return prepare(mixed_config(tmp_path_factory.mktemp("start"), tiny_bert))


@pytest.fixture(scope="module")
def trials(experiment: Experiment) -> dict[str, Trial]:
    return try_start(experiment, device=CPU, precision="fp32")


def test_every_task_is_tried_and_begins_near_the_loss_of_equal_logits(trials: dict[str, Trial]) -> None:
    losses = {task: loss for trial in trials.values() for task, loss in trial.losses.items()}
    assert losses.keys() == {*TICKET_TASKS, "relation", "names"}
    equal = {task: of.of_equal_logits for task, of in losses.items()}
    assert equal["intent"] == pytest.approx(math.log(3))  # labels
    assert equal["topics"] == pytest.approx(math.log(2))  # of each cell
    assert equal["relation"] == pytest.approx(math.log(2))
    assert equal["names"] == pytest.approx(math.log(3))  # O, B-PLACE, I-PLACE
    assert equal["mood"] == pytest.approx(1.0, abs=0.3)  # variance of some of the standardised numbers
    for of in losses.values():
        assert of.loss is not None
        assert of.of_equal_logits is not None
        assert of.loss == pytest.approx(of.of_equal_logits, rel=0.3)
    assert list(start_findings(losses)) == []


def test_a_trial_moves_no_weight(experiment: Experiment) -> None:
    before = [parameter.detach().clone() for parameter in experiment.network.parameters()]
    try_start(experiment, device=CPU, precision="fp32")
    assert all(torch.equal(was, now) for was, now in zip(before, experiment.network.parameters(), strict=True))


def test_a_head_that_begins_far_above_is_a_warning(tmp_path: Path, tiny_bert: Path) -> None:
    prepared = prepare(ticket_config(tmp_path, tiny_bert))
    with torch.no_grad():
        for parameter in prepared.network.head("intent").parameters():
            parameter.mul_(300.0)
    (trial,) = try_start(prepared, device=CPU, precision="fp32").values()
    (finding,) = start_findings(trial.losses)
    assert (finding.place, finding.severity) == ("tasks.intent", "warning")
    assert "1.10 is that of a head which says nothing" in finding.message


def test_a_loss_that_is_no_number_is_a_warning() -> None:
    (finding,) = start_findings({"intent": StartLoss(None, 1.0)})
    assert finding.message == "the loss at start is not a finite number"


def test_a_loss_below_that_of_equal_logits_is_none() -> None:
    assert list(start_findings({"known": StartLoss(0.01, 1.1), "nothing": StartLoss(0.05, 0.0)})) == []


def test_more_tokens_keep_more_bytes(experiment: Experiment, trials: dict[str, Trial]) -> None:
    for trial in trials.values():
        assert trial.padded_tokens >= trial.tokens > 0
        # each layer keeps several vectors of 32 floats for each token
        assert trial.saved_bytes > trial.padded_tokens * 2 * 32 * 4


def test_an_estimate_extends_the_trials_to_the_plan(experiment: Experiment) -> None:
    trials = {
        name: Trial({}, seconds=2.0, tokens=100, padded_tokens=200, saved_bytes=1000 * (1 + place))
        for place, name in enumerate(of.name for of in experiment.plan.datasets)
    }
    found = estimate_of(experiment, trials, device=CPU, precision="fp32")
    num_weights = sum(parameter.numel() for parameter in experiment.network.parameters())
    assert (found.weights, found.trained_weights) == (num_weights, num_weights)
    assert found.weight_bytes == 16 * num_weights
    assert found.activation_bytes == 3000 / 200 * experiment.config.training.max_tokens
    tokens = sum(int(of.lengths.sum()) for of in experiment.plan.datasets)  # one pass
    assert found.seconds == pytest.approx(tokens / 50)


def test_what_is_frozen_has_no_moments(tmp_path: Path, tiny_bert: Path) -> None:
    prepared = prepare(ticket_config(tmp_path, tiny_bert, {"encoder.freeze": "all"}))
    found = estimate_of(prepared, try_start(prepared, device=CPU, precision="fp32"), device=CPU, precision="fp32")
    heads = sum(parameter.numel() for parameter in prepared.network.heads.parameters())
    assert found.trained_weights == heads
    assert found.weight_bytes == 4 * found.weights + 12 * heads
