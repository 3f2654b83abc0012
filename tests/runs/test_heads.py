"""Promises 1, 3 and 8: heads by name, null labels, one encoder pass for all tasks."""

from collections.abc import Mapping
from itertools import chain, pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from little import TICKET_TASKS, mixed_config, ticket_config, tickets
from observed import observed_run
from torch import Tensor
from torch.optim import AdamW

from mtl_transformers import MultiTaskModel, train
from mtl_transformers.config import Config
from mtl_transformers.inference.multitask import ServedTask
from mtl_transformers.model.network import Network
from mtl_transformers.plan.batching import StepRows
from mtl_transformers.text.padding import cut
from mtl_transformers.training.experiment import prepare
from mtl_transformers.training.steps import item_losses, micro_batch_of, training_data

DATASET_OF = dict.fromkeys(TICKET_TASKS, "tickets") | {"relation": "pairs", "names": "news"}
TEXTS = ["a refund for the card", "where is my parcel to Berlin !", "the password"]


def moved_tasks(before: Mapping[str, Tensor], after: Mapping[str, Tensor]) -> set[str]:
    return {name.split(".")[1] for name in before if not torch.equal(before[name], after[name])}


def heads_after_steps(config: Config, **given: Any) -> tuple[list[set[str]], list[dict[str, Tensor]]]:
    """Return the datasets of each step, and the weights of all heads after it."""
    after: list[dict[str, Tensor]] = []
    seen = observed_run(
        config,
        after_step=lambda network: after.append({k: v.clone() for k, v in network.heads_state().items()}),
        **given,
    )
    return [{dataset for _, rows in parts for dataset, _ in rows} for parts in seen["parts"]], after


IN_TURNS = {"mixing.strategy": "round_robin", "training.epochs": None, "training.steps": 9}


def test_an_idle_head_does_not_move_by_a_bit(tmp_path, tiny_bert):
    datasets, after = heads_after_steps(mixed_config(tmp_path, tiny_bert, IN_TURNS))
    assert [len(of_step) for of_step in datasets] == [1] * 9
    for of_step, (before, now) in zip(datasets[1:], pairwise(after), strict=True):
        assert moved_tasks(before, now) == {task for task, dataset in DATASET_OF.items() if dataset in of_step}


def test_zero_gradients_instead_of_none_would_move_idle_heads(tmp_path, tiny_bert):
    def keep_zeros(patch: pytest.MonkeyPatch) -> None:
        original = AdamW.zero_grad
        patch.setattr(AdamW, "zero_grad", lambda self, set_to_none: original(self, set_to_none=False))

    _, after = heads_after_steps(mixed_config(tmp_path, tiny_bert, IN_TURNS), sabotage=keep_zeros)
    assert moved_tasks(after[-2], after[-1]) == set(DATASET_OF)


def head_gradients(directory: Path, encoder: Path, rows: list[dict[str, Any]], task: str) -> dict[str, Tensor]:
    """Return the gradients of a task's mean item loss on some rows, by parameter of its head."""
    train_rows = [*rows, *tickets(20, seed=9)]  # the others give labels and scales to fit
    experiment = prepare(ticket_config(directory, encoder, train=train_rows))
    data = training_data(experiment)
    numbers = np.arange(len(rows))
    chosen = StepRows(np.zeros(len(rows), np.int16), numbers, data.splits["tickets"].lengths[numbers])
    batch = micro_batch_of(chosen, data, units=[numbers[n : n + 1] for n in numbers], step=0)
    loss = item_losses(experiment.network(batch), batch, data.all_tasks)[task] / batch.targets[task].num_items
    loss.backward()
    return {name: p.grad for name, p in experiment.network.head(task).named_parameters() if p.grad is not None}


def same(one: Mapping[str, Tensor], other: Mapping[str, Tensor]) -> bool:
    return all(torch.allclose(one[name], other[name], atol=1e-7, rtol=1e-4) for name in one)


NULL = dict.fromkeys(("intent", "topics", "urgency", "calm", "entities"))
LABELS = {"intent": "intent", "topics": "topics", "mood": "urgency", "entities": "entities"}


