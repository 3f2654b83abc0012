"""Mixing: how much each dataset gives, and in which order the datasets come.

Owns shares, their rounding to whole numbers, the even spread and the seeds of the plan.
Knows nothing of rows, lengths or steps: those are in ``batching.py`` and ``plan.py``.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from hashlib import blake2b
from math import isfinite
from typing import Literal, assert_never

import numpy as np
from numpy.typing import NDArray

from mtl_transformers.errors import ConfigError

Strategy = Literal["proportional", "temperature", "uniform", "weights", "round_robin", "capped"]


def shares(
    sizes: Sequence[int],
    strategy: Strategy,
    *,
    temperature: float = 1.0,
    weights: Sequence[float] | None = None,
    cap: int | None = None,
) -> list[float]:
    """Compute the fraction of all units (rows or steps) that each dataset gives.

    ``temperature`` and ``capped`` are the temperature-scaled and examples-proportional mixing of T5
    (arXiv:1910.10683, section 3.5.2); they may be combined there, here each stands alone.

    Args:
        sizes: rows of each dataset.
        strategy: ``proportional`` ∝ n; ``temperature`` ∝ n^(1/T); ``uniform`` and ``round_robin`` equal;
            ``weights`` ∝ weight; ``capped`` ∝ min(n, cap).
        temperature: T; 1 is proportional, large is uniform.
        weights: one for each dataset, for the strategy ``weights``.
        cap: rows, for the strategy ``capped``.

    Returns:
        One share for each dataset, with sum 1.

    Raises:
        ConfigError: a setting that the strategy needs is missing or out of range.
    """
    masses = _masses(sizes, strategy, temperature=temperature, weights=weights, cap=cap)
    total = sum(masses)
    return [mass / total for mass in masses]


def _masses(
    sizes: Sequence[int],
    strategy: Strategy,
    *,
    temperature: float,
    weights: Sequence[float] | None,
    cap: int | None,
) -> list[float]:
    match strategy:
        case "proportional":
            return [float(size) for size in sizes]
        case "temperature":
            if not (isfinite(temperature) and temperature > 0):
                raise ConfigError(
                    f"mixing.temperature: expected a number above 0, got {temperature}; 1 is proportional"
                )
            # relative to the largest: a small temperature must not overflow
            return [float((size / max(sizes)) ** (1 / temperature)) for size in sizes]
        case "uniform" | "round_robin":
            return [1.0] * len(sizes)
        case "weights":
            return _weights(weights)
        case "capped":
            if cap is None or cap < 1:
                raise ConfigError(f"mixing.cap: strategy 'capped' needs a number of rows of at least 1, got {cap}")
            return [float(min(size, cap)) for size in sizes]
        case _:
            assert_never(strategy)


def _weights(weights: Sequence[float] | None) -> list[float]:
    if weights is None:
        raise ConfigError("mixing.weights: strategy 'weights' needs at least one dataset's weight; add it")
    if not all(isfinite(weight) and weight >= 0 for weight in weights) or sum(weights) <= 0:
        raise ConfigError(f"mixing.weights: expected numbers of at least 0, one of them above 0, got {list(weights)}")
    return [float(weight) for weight in weights]


def allot(total: int, shares: Sequence[float]) -> list[int]:
    """Round shares of a total to whole numbers by largest remainder (Hamilton), ties in order.

    Args:
        total: units to hand out.
        shares: fractions with sum 1.

    Returns:
        Units of each share; they add up to ``total`` and each is within 1 of its exact quota.
    """
    quotas = [total * share for share in shares]
    units = [int(quota) for quota in quotas]
    # rounded, so that remainders which are equal on paper tie, and 2.9999999 counts as 3
    by_remainder = sorted(range(len(quotas)), key=lambda d: -round(quotas[d] - units[d], 6))
    for dataset in by_remainder[: total - sum(units)]:
        units[dataset] += 1
    return units


def digest(*key: int | str) -> int:
    """Derive a 128-bit seed from numbers and names: the same in every process, unlike ``hash()``."""
    return int.from_bytes(blake2b(json.dumps(key).encode(), digest_size=16).digest(), "little")


def random_bits(num: int, *key: int | str) -> NDArray[np.uint64]:
    """Draw ``[num]`` random 64-bit integers that are a function of the key alone.

    Raw Philox output: numpy promises this stream across versions, but not the one of ``shuffle``.
    """
    return np.random.Philox(key=digest(*key)).random_raw(num)


def spread(counts: Sequence[int], *, seed: int) -> NDArray[np.int16]:
    """Order the units of several datasets so that each comes evenly, at seeded places.

    Unit i of a dataset with n units stands at (i + u)/n, u uniform in [0, 1): stratified draws.
    Of D datasets, the one with share p has p·w units in any window of w, give or take 2·(1 + p·(D - 2)):
    up to any point of the line a dataset is off its n·t units by at most 1, and so are the D - 1 others.

    Args:
        counts: units of each dataset.
        seed: of the places.

    Returns:
        ``[sum(counts)]`` dataset indices.
    """
    places = [
        (np.arange(count) + (random_bits(count, seed, "spread", dataset) >> np.uint64(11)) * 2.0**-53) / count
        for dataset, count in enumerate(counts)
        if count
    ]
    order = np.argsort(np.concatenate([np.empty(0), *places]), kind="stable")
    return _units(counts)[order]


def take_turns(counts: Sequence[int]) -> NDArray[np.int16]:
    """Order the units of several datasets in strict rotation; a dataset that is used up is passed over.

    Args:
        counts: units of each dataset.

    Returns:
        ``[sum(counts)]`` dataset indices.
    """
    rounds = np.concatenate([np.empty(0, np.int64), *(np.arange(count) for count in counts)])
    return _units(counts)[np.argsort(rounds, kind="stable")]


def _units(counts: Sequence[int]) -> NDArray[np.int16]:
    return np.repeat(np.arange(len(counts), dtype=np.int16), counts)
