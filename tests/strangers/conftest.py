"""A model directory of every kind, random and not trained, and a canary that stands for code that ran."""

import os
import pickle
import shutil
from pathlib import Path

import pytest
from little import ticket_config

from mtl_transformers.inference.multitask import MultiTaskModel
from mtl_transformers.model import directory
from mtl_transformers.training.experiment import prepare


@pytest.fixture(scope="session")
def model_dir(tmp_path_factory: pytest.TempPathFactory, tiny_bert: Path) -> Path:
    """Return a model directory with a task of each kind; never write to it."""
    place = tmp_path_factory.mktemp("served")
    experiment = prepare(ticket_config(place, tiny_bert))
    model = MultiTaskModel(experiment.network.eval(), experiment.tokenizer, experiment.tasks)
    directory.save(
        place / "best",
        encoder=model.network.encoder,
        tokenizer=model.tokenizer,
        heads=model.network.heads_state(),
        tasks=model.tasks_json(),
        metrics={},
        card="# card\n",
    )
    return place / "best"


@pytest.fixture
def stranger(model_dir: Path, tmp_path: Path) -> Path:
    """Return a copy of a model directory that a stranger may change."""
    return shutil.copytree(model_dir, tmp_path / "stranger" / "best")


@pytest.fixture
def canary(tmp_path: Path) -> Path:
    """Return the path of a file that code from others would make."""
    return tmp_path / "canary"


class Payload:
    """What pickle would run: it makes the canary."""

    def __init__(self, canary: Path) -> None:
        self.canary = canary

    def __reduce__(self) -> tuple[object, tuple[str, int]]:
        return os.mkdir, (str(self.canary), 0o700)


@pytest.fixture
def pickled(canary: Path) -> bytes:
    """Return a pickle that makes the canary when it is read."""
    return pickle.dumps(Payload(canary))


@pytest.fixture
def evil_module(canary: Path) -> str:
    """Return Python that makes the canary when it is imported."""
    classes = "".join(f"class Evil{name}: pass\n" for name in ("Config", "Model", "Tokenizer"))
    return f"import os\nos.mkdir({str(canary)!r})\n{classes}"


@pytest.fixture(autouse=True)
def nobody_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fail where something asks on the terminal whether to run code."""

    def asked(*_: object) -> str:
        raise AssertionError("asked on the terminal")

    monkeypatch.setattr("builtins.input", asked)
