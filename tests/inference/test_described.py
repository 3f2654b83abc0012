"""A card is told again from a directory's own JSON files, and says the same as before."""

import dataclasses
import json
import re
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub import ModelCard
from little import TICKET_TASKS, mixed_config, ticket_config, tickets, unlabelled_config

from mtl_transformers import train
from mtl_transformers.cli.main import COMMANDS
from mtl_transformers.config import load_config
from mtl_transformers.errors import ModelError
from mtl_transformers.inference.described import BASELINE, DATASETS, WORDS, card_of_directory, read_words
from mtl_transformers.inference.multitask import MultiTaskModel
from mtl_transformers.model.card import CardWords, render_card
from mtl_transformers.model.directory import ModelDirectory, load

CARD = {
    "name": "Tickets",
    "description": "Labels for every ticket.",
    "language": "en",
    "license": "apache-2.0",
    "authors": ["Ada", "Grace"],
}


@pytest.fixture(scope="module")
def best(tmp_path_factory: pytest.TempPathFactory, encoder_dir: Any) -> Path:
    """Return a model that was trained on three datasets, of each form of input and with words of a person."""
    place = tmp_path_factory.mktemp("described")
    raw = mixed_config(place, encoder_dir("bert")).to_plain()
    raw["data"]["tickets"] |= {"license": "cc-by-4.0", "clean": ["collapse_whitespace"]}
    train(load_config({**raw, "card": CARD}))
    return place / "run" / "best"


def card_text(directory: Path) -> str:
    return (directory / "README.md").read_text(encoding="utf-8")


def changed(stored: ModelDirectory, **entries: Any) -> ModelDirectory:
    return dataclasses.replace(stored, tasks={**stored.tasks, **entries})


def test_a_card_is_told_again_word_by_word_without_a_config(best: Path) -> None:
    assert render_card(card_of_directory(load(best))) == card_text(best)


def test_what_a_person_said_is_stored_with_the_model(best: Path) -> None:
    stored = load(best)

    assert stored.tasks[WORDS] == {**CARD, "language": ["en"]}
    assert read_words(stored.tasks) == CardWords(
        name="Tickets",
        description="Labels for every ticket.",
        authors=("Ada", "Grace"),
        language=("en",),
        license="apache-2.0",
    )
    assert [(of["name"], of["license"]) for of in stored.tasks[DATASETS]] == [
        ("tickets", "cc-by-4.0"),
        ("pairs", None),
        ("news", None),
    ]


def test_the_card_of_a_trained_model_has_its_scores_and_baselines(best: Path) -> None:
    stored = load(best)
    scores = stored.metrics["intent"]["validation"]

    line = next(line for line in card_text(best).splitlines() if "| accuracy |" in line and "`intent`" in line)

    assert line == (
        f"| `intent` | tickets | validation | {scores['num_rows']} | accuracy | {scores['accuracy']:.4f} "
        f"| {scores[BASELINE]['accuracy']:.4f} |"
    )
    results = ModelCard(card_text(best)).data.eval_results or []
    assert scores["accuracy"] in [found.metric_value for found in results if found.task_name == "intent"]


def test_nothing_of_this_machine_stands_in_the_card(best: Path) -> None:
    text = card_text(best)

    assert str(best.parents[1]) not in text
    assert "/tmp" not in text
    assert "local encoder" in text


def test_what_changes_in_the_directory_changes_in_the_card(best: Path) -> None:
    stored = load(best)
    left = {name: entry for name, entry in stored.tasks["tasks"].items() if name != "intent"}
    left["topics"] = {**left["topics"], "thresholds": [0.25, 0.5, 0.75]}

    text = render_card(card_of_directory(changed(stored, tasks=left)))

    assert "`intent`" not in text
    assert "from its own probability on: app 0.25, card 0.5, order 0.75" in text
    assert "Labels for every ticket." in text


def test_a_directory_of_before_tells_what_it_knows(best: Path) -> None:
    stored = load(best)
    old = {name: value for name, value in stored.tasks.items() if name not in (WORDS, DATASETS)}
    metrics = {
        task: {split: {name: value for name, value in of.items() if name != BASELINE} for split, of in splits.items()}
        for task, splits in stored.metrics.items()
    }

    text = render_card(card_of_directory(dataclasses.replace(stored, tasks=old, metrics=metrics)))

    assert text.partition("\n# ")[2].startswith("run-best\n")
    assert "| tickets | local files | not given | – |" in text
    assert "No licence was given" in text
    assert "The baseline" not in text


@pytest.mark.parametrize(
    ("entry", "value"),
    [
        (WORDS, {"licence": "mit"}),
        (WORDS, {"license": 1}),
        (WORDS, {"authors": [1]}),
        (WORDS, "a card"),
        (WORDS, None),
        (DATASETS, [{"name": "tickets"}]),
        (DATASETS, [{"name": "tickets", "num_rows": "many", "rows_seen": 1}]),
        (DATASETS, 3),
    ],
)
def test_a_malformed_entry_is_named(best: Path, entry: str, value: Any) -> None:
    with pytest.raises(ModelError, match=rf"tasks\.json: {entry} is malformed"):
        card_of_directory(changed(load(best), **{entry: value}))


@pytest.mark.parametrize(
    "scores",
    [
        3,
        {"validation": 3},
        {"validation": {"num_rows": 3, "accuracy": "high"}},
        {"validation": {"num_rows": "3", "a": 1.0}},
        {"validation": {"num_rows": 3, "a": 1.0, "baseline": 2}},
    ],
)
def test_malformed_metrics_are_named(best: Path, scores: Any) -> None:
    with pytest.raises(ModelError, match=r"metrics\.json: task 'intent' is malformed"):
        card_of_directory(dataclasses.replace(load(best), metrics={"intent": scores}))


def test_the_python_of_a_card_runs_as_it_stands(best: Path) -> None:
    blocks = re.findall(r"```python\n(.*?)\n```", card_text(best), re.DOTALL)
    ours = [block for block in blocks if "OnnxModel" not in block]
    assert [re.findall(r"import (\w+)", block)[0] for block in ours] == ["MultiTaskModel", "AutoModel"]
    for block in ours:
        exec(compile(block.replace("MODEL", str(best)), "README.md", "exec"), {})


def test_the_row_of_a_card_is_answered_by_every_task(best: Path) -> None:
    (row,) = re.findall(r"^row = (.*)$", card_text(best), re.MULTILINE)

    (answer,) = MultiTaskModel.from_pretrained(best).predict([json.loads(row)])

    assert answer.keys() == load(best).tasks["tasks"].keys()


def test_the_commands_of_a_card_are_ours(best: Path) -> None:
    named = set(re.findall(r"^mtl ([\w-]+)", card_text(best), re.MULTILINE))

    assert named == {"predict", "serve", "split", "export"}
    assert named <= COMMANDS.keys()


def test_a_single_column_of_text_is_shown_as_a_text(tmp_path: Path, tiny_bert: Path) -> None:
    tasks = {"intent": TICKET_TASKS["intent"]}
    train(ticket_config(tmp_path, tiny_bert, tasks=tasks, train=tickets(16)))

    assert 'row = "a text"\n' in card_text(tmp_path / "run" / "best")


def test_tasks_without_labels_have_a_card_too(tmp_path: Path, tiny_bert: Path) -> None:
    train(unlabelled_config(tmp_path, tiny_bert))

    text = card_text(tmp_path / "run" / "best")

    assert "| `fill` | masked\\_lm | the token in each place that is hidden by the mask token |" in text
    assert "| `close` | similarity | an embedding of each text, and the cosine of two |" in text
    assert "perplexity (lower is better)" in text
