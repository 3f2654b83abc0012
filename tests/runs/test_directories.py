"""Promises 1 and 10: what was trained is what is saved, by name, and the encoder is a plain one."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from little import TICKET_TASKS, ticket_config, tickets
from observed import largest_difference, observed_run, weights_of
from sealing import seal
from transformers import AutoModel

from mtl_transformers import ModelError, MultiTaskModel, train
from mtl_transformers.model.network import Network
from mtl_transformers.training.experiment import prepare

TEXTS = [row["body"] for row in tickets(9, seed=3)]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, tiny_bert: Path) -> tuple[Path, Network]:
    """Return a run directory, and the network as it was after the last step."""
    place = tmp_path_factory.mktemp("directories")
    networks: list[Network] = []
    observed_run(ticket_config(place, tiny_bert), watch=networks.append)
    return place / "run", networks[0].eval()


def test_a_saved_model_gives_equal_logits_for_every_head(run, tmp_path, tiny_bert):
    saved = MultiTaskModel.from_pretrained(run[0] / "last")
    live = MultiTaskModel(run[1], saved.tokenizer, saved.tasks)
    features = (
        prepare(ticket_config(tmp_path, tiny_bert)).of_split("validation")["tickets"].inputs[0].features_of(range(13))
    )
    expected, found = live.logits(features, list(TICKET_TASKS)), saved.logits(features, list(TICKET_TASKS))
    for task in TICKET_TASKS:
        assert all(np.array_equal(a, b) for a, b in zip(found[task], expected[task], strict=True))


def test_auto_model_opens_the_directory_with_equal_hidden_states(run):
    plain = AutoModel.from_pretrained(run[0] / "last").eval()
    ids = torch.tensor([[2, 30, 40, 50, 3]])
    with torch.no_grad():
        ours = run[1].encoder(ids, torch.ones_like(ids), torch.zeros_like(ids)).last
        theirs = plain(ids, attention_mask=torch.ones_like(ids)).last_hidden_state
    assert torch.equal(ours, theirs)


def test_the_run_directory_holds_what_the_design_draws(run):
    assert {path.name for path in run[0].iterdir()} == {
        "config.yaml",
        "plan.json",
        "metrics.jsonl",
        "checkpoints",
        "best",
        "last",
    }
    names = {"config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"}
    names |= {"heads.safetensors", "tasks.json", "metrics.json", "manifest.json", "README.md"}
    assert {path.name for path in (run[0] / "best").iterdir()} == names


def test_no_file_of_a_run_can_hold_code(run):
    suffixes = {path.suffix for path in run[0].rglob("*") if path.is_file()}
    assert suffixes == {".yaml", ".json", ".jsonl", ".safetensors", ".md"}


def test_a_frozen_encoder_is_copied_byte_for_byte(tmp_path, tiny_bert):
    result = train(ticket_config(tmp_path, tiny_bert, {"encoder.freeze": "all"}))
    assert (result.best / "model.safetensors").read_bytes() == (tiny_bert / "model.safetensors").read_bytes()


def test_an_encoder_that_is_trained_is_not_a_copy(run, tiny_bert):
    assert (run[0] / "best" / "model.safetensors").read_bytes() != (tiny_bert / "model.safetensors").read_bytes()


def backwards(tasks: dict[str, Any]) -> dict[str, Any]:
    return dict(reversed(tasks.items()))


def test_the_order_of_the_tasks_in_the_config_changes_none_of_them(tmp_path, steady_bert):
    one = train(ticket_config(tmp_path / "a", steady_bert))
    other = train(ticket_config(tmp_path / "b", steady_bert, tasks=backwards(TICKET_TASKS)))
    first, second = MultiTaskModel.from_pretrained(one.best), MultiTaskModel.from_pretrained(other.best)

    assert list(first.tasks) == list(reversed(second.tasks)) == list(TICKET_TASKS)
    assert largest_difference(weights_of(one.best), weights_of(other.best)) < 1e-5  # losses are summed in another order
    for answer, expected in zip(second.predict(TEXTS), first.predict(TEXTS), strict=True):
        assert answer["intent"]["label"] == expected["intent"]["label"]
        assert answer["topics"]["labels"] == expected["topics"]["labels"]
        assert answer["mood"]["values"] == pytest.approx(expected["mood"]["values"], abs=1e-5)
        assert [(s["label"], s["text"]) for s in answer["entities"]] == [
            (s["label"], s["text"]) for s in expected["entities"]
        ]


def test_the_order_of_the_tasks_on_disk_changes_no_answer(run, tmp_path):
    copy = shutil.copytree(run[0] / "best", tmp_path / "copy")
    stored = json.loads((copy / "tasks.json").read_text())
    (copy / "tasks.json").write_text(json.dumps({**stored, "tasks": backwards(stored["tasks"])}))
    seal(copy)
    reordered = MultiTaskModel.from_pretrained(copy)
    assert list(reordered.tasks) == list(reversed(TICKET_TASKS))
    assert reordered.predict(TEXTS) == MultiTaskModel.from_pretrained(run[0] / "best").predict(TEXTS)


def test_swapping_the_heads_of_two_tasks_would_be_noticed(run, tmp_path):
    copy = shutil.copytree(run[0] / "best", tmp_path / "copy")
    stored = json.loads((copy / "tasks.json").read_text())
    tasks = stored["tasks"]
    tasks["intent"], tasks["topics"] = tasks["topics"], tasks["intent"]
    (copy / "tasks.json").write_text(json.dumps(stored))
    seal(copy)
    with pytest.raises(ModelError, match="intent"):
        MultiTaskModel.from_pretrained(copy)


def test_a_model_answers_each_task_alone_as_with_the_others(run):
    model = MultiTaskModel.from_pretrained(run[0] / "best")
    together = model.predict(TEXTS)
    for task in TICKET_TASKS:
        assert [answer[task] for answer in model.predict(TEXTS, tasks=[task])] == [of[task] for of in together]
