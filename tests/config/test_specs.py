"""A dataset's section as plain values."""

import pytest

from mtl_transformers.config import dataset_spec, load_config
from mtl_transformers.data.spec import (
    ColumnSplit,
    DatasetSpec,
    Filters,
    GroupSplit,
    HashSplit,
    Source,
    StratifiedSplit,
    TimeSplit,
)
from mtl_transformers.text.augmenting import Augment


def spec_of(config):
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
        "clean": ["lowercase", {"drop_stopwords": "en"}, "normalize_unicode"],
        "filter": {
            "drop_empty": True,
            "min_words": 2,
            "max_words": 9,
            "drop_duplicates": {"near": 0.8},
            "drop_leaks": True,
        },
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
        clean=("lowercase", "drop_stopwords:english", "normalize_unicode:NFKC"),
        filters=Filters(drop_empty=True, min_words=2, max_words=9, drop_duplicates=True, near=0.8, drop_leaks=True),
        labels=("intent",),
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
    spec = spec_of(load_config(smallest))
    assert spec == DatasetSpec(source=Source(name="tickets", path="csv"), text=("body",), labels=("intent",))


def test_a_column_can_name_the_split(smallest):
    config = load_config(smallest, {"data.tickets.split": {"column": "part", "values": {"dev": "validation"}}})
    assert spec_of(config).split == ColumnSplit("part", {"dev": "validation"})


@pytest.mark.parametrize(("by", "split"), [("stratify", StratifiedSplit), ("group", GroupSplit), ("time", TimeSplit)])
def test_a_column_can_say_how_shares_are_made(smallest, by, split):
    config = load_config(smallest, {"data.tickets.split": {"validation": 0.1, "test": 0.2, by: "x"}})
    assert spec_of(config).split == split({"validation": 0.1, "test": 0.2}, "x")


@pytest.mark.parametrize(
    ("chosen", "is_on", "near"), [(False, False, None), (True, True, None), ({"near": 0.5}, True, 0.5)]
)
def test_duplicates_are_exact_or_near(smallest, chosen, is_on, near):
    config = load_config(smallest, {"data.tickets.filter.drop_duplicates": chosen})
    assert spec_of(config).filters == Filters(drop_duplicates=is_on, near=near)


def test_the_labels_of_a_dataset_are_those_of_its_tasks(smallest):
    smallest["data"]["other"] = {"path": "csv", "text": "body"}
    smallest["tasks"] |= {
        "urgency": {"data": "tickets", "kind": "regression", "label": ["u", "v"]},
        "again": {"data": "tickets", "kind": "classification", "label": "intent"},
        "entities": {"data": "tickets", "kind": "token_classification", "label": "spans"},
        "elsewhere": {"data": "other", "kind": "classification", "label": "z"},
    }
    spec = spec_of(load_config(smallest))
    assert (spec.labels, spec.word_labels) == (("intent", "u", "v", "spans"), ("spans",))
