"""Whatever a stranger writes into tasks.json gives a model or an MTLError, never another exception."""

import contextlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from sealing import seal

from mtl_transformers.errors import ModelError, MTLError
from mtl_transformers.inference.multitask import MultiTaskModel

values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.sampled_from([10**400, -1, 0, 2**63, "", "tanh", "token", "text", "words", "../../x", "\0", "\ud800"])
    | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


def places(content: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Return the path of every value in JSON."""
    inner = content.items() if isinstance(content, dict) else enumerate(content) if isinstance(content, list) else ()
    return [path, *(place for key, value in inner for place in places(value, (*path, key)))]


def edited(content: Any, path: tuple[Any, ...], edit: Callable[[Any, Any], None]) -> None:
    for key in path[:-1]:
        content = content[key]
    edit(content, path[-1])


@pytest.fixture(scope="module")
def small(model_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a copy whose tasks.json is written again and again."""
    return shutil.copytree(model_dir, tmp_path_factory.mktemp("mutated") / "best")


@settings(
    max_examples=40,
    deadline=None,
    derandomize=True,
    phases=[Phase.explicit, Phase.generate],  # each example loads a model: no shrinking
    suppress_health_check=list(HealthCheck),
)
@given(data=st.data())
def test_any_change_of_tasks_json_gives_a_model_or_an_mtl_error(
    small: Path, model_dir: Path, data: st.DataObject
) -> None:
    content = json.loads((model_dir / "tasks.json").read_text())
    for _ in range(data.draw(st.integers(1, 2))):
        path = data.draw(st.sampled_from(places(content)[1:]))
        if data.draw(st.booleans()):
            value = data.draw(values)
            edited(content, path, lambda parent, key, value=value: parent.__setitem__(key, value))
        else:
            edited(content, path, lambda parent, key: parent.__delitem__(key))
    (small / "tasks.json").write_text(json.dumps(content))
    seal(small)

    with contextlib.suppress(MTLError):
        MultiTaskModel.from_pretrained(small, device="cpu").predict(["a text"])


HUGE, NAN = 10**400, float("nan")


@pytest.mark.parametrize(
    ("place", "value", "message"),
    [
        (("intent", "labels"), None, "labels: None is not of the type"),
        (("intent", "labels", 0), {}, "labels: a tuple is not of the type"),
        (("intent", "labels", 0), "\ud800", "labels: a tuple is not of the type"),
        (("intent", "counts"), [0, 0, 0], "its counts are not those of training rows"),
        (("intent", "head", "output_dropout"), NAN, "output_dropout: nan is not of the type"),
        (("intent", "head", "out_features"), 2**40, "it has 3 outputs, its head has 1099511627776"),
        (("intent", "head", "in_features"), 2**31, "its head reads 2147483648 features, the encoder gives 32"),
        (("intent", "head", "activation"), "os.system", "the key .*os.system.* is missing or its value unknown"),
        (("intent", "temperature"), 0, "temperature 0 does not lie between 0.001 and 1,000"),
        (("intent", "temperature"), NAN, "temperature: nan is not of the type"),
        (("intent", "min_score"), 1.5, "1.5 is no probability from which a label could be predicted"),
        (("topics", "thresholds"), [0.5, -0.1, 0.5], "-0.1 is no probability"),
        (("topics", "thresholds"), [0.5], "it has 3 outputs, and 1 thresholds"),
        (("topics", "thresholds", 1), HUGE, "thresholds: a tuple is not of the type"),
        (("topics", "num_rows"), 0, "its counts are not those of training rows"),
        (("mood", "mean"), [], "it has 2 outputs, and 0 mean"),
        (("mood", "rows_seen"), "many", "rows_seen: 'many' is not of the type"),
        (("entities", "input", "max_length"), "64", "max_length: '64' is not of the type"),
        (("entities", "options", "label"), ["a"], "label: a tuple is not of the type"),
    ],
)
def test_a_value_that_is_not_what_it_should_be_is_named(
    stranger: Path, place: tuple[Any, ...], value: object, message: str
) -> None:
    content = json.loads((stranger / "tasks.json").read_text())
    edited(content["tasks"], place, lambda parent, key: parent.__setitem__(key, value))
    (stranger / "tasks.json").write_text(json.dumps(content))
    seal(stranger)

    with pytest.raises(ModelError, match=rf"task '{place[0]}'.*{message}"):
        MultiTaskModel.from_pretrained(stranger, device="cpu")
