"""Randomness is a function of (seed, step, micro-batch): runs repeat bit for bit, no global state is touched."""

import random

import numpy as np
import torch
from little import mixed_config
from observed import largest_difference, weights_of
from torch import nn

from mtl_transformers import train
from mtl_transformers.training.steps import seed_dropout


def test_two_runs_of_a_config_give_bit_equal_weights_and_scores(tmp_path, tiny_bert):
    one = train(mixed_config(tmp_path / "a", tiny_bert))
    torch.manual_seed(99)  # whatever the state was before
    other = train(mixed_config(tmp_path / "b", tiny_bert))
    for name in ("model.safetensors", "heads.safetensors"):
        assert (one.best / name).read_bytes() == (other.best / name).read_bytes()
    assert one.scores == other.scores


def test_another_seed_gives_other_weights(tmp_path, tiny_bert):
    one = train(mixed_config(tmp_path / "a", tiny_bert))
    other = train(mixed_config(tmp_path / "b", tiny_bert, {"seed": 14}))
    assert largest_difference(weights_of(one.best), weights_of(other.best)) > 1e-4


def test_dropout_is_on(tmp_path, tiny_bert, steady_bert):
    with_dropout = train(mixed_config(tmp_path / "a", tiny_bert))
    without = train(mixed_config(tmp_path / "b", steady_bert))
    assert largest_difference(weights_of(with_dropout.best), weights_of(without.best)) > 1e-4


def test_the_global_random_state_is_left_as_it_was(tmp_path, tiny_bert):
    config = mixed_config(tmp_path, tiny_bert)
    torch.manual_seed(5)
    before = torch.get_rng_state(), random.getstate(), np.random.get_state()[1].copy()
    train(config)
    assert torch.equal(before[0], torch.get_rng_state())
    assert before[1] == random.getstate()
    assert np.array_equal(before[2], np.random.get_state()[1])


def test_the_seed_is_a_function_of_seed_step_and_micro_batch():
    def mask(*key: int) -> torch.Tensor:
        with torch.random.fork_rng():
            seed_dropout(*key)
            return nn.functional.dropout(torch.ones(1000), 0.5)

    keys = [(1, 2, 3), (2, 2, 3), (1, 3, 3), (1, 2, 4), (1, 23, 0), (12, 3, 0)]
    masks = [mask(*key) for key in keys]
    assert all(torch.equal(mask(*key), found) for key, found in zip(keys, masks, strict=True))
    for number, one in enumerate(masks):
        for other in masks[number + 1 :]:
            assert 0.4 < float((one == other).float().mean()) < 0.6
