"""The resolved config is enough to run again: YAML out and in is the identity."""

import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mtl_transformers.config import load_config

# Any text, and what YAML is known to trip over. A file holds no lone surrogates.
TEXT = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12) | st.sampled_from(
    [
        "on",
        "null",
        "3e-4",
        "0123",
        "1_000",
        "12:30",
        "2024-01-01",
        "<<",
        "=",
        "~",
        "#",
        "- a",
        "a: b",
        "\n a",
        "x" * 200,
    ]
)
NAME = st.from_regex(r"[a-z0-9][a-z0-9_-]{0,8}", fullmatch=True)
COUNT = st.integers(1, 10**12)
POSITIVE = st.floats(1e-12, 1e12)
SHARE = st.floats(0.001, 0.499)
SPLIT = st.sampled_from(["train", "validation", "test"])
STEP = st.sampled_from(["lowercase", "normalize_unicode", {"normalize_unicode": "NFC"}, {"drop_stopwords": "en"}])
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=5,
)


def section(required, **optional):
    return st.fixed_dictionaries(required, optional=optional)


FILES = TEXT | st.lists(TEXT, max_size=2) | st.dictionaries(TEXT, TEXT, max_size=2)
DATASET = section(
    {"path": TEXT, "text": TEXT | st.tuples(TEXT, TEXT)},
    name=st.none() | TEXT,
    files=st.none() | TEXT | st.lists(TEXT, max_size=2) | st.dictionaries(TEXT, FILES),
    options=st.dictionaries(TEXT, JSON, max_size=3),
    splits=st.dictionaries(SPLIT, TEXT),
    split=st.none()
    | section({"validation": SHARE}, test=st.none() | SHARE)
    | st.sampled_from(["stratify", "group", "time"]).flatmap(lambda by: section({"test": SHARE, by: TEXT}))
    | section({"column": TEXT}, values=st.dictionaries(TEXT, SPLIT, max_size=2)),
    license=st.none() | st.sampled_from(["cc-by-4.0", "unknown"]),
    max_length=st.none() | COUNT,
    shuffle=st.booleans(),
    limit=st.dictionaries(SPLIT, COUNT),
    clean=st.lists(STEP, max_size=3),
    filter=section(
        {},
        drop_empty=st.booleans(),
        min_words=st.none() | COUNT,
        drop_duplicates=st.booleans() | section({"near": SHARE}),
        drop_conflicts=st.booleans(),
        drop_leaks=st.booleans(),
    ),
    augment=st.none()
    | section({"typos": SHARE}, share=SHARE, synonyms=st.none() | section({"file": TEXT, "probability": SHARE})),
)
TRAINING = st.one_of(
    section({}, epochs=POSITIVE, batch_size=COUNT),
    section({}, epochs=POSITIVE, batch_tokens=COUNT),
    section({}, steps=COUNT, batch_size=COUNT),
    section({}, learning_rate=POSITIVE, warmup=SHARE | COUNT, clip=st.none() | POSITIVE, early_stop=COUNT),
)


def task(dataset):
    common = {"data": st.just(dataset), "label": TEXT}
    return st.one_of(
        section(
            common | {"kind": st.just("classification")},
            weight=POSITIVE,
            metrics=st.just(["f1_macro", "accuracy"]),
            label_names=st.lists(TEXT, max_size=3),
            class_weights=st.just("balanced") | st.dictionaries(TEXT, POSITIVE, max_size=2),
        ),
        section(common | {"kind": st.just("multi_label")}, separator=TEXT, multi_hot=st.booleans(), threshold=SHARE),
        section(common | {"kind": st.just("regression"), "label": TEXT | st.lists(TEXT, min_size=1, max_size=3)}),
        section(common | {"kind": st.just("token_classification")}, scheme=st.sampled_from(["iob1", "bilou", "plain"])),
        section(
            common | {"kind": st.just("token_classification"), "scheme": st.just("spans")},
            train_as=st.sampled_from(["iobes", "bilou"]),
            decoding=st.just("valid"),
            overlaps=st.sampled_from(["longest", "first"]),
        ),
    )


def mixing(datasets):
    return st.one_of(
        section({}, strategy=st.just("temperature"), temperature=st.floats(1, 100)),
        section({"strategy": st.just("weights"), "weights": st.just({datasets[0]: 2})}),
        section({"strategy": st.just("capped"), "cap": COUNT}, datasets_per_step=st.just("many")),
        section({"strategy": st.sampled_from(["proportional", "uniform", "round_robin"])}),
    )


@st.composite
def configs(draw):
    datasets = draw(st.lists(NAME, min_size=1, max_size=3, unique=True))
    tasks = draw(st.lists(NAME, min_size=len(datasets), max_size=4, unique=True))
    pairs = [(name, datasets[number % len(datasets)]) for number, name in enumerate(tasks)]
    raw = draw(
        section(
            {
                "output": TEXT,
                "encoder": section({"name": TEXT}, freeze=st.sampled_from([None, "all", 3]), max_length=COUNT),
                "data": st.fixed_dictionaries(dict.fromkeys(datasets, DATASET)),
                "tasks": st.fixed_dictionaries({name: task(dataset) for name, dataset in pairs}),
            },
            seed=st.integers(0, 2**63 - 1),
            init_from=TEXT,
            mixing=mixing(datasets),
            training=TRAINING,
            evaluation=section({}, every_steps=st.none() | COUNT),
            card=section(
                {},
                name=st.none() | TEXT,
                description=TEXT,
                authors=TEXT | st.lists(TEXT, max_size=2),
                language=st.sampled_from(["no", "en", ["en", "de"], "multilingual"]),
                license=st.sampled_from(["mit", "other", None]),
            ),
            tracking=section({}, **{"with": st.lists(TEXT, max_size=2), "every_steps": COUNT}),
        )
    )
    if raw.get("init_from") is not None:  # it brings its own encoder
        del raw["encoder"]["name"]
    return raw


@settings(deadline=None, max_examples=50)
@given(configs())
def test_yaml_out_and_in_is_the_identity(raw):
    config = load_config(raw)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "config.yaml")
        path.write_text(config.to_yaml(), encoding="utf-8", newline="")
        read = load_config(path)
    assert read == config
    assert read.to_yaml() == config.to_yaml()
    assert {name: task.kind_options for name, task in read.tasks.items()} == {
        name: task.kind_options for name, task in config.tasks.items()
    }


@pytest.mark.parametrize(
    "change", [{"seed": 14}, {"tasks.intent.label_smoothing": 0.1}, {"data.tickets.options": {"a": [1]}}]
)
def test_other_configs_are_not_equal(smallest, change):
    """Negative control: equality sees every depth."""
    assert load_config(smallest) != load_config(smallest, change)


def test_a_setting_that_is_not_used_is_not_written(smallest):
    config = load_config(smallest, {"mixing.strategy": "uniform"})
    assert config.mixing.temperature == 2.0
    assert "temperature" not in config.to_yaml()
    assert "temperature: 2.0" in load_config(smallest).to_yaml()
