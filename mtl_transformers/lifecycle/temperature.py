"""Temperature scaling: one number that divides a task's logits (Guo et al. 2017, arXiv:1706.04599, section 4.2).

Owns the fit: the temperature under which the right labels of some rows are most likely. The likelihood is log-concave
in 1 ÷ T, for softmax and for a cumulative link model alike, so there is one best temperature. Of softmax it moves no
label; on a scale the probability between two cuts may outgrow another one, so a label may change.

Shapes: ``N`` rows, ``C`` labels; logits are ``[N, C]``, or ``[N, C - 1]`` on a scale.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

LOWEST, HIGHEST = 0.05, 20.0  # between which a temperature is looked for
_CLOSE = 1e-3  # to one of them, in log T

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Temperature:
    """A fitted temperature.

    Attributes:
        value: what logits are divided by.
        note: what a user should know of it.
    """

    value: float
    note: str | None = None


def log_probabilities(logits: NDArray[np.floating], *, temperature: float, ordinal: bool) -> Floats:
    """Return the logarithm of the probability ``[N, C]`` that the task's predictions give each label.

    Args:
        logits: of the labels, or of lying above each cut of a scale, falling.
        temperature: what they are divided by.
        ordinal: the labels are steps of a scale.
    """
    scaled = np.asarray(logits, dtype=np.float64) / temperature
    if not ordinal:
        shifted = scaled - scaled.max(axis=1, keepdims=True)
        return np.asarray(shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True)))
    upper = np.pad(scaled, ((0, 0), (1, 0)), constant_values=np.inf)  # every label lies above no cut …
    lower = np.pad(scaled, ((0, 0), (0, 1)), constant_values=-np.inf)  # … and below the last
    # P(lower < z < upper) = sigmoid(upper) · sigmoid(-lower) · (1 - exp(lower - upper)), without cancellation
    between = np.maximum(-np.expm1(lower - upper), np.finfo(np.float64).tiny)
    return np.asarray(np.log(between) - np.logaddexp(0, -upper) - np.logaddexp(0, lower))


def fit_temperature(logits: NDArray[np.floating], targets: Floats, *, ordinal: bool) -> Temperature:
    """Find the temperature with the lowest negative log-likelihood.

    Args:
        logits: of the rows.
        targets: ``[N, C]`` 1 for the right label, or the probability of each.
        ordinal: the labels are steps of a scale.
    """
    from scipy.optimize import minimize_scalar

    def loss(log_temperature: float) -> float:
        found = log_probabilities(logits, temperature=math.exp(log_temperature), ordinal=ordinal)
        return -float((targets * found).sum(axis=1).mean())

    low, high = math.log(LOWEST), math.log(HIGHEST)
    found = minimize_scalar(loss, bounds=(low, high), method="bounded", options={"xatol": 1e-7})
    if found.fun >= loss(0.0):
        return Temperature(1.0)
    if found.x - low < _CLOSE and _all_right(logits, targets, ordinal=ordinal):
        return Temperature(1.0, "all rows are answered right, so none tells how sure to be; the temperature is 1")
    at_limit = min(found.x - low, high - found.x) < _CLOSE
    value = math.exp(found.x)
    return Temperature(value, f"the temperature is at its limit of {value:.2g}" if at_limit else None)


def _all_right(logits: NDArray[np.floating], targets: Floats, *, ordinal: bool) -> bool:
    given = log_probabilities(logits, temperature=1.0, ordinal=ordinal)
    return bool((given.argmax(axis=1) == targets.argmax(axis=1)).all())
