"""Datasets as a config asks for them."""

import json
from pathlib import Path

from mtl_transformers.config import load_config
from mtl_transformers.training.experiment import read_tables


def test_filters_see_the_labels_of_the_tasks_and_leaks_into_other_datasets(tmp_path: Path) -> None:
    files = {
        "one": {"train": [("x", "a"), ("X.", "a"), ("y", "a"), ("Y", "b"), ("z", "a")], "validation": [("v", "a")]},
        "two": {"train": [("n", "a"), ("v", "a")], "validation": [("z!", "a")]},
    }
    data = {}
    for name, splits in files.items():
        data[name] = {"path": "json", "text": "text", "files": {}}
        for split, rows in splits.items():
            path = tmp_path / f"{name}-{split}.jsonl"
            path.write_text("".join(json.dumps({"text": text, "label": label}) + "\n" for text, label in rows))
            data[name]["files"][split] = str(path)
    data["one"]["filter"] = {"drop_duplicates": True, "drop_conflicts": True, "drop_leaks": True}
    tasks = {name: {"data": name, "kind": "classification", "label": "label"} for name in data}
    config = load_config({"output": "x", "encoder": {"name": "x"}, "data": data, "tasks": tasks})
    tables = read_tables(config)
    assert list(tables["one"].splits["train"]["text"]) == ["x"]
    assert tables["one"].num_dropped["train"] == {"drop_conflicts": 2, "drop_duplicates": 1, "drop_leaks": 1}
    assert list(tables["two"].splits["train"]["text"]) == ["n", "v"]  # it does not ask
