"""Tasks, metrics and heads of a changed content: always those of the same names, and no tensor of another task."""

from typing import Any

import pytest
import torch

from mtl_transformers.errors import ConfigError, ModelError
from mtl_transformers.lifecycle.contents import Content, with_name, with_tasks, without_task


def content(*names: str, rows_seen: int = 10, **more: Any) -> Content:
    """Return a content of tasks with one tensor each."""
    return Content(
        tasks={"tasks": {name: {"name": name, "rows_seen": rows_seen, "head": {}} for name in names}, **more},
        metrics={name: {"validation": {"accuracy": 0.5}} for name in names},
        heads={f"heads.{name}.out.weight": torch.full((2,), float(len(name))) for name in names},
    )


def names_of(of: Content) -> tuple[list[str], list[str], set[str]]:
    return list(of.entries), list(of.metrics), {key.split(".")[1] for key in of.heads}


def test_a_dropped_task_is_nowhere_and_the_others_keep_their_tensors():
    before = content("intent", "in", "topics")
    after = without_task(before, "in")
    assert names_of(after) == (["intent", "topics"], ["intent", "topics"], {"intent", "topics"})
    assert all(tensor is before.heads[key] for key, tensor in after.heads.items())


def test_the_last_task_stays():
    with pytest.raises(ConfigError, match="'intent' is the last one"):
        without_task(content("intent"), "intent")


def test_an_unknown_task_is_told_with_the_nearest():
    with pytest.raises(ConfigError, match=r"no task 'intnet'; the model has intent, topics; did you mean 'intent'\?"):
        without_task(content("intent", "topics"), "intnet")
    with pytest.raises(ConfigError, match="did you mean 'topics'"):
        with_name(content("intent", "topics"), "topcs", "themes")


def test_a_renamed_task_keeps_its_place_and_its_tensors():
    before = content("intent", "topics", "mood")
    after = with_name(before, "topics", "themes")
    assert names_of(after) == (["intent", "themes", "mood"], ["intent", "themes", "mood"], {"intent", "themes", "mood"})
    assert after.entries["themes"]["name"] == "themes"
    assert after.heads["heads.themes.out.weight"] is before.heads["heads.topics.out.weight"]


def test_renaming_to_and_fro_gives_the_same_content():
    before = content("intent", "topics")
    after = with_name(with_name(before, "topics", "themes"), "themes", "topics")
    assert (after.tasks, after.metrics) == (before.tasks, before.metrics)
    assert after.heads.keys() == before.heads.keys()


@pytest.mark.parametrize(
    ("new", "error", "message"),
    [("topics", ConfigError, "there is a task 'topics' already"), ("Über", ModelError, "illegal task name 'Über'")],
)
def test_a_new_name_is_checked(new, error, message):
    with pytest.raises(error, match=message):
        with_name(content("intent", "topics"), "intent", new)


def test_new_tasks_come_last_and_known_ones_stay_in_their_places():
    trained = content("places", "intent", rows_seen=3)
    after = with_tasks(content("intent", "topics"), trained)
    assert list(after.entries) == ["intent", "topics", "places"]
    assert after.heads["heads.intent.out.weight"] is trained.heads["heads.intent.out.weight"]
    assert after.entries["intent"]["rows_seen"] == 3


def test_rows_of_a_rehearsed_task_are_counted_together():
    after = with_tasks(content("intent", "topics"), content("places", "intent", rows_seen=3), rehearsed=["intent"])
    assert {name: entry["rows_seen"] for name, entry in after.entries.items()} == {
        "intent": 13,
        "topics": 10,
        "places": 3,
    }


def test_a_replaced_head_leaves_none_of_its_old_parameters():
    old = content("intent", "topics")
    old = Content(old.tasks, old.metrics, {**old.heads, "heads.intent.dense.weight": torch.ones(1)})
    after = with_tasks(old, content("intent"))
    assert after.heads.keys() == {"heads.intent.out.weight", "heads.topics.out.weight"}


def test_rows_of_a_dataset_that_both_trainings_took_are_counted_together():
    def data(name: str, rows: int, seen: int) -> dict[str, Any]:
        return {"name": name, "num_rows": rows, "rows_seen": seen}

    old = content("intent", datasets=[data("tickets", 5, 15), data("news", 7, 7)])
    new = content("places", datasets=[data("tickets", 6, 12), data("maps", 2, 2)])
    told = with_tasks(old, new).tasks["datasets"]
    assert [(of["name"], of["num_rows"], of["rows_seen"]) for of in told] == [
        ("tickets", 6, 27),
        ("news", 7, 7),
        ("maps", 2, 2),
    ]
