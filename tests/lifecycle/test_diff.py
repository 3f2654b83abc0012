"""What changed between two models: each kind of change is told once, under the task or the part that it is of."""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from sealing import seal

from mtl_transformers.errors import ModelError
from mtl_transformers.lifecycle.contents import Content, content_of, with_name, without_task
from mtl_transformers.lifecycle.diff import TaskDiff, diff, task_differences
from mtl_transformers.lifecycle.editing import drop_task, rename_task
from mtl_transformers.lifecycle.values import Names, Value
from mtl_transformers.model.directory import load


@pytest.fixture
def content(trained_model: Path) -> Content:
    return content_of(load(trained_model))


def with_entry(content: Content, task: str, **values: Any) -> Content:
    """Return the content with other values in a task's entry."""
    entries = {**content.entries, task: {**content.entries[task], **values}}
    return replace(content, tasks={**content.tasks, "tasks": entries})


def with_head(content: Content, key: str, tensor: torch.Tensor) -> Content:
    return replace(content, heads={**content.heads, key: tensor})


def changed(before: Content, after: Content) -> dict[str, TaskDiff]:
    """Return the tasks that are not the same."""
    return {of.task: of for of in task_differences(before, after) if of.change != "same"}


def test_a_model_does_not_differ_from_itself(trained_model: Path):
    found = diff(trained_model, trained_model)
    assert found.is_empty
    assert [of.change for of in found.tasks] == ["same"] * 3


def test_a_dropped_task_is_told_last_and_an_added_one_in_its_place(content: Content):
    less = without_task(content, "intent")
    assert [(of.task, of.change) for of in task_differences(content, less)] == [
        ("topics", "same"),
        ("mood", "same"),
        ("intent", "dropped"),
    ]
    added = task_differences(less, content)[0]
    assert (added.task, added.change, added.head) == ("intent", "added", None)
    assert added.labels.added == ("account", "billing", "delivery")
    assert added.entry == [Value("kind", None, "classification"), Value("dataset", None, "tickets")]
    assert Value("validation.num_rows", None, 60) in added.metrics


def test_a_task_with_the_same_head_and_labels_is_renamed(content: Content):
    after = with_name(content, "topics", "themes")
    assert [(of.task, of.change, of.was) for of in task_differences(content, after)] == [
        ("intent", "same", None),
        ("themes", "renamed", "topics"),
        ("mood", "same", None),
    ]


def test_a_renamed_task_may_have_changed_besides(content: Content):
    after = with_entry(with_name(content, "topics", "themes"), "themes", thresholds=[0.5, 0.25, 0.5])
    assert changed(content, after)["themes"].entry == [Value("thresholds.card", 0.5, 0.25)]


@pytest.mark.parametrize(
    "change",
    [
        lambda of: with_head(of, "heads.themes.out.bias", of.heads["heads.themes.out.bias"] + 1),
        lambda of: with_entry(of, "themes", labels=["app", "order", "card"]),
    ],
)
def test_another_head_or_other_labels_are_another_task(content: Content, change: Callable[[Content], Content]):
    after = change(with_name(content, "topics", "themes"))
    assert {name: of.change for name, of in changed(content, after).items()} == {"themes": "added", "topics": "dropped"}


def test_tasks_without_weights_are_the_same_when_all_that_is_said_of_them_is():
    entry = {"name": "alike", "kind": "similarity", "head": {"out_features": 0}, "dataset": "pairs"}
    before = Content({"tasks": {"alike": entry}}, {}, {})
    assert changed(before, with_name(before, "alike", "near"))["near"].was == "alike"
    other = with_entry(with_name(before, "alike", "near"), "near", dataset="faq")
    assert changed(before, other).keys() == {"alike", "near"}


def test_labels_are_added_removed_and_reordered(content: Content):
    after = with_entry(content, "intent", labels=["delivery", "account", "refund"])
    labels = changed(content, after)["intent"].labels
    assert labels == Names(added=("refund",), removed=("billing",), reordered=True)


def test_thresholds_are_told_by_label(content: Content):
    found = changed(content, with_entry(content, "topics", thresholds=[0.4, 0.5, 0.7]))
    assert list(found) == ["topics"]
    assert found["topics"].entry == [Value("thresholds.app", 0.5, 0.4), Value("thresholds.order", 0.5, 0.7)]


