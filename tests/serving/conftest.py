"""A tiny model of seven tasks behind a real server on a free port, and an encoder that waits when told to."""

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import httpx
import pytest
import torch
from little import mixed_config

from mtl_transformers.inference.multitask import MultiTaskModel
from mtl_transformers.runtime.answering import Answering, Forward
from mtl_transformers.serving.app import create_app
from mtl_transformers.serving.run import Server, bound
from mtl_transformers.serving.settings import Info, Settings
from mtl_transformers.text.decoders import Logits
from mtl_transformers.text.encoding import Features
from mtl_transformers.training.experiment import prepare

INFO = Info(model="here", encoder="tiny", format="torch", precision="fp32", device="cpu", versions={"numpy": "2"})
Serving = Callable[..., AbstractContextManager[httpx.Client]]


class Gate:
    """A forward pass that waits, fails on a token, and remembers what it ran."""

    def __init__(self, forward: Forward) -> None:
        self._forward = forward
        self.open = threading.Event()
        self.open.set()
        self.entered = threading.Semaphore(0)
        self.poison: int | None = None
        self.passes: list[list[int]] = []  # lengths of the rows

    def __call__(self, rows: Sequence[Features], asking: Mapping[str, Sequence[int]]) -> dict[str, list[Logits]]:
        self.passes.append([row.length for row in rows])
        self.entered.release()
        assert self.open.wait(20)
        if any(self.poison in ids for row in rows for ids in row.input_ids):
            raise RuntimeError("secret: a poisonous row")
        return self._forward(rows, asking)

    def wait_for_pass(self) -> None:
        """Wait until one more pass has begun."""
        assert self.entered.acquire(timeout=20)

    def forget(self) -> None:
        """Take what was run until now for warming up."""
        self.passes.clear()
        while self.entered.acquire(blocking=False):
            pass


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory, encoder_dir: Callable[[str], Path]) -> MultiTaskModel:
    """Return a model of four tasks on tickets, one on pairs and one on words, whose answers differ from row to row."""
    experiment = prepare(mixed_config(tmp_path_factory.mktemp("served"), encoder_dir("bert")))
    with torch.no_grad():
        for parameter in experiment.network.heads.parameters():
            parameter.mul_(20)
    return MultiTaskModel(experiment.network.eval(), experiment.tokenizer, experiment.tasks)


@pytest.fixture
def gate(model: MultiTaskModel) -> Gate:
    """Return the model's forward pass behind a gate."""
    return Gate(model.forward)


@pytest.fixture
def gated(model: MultiTaskModel, gate: Gate) -> Answering:
    """Return the model's answering through the gate."""
    whole = model.answering
    return Answering(whole.tasks, encoders=whole.encoders, forward=gate, vocabulary=whole.vocabulary)


@contextmanager
def _serving(answering: Answering, settings: Settings | None = None) -> Iterator[httpx.Client]:
    server = Server(create_app(answering, INFO, settings), bound("127.0.0.1", 0))
    server.start()
    try:
        with httpx.Client(base_url=server.url, timeout=30) as client:
            yield client
    finally:
        server.stop(drain_s=5)


@pytest.fixture(scope="session")
def serving() -> Serving:
    """Return what serves over HTTP as long as a `with` block lasts."""
    return _serving


@pytest.fixture(scope="session")
def client(model: MultiTaskModel) -> Iterator[httpx.Client]:
    """Return a client of a server of the model."""
    with _serving(model.answering) as client:
        yield client
