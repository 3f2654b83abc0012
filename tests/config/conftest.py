from collections.abc import Callable
from copy import deepcopy

import pytest

from mtl_transformers.config import load_config
from mtl_transformers.errors import ConfigError

SMALLEST = {
    "output": "runs/tickets",
    "encoder": {"name": "bert"},
    "data": {"tickets": {"path": "csv", "text": "body"}},
    "tasks": {"intent": {"data": "tickets", "kind": "classification", "label": "intent"}},
}

Problems = Callable[..., list[str]]


@pytest.fixture
def smallest() -> dict:
    """The smallest config, fresh."""
    return deepcopy(SMALLEST)


@pytest.fixture
def problems() -> Problems:
    """Return the problems of the smallest config (or another one) after some overrides, one line each."""

    def problems_of(overrides: dict | None = None, raw: dict | None = None) -> list[str]:
        try:
            load_config(deepcopy(SMALLEST) if raw is None else raw, overrides)
        except ConfigError as error:
            head, *lines = str(error).split("\n")
            assert head == f"config: {len(lines)} problem{'s' if len(lines) > 1 else ''}"
            return [line.removeprefix("  ") for line in lines]
        return []

    return problems_of
