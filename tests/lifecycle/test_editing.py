"""Dropping and renaming a task: the encoder's file and the other heads are the same bytes, and answers are the same."""

import json
import shutil
from pathlib import Path

import pytest
from changed import answers, bytes_of, head_bytes
from huggingface_hub import ModelCard
from sealing import seal

from mtl_transformers import ConfigError, ModelError, MultiTaskModel
from mtl_transformers.errors import FileError
from mtl_transformers.lifecycle.editing import drop_task, rename_task
from mtl_transformers.model.directory import load

UNTOUCHED = ("config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json")


def test_a_dropped_task_is_gone_and_nothing_else_changes(model_dir):
    before, heads, said = bytes_of(model_dir, UNTOUCHED), head_bytes(model_dir), answers(model_dir)
    assert drop_task(model_dir, "topics") == model_dir
    assert bytes_of(model_dir, UNTOUCHED) == before
    assert head_bytes(model_dir) == {key: of for key, of in heads.items() if ".topics." not in key}
    assert answers(model_dir) == [{"intent": of["intent"], "mood": of["mood"]} for of in said]
    assert list(load(model_dir).metrics) == ["intent", "mood"]


def test_a_renamed_task_answers_the_same_under_its_new_name(model_dir):
    before, heads, said = bytes_of(model_dir, UNTOUCHED), head_bytes(model_dir), answers(model_dir)
    rename_task(model_dir, "topics", "themes")
    assert bytes_of(model_dir, UNTOUCHED) == before
    assert head_bytes(model_dir) == {key.replace(".topics.", ".themes."): of for key, of in heads.items()}
    assert [list(of) for of in answers(model_dir)] == [["intent", "themes", "mood"]] * len(said)
    assert [of["themes"] for of in answers(model_dir)] == [of["topics"] for of in said]


def test_renaming_to_and_fro_gives_the_same_files(model_dir):
    names = [path.name for path in model_dir.iterdir()]
    before = bytes_of(model_dir, names)
    rename_task(model_dir, "topics", "themes")
    assert bytes_of(model_dir, names) != before
    rename_task(model_dir, "themes", "topics")
    assert bytes_of(model_dir, names) == before


def test_the_card_tells_of_the_tasks_that_there_are(model_dir):
    rename_task(model_dir, "topics", "themes")
    drop_task(model_dir, "intent")
    card = ModelCard.load(model_dir / "README.md")
    assert {of.task_name for of in card.data.eval_results} == {"themes", "mood"}
    assert "| `themes` |" in card.text
    assert "intent" not in card.text
    assert "2 tasks answered" in card.text


def test_what_a_person_wrote_into_the_card_stays(model_dir):
    path = model_dir / "README.md"
    path.write_text(path.read_text() + "\n## Contact\n\nThe tickets team.\n", encoding="utf-8")
    drop_task(model_dir, "intent")
    assert path.read_text().endswith("\n## Contact\n\nThe tickets team.\n")
    assert "`intent`" not in path.read_text()


def test_an_edited_table_of_scores_stays_and_is_told(model_dir, caplog):
    path = model_dir / "README.md"
    path.write_text(path.read_text().replace("## Scores\n", "## Scores\n\nRough ones.\n"))
    drop_task(model_dir, "intent")
    assert "Rough ones." in path.read_text()
    assert "parts were edited by hand and stay; see whether they still hold: Scores" in caplog.text


@pytest.mark.parametrize("card", ["", "no metadata\n"])
def test_a_directory_without_our_card_is_changed_all_the_same(model_dir, card):
    (model_dir / "README.md").write_text(card)
    drop_task(model_dir, "intent")
    assert list(load(model_dir).tasks["tasks"]) == ["topics", "mood"]


def test_a_directory_that_tells_of_no_datasets_is_changed_all_the_same(model_dir):
    content = json.loads((model_dir / "tasks.json").read_text())
    del content["datasets"]
    (model_dir / "tasks.json").write_text(json.dumps(content))
    (model_dir / "README.md").unlink()
    drop_task(seal(model_dir), "intent")
    assert "| tickets | local files | not given | – | 720 |" in (model_dir / "README.md").read_text()


def test_out_leaves_the_model_as_it_was(model_dir, tmp_path):
    names = [path.name for path in model_dir.iterdir()]
    before = bytes_of(model_dir, names)
    assert drop_task(model_dir, "intent", out=tmp_path / "less") == tmp_path / "less"
    assert bytes_of(model_dir, names) == before
    assert list(MultiTaskModel.from_pretrained(tmp_path / "less").tasks) == ["topics", "mood"]


def test_a_link_to_a_model_stays_a_link(model_dir, tmp_path):
    (tmp_path / "link").symlink_to(model_dir)
    drop_task(tmp_path / "link", "intent")
    assert (tmp_path / "link").is_symlink()
    assert list(load(model_dir).tasks["tasks"]) == ["topics", "mood"]


def test_a_place_that_is_taken_is_refused(model_dir, tmp_path):
    taken = shutil.copytree(model_dir, tmp_path / "taken")
    with pytest.raises(FileError, match="something lies there; choose another place"):
        drop_task(model_dir, "intent", out=taken)
    assert list(load(taken).tasks["tasks"]) == ["intent", "topics", "mood"]


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (lambda model: drop_task(model, "intnt"), ConfigError, "did you mean 'intent'"),
        (lambda model: rename_task(model, "intent", "mood"), ConfigError, "there is a task 'mood' already"),
        (lambda model: rename_task(model, "intent", "a.b"), ModelError, "illegal task name 'a.b'"),
        (lambda model: drop_task(model.parent, "intent"), ModelError, "its best model is"),
    ],
)
def test_a_mistake_changes_nothing(model_dir: Path, change, error, message):
    before = head_bytes(model_dir)
    with pytest.raises(error, match=message):
        change(model_dir)
    assert head_bytes(model_dir) == before


def test_the_last_task_cannot_be_dropped(model_dir):
    drop_task(model_dir, "intent")
    drop_task(model_dir, "topics")
    with pytest.raises(ConfigError, match="'mood' is the last one"):
        drop_task(model_dir, "mood")


def test_a_directory_with_a_flipped_bit_is_not_changed(model_dir):
    content = bytearray((model_dir / "model.safetensors").read_bytes())
    content[-1] ^= 1
    (model_dir / "model.safetensors").write_bytes(content)
    with pytest.raises(ModelError, match=r"model\.safetensors was changed"):
        drop_task(model_dir, "intent")


@pytest.mark.parametrize("metrics", [{"intent": 3}, {"intent": {"validation": {"accuracy": "x", "num_rows": 3}}}])
def test_malformed_metrics_are_an_error_of_ours(model_dir, metrics):
    (model_dir / "metrics.json").write_text(json.dumps(metrics))
    with pytest.raises(ModelError, match=r"metrics\.json: task 'intent' is malformed"):
        drop_task(seal(model_dir), "topics")
