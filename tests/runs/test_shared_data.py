"""Every config of configs/shared trains a few steps on its real data and answers a row from its directory."""

import json
from pathlib import Path

import pytest

from mtl_transformers import MultiTaskModel, load_config, train

ROOT = Path(__file__).parents[2]
CONFIGS = sorted((ROOT / "configs" / "shared").glob("*.yaml"))

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not (ROOT / ".." / "shared" / "data").is_dir(), reason="needs ../shared/data"),
]


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_real_data_train_a_few_steps_and_the_model_answers_a_row(path, tmp_path, monkeypatch):
    monkeypatch.chdir(ROOT)
    config = load_config(path)
    (dataset,) = config.data
    small = {
        "output": str(tmp_path / "run"),
        "training.epochs": None,
        "training.steps": 8,
        "training.batch_size": 16,
        "evaluation.every_steps": None,
        f"data.{dataset}.shuffle": True,
        f"data.{dataset}.limit": {"train": 400, "validation": 50},
    }
    small |= {
        f"tasks.{name}.unknown_label": "ignore"
        for name, task in config.tasks.items()
        if "unknown_label" in type(task).model_fields
    }

    result = train(load_config(path, small))

    assert result.num_steps == 8
    assert all(line["rows_seen"] > 0 for line in result.coverage.values())
    stored = json.loads((result.best / "metrics.json").read_text())
    assert stored.keys() == config.tasks.keys()
    assert all(0 < of["validation"]["num_rows"] <= 50 for of in stored.values())
    columns = config.data[dataset].text
    row = {columns: "play the best of mozart"} if isinstance(columns, str) else dict.fromkeys(columns, "a man eats")
    row |= {task.options: ["a man", "a bird"] for task in config.tasks.values() if task.kind == "multiple_choice"}
    (answer,) = MultiTaskModel.from_pretrained(result.best).predict([row])
    assert answer.keys() == config.tasks.keys()


def test_the_shared_configs_cover_eleven_datasets():
    names = ["atis", "banking77", "comve", "emobank", "goemotions", "movies", "snips", "snli", "sts", "wnut17", "xquad"]
    assert [path.stem for path in CONFIGS] == names
