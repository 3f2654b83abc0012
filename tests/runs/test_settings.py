"""Promise 11: settings of encoder and training do in a run what they say, or are refused before it."""

import json
import logging
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from accelerate.utils import DistributedType
from little import dataset, mixed_config, raw_config, sentences, ticket_config
from observed import largest_difference, observed_run, weights_of
from safetensors.torch import load_file, save_file

from mtl_transformers import CheckpointError, ConfigError, ModelError, load_config, train
from mtl_transformers.inference.precision import default_device
from mtl_transformers.training.experiment import prepare
from mtl_transformers.training.tracking import check_processes

FEW_STEPS = {"training.epochs": None, "training.steps": 4}


def moved(before: Path, after: Path) -> set[str]:
    """Return the names of the encoder's tensors that differ."""
    one, other = (load_file(place / "model.safetensors") for place in (before, after))
    return {name for name in one if not torch.equal(one[name], other[name])}


def test_a_frozen_encoder_does_not_move_and_its_heads_do(tmp_path, tiny_bert):
    networks = []
    observed_run(ticket_config(tmp_path, tiny_bert, {**FEW_STEPS, "encoder.freeze": "all"}), watch=networks.append)
    source = load_file(tiny_bert / "model.safetensors")
    for name, tensor in networks[0].encoder.model.state_dict().items():
        assert torch.equal(tensor, source[name])
    heads = load_file(tmp_path / "run" / "last" / "heads.safetensors")
    fresh = prepare(ticket_config(tmp_path / "fresh", tiny_bert)).network.heads_state()
    assert all(not torch.equal(tensor, fresh[name]) for name, tensor in heads.items())


def test_one_frozen_layer_keeps_the_embeddings_and_that_layer(tmp_path, tiny_bert):
    result = train(ticket_config(tmp_path, tiny_bert, {**FEW_STEPS, "encoder.freeze": 1}))
    names = moved(tiny_bert, result.best)
    assert names
    assert all(name.startswith("encoder.layer.1.") for name in names)


def test_without_freezing_every_part_of_the_encoder_moves_but_the_unused_pooler(tmp_path, tiny_bert):
    names = moved(tiny_bert, train(ticket_config(tmp_path, tiny_bert, FEW_STEPS)).best)
    assert {".".join(name.split(".")[:3]) for name in names} >= {
        "embeddings.word_embeddings.weight",
        "encoder.layer.0",
        "encoder.layer.1",
    }
    assert not any(name.startswith("pooler.") for name in names)


def test_gradient_checkpointing_trains_the_same_weights_with_dropout_on(tmp_path, tiny_bert):
    one = train(ticket_config(tmp_path / "a", tiny_bert))
    other = train(ticket_config(tmp_path / "b", tiny_bert, {"encoder.gradient_checkpointing": True}))
    assert largest_difference(weights_of(one.best), weights_of(other.best)) < 1e-6


def test_gradient_checkpointing_recomputes_the_layers(tmp_path, tiny_bert):
    passes: dict[bool, int] = {}
    for checkpointing in (False, True):
        config = ticket_config(tmp_path, tiny_bert, {**FEW_STEPS, "encoder.gradient_checkpointing": checkpointing})
        calls: list[bool] = []
        observed_run(
            config,
            watch=lambda network, calls=calls: network.encoder.model.encoder.layer[0].attention.register_forward_hook(
                lambda module, *_: calls.append(module.training)
            ),
        )
        passes[checkpointing] = calls.count(True)
    assert passes == {False: 4, True: 8}


def test_the_two_learning_rates_are_those_of_encoder_and_heads(tmp_path, tiny_bert):
    settings = {**FEW_STEPS, "training.learning_rate": 1e-12, "training.head_learning_rate": 1e-2}
    result = train(ticket_config(tmp_path, tiny_bert, settings))
    before, after = (load_file(place / "model.safetensors") for place in (tiny_bert, result.best))
    assert max(float((before[name] - after[name]).abs().max()) for name in before) < 1e-9
    fresh = prepare(ticket_config(tmp_path / "fresh", tiny_bert)).network.heads_state()
    heads = load_file(result.best / "heads.safetensors")
    assert float((heads["heads.intent.out.bias"] - fresh["heads.intent.out.bias"]).abs().max()) > 1e-3


