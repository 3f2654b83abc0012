"""Comparing answers: names, labels and places exactly, numbers to a rounding."""

from collections.abc import Mapping
from typing import Any

import pytest


def assert_same(one: Any, other: Any, *, rounding: float = 1e-5) -> None:
    """Compare two answers, or lists of them."""
    if isinstance(one, Mapping):
        assert list(one) == list(other)
        for key in one:
            assert_same(one[key], other[key], rounding=rounding)
    elif isinstance(one, list | tuple):
        assert len(one) == len(other)
        for pair in zip(one, other, strict=True):
            assert_same(*pair, rounding=rounding)
    elif isinstance(one, float):
        assert one == pytest.approx(other, abs=rounding)
    else:
        assert one == other
