"""A tiny encoder without dropout, so that little trainings learn and repeat, and a model that was trained on it."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import datasets
import pytest
from little import TICKET_TASKS, Row, dataset, ticket_config, tickets
from tiny import tiny_encoder_dir

from mtl_transformers import train


@pytest.fixture(scope="session")
def steady_bert(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the directory of a tiny BERT without dropout; never write to it."""
    return tiny_encoder_dir("bert", tmp_path_factory.mktemp("steady"), dropout=0.0)


@pytest.fixture(scope="session")
def lasting_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Let what a session shares write into a cache that is there for all of it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path_factory.mktemp("datasets_cache"))
        yield


@pytest.fixture(scope="session")
def trained_model(tmp_path_factory: pytest.TempPathFactory, steady_bert: Path, lasting_cache: None) -> Path:
    """Return the model directory of a run with three tasks on tickets; never write to it."""
    place = tmp_path_factory.mktemp("trained")
    tasks = {name: TICKET_TASKS[name] for name in ("intent", "topics", "mood")}
    rows = {"train": tickets(120), "validation": tickets(60, seed=1)}
    overrides = {"training.epochs": 6, "training.learning_rate": 3.0e-3, "seed": 5}
    return train(ticket_config(place, steady_bert, overrides, tasks=tasks, **rows)).best


@pytest.fixture
def model_dir(trained_model: Path, tmp_path: Path) -> Path:
    """Return a copy of that run's model directory, in a copy of the run without its checkpoints."""
    run = tmp_path / "run"
    shutil.copytree(trained_model.parent, run, ignore=shutil.ignore_patterns("checkpoints", "last"))
    return run / "best"


@pytest.fixture
def added(tmp_path: Path) -> Row:
    """Return a config of one new task on the same tickets, as a user writes it for add-task."""
    data = dataset(tmp_path, "more", text="body", train=tickets(60), validation=tickets(30, seed=1))
    return {
        "data": {"tickets": data},
        "tasks": {
            "places": {"data": "tickets", "kind": "token_classification", "label": "entities", "scheme": "spans"}
        },
        "training": {"epochs": 1, "batch_size": 8},
        "evaluation": {"every_steps": None},
    }
