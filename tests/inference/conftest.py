"""A model directory of every kind, form and input, random and not trained: prediction does not ask for more."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from little import TICKET_TASKS, dataset, pairs, raw_config, sentences, tickets

from mtl_transformers.config import load_config
from mtl_transformers.inference.multitask import MultiTaskModel
from mtl_transformers.inference.onnx_graph import Graph, export_graph
from mtl_transformers.model import directory
from mtl_transformers.training.experiment import prepare

MAX_LENGTH = 24
BRIEF = 8


@pytest.fixture(scope="session")
def model_dir(tmp_path_factory: pytest.TempPathFactory, encoder_dir: Callable[[str], Path]) -> Path:
    """Return a model directory: four tasks on tickets, one on pairs, one on words, and two more on the column body.

    ``brief`` reads fewer tokens of it, ``twin`` exactly what the ticket tasks read. The task ``names`` calls every
    word a place. Never write to it.
    """
    place = tmp_path_factory.mktemp("served")
    body = {"train": tickets(40), "validation": tickets(8, seed=1)}
    data = {
        "tickets": dataset(place, "tickets", text="body", **body),
        "pairs": dataset(place, "pairs", text=["first", "second"], train=pairs(30), validation=pairs(8, seed=1)),
        "news": dataset(place, "news", text="tokens", train=sentences(30), validation=sentences(8, seed=1)),
        "short": {**dataset(place, "short", text="body", **body), "max_length": BRIEF},
        "double": dataset(place, "double", text="body", **body),
    }
    intent = TICKET_TASKS["intent"]
    tasks = {
        **TICKET_TASKS,
        "urgency": {"data": "tickets", "kind": "regression", "label": "urgency"},
        "relation": {"data": "pairs", "kind": "classification", "label": "relation"},
        "names": {"data": "news", "kind": "token_classification", "label": "tags"},
        "brief": {**intent, "data": "short"},
        "twin": {**intent, "data": "double"},
    }
    overrides = {"encoder.max_length": MAX_LENGTH}
    experiment = prepare(load_config(raw_config(place, encoder_dir("bert"), data=data, tasks=tasks), overrides))
    network = experiment.network
    with torch.no_grad():
        for parameter in network.heads.parameters():
            parameter.mul_(20)  # answers that differ from row to row
        names = experiment.tasks["names"].task
        network.head("names").out.bias[names.labels.index("B-PLACE")] = 1000.0
    model = MultiTaskModel(network.eval(), experiment.tokenizer, experiment.tasks)
    directory.save(
        place / "best",
        encoder=network.encoder,
        tokenizer=experiment.tokenizer,
        heads=network.heads_state(),
        tasks=model.tasks_json(),
        metrics={},
        card="---\n---\n",
    )
    return place / "best"


@pytest.fixture(scope="session")
def model(model_dir: Path) -> MultiTaskModel:
    """Return the model of that directory, on the CPU in fp32."""
    return MultiTaskModel.from_pretrained(model_dir, device="cpu", precision="fp32")


@pytest.fixture(scope="session")
def exported_graph(model: MultiTaskModel) -> Graph:
    """Return that model as a graph, in fp32; never change it."""
    return export_graph(model.network, list(model.tasks))