@pytest.mark.parametrize("task", TICKET_TASKS)
def test_a_row_with_a_null_label_changes_nothing_for_that_head(task, tmp_path, steady_bert):
    rows = tickets(4)
    extra = {**tickets(1, seed=5)[0], **NULL, "intent": "billing", "topics": ["app"]}
    extra |= {"entities": []} if task != "entities" else {}
    extra |= {"urgency": None, "calm": None, LABELS[task]: None}
    without = head_gradients(tmp_path / "a", steady_bert, rows, task)
    assert same(without, head_gradients(tmp_path / "b", steady_bert, [*rows, extra], task))


@pytest.mark.parametrize(
    ("task", "labels"),
    [
        ("intent", {"intent": "billing"}),
        ("topics", {"topics": []}),
        ("mood", {"urgency": 0.0}),
        ("entities", {"entities": []}),
    ],
)
def test_an_empty_list_and_zero_are_labels(task, labels, tmp_path, steady_bert):
    rows = tickets(4)
    extra = {**tickets(1, seed=5)[0], **NULL, "intent": "billing", **labels}
    without = head_gradients(tmp_path / "a", steady_bert, rows, task)
    assert not same(without, head_gradients(tmp_path / "b", steady_bert, [*rows, extra], task))


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory, tiny_bert: Path) -> MultiTaskModel:
    result = train(ticket_config(tmp_path_factory.mktemp("heads"), tiny_bert))
    return MultiTaskModel.from_pretrained(result.best)


@pytest.mark.parametrize("task", TICKET_TASKS)
def test_perturbing_one_head_changes_its_task_only(task, model):
    rows = prepared_features(model)
    before = model.logits(rows, list(TICKET_TASKS))
    parameters = list(model.network.head(task).parameters())
    kept = [parameter.detach().clone() for parameter in parameters]
    with torch.no_grad():
        for parameter in parameters:
            parameter.add_(0.5)
    after = model.logits(rows, list(TICKET_TASKS))
    with torch.no_grad():
        for parameter, old in zip(parameters, kept, strict=True):
            parameter.copy_(old)
    changed = {
        name
        for name in TICKET_TASKS
        if any(not np.array_equal(a, b) for a, b in zip(before[name], after[name], strict=True))
    }
    assert changed == {task}


def prepared_features(model: MultiTaskModel) -> list[Any]:
    given = model.tasks["entities"].input
    return model.encoders.get("text", max_length=given.max_length).encode(TEXTS, form="text", alignment="words")


def count_passes(network: Network, passes: list[bool]) -> None:
    """Note each pass of the encoder, and whether it was one of training."""
    network.encoder.model.register_forward_hook(lambda module, _given, _out: passes.append(module.training))


def test_the_encoder_runs_once_for_four_tasks_in_prediction(model):
    passes: list[bool] = []
    hook = model.network.encoder.model.register_forward_hook(lambda *_: passes.append(True))
    answers = model.predict(TEXTS)
    hook.remove()
    assert [set(answer) for answer in answers] == [set(TICKET_TASKS)] * 3
    assert len(passes) == 1


def validation_parts(config: Config) -> list[list[int]]:
    """Return the micro-batches that the validation splits are cut into, each by itself."""
    splits = prepare(config).of_split("validation").values()
    max_tokens = config.training.max_tokens
    cuts = (cut(split.lengths.tolist(), num_sequences=[1] * len(split), max_tokens=max_tokens) for split in splits)
    return list(chain.from_iterable(cuts))


@pytest.mark.parametrize("datasets_per_step", ["one", "many"])
def test_the_encoder_runs_once_for_a_micro_batch_of_all_tasks_and_datasets(datasets_per_step, tmp_path, tiny_bert):
    passes: list[bool] = []
    settings = {"mixing.datasets_per_step": datasets_per_step, "training.max_tokens": 100}
    config = mixed_config(tmp_path, tiny_bert, settings)
    seen = observed_run(config, watch=lambda network: count_passes(network, passes))
    num_parts = sum(len(parts) for parts in seen["parts"])
    assert passes.count(True) == num_parts > len(seen["parts"])
    assert passes.count(False) == len(validation_parts(config))


def test_the_plan_says_how_often_the_encoder_runs_for_a_row(tmp_path, tiny_bert):
    from mtl_transformers.training.overview import overview

    (line,) = overview(prepare(ticket_config(tmp_path, tiny_bert)))["datasets"]
    assert line["encoder_passes_per_row"] == 1
    assert line["tasks"] == list(TICKET_TASKS)


def test_the_served_task_says_how_many_labelled_rows_it_saw(model):
    served: ServedTask = model.tasks["intent"]
    assert served.rows_seen == 40
