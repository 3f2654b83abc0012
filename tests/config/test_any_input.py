"""Whatever stands in a file, reading it gives a config or a ConfigError, and no other exception."""

import tempfile
import time
from contextlib import suppress
from copy import deepcopy
from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mtl_transformers.config import Config, load_config
from mtl_transformers.config.yaml_text import MAX_DEPTH, MAX_VALUES, read_yaml
from mtl_transformers.errors import ConfigError

SETTINGS = settings(deadline=None, derandomize=True, max_examples=100, suppress_health_check=[HealthCheck.too_slow])

GOOD = {
    "output": "run",
    "seed": 3,
    "encoder": {"name": "bert", "freeze": "all"},
    "data": {
        "tickets": {
            "path": "csv",
            "files": {"train": "a.csv"},
            "text": "body",
            "split": {"validation": 0.1},
            "clean": ["lowercase", {"drop_stopwords": "english"}],
            "augment": {"typos": 0.1, "synonyms": {"file": "a.tsv", "probability": 0.1}},
        }
    },
    "tasks": {
        "intent": {"data": "tickets", "kind": "classification", "label": "intent", "class_weights": {"a": 1}},
        "topics": {"data": "tickets", "kind": "multi_label", "label": ["a", "b"], "multi_hot": True},
        "mood": {"data": "tickets", "kind": "regression", "label": "mood", "metrics": ["pearson"]},
        "names": {"data": "tickets", "kind": "token_classification", "label": "spans", "scheme": "spans"},
    },
    "mixing": {"strategy": "weights", "weights": {"tickets": 1}},
    "training": {"epochs": 1, "warmup": 0.1},
    "best": {"metric": "mean", "floors": {"mood/pearson": 0.1}},
}
WORDS = st.sampled_from(["csv", "tickets", "mean", "a/b", "3e-4", "", "data", "train", "\ud800", "x" * 300, "é"])
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=8)
    | WORDS
    | st.dates()
    | st.binary(max_size=3)
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(SCALARS, inner, max_size=3)
        | st.dictionaries(WORDS, inner, max_size=3)
    ),
    max_leaves=6,
)


def paths(value, path=()):
    """Every place of a nested value."""
    yield path
    for key, inner in value.items() if isinstance(value, dict) else ():
        yield from paths(inner, (*path, key))


PATHS = [path for path in paths(GOOD) if path]


def with_value(path, value):
    raw = deepcopy(GOOD)
    place = raw
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    return raw


def loaded_or_refused(raw, overrides=None):
    try:
        config = load_config(raw, overrides)
    except ConfigError:
        return None
    assert isinstance(config, Config)
    return config


def test_the_config_that_is_changed_is_good():
    assert loaded_or_refused(GOOD) is not None
    assert all(loaded_or_refused(with_value(path, object())) is None for path in PATHS)  # each place is read


@SETTINGS
@given(VALUES)
def test_any_value_is_a_config_or_refused(value):
    if isinstance(value, dict):
        loaded_or_refused(value)


@SETTINGS
@given(st.sampled_from(PATHS), VALUES)
def test_any_value_at_any_place_is_read_or_refused_and_what_is_read_comes_back(path, value):
    config = loaded_or_refused(with_value(path, value))
    if config is not None:
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder, "config.yaml")
            file.write_text(config.to_yaml(), encoding="utf-8", newline="")
            assert load_config(file) == config


@SETTINGS
@given(st.text(max_size=12), VALUES)
def test_any_override_is_applied_or_refused(path, value):
    loaded_or_refused(GOOD, {path: value})


@SETTINGS
@given(st.sampled_from(PATHS), VALUES)
def test_any_override_of_a_key_is_applied_or_refused(path, value):
    loaded_or_refused(GOOD, {".".join(path): value})


PIECES = st.sampled_from(
    [
        *("a", ": ", "\n", "  ", "- ", "[", "]", "{", "}", ", ", "&a ", "*a", "!!int ", "!x ", "<<: ", "|", ">", '"'),
        *("'", "? ", "---\n", "#", "%YAML 9\n", "2026-13-01", "0x", "1_0", ".inf", "=", "\t", "\0", "\ufeff", "@"),
        *("~", "12:61", "!!float ", "!!timestamp ", "!!binary ", "!!set ", "!!omap ", "\\ud800"),
    ]
)


@SETTINGS
@given(st.lists(PIECES, max_size=14).map("".join) | st.text(max_size=20))
def test_any_text_is_read_or_refused(text):
    with suppress(ConfigError):
        read_yaml(text, where="x.yaml")


@SETTINGS
@given(st.binary(max_size=30))
def test_any_bytes_are_read_or_refused(content):
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "config.yaml")
        file.write_bytes(content)
        with pytest.raises(ConfigError, match=r"config\.yaml"):
            load_config(file)


def test_aliases_of_aliases_are_refused_at_once():
    bomb = "a0: &a0 [x, x]\n" + "".join(f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}]\n" for n in range(1, 60))
    start = time.perf_counter()
    with pytest.raises(ConfigError, match="stand for more than"):
        read_yaml(bomb, where="x.yaml")
    assert time.perf_counter() - start < 1


def test_long_lists_and_deep_sections_within_reason_are_read():
    """Negative control of both limits."""
    many, deep = list(range(MAX_VALUES // 2)), "x"
    for _ in range(MAX_DEPTH - 2):
        deep = [deep]
    assert read_yaml(yaml.safe_dump({"a": many[:2_000], "b": deep}), where="x.yaml") == {"a": many[:2_000], "b": deep}
