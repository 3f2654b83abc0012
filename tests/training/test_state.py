"""The state of a training comes back from JSON as it was; anything else is noticed."""

import json
import math
from contextlib import suppress
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from mtl_transformers.training.evaluation import TaskScores
from mtl_transformers.training.ledger import Ledger
from mtl_transformers.training.selection import Standing
from mtl_transformers.training.state import State, state_from_json
from mtl_transformers.training.window import Window

NAMES = st.sampled_from(["intent", "type", "values", "a-1"])
COUNTS = st.dictionaries(NAMES, st.integers(0, 2**60))
NUMBERS = st.dictionaries(NAMES, st.floats())
STATES = st.builds(
    State,
    step=st.integers(0, 2**40),
    ledger=st.builds(Ledger, COUNTS, COUNTS, COUNTS, COUNTS, st.integers(0, 2**60)),
    max_tokens=st.integers(1, 2**20),
    window=st.builds(Window, COUNTS, NUMBERS, st.floats(), NUMBERS),
    evaluated=st.none() | st.integers(0, 2**40),
    best=st.none() | st.builds(Standing, st.integers(0, 2**40), st.floats(), st.floats()),
    best_scores=st.dictionaries(NAMES, st.builds(TaskScores, NUMBERS, NUMBERS, st.integers(0, 2**40))),
    without_better=st.integers(0, 100),
    bad_steps=st.lists(st.integers(0, 2**40)).map(tuple),
)


@given(STATES)
def test_a_state_comes_back_bit_for_bit(state: State) -> None:
    text = json.dumps(state.to_json(), allow_nan=False)
    back = state_from_json(json.loads(text))
    assert json.dumps(back.to_json()) == text
    assert repr(back) == repr(state)  # NaN is not equal to itself


@given(
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.text(), lambda of: st.lists(of) | st.dictionaries(NAMES, of)
    )
)
def test_anything_else_is_one_of_the_errors_that_are_named(content: Any) -> None:
    with suppress(KeyError, TypeError, ValueError, AttributeError, OverflowError):
        state_from_json(content)
        raise AssertionError("that is no state")


@given(STATES, st.data())
def test_a_key_that_is_missing_is_noticed(state: State, data: st.DataObject) -> None:
    content = state.to_json()
    del content[data.draw(st.sampled_from(sorted(content)))]
    with suppress(KeyError):
        state_from_json(content)
        raise AssertionError("a key is missing")


def test_numbers_that_json_has_not_are_text() -> None:
    empty = Ledger({}, {}, {}, {})
    state = State(3, empty, 64, best=Standing(2, score=math.nan, shortfall=math.inf))
    assert state.to_json()["best"] == {"step": 2, "score": "nan", "shortfall": "inf"}
