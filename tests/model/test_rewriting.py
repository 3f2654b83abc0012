"""Writing a directory again: other entries, the same bytes elsewhere, and nothing of anyone's lost."""

import json
from pathlib import Path

import pytest
from untrained import METRICS, make_parts, write

from mtl_transformers.errors import FileError
from mtl_transformers.model.directory import load
from mtl_transformers.model.rewriting import check_target, rewrite

CHANGED = {"tasks.json", "metrics.json", "manifest.json"}


@pytest.fixture
def source(tmp_path: Path, tiny_bert: Path) -> Path:
    return write(make_parts(tiny_bert), tmp_path / "best")


def contents(path: Path) -> dict[str, bytes]:
    return {entry.name: entry.read_bytes() for entry in path.iterdir()}


def changed(source: Path) -> dict[str, object]:
    tasks = json.loads((source / "tasks.json").read_text(encoding="utf-8"))
    tasks["tasks"]["intent"]["temperature"] = 1.5
    return tasks


@pytest.mark.parametrize("place", ["best", "other"])
def test_only_tasks_metrics_and_the_manifest_change(source: Path, place: str):
    before, target = contents(source), source.with_name(place)
    rewrite(source, target, tasks=changed(source), metrics={"intent": {"validation": {"accuracy": float("nan")}}})
    after = contents(target)
    assert {name for name in before.keys() | after.keys() if before.get(name) != after.get(name)} == CHANGED
    loaded = load(target)
    assert loaded.tasks["tasks"]["intent"]["temperature"] == 1.5
    assert loaded.metrics == {"intent": {"validation": {"accuracy": None}}}
    assert sorted(path.name for path in source.parent.iterdir()) == sorted({"best", place})


def test_another_place_leaves_the_model_as_it_was(source: Path):
    before = contents(source)
    rewrite(source, source.with_name("other"), tasks=changed(source), metrics=METRICS)
    assert contents(source) == before


def test_a_users_own_file_stays_with_the_model_and_does_not_travel(source: Path):
    (source / "notes.txt").write_text("mine", encoding="utf-8")
    rewrite(source, source, tasks=changed(source), metrics=METRICS)
    assert (source / "notes.txt").read_text(encoding="utf-8") == "mine"
    rewrite(source, source.with_name("other"), tasks=changed(source), metrics=METRICS)
    assert not (source.with_name("other") / "notes.txt").exists()


def test_a_directory_in_the_model_would_be_lost_and_is_refused(source: Path):
    (source / "onnx").mkdir()
    with pytest.raises(FileError, match="holds the directory 'onnx'"):
        rewrite(source, source, tasks=changed(source), metrics=METRICS)
    rewrite(source, source.with_name("other"), tasks=changed(source), metrics=METRICS)


def test_what_lies_elsewhere_is_never_replaced(source: Path, tiny_bert: Path):
    other = write(make_parts(tiny_bert), source.with_name("other"))
    with pytest.raises(FileError, match="something lies there"):
        check_target(source, other)
    check_target(source, source)
    check_target(source, source.with_name("new"))


def test_a_bit_that_flips_on_the_way_is_noticed(source: Path):
    target = source.with_name("other")
    rewrite(source, target, tasks=changed(source), metrics=METRICS)
    old, new = (json.loads((path / "manifest.json").read_text(encoding="utf-8")) for path in (source, target))
    kept = old["files"].keys() - CHANGED
    assert {name: new["files"][name] for name in kept} == {name: old["files"][name] for name in kept}
    assert new["torch"] == old["torch"]
