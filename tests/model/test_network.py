"""One encoder pass for all tasks; heads are independent and kept by name."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from tiny import FAMILIES, HIDDEN_SIZE
from torch import Tensor

from mtl_transformers.batch import MicroBatch, Target
from mtl_transformers.errors import ModelError
from mtl_transformers.model.encoder import head_pooler, load_encoder
from mtl_transformers.model.head_spec import HeadSpec, head_spec
from mtl_transformers.model.heads import Head, build_head
from mtl_transformers.model.network import Network
from mtl_transformers.text.decoders import Vectors

EncoderDir = Callable[[str], Path]

TASKS: dict[str, tuple[Vectors, int]] = {
    "type": ("sequence", 3),  # names that nn.ModuleDict refuses, and names with all legal characters
    "values": ("sequence", 4),
    "ner-2_x": ("token", 5),
    "0": ("token", 2),
}


def network(path: Path, tasks: dict[str, tuple[Vectors, int]] = TASKS, *, seed: int = 13) -> Network:
    encoder = load_encoder(str(path))
    heads = {
        task: build_head(
            head_spec(encoder.config, head=vectors, vectors=vectors, out_features=size),
            seed=seed,
            task=task,
            initializer_range=0.1,
            pooler=head_pooler(encoder),
        )
        for task, (vectors, size) in tasks.items()
    }
    return Network(encoder, heads).eval()


def batch(*tasks: str) -> MicroBatch:
    ids = torch.randint(5, 70, (4, 7), generator=torch.Generator().manual_seed(2))
    mask = torch.ones_like(ids)
    mask[2, 4:] = 0
    pooled = Target(sequences=torch.tensor([0, 2, 3]))
    words = Target(sequences=torch.tensor([0, 0, 2]), positions=torch.tensor([1, 4, 2]))
    targets = {task: pooled if TASKS[task][0] == "sequence" else words for task in tasks}
    return MicroBatch(ids, mask, token_type_ids=torch.zeros_like(ids), targets=targets)


@pytest.mark.parametrize("family", FAMILIES)
def test_encoder_runs_once_for_four_tasks(family: str, encoder_dir: EncoderDir) -> None:
    model = network(encoder_dir(family))
    passes: list[int] = []
    model.encoder.model.register_forward_hook(lambda *_: passes.append(1))
    logits = model(batch(*TASKS))
    assert len(passes) == 1
    assert {task: tuple(values.shape) for task, values in logits.items()} == {
        task: (3, size) for task, (_, size) in TASKS.items()
    }


def test_logits_equal_those_of_each_head_on_its_own(tiny_bert: Path) -> None:
    model = network(tiny_bert)
    together = model(batch(*TASKS))
    for task in TASKS:
        assert torch.equal(model(batch(task))[task], together[task])


def test_a_head_without_a_target_keeps_no_gradient(tiny_bert: Path) -> None:
    model = network(tiny_bert)
    sum(values.sum() for values in model(batch("type", "0")).values()).backward()
    with_gradient = {
        task: {parameter.grad is not None for parameter in model.head(task).parameters()} for task in TASKS
    }
    assert with_gradient == {"type": {True}, "values": {False}, "ner-2_x": {False}, "0": {True}}


def test_perturbing_one_head_changes_only_its_task(tiny_bert: Path) -> None:
    model = network(tiny_bert)
    before = model(batch(*TASKS))
    with torch.no_grad():
        for parameter in model.head("values").parameters():
            parameter.add_(1.0)
    after = model(batch(*TASKS))
    assert {task for task in TASKS if not torch.equal(before[task], after[task])} == {"values"}


def test_adding_a_task_changes_no_other_head(tiny_bert: Path) -> None:
    fewer = network(tiny_bert, {task: TASKS[task] for task in ("ner-2_x", "type")})
    more = network(tiny_bert)
    for name, tensor in fewer.heads_state().items():
        assert torch.equal(tensor, more.heads_state()[name])


def test_heads_state_is_named_by_task_and_loads_back(tiny_bert: Path) -> None:
    model, other = network(tiny_bert), network(tiny_bert, seed=14)
    state = {name: tensor.clone() for name, tensor in model.heads_state().items()}
    assert {"heads.type.dense.weight", "heads.ner-2_x.out.bias"} <= state.keys()
    assert all(name.startswith("heads.") for name in state)
    expected, initial = model(batch(*TASKS)), other(batch(*TASKS))
    other.load_heads_state(state)
    loaded = other(batch(*TASKS))
    assert all(torch.equal(loaded[task], expected[task]) for task in TASKS)
    assert not any(torch.equal(initial[task], expected[task]) for task in TASKS)  # the load is what made them so


def altered(state: dict[str, Tensor], problem: str) -> dict[str, Tensor]:
    match problem:
        case "missing":
            return {name: tensor for name, tensor in state.items() if name != "heads.values.out.bias"}
        case "extra parameter":
            return {**state, "heads.values.norm.weight": torch.ones(HIDDEN_SIZE)}
        case "extra task":
            return {**state, "heads.colour.out.bias": torch.ones(2)}
        case "shape":
            return {**state, "heads.values.out.bias": torch.ones(9)}
        case _:
            return {**state, "model.out.bias": torch.ones(2)}


@pytest.mark.parametrize(
    ("problem", "message"),
    [
        ("missing", "task 'values' lacks out.bias"),
        ("extra parameter", "task 'values' has norm.weight left over"),
        ("extra task", "task 'colour' is unknown here"),
        ("shape", r"heads.values.out.bias has shape \[9\], expected \[4\]"),
        ("foreign", "model.out.bias is no parameter of a head"),
    ],
)
def test_state_that_does_not_fit_is_refused_and_changes_nothing(problem: str, message: str, tiny_bert: Path) -> None:
    model = network(tiny_bert)
    before = {name: tensor.clone() for name, tensor in model.heads_state().items()}
    zeros = {name: torch.zeros_like(tensor) for name, tensor in before.items()}
    with pytest.raises(ModelError, match=message):
        model.load_heads_state(altered(zeros, problem))
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.heads_state().items())


def test_tasks_keep_their_order_and_an_unknown_one_names_the_nearest(tiny_bert: Path) -> None:
    model = network(tiny_bert)
    assert model.task_names == tuple(TASKS)
    with pytest.raises(ModelError, match=r"no head for task 'valuse'.*did you mean 'values'"):
        model.head("valuse")


@pytest.mark.parametrize("task", ["", "Intent", "-intent", "a.b", "a/b", "../x", "é", "x" * 65, "a\n"])
def test_task_name_that_is_no_safe_file_name_is_refused(task: str, tiny_bert: Path) -> None:
    head = Head(HeadSpec("sequence", HIDDEN_SIZE, 2))
    with pytest.raises(ModelError, match="task name"):
        Network(load_encoder(str(tiny_bert)), {task: head})


def test_head_of_another_size_is_refused_with_both_sizes(tiny_bert: Path) -> None:
    with pytest.raises(ModelError, match="task 'intent': the head reads 16 features, the encoder gives 32"):
        Network(load_encoder(str(tiny_bert)), {"intent": Head(HeadSpec("sequence", 16, 2))})
