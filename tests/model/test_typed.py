"""A field holds what it declares, or the error names it."""

from dataclasses import dataclass
from typing import Annotated, Any, Literal

import pytest
from annotated_types import Gt

from mtl_transformers.model.typed import check_fields


@dataclass(frozen=True)
class Plain:
    number: int = 1
    fraction: float = 0.5
    share: Annotated[float, Gt(0)] = 0.5
    text: str | None = None
    choice: Literal["a", 1] = "a"
    flag: bool = False
    names: tuple[str | int, ...] = ("a", 2)
    weights: Literal["balanced"] | dict[str, float] | None = None
    anything: Any = None


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"fraction": 2},
        {"text": "é\n\U0001f600"},
        {"choice": 1},
        {"names": ()},
        {"weights": "balanced"},
        {"weights": {"a": 1}},
        {"anything": object()},
    ],
)
def test_what_fits(values: dict[str, Any]) -> None:
    check_fields(Plain(**values))


@pytest.mark.parametrize(
    "values",
    [
        {"number": 1.0},
        {"number": True},
        {"number": 2**63},
        {"number": None},
        {"fraction": float("nan")},
        {"fraction": float("-inf")},
        {"fraction": "0.5"},
        {"fraction": 10**400},
        {"share": None},
        {"text": "\ud800"},
        {"text": ["a"]},
        {"choice": True},
        {"choice": "b"},
        {"flag": 1},
        {"names": ["a"]},
        {"names": ("a", None)},
        {"names": "ab"},
        {"weights": "other"},
        {"weights": {"a": "1"}},
        {"weights": {1: 1.0}},
    ],
)
def test_what_does_not_fit_is_named(values: dict[str, Any]) -> None:
    with pytest.raises(TypeError, match=f"^{next(iter(values))}: .* is not of the type "):
        check_fields(Plain(**values))
