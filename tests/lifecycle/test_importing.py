"""Plain directories that share an encoder become one model, and a task that was split comes back as it was."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from plain import COLUMNS, MAX_LENGTH, TASKS, fitted, model_of, row_of, write
from tiny import FAMILIES

from mtl_transformers.errors import ConfigError, ModelError
from mtl_transformers.inference.multitask import MultiTaskModel
from mtl_transformers.lifecycle.imported_tasks import COLUMNS as DEFAULTS
from mtl_transformers.lifecycle.imported_tasks import Source, scheme_of
from mtl_transformers.lifecycle.importing import import_models
from mtl_transformers.lifecycle.split import split
from mtl_transformers.model.encoder import load_encoder
from mtl_transformers.model.tensors import read_tensors

EncoderDir = Callable[[str], Path]

HEADS = tuple(task for task in TASKS if task != "alike")  # which has no head


def source(name: str, path: Path) -> Source:
    return Source(name, path, COLUMNS.get(name, ()), "ranking" if name == "find" else None)


@pytest.fixture(scope="module")
def halves(tmp_path_factory: pytest.TempPathFactory, tiny_bert: Path) -> tuple[MultiTaskModel, Path]:
    """Return a model of every kind on BERT, and the folder of its tasks as plain directories."""
    place = tmp_path_factory.mktemp("halves")
    full = model_of(tiny_bert, fitted())
    write(full, place / "model")
    for task in HEADS:
        split(place / "model", task, place / task)
    return full, place


def numbers_of(answer: Any) -> Any:
    """An answer with labels as text and numbers that are nearly equal."""
    if isinstance(answer, dict):
        return {key: numbers_of(value) for key, value in answer.items()}
    if isinstance(answer, list):
        return [numbers_of(value) for value in answer]
    return pytest.approx(answer, rel=1e-5, abs=1e-5) if isinstance(answer, float) else answer


def as_labels(answer: Any) -> Any:
    """An answer whose label is text: numbers come back as they are written."""
    return {**answer, "label": str(answer["label"])} if isinstance(answer, dict) and "label" in answer else answer


@pytest.mark.parametrize(
    "family", ["bert", *(pytest.param(family, marks=pytest.mark.slow) for family in FAMILIES if family != "bert")]
)
def test_what_was_split_comes_back_and_answers_the_same(family: str, encoder_dir: EncoderDir, tmp_path: Path) -> None:
    full = model_of(encoder_dir(family), fitted())
    path = write(full, tmp_path / "model")
    sources = [source(task, split(path, task, tmp_path / task).path) for task in HEADS]
    made = import_models(tmp_path / "back", sources)
    assert {parity.difference for parity in made.parities.values()} == {0}
    back = MultiTaskModel.from_pretrained(tmp_path / "back", device="cpu", precision="fp32")
    assert tuple(back.tasks) == HEADS
    for task in HEADS:
        row, top_k = row_of(task, str(full.tokenizer.mask_token)), 2
        ((mine,), (theirs,)) = (of.predict([row], tasks=[task], top_k=top_k) for of in (full, back))
        mine, theirs = as_labels(mine[task]), as_labels(theirs[task])
        if task == "urgency":
            assert theirs == {"value": pytest.approx(mine["value"], rel=1e-5)}
        else:
            assert theirs == numbers_of(mine)
    assert_same_tensors(load_encoder(str(path)).model.state_dict(), back.network.encoder.model.state_dict())


def assert_same_tensors(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> None:
    assert one.keys() == other.keys()
    assert all(torch.equal(one[key], other[key]) for key in one)


def test_an_imported_model_can_be_split_again(halves: tuple[MultiTaskModel, Path], tmp_path: Path) -> None:
    _, place = halves
    import_models(tmp_path / "back", [source(task, place / task) for task in ("intent", "urgency", "fill")])
    for task in ("intent", "urgency", "fill"):
        split(tmp_path / "back", task, tmp_path / task)
        first, again = (read_tensors(folder / task / "model.safetensors") for folder in (place, tmp_path))
        assert_same_tensors(first, again)


def test_tasks_of_one_input_share_an_encoder_pass(halves: tuple[MultiTaskModel, Path], tmp_path: Path) -> None:
    _, place = halves
    made = import_models(tmp_path / "back", [source(task, place / task) for task in ("intent", "topics", "mood")])
    passes: list[int] = []
    hook = made.model.network.encoder.register_forward_hook(lambda *_: passes.append(1))
    made.model.predict(["refund my card"])
    hook.remove()
    assert passes == [1]


def test_what_nobody_knows_is_said(halves: tuple[MultiTaskModel, Path], tmp_path: Path) -> None:
    _, place = halves
    import_models(tmp_path / "back", [source(task, place / task) for task in HEADS])
    entries = json.loads((tmp_path / "back" / "tasks.json").read_text(encoding="utf-8"))["tasks"]
    assert {entry["rows_seen"] for entry in entries.values()} == {0}
    assert entries["intent"]["counts"] == [1, 1, 1]
    assert json.loads((tmp_path / "back" / "metrics.json").read_text(encoding="utf-8")) == {}
    card = (tmp_path / "back" / "README.md").read_text(encoding="utf-8")
    assert "every count is 1 and `rows_seen` 0" in card
    assert f"| `intent` | classification | text | {MAX_LENGTH} | 0 |" in card
    assert str(tmp_path) not in card


# what a directory cannot tell


def test_columns_and_kinds_are_those_of_the_kind_unless_they_are_named(
    halves: tuple[MultiTaskModel, Path], tmp_path: Path
) -> None:
    _, place = halves
    given = [Source("relation", place / "relation", ("a", "b")), *(Source(task, place / task) for task in HEADS[2:])]
    made = import_models(tmp_path / "back", given)
    read = {name: (served.task.kind, served.input.columns) for name, served in made.model.tasks.items()}
    assert read == {
        "relation": ("classification", ("a", "b")),
        "topics": ("multi_label", ("text",)),
        "urgency": ("regression", ("text",)),
        "mood": ("regression", ("text",)),
        "entities": ("token_classification", ("text",)),
        "parts": ("token_classification", ("text",)),
        "answer": ("question_answering", ("question", "context")),
        "choice": ("multiple_choice", ("text", "options")),
        "find": ("regression", ("text",)),  # one output: that it ranks is known to its user only
        "fill": ("masked_lm", ("text",)),
    }
    assert made.model.tasks["relation"].input.form == "pair"
    assert made.model.tasks["entities"].task.options.scheme == "bio"
    assert made.model.tasks["parts"].task.options.scheme == "plain"


def test_a_ranking_reads_query_and_candidate(halves: tuple[MultiTaskModel, Path], tmp_path: Path) -> None:
    made = import_models(tmp_path / "back", [Source("find", halves[1] / "find", kind="ranking")])
    assert made.model.tasks["find"].input.columns == DEFAULTS["ranking"] == ("query", "candidate")


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (
            {"name": "intent", "kind": "ranking"},
            "'intent' cannot be of kind 'ranking': .* form sequence with 3 outputs",
        ),
        ({"name": "intent", "kind": "clasification"}, "did you mean 'classification'"),
        ({"name": "urgency", "kind": "classification"}, "with 1 output. Expected: regression or ranking"),
        ({"name": "answer", "columns": ("context",)}, "'answer' is question_answering, which reads 2 columns; got con"),
        ({"name": "parts", "columns": ("a", "b")}, "reads 1 columns; got a, b"),
        ({"name": "intent", "columns": ("a", "b", "c")}, "reads 1 or 2 columns"),
    ],
)
def test_kinds_and_columns_that_do_not_fit_are_refused(
    given: dict[str, Any], message: str, halves: tuple[MultiTaskModel, Path], tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match=message):
        import_models(tmp_path / "back", [Source(path=halves[1] / given["name"], **given)])
    assert not (tmp_path / "back").exists()


@pytest.mark.parametrize(
    ("labels", "scheme"),
    [
        (("O", "B-PER", "I-PER"), "bio"),
        (("I-PER", "O", "I-LOC"), "bio"),
        (("O", "B-X", "I-X", "E-X", "S-X"), "iobes"),
        (("O", "B-X", "I-X", "L-X", "U-X"), "bilou"),
        (("O",), None),
        (("NOUN", "VERB"), None),
        (("LABEL_0", "LABEL_1"), None),
        (("B-PER", "NOUN"), None),
        (("B-", "I-"), None),
    ],
)
def test_the_scheme_of_tags_is_told_by_their_prefixes(labels: tuple[str, ...], scheme: str | None) -> None:
    assert scheme_of(labels) == scheme


# what is refused


def test_two_encoders_are_refused_and_nothing_is_written(
    halves: tuple[MultiTaskModel, Path], encoder_dir: EncoderDir, tmp_path: Path
) -> None:
    _, place = halves
    other = model_of(encoder_dir("electra"), {"mood": fitted()["mood"]})
    split(write(other, tmp_path / "other"), "mood", tmp_path / "mood")
    expected = r"the encoders of 'intent' \(.*intent\) and 'mood' \(.*mood\) have other settings: .*model_type"
    with pytest.raises(ModelError, match=expected):
        import_models(tmp_path / "back", [Source("intent", place / "intent"), Source("mood", tmp_path / "mood")])
    assert not (tmp_path / "back").exists()


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ((), "nothing to import"),
        (("intent", "intent"), "the name 'intent' is given twice"),
        (("In tent",), "illegal task name 'In tent'"),
    ],
)
def test_names_that_cannot_be_tasks_are_refused(names: tuple[str, ...], message: str, tmp_path: Path) -> None:
    with pytest.raises((ConfigError, ModelError), match=message):
        import_models(tmp_path / "back", [Source(name, tmp_path) for name in names])


def test_what_lies_there_is_replaced_only_where_that_is_asked_for(
    halves: tuple[MultiTaskModel, Path], tmp_path: Path
) -> None:
    _, place = halves
    out = tmp_path / "back"
    import_models(out, [Source("intent", place / "intent")])
    with pytest.raises(ConfigError, match=r"back is there already\. .*--overwrite"):
        import_models(out, [Source("topics", place / "topics")])
    made = import_models(out, [Source("topics", place / "topics")], overwrite=True)
    assert tuple(made.model.tasks) == ("topics",)
    with pytest.raises(ConfigError, match=re.escape(f"{place / 'intent'} is there already")):
        import_models(place / "intent", [Source("intent", place / "intent")], overwrite=True)