@pytest.mark.parametrize(
    ("task", "values", "expected"),
    [
        ("intent", {"temperature": 1.7}, Value("temperature", 1.0, 1.7)),
        ("intent", {"a_key_of_tomorrow": [1]}, Value("a_key_of_tomorrow", None, [1])),
        ("topics", {"metrics": ["f1_macro"]}, Value("metrics", ["f1_micro"], ["f1_macro"])),
        ("mood", {"rows_seen": 5}, Value("rows_seen", 720, 5)),
    ],
)
def test_whatever_else_tasks_json_says_is_told_as_it_stands(content, task, values, expected):
    found = changed(content, with_entry(content, task, **values))
    assert list(found) == [task]
    assert found[task].entry == [expected]


def test_another_input_and_another_option_are_told_by_their_keys(content: Content):
    given = content.entries["intent"]
    after = with_entry(
        content,
        "intent",
        input={**given["input"], "max_length": 9, "clean": ["strip_html"]},
        options={**given["options"], "label_smoothing": 0.1},
    )
    assert changed(content, after)["intent"].entry == [
        Value("options.label_smoothing", 0.0, 0.1),
        Value("input.max_length", 64, 9),
        Value("input.clean", [], ["strip_html"]),
    ]


def test_a_head_that_moved_is_told_with_its_largest_difference(content: Content):
    key = "heads.intent.out.bias"
    after = with_head(content, key, content.heads[key] + torch.tensor([0.0, 0.5, 0.0]))
    found = changed(content, after)
    assert list(found) == ["intent"]
    assert found["intent"].head is not None
    assert found["intent"].head.largest == pytest.approx({"out.bias": 0.5})
    assert found["intent"].head.total == 4


def test_scores_are_told_before_and_after(content: Content):
    scores = content.metrics["intent"]["validation"]
    metrics = {**content.metrics, "intent": {"validation": {**scores, "accuracy": 0.25}}}
    before = scores["accuracy"]
    assert changed(content, replace(content, metrics=metrics))["intent"].metrics == [
        Value("validation.accuracy", before, 0.25)
    ]


def test_an_encoder_that_moved_is_told_tensor_by_tensor(model_dir: Path, trained_model: Path):
    weights = load_file(model_dir / "model.safetensors")
    name = "encoder.layer.0.output.dense.weight"
    weights[name][3, 5] += 0.125
    save_file(weights, model_dir / "model.safetensors", metadata={"format": "pt"})
    found = diff(trained_model, seal(model_dir))
    assert found.encoder.largest == pytest.approx({name: 0.125}, abs=1e-6)
    assert not found.is_empty
    assert [of.change for of in found.tasks] == ["same"] * 3


def test_another_tokenizer_another_configuration_and_another_precision_are_told(model_dir: Path, trained_model: Path):
    for file, key, value in (
        ("tokenizer_config.json", "model_max_length", 32),
        ("config.json", "layer_norm_eps", 0.5),
        ("tasks.json", "precision", "bf16"),
    ):
        content = json.loads((model_dir / file).read_text())
        content[key] = value
        (model_dir / file).write_text(json.dumps(content))
    found = diff(trained_model, seal(model_dir))
    assert found.tokenizer == ["tokenizer_config.json"]
    assert found.config == [Value("layer_norm_eps", 1e-12, 0.5)]
    assert found.model == [Value("precision", "fp32", "bf16")]


def test_the_json_is_plain_and_says_all(model_dir: Path, trained_model: Path):
    rename_task(model_dir, "topics", "themes")
    drop_task(model_dir, "mood")
    plain = json.loads(json.dumps(diff(trained_model, model_dir).to_json(), allow_nan=False))
    assert plain["is_empty"] is False
    assert {of["task"]: of["change"] for of in plain["tasks"]} == {
        "intent": "same",
        "themes": "renamed",
        "mood": "dropped",
    }
    assert plain["encoder"] == {"total": 39, "largest": {}, "only_before": [], "only_after": []}


def test_a_directory_that_is_no_model_is_told(trained_model: Path, tmp_path: Path):
    with pytest.raises(ModelError, match="no model"):
        diff(trained_model, tmp_path / "none")
    shutil.copytree(trained_model, tmp_path / "broken")
    (tmp_path / "broken" / "heads.safetensors").write_bytes(b"")
    with pytest.raises(ModelError, match="not as it was written"):
        diff(trained_model, tmp_path / "broken")
