"""A dataset's section as plain values."""

from mtl_transformers.config import Config, dataset_spec, load_config
from mtl_transformers.data.spec import ColumnSplit, DatasetSpec, HashSplit, Source


def spec_of(config: Config) -> DatasetSpec:
    return dataset_spec("tickets", config.data["tickets"], config.tasks)


def test_every_key_reaches_the_data(smallest):
    smallest["data"]["tickets"] = {
        "path": "json",
        "name": "small",
        "revision": "main",
        "files": {"train": ["a.json", "b.json"]},
        "options": {"field": "rows"},
        "splits": {"validation": "dev"},
        "split": {"test": 0.2},
        "text": ["first", "second"],
        "id": "key",
        "max_length": 64,
        "shuffle": True,
        "limit": {"train": 10},
        "filter": {"drop_empty": True},
    }
    spec = spec_of(load_config(smallest))
    assert spec == DatasetSpec(
        source=Source(
            name="tickets",
            path="json",
            config_name="small",
            revision="main",
            files={"train": ("a.json", "b.json")},
            options={"field": "rows"},
            splits={"validation": "dev"},
        ),
        text=("first", "second"),
        id="key",
        max_length=64,
        split=HashSplit({"test": 0.2}),
        shuffle=True,
        limit={"train": 10},
        drop_empty=True,
    )


def test_defaults_are_absence(smallest):
    spec = spec_of(load_config(smallest))
    assert spec == DatasetSpec(source=Source(name="tickets", path="csv"), text=("body",))


def test_a_column_can_name_the_split(smallest):
    config = load_config(smallest, {"data.tickets.split": {"column": "part", "values": {"dev": "validation"}}})
    assert spec_of(config).split == ColumnSplit("part", {"dev": "validation"})
