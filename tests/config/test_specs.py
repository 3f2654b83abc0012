"""A dataset's section as plain values."""

from mtl_transformers.config import dataset_spec, load_config
from mtl_transformers.data.spec import ColumnSplit, DatasetSpec, HashSplit, Source
from mtl_transformers.text.augmenting import Augment


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
        "clean": ["lowercase", {"drop_stopwords": "en"}, "normalize_unicode"],
        "filter": {"drop_empty": True},
        "augment": {
            "share": 0.4,
            "word_swap": 0.1,
            "token_dropout": 0.2,
            "random_mask": 0.3,
            "synonyms": {"file": "words.tsv", "probability": 0.5},
            "typos": 0.6,
            "casing": 0.7,
        },
    }
    spec = dataset_spec("tickets", load_config(smallest).data["tickets"])
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
        clean=("lowercase", "drop_stopwords:english", "normalize_unicode:NFKC"),
        drop_empty=True,
        augment=Augment(
            share=0.4,
            word_swap=0.1,
            token_dropout=0.2,
            random_mask=0.3,
            synonyms=0.5,
            typos=0.6,
            casing=0.7,
            synonyms_file="words.tsv",
        ),
    )


def test_defaults_are_absence(smallest):
    spec = dataset_spec("tickets", load_config(smallest).data["tickets"])
    assert spec == DatasetSpec(source=Source(name="tickets", path="csv"), text=("body",))


def test_a_column_can_name_the_split(smallest):
    config = load_config(smallest, {"data.tickets.split": {"column": "part", "values": {"dev": "validation"}}})
    assert dataset_spec("tickets", config.data["tickets"]).split == ColumnSplit("part", {"dev": "validation"})