def test_the_logged_learning_rate_follows_the_schedule(tmp_path, tiny_bert):
    settings = {"training.epochs": None, "training.steps": 10, "training.warmup": 2, "tracking.every_steps": 1}
    result = train(ticket_config(tmp_path, tiny_bert, {**settings, "training.learning_rate": 8e-4}))
    lines = [json.loads(line) for line in (result.output / "metrics.jsonl").read_text().splitlines()]
    rates = [line["lr"] for line in lines if "lr" in line]
    assert rates == pytest.approx([4e-4, 8e-4, 8e-4, 7e-4, 6e-4, 5e-4, 4e-4, 3e-4, 2e-4, 1e-4])


def test_a_task_of_no_weight_to_speak_of_leaves_the_encoder_to_the_others(tmp_path, steady_bert):
    alone = train(ticket_config(tmp_path / "a", steady_bert, FEW_STEPS))
    light = train(ticket_config(tmp_path / "b", steady_bert, {**FEW_STEPS, "tasks.topics.weight": 1e-9}))
    assert largest_difference(weights_of(alone.best), weights_of(light.best)) > 1e-4


def test_batch_tokens_bound_the_padded_tokens_of_each_step(tmp_path, tiny_bert):
    settings = {"training.batch_size": None, "training.batch_tokens": 120, "mixing.datasets_per_step": "many"}
    config = mixed_config(tmp_path, tiny_bert, settings)
    lengths = {name: split.lengths for name, split in prepare(config).of_split("train").items()}
    seen = observed_run(config)
    steps = [[row for _, rows in parts for row in rows] for parts in seen["parts"]]
    padded = [len(rows) * max(lengths[dataset][row] for dataset, row in rows) for rows in steps]
    assert max(padded) <= 120
    assert np.mean(padded) > 80
    assert len({len(rows) for rows in steps}) > 2


def test_a_step_without_any_item_moves_nothing_and_stops_nothing(tmp_path, tiny_bert):
    rows = sentences(8)
    for row in rows[:4]:
        row["tokens"] = row["tokens"] * 9
        row["tags"] = [*[None] * (len(row["tokens"]) - 1), "O"]  # the one word with a tag is lost to truncation
    section = dataset(tmp_path, "news", text="tokens", train=rows, validation=sentences(5, seed=1))
    tasks = {"tags": {"data": "news", "kind": "token_classification", "label": "tags", "scheme": "plain"}}
    raw = raw_config(tmp_path, tiny_bert, data={"news": {**section, "max_length": 12}}, tasks=tasks)
    after: list[torch.Tensor] = []
    seen = observed_run(
        load_config(raw, {"training.batch_size": 1}),
        after_step=lambda network: after.append(network.head("tags").out.weight.detach().clone()),
    )
    empty = [step for step, items in enumerate(seen["items"]) if items["tags"] == 0]
    assert len(empty) == 4
    assert all(torch.equal(after[step - 1], after[step]) for step in empty if step)


def test_tensorboard_gets_the_numbers_of_the_log(tmp_path, tiny_bert):
    event_accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    config = ticket_config(tmp_path, tiny_bert, {"tracking.with": ["tensorboard"], "tracking.every_steps": 2})
    result = train(config)
    found = event_accumulator.EventAccumulator(str(result.output / "mtl_transformers")).Reload()
    lines = [json.loads(line) for line in (result.output / "metrics.jsonl").read_text().splitlines()]
    for name in ("train/intent/loss", "eval/intent/accuracy", "lr"):
        logged = [(line["step"], line[name]) for line in lines if name in line]
        sent = [(event.step, event.value) for event in found.Scalars(name)]
        assert [step for step, _ in sent] == [step for step, _ in logged]
        assert [value for _, value in sent] == pytest.approx([value for _, value in logged])


