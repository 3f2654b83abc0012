"""Names of tasks that lead elsewhere are refused wherever they are read, and nothing is written by them."""

import json
from pathlib import Path

import pytest
import yaml
from little import TICKET_TASKS, dataset, raw_config, tickets
from sealing import seal

from mtl_transformers.config import load_config
from mtl_transformers.errors import ConfigError, ModelError, MTLError
from mtl_transformers.inference.bulk import predict_file
from mtl_transformers.inference.multitask import MultiTaskModel
from mtl_transformers.model.directory import load

NAMES = (
    "../../x",
    "..",
    ".",
    "/etc/passwd",
    "a\0b",
    "a/b",
    "a\\b",
    "a\n",
    "\na",
    "",
    "x" * 300,
    "é",
    "~",
    "$HOME",
    "a b",
)


@pytest.mark.parametrize("name", NAMES)
def test_a_task_of_a_model_directory(stranger: Path, name: str) -> None:
    path = stranger / "tasks.json"
    content = json.loads(path.read_text())
    content["tasks"][name] = {**content["tasks"].pop("intent"), "name": name}
    path.write_text(json.dumps(content))

    with pytest.raises(ModelError, match="illegal task name"):
        load(seal(stranger))


@pytest.mark.parametrize("name", NAMES)
def test_a_task_of_a_config(tmp_path: Path, tiny_bert: Path, name: str) -> None:
    data = {"tickets": dataset(tmp_path, "tickets", text="body", train=tickets(9), validation=tickets(5))}
    raw = raw_config(tmp_path, tiny_bert, data=data, tasks={name: TICKET_TASKS["intent"]})

    with pytest.raises(ConfigError):
        load_config(raw)


@pytest.mark.parametrize(
    "target", ["../../x.jsonl\0", "no/../../x", "out.exe", ".jsonl/..", "/proc/x.jsonl", "/dev/null/x.jsonl"]
)
def test_where_predictions_go_is_a_file_of_a_known_kind(model_dir: Path, tmp_path: Path, target: str) -> None:
    model = MultiTaskModel.from_pretrained(model_dir, device="cpu")
    source = tmp_path / "in.jsonl"
    source.write_text('{"body": "a text"}\n')

    with pytest.raises(MTLError):
        predict_file(model, source, Path(target) if target.startswith("/") else tmp_path / target)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.jsonl"]


@pytest.mark.parametrize(
    "tag",
    [
        "!!python/object/apply:os.mkdir [{canary}]",
        "!!python/object/new:os.mkdir [{canary}]",
        "!!python/name:os.mkdir",
        "!!python/module:os",
        "!!python/object:pathlib.Path {{}}",
        "!evil x",
    ],
)
def test_yaml_tags_are_refused(tmp_path: Path, canary: Path, tag: str) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(f"output: {tag.format(canary=canary)}\n")

    with pytest.raises(ConfigError, match=r"config\.yaml"):
        load_config(path)
    with pytest.raises(ConfigError):
        load_config(path, {"seed": tag.format(canary=canary)})
    assert not canary.exists()


def test_the_tag_would_run(canary: Path) -> None:
    yaml.unsafe_load(f"!!python/object/apply:os.mkdir [{canary}]")

    assert canary.exists()
