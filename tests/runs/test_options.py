"""Promise 7 for rows of several sequences: options and candidates stay together, memory does not change learning."""

import json
from pathlib import Path

import pytest
import yaml
from launching import torchrun
from little import dataset, raw_config, riddles, searches
from observed import divide_by_own_micro_batch, largest_difference, observed_run, weights_of
from torch import Tensor

from mtl_transformers import load_config
from mtl_transformers.config import Config

STEPS = {
    "training.epochs": None,
    "training.steps": 8,
    "training.learning_rate": 1.0e-4,
    "mixing.datasets_per_step": "many",
}
FEW_TOKENS = {**STEPS, "training.max_tokens": 60}


def config(place: Path, encoder: Path, settings: dict[str, object]) -> Config:
    data = {
        "riddles": dataset(place, "riddles", text="text", train=riddles(60, holes=0.2), validation=riddles(9, seed=1)),
        "faq": dataset(
            place, "faq", text=["query", "candidate"], train=searches(60, holes=0.2), validation=searches(9, seed=1)
        ),
    }
    rank = {"data": "faq", "kind": "ranking", "label": "relevance", "group": "query_id"}
    tasks = {
        "choice": {"data": "riddles", "kind": "multiple_choice", "options": "options", "label": "answer"},
        "rank": rank,
        "point": {**rank, "loss": "pointwise"},
    }
    return load_config(raw_config(place, encoder, data=data, tasks=tasks), settings)


def learned(model: Path) -> dict[str, Tensor]:
    """Return all weights but the last biases before a softmax over candidates, which ignores what is added to all.

    Their true gradient is 0, as that of ``key.bias``.
    """
    still = ("heads.choice.out.bias", "heads.rank.out.bias")
    return {name: tensor for name, tensor in weights_of(model).items() if name not in still}


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, steady_bert: Path) -> tuple[dict[str, object], Path]:
    """Return what a run of one micro-batch a step did, and where it lies."""
    place = tmp_path_factory.mktemp("options")
    return observed_run(config(place, steady_bert, STEPS)), place / "run" / "last"


def test_rows_of_several_sequences_in_small_micro_batches_train_like_whole_steps(whole, tmp_path, steady_bert):
    seen, place = whole
    cut = observed_run(config(tmp_path, steady_bert, FEW_TOKENS))
    assert [len(parts) for parts in seen["parts"]] == [1] * 8
    assert sum(map(len, cut["parts"])) > 16
    assert cut["items"] == seen["items"]
    assert all(items["choice"] and items["rank"] and items["point"] for items in seen["items"])
    assert largest_difference(learned(tmp_path / "run" / "last"), learned(place)) < 1e-5


def test_dividing_by_the_items_of_the_micro_batch_would_be_noticed(whole, tmp_path, steady_bert):
    observed_run(config(tmp_path, steady_bert, FEW_TOKENS), sabotage=divide_by_own_micro_batch)
    assert largest_difference(learned(tmp_path / "run" / "last"), learned(whole[1])) > 1e-4


@pytest.mark.slow
def test_two_processes_train_rows_of_several_sequences_like_one(whole, tmp_path, steady_bert):
    made = config(tmp_path, steady_bert, STEPS)
    jobs = {"both": {"config": yaml.safe_load(made.to_yaml()), "sabotage": None}}
    (tmp_path / "jobs.json").write_text(json.dumps(jobs))
    done = torchrun(2, "tests/observed.py", str(tmp_path / "jobs.json"), str(tmp_path))
    assert done.returncode == 0, done.stderr[-3000:]
    ranks = [json.loads((tmp_path / f"both-{rank}.json").read_text()) for rank in range(2)]
    assert all(rank["items"] == whole[0]["items"] for rank in ranks)
    assert largest_difference(learned(tmp_path / "run" / "last"), learned(whole[1])) < 1e-5