def test_an_unknown_tracker_is_refused_with_the_nearest_one(tmp_path, tiny_bert):
    with pytest.raises(ConfigError, match=r"tensorbord.*did you mean 'tensorboard'"):
        train(ticket_config(tmp_path, tiny_bert, {"tracking.with": ["tensorbord"]}))
    assert not (tmp_path / "run").exists()


def test_a_tracker_that_is_not_installed_is_refused(tmp_path, tiny_bert):
    with pytest.raises(ConfigError, match="comet_ml is not installed"):
        train(ticket_config(tmp_path, tiny_bert, {"tracking.with": ["comet_ml"]}))


def test_fp16_without_a_gpu_is_refused(tmp_path, tiny_bert):
    if default_device().type == "cuda":
        pytest.skip("this machine has a GPU")
    with pytest.raises(ConfigError, match="fp16 needs a GPU"):
        train(ticket_config(tmp_path, tiny_bert, {"training.precision": "fp16"}))
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("kind", [DistributedType.FSDP, DistributedType.DEEPSPEED])
def test_sharded_training_is_refused_with_what_to_do_instead(kind):
    launched = SimpleNamespace(distributed_type=kind, num_processes=1)
    with pytest.raises(ConfigError, match=f"{kind.value} is not supported.*data parallelism.*gradient_checkpointing"):
        check_processes(launched)


def test_processes_that_do_not_meet_are_refused(monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "4")
    with pytest.raises(ConfigError, match="started 4 processes"):
        check_processes(SimpleNamespace(distributed_type=DistributedType.NO, num_processes=1))


def test_a_loss_that_is_not_finite_stops_the_run_with_step_and_task(tmp_path, tiny_bert):
    broken = tmp_path / "broken"
    broken.mkdir()
    for path in tiny_bert.iterdir():
        (broken / path.name).write_bytes(path.read_bytes())
    weights = load_file(broken / "model.safetensors")
    weights["encoder.layer.1.output.dense.weight"][0, 0] = float("nan")
    save_file(weights, broken / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(
        ModelError, match=r"step 1, task 'intent': the loss is nan; the rows: .*training\.learning_rate"
    ):
        train(ticket_config(tmp_path, broken))


def test_a_training_that_diverges_stops(tmp_path, tiny_bert):
    settings = {"training.epochs": 20, "training.learning_rate": 1e30, "training.head_learning_rate": 1e30}
    with pytest.raises(
        ModelError, match=r"step \d+.*(loss is (nan|inf)|gradient of .* is not).*training\.learning_rate"
    ):
        train(ticket_config(tmp_path, tiny_bert, {**settings, "training.clip": None}))


def test_the_log_says_what_a_run_starts_from(tmp_path, tiny_bert, caplog):
    best = train(ticket_config(tmp_path / "a", tiny_bert)).best
    with caplog.at_level(logging.INFO, "mtl_transformers"):
        prepare(ticket_config(tmp_path / "b", tiny_bert, {"init_from": str(best), "encoder.name": None}))
    assert f"starting from {best}" in caplog.text


def test_a_run_that_diverged_after_an_evaluation_leaves_the_best_model_so_far(tmp_path, tiny_bert):
    after = []

    def spoil(network: object) -> None:
        after.append(network)
        if len(after) == 3:
            with torch.no_grad():
                network.head("intent").out.weight.fill_(float("inf"))

    config = ticket_config(tmp_path, tiny_bert, {"evaluation.every_steps": 2})
    with pytest.raises(ModelError, match="step 4, task 'intent'"):
        observed_run(config, after_step=spoil)
    assert json.loads((tmp_path / "run" / "best" / "tasks.json").read_text())["step"] == 2
    with pytest.raises(CheckpointError, match="--overwrite"):
        train(config)
