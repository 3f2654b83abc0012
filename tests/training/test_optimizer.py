"""Groups, schedules and clipping, by hand."""

import math
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import Parameter

from mtl_transformers.model.encoder import load_encoder
from mtl_transformers.model.freezing import freeze
from mtl_transformers.model.head_spec import head_spec
from mtl_transformers.model.heads import build_head
from mtl_transformers.model.network import Network
from mtl_transformers.training.optimizer import (
    clip_gradients,
    gradient_norms,
    learning_rate_factor,
    make_optimizer,
    set_learning_rate,
    trained_parameters,
    warmup_steps,
)


@pytest.fixture
def network(tiny_bert: Path) -> Network:
    encoder = load_encoder(str(tiny_bert))
    spec = head_spec(encoder.config, head="sequence", vectors="sequence", out_features=3)
    return Network(encoder, {"intent": build_head(spec, seed=1, task="intent", initializer_range=0.02)})


def rates(network: Network) -> dict[str, tuple[float, float]]:
    """Return (learning rate, decay) of each trained parameter by name."""
    optimizer = make_optimizer(network, learning_rate=1e-4, head_learning_rate=1e-2, weight_decay=0.1)
    of = {id(p): (group["lr"], group["weight_decay"]) for group in optimizer.param_groups for p in group["params"]}
    return {name: of[id(parameter)] for name, parameter in network.named_parameters() if id(parameter) in of}


def test_heads_have_their_own_rate_and_vectors_do_not_decay(network):
    found = rates(network)
    assert found.keys() == {name for name, _ in network.named_parameters()}
    for name, parameter in network.named_parameters():
        is_head, is_matrix = name.startswith("heads."), parameter.ndim > 1
        assert found[name] == (1e-2 if is_head else 1e-4, 0.1 if is_matrix else 0.0)
    assert found["encoder.model.encoder.layer.0.output.LayerNorm.weight"] == (1e-4, 0.0)
    assert found["heads.task_intent.out.bias"] == (1e-2, 0.0)


def test_what_is_frozen_is_not_in_the_optimizer(network):
    freeze(network.encoder, 1)
    names = {".".join(name.split(".")[:5]) for name in rates(network) if name.startswith("encoder.")}
    assert names == {"encoder.model.encoder.layer.1"}
    freeze(network.encoder, "all")
    assert all(name.startswith("heads.") for name in rates(network))


def test_a_factor_scales_each_rate_from_its_base(network):
    optimizer = make_optimizer(network, learning_rate=1e-4, head_learning_rate=1e-2, weight_decay=0.1)
    for factor in (0.5, 0.25):
        set_learning_rate(optimizer, factor)
        assert {group["lr"] for group in optimizer.param_groups} == {1e-4 * factor, 1e-2 * factor}
    assert len(trained_parameters(optimizer)) == len(list(network.parameters()))


def factors(schedule: str, *, num_steps: int, num_warmup: int) -> list[float]:
    return [
        learning_rate_factor(step, num_steps=num_steps, num_warmup=num_warmup, schedule=schedule)
        for step in range(num_steps)
    ]


def test_schedules_by_hand():
    assert factors("linear", num_steps=6, num_warmup=2) == [0.5, 1.0, 1.0, 0.75, 0.5, 0.25]
    assert factors("constant", num_steps=4, num_warmup=2) == [0.5, 1.0, 1.0, 1.0]
    half = 0.5 * (1 + math.sqrt(0.5))
    assert factors("cosine", num_steps=4, num_warmup=0) == pytest.approx([1.0, half, 0.5, 1 - half])


def test_a_warmup_longer_than_the_training_never_reaches_the_full_rate():
    assert factors("linear", num_steps=2, num_warmup=4) == [0.25, 0.5]


@given(st.sampled_from(["linear", "cosine", "constant"]), st.integers(1, 300), st.floats(0, 400).map(lambda n: n // 1))
def test_no_step_has_a_rate_of_zero_or_above_the_base(schedule, num_steps, num_warmup):
    found = factors(schedule, num_steps=num_steps, num_warmup=int(num_warmup))
    assert all(0 < factor <= 1 for factor in found)


@pytest.mark.parametrize(("warmup", "expected"), [(0.1, 20), (0.0, 0), (0.999, 200), (1, 1), (150, 150), (500.0, 500)])
def test_warmup_below_one_is_a_share_and_else_a_number_of_steps(warmup, expected):
    assert warmup_steps(warmup, num_steps=200) == expected


def with_gradients(*gradients: list[float] | None) -> list[Parameter]:
    parameters = [Parameter(torch.zeros(2)) for _ in gradients]
    for parameter, gradient in zip(parameters, gradients, strict=True):
        parameter.grad = None if gradient is None else torch.tensor(gradient)
    return parameters


def test_gradients_are_scaled_down_together_and_idle_ones_stay_none():
    parameters = with_gradients([3.0, 0.0], None, [0.0, 4.0])
    _, norms = gradient_norms({"all": parameters})
    clip_gradients(parameters, 1.0, norm=norms[-1])
    assert parameters[1].grad is None
    assert torch.allclose(parameters[0].grad, torch.tensor([0.6, 0.0]), atol=1e-5)
    assert torch.allclose(parameters[2].grad, torch.tensor([0.0, 0.8]), atol=1e-5)


def test_norms_are_those_of_each_group_that_has_a_gradient_and_of_all():
    one, idle, other = with_gradients([3.0, 4.0], None, [0.0, 12.0])
    names, norms = gradient_norms({"encoder": [one], "idle": [idle], "head": [other]})
    assert names == ["encoder", "head"]
    assert norms.tolist() == pytest.approx([5.0, 12.0, 13.0])


def test_without_any_gradient_the_norm_is_zero():
    names, norms = gradient_norms({"encoder": with_gradients(None)})
    assert (names, norms.tolist()) == ([], [0.0])


def test_a_gradient_that_is_not_finite_shows_in_its_group_and_in_all():
    _, norms = gradient_norms({"encoder": with_gradients([1.0, 0.0]), "head": with_gradients([0.0, float("nan")])})
    assert norms.isnan().tolist() == [False, True, True]
