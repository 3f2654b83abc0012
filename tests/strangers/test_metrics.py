"""A metric's code runs only where the user's own config names it, never because a model directory does."""

import json
from pathlib import Path

import pytest
from little import ticket_config
from sealing import seal

from mtl_transformers.errors import ConfigError, ModelError
from mtl_transformers.inference.multitask import MultiTaskModel
from mtl_transformers.training.experiment import prepare
from mtl_transformers.training.scoring import evaluate_directory


@pytest.fixture
def evil_metric(tmp_path: Path, stranger: Path, evil_module: str) -> str:
    """Return a metric whose file makes the canary, and that the model directory names for its task."""
    place = tmp_path / "metrics" / "evil.py"
    place.parent.mkdir()
    place.write_text(evil_module)
    content = json.loads((stranger / "tasks.json").read_text())
    content["tasks"]["intent"]["metrics"] = [f"evaluate:{place}"]
    (stranger / "tasks.json").write_text(json.dumps(content))
    seal(stranger)
    return f"evaluate:{place}"


def test_loading_and_predicting_run_no_metric(stranger: Path, evil_metric: str, canary: Path) -> None:
    model = MultiTaskModel.from_pretrained(stranger, device="cpu")

    assert model.predict(["a text"])
    assert model.tasks["intent"].task.metrics == (evil_metric,)
    assert not canary.exists()


def test_evaluating_refuses_a_metric_that_only_the_model_names(
    stranger: Path, evil_metric: str, canary: Path, tmp_path: Path, tiny_bert: Path
) -> None:
    model = MultiTaskModel.from_pretrained(stranger, device="cpu")

    with pytest.raises((ConfigError, ModelError), match=r"tasks\.intent\.metrics.*evil.*config"):
        evaluate_directory(model, ticket_config(tmp_path, tiny_bert), split="validation")
    assert not canary.exists()


def test_a_training_that_begins_with_the_model_takes_the_metrics_of_its_config(
    stranger: Path, evil_metric: str, canary: Path, tmp_path: Path, tiny_bert: Path
) -> None:
    config = ticket_config(tmp_path, tiny_bert, {"init_from": str(stranger), "encoder": {}})

    assert prepare(config).tasks["intent"].task.metrics == ("accuracy",)
    assert not canary.exists()


@pytest.mark.usefixtures("evaluate_cache")
def test_a_metric_that_the_config_names_runs(
    canary: Path, stranger: Path, evil_metric: str, tmp_path: Path, tiny_bert: Path
) -> None:
    """The control: this is the user's own choice."""
    config = ticket_config(tmp_path, tiny_bert, {"tasks.intent.metrics": ["accuracy", evil_metric]})

    with pytest.raises(ConfigError):  # it is no metric, but it has run by then
        evaluate_directory(MultiTaskModel.from_pretrained(stranger, device="cpu"), config, split="validation")
    assert canary.exists()
