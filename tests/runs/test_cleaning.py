"""Texts that are cleaned and augmented: what a user sees counts in the text as it was given."""

import json
import shutil
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from little import TICKET_TASKS, ticket_config, tickets
from sealing import seal

from mtl_transformers import MultiTaskModel, train
from mtl_transformers.errors import ModelError
from mtl_transformers.text.encoding import Features
from mtl_transformers.training.experiment import prepare
from mtl_transformers.training.steps import micro_batches_of, training_data

CLEAN = {"data.tickets.clean": ["strip_html", "unescape", "strip_accents", "collapse_whitespace"]}


def dressed(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Tickets with tags, entities and an accent before and around the place, its offsets moved with it."""
    found = []
    for row in rows:
        (span,) = row["entities"]
        before, place, after = row["body"][: span["start"]], row["body"][span["start"] : span["end"]], row["body"]
        head = f"<p class='x'>caf\u00e9 &amp; {before}<b>"
        body = f"{head}{place}</b>{after[span['end'] :]}</p>"
        entity = {"label": "PLACE", "start": len(head), "end": len(head) + len(place)}
        found.append({**row, "body": body, "entities": [entity]})
    return found


def word_texts(features: Features, text: str) -> list[str]:
    return [text[start:end] for start, end in features.word_spans]


@pytest.fixture(scope="module")
def cleaned(tmp_path_factory, tiny_bert):
    """A model trained on dressed tickets with cleaning, and its directory."""
    directory = tmp_path_factory.mktemp("cleaned")
    overrides = {**CLEAN, "training.epochs": 12, "training.learning_rate": 2e-3}
    config = ticket_config(
        directory, tiny_bert, overrides, train=dressed(tickets(60)), validation=dressed(tickets(13, seed=1))
    )
    return train(config)


def test_words_of_a_cleaned_text_are_told_in_the_text_as_given(tmp_path, tiny_bert):
    rows = dressed(tickets(13, seed=1))
    config = ticket_config(tmp_path, tiny_bert, CLEAN, train=dressed(tickets(40)), validation=rows)
    read = prepare(config).of_split("validation")["tickets"].input_of("entities")
    for row, features in zip(rows, read.features_of(range(len(rows))), strict=True):
        words = word_texts(features, row["body"])
        assert words[:2] == ["caf\u00e9", "&amp;"]
        assert not any("<" in word or ">" in word for word in words)


def test_without_cleaning_the_tags_are_words(tmp_path, tiny_bert):
    """Negative control."""
    rows = dressed(tickets(13, seed=1))
    config = ticket_config(tmp_path, tiny_bert, train=dressed(tickets(40)), validation=rows)
    read = prepare(config).of_split("validation")["tickets"].input_of("entities")
    assert "<" in word_texts(read.features_of([0])[0], rows[0]["body"])


@pytest.mark.slow
def test_spans_are_found_where_they_stand_in_the_text_as_given(cleaned):
    assert cleaned.scores["entities"].metrics["span_f1"] > 0.9
    model = MultiTaskModel.from_pretrained(cleaned.best)
    rows = dressed(tickets(30, seed=5))
    answers = model.predict([{"body": row["body"]} for row in rows])
    right = 0
    for row, answer in zip(rows, answers, strict=True):
        for span in answer["entities"]:
            assert span["text"] == row["body"][span["start"] : span["end"]]
        found = [(span["start"], span["end"]) for span in answer["entities"]]
        right += found == [(span["start"], span["end"]) for span in row["entities"]]
    assert right > 25


@pytest.mark.slow
def test_a_model_cleans_as_training_did(cleaned):
    model = MultiTaskModel.from_pretrained(cleaned.best)
    plain, dressed_up = "my refund for Berlin", "<i>my</i>  refund &#102;or <b>Berlin</b>"
    one, other = model.predict([plain, dressed_up], tasks=["intent", "mood"])
    assert one["intent"]["label"] == other["intent"]["label"]
    assert one["intent"]["score"] == pytest.approx(other["intent"]["score"], abs=1e-5)


@pytest.mark.slow
def test_an_unknown_step_in_a_model_directory_is_refused(cleaned, tmp_path):
    copy = tmp_path / "model"
    shutil.copytree(cleaned.best, copy)
    stored = json.loads((copy / "tasks.json").read_text())
    stored["tasks"]["intent"]["input"]["clean"] = ["strip_htm"]
    (copy / "tasks.json").write_text(json.dumps(stored))
    seal(copy)
    with pytest.raises(ModelError, match="strip_htm"):
        MultiTaskModel.from_pretrained(copy)


NOISE = {"share": 1.0, "token_dropout": 0.3, "typos": 0.3, "casing": 0.2, "word_swap": 0.2}


def batches(config: Any, step: int) -> Any:
    experiment = prepare(config)
    data = training_data(experiment)
    ((_, batch),) = micro_batches_of(
        experiment.plan.step(step), data, step=step, max_tokens=10**6, rank=0, num_processes=1
    )
    return experiment, data, batch


def config_with(tmp_path: Any, encoder: Any, augment: Mapping[str, Any] | None, **tasks: Any) -> Any:
    overrides = {} if augment is None else {"data.tickets.augment": augment}
    return ticket_config(tmp_path, encoder, {**overrides, "seed": 3}, tasks=tasks or TICKET_TASKS)


def test_noise_is_a_function_of_seed_step_and_row(tmp_path, tiny_bert):
    config = config_with(tmp_path, tiny_bert, NOISE)
    _, _, one = batches(config, 1)
    _, _, again = batches(config, 1)
    _, _, plain = batches(config_with(tmp_path, tiny_bert, None), 1)
    assert one.rows == again.rows == plain.rows
    assert np.array_equal(one.input_ids, again.input_ids)
    assert one.input_ids.shape != plain.input_ids.shape or not np.array_equal(one.input_ids, plain.input_ids)


def test_micro_batches_do_not_change_the_noise(tmp_path, tiny_bert):
    config = config_with(tmp_path, tiny_bert, NOISE)
    experiment = prepare(config)
    data, step = training_data(experiment), experiment.plan.step(2)
    found = []
    for max_tokens in (10**6, 40):
        parts = micro_batches_of(step, data, step=2, max_tokens=max_tokens, rank=0, num_processes=1)
        found.append(
            {
                row: batch.input_ids[n][batch.attention_mask[n] == 1].tolist()
                for _, batch in parts
                for n, row in enumerate(batch.rows)
            }
        )
    assert found[0] == found[1]


def test_labelled_words_keep_their_tags_under_noise(tmp_path, tiny_bert):
    tasks = {"entities": {**TICKET_TASKS["entities"]}}
    config = config_with(tmp_path, tiny_bert, {"share": 1.0, "token_dropout": 0.6, "word_swap": 0.3}, **tasks)
    experiment, _, batch = batches(config, 0)
    target = batch.targets["entities"]
    opened = experiment.tasks["entities"].task.labels.index("B-PLACE")
    assert (target.labels == opened).sum() == target.num_rows  # one place in each ticket, as before
    assert target.num_items < sum(len(row["body"].split()) for row in tickets(40)[:8])


@pytest.mark.slow
def test_a_run_with_noise_learns(tmp_path, tiny_bert):
    noise = {"data.tickets.augment": {"typos": 0.05, "casing": 0.1, "word_swap": 0.1}}
    overrides = {**noise, "training.epochs": 12, "training.learning_rate": 2e-3}
    tasks = {"entities": TICKET_TASKS["entities"]}
    result = train(ticket_config(tmp_path, tiny_bert, overrides, train=tickets(60), tasks=tasks))
    assert result.scores["entities"].metrics["span_f1"] > 0.7
