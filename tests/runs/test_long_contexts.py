"""Question answering on contexts that are longer than a sequence: what stands in a later window is found."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas
import pytest
from little import Row, dataset, questions, raw_config, write_rows
from observed import divide_by_own_micro_batch, largest_difference, observed_run, weights_of
from torch import Tensor

from mtl_transformers import MultiTaskModel, train
from mtl_transformers.config import load_config
from mtl_transformers.inference.bulk import predict_file
from mtl_transformers.metrics.named import compute
from mtl_transformers.text.encoding import Features

TASKS = {"qa": {"data": "faq", "kind": "question_answering", "label": "answers"}}
THIRD_WINDOW = 51  # a word that stands in this window only
LEARNING = {"training.epochs": 5, "training.learning_rate": 3.0e-3, "training.head_learning_rate": 1.0e-2}


def config_of(directory: Path, encoder: Path, rows: Sequence[Row], held_out: Sequence[Row], **overrides: Any) -> Any:
    section = dataset(directory, "faq", text=["question", "context"], train=rows, validation=held_out)
    raw = raw_config(
        directory, encoder, data={"faq": {**section, "max_length": 32, "stride": 8, "id": "id"}}, tasks=TASKS
    )
    return load_config(raw, overrides)


HELD_OUT = questions(12, seed=1, num_words=100, place=THIRD_WINDOW)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory, tiny_bert: Path) -> MultiTaskModel:
    directory = tmp_path_factory.mktemp("long")
    result = train(config_of(directory, tiny_bert, questions(64), HELD_OUT, **LEARNING))
    return MultiTaskModel.from_pretrained(result.best)


def first_window(row: Features) -> Features:
    return replace(
        row,
        input_ids=row.input_ids[:1],
        token_type_ids=row.token_type_ids[:1],
        word_indices=row.word_indices[:1],
        word_positions=row.word_positions[:1],
    )


def features_of(model: MultiTaskModel, row: Mapping[str, Any]) -> Features:
    given = model.tasks["qa"].input
    encoder = model.encoders.get("pair", max_length=given.max_length)
    pairs = [(row["question"], row["context"])]
    return encoder.encode(pairs, form="pair", alignment="pieces", stride=given.stride)[0]


def test_the_answers_stand_in_the_third_window_only(model: MultiTaskModel) -> None:
    for row in HELD_OUT:
        features = features_of(model, row)
        (answer,) = row["answers"]
        held = [
            number
            for number, pieces in enumerate(features.word_indices)
            if answer["answer_start"] in [features.word_spans[piece][0] for piece in pieces]
        ]
        assert held == [2]


def test_an_answer_in_the_third_window_is_found(model: MultiTaskModel) -> None:
    answers: Any = [answer["qa"] for answer in model.predict(HELD_OUT)]
    found = [answer["answer"] == row["answers"][0]["text"] for row, answer in zip(HELD_OUT, answers, strict=True)]
    assert sum(found) >= 11
    for row, answer, right in zip(HELD_OUT, answers, found, strict=True):
        assert row["context"][answer["start"] : answer["end"]] == answer["answer"]
        assert not right or answer["start"] == row["answers"][0]["answer_start"]


def test_without_the_later_windows_it_is_not_found(model: MultiTaskModel) -> None:
    features = [first_window(features_of(model, row)) for row in HELD_OUT]
    answers: Any = model.answer(features, ["qa"], texts=[row["context"] for row in HELD_OUT], form="pair")["qa"]
    assert not [row for row, of in zip(HELD_OUT, answers, strict=True) if of["answer"] == row["answers"][0]["text"]]


# scored as served, and cut as memory asks

UNANSWERED = [{**row, "answers": []} for row in questions(6, seed=2)]
TWO_ANSWERS = [
    {**row, "answers": [{"text": "Oslo", "answer_start": 0}, *row["answers"], {"text": "the", "answer_start": None}]}
    for row in questions(5, seed=3)
]
MIXED = [*questions(9, seed=4), *UNANSWERED, *TWO_ANSWERS, {**questions(1)[0], "answers": None}]
BOTH = {"tasks.qa.metrics": ["squad_f1", "exact_match"], "tasks.qa.no_answer_threshold": -0.5}


def test_the_scores_are_those_of_the_served_answers(tmp_path: Path, tiny_bert: Path) -> None:
    result = train(config_of(tmp_path, tiny_bert, [*questions(20), *UNANSWERED], MIXED, **BOTH))
    model = MultiTaskModel.from_pretrained(result.best)
    labelled = [row for row in MIXED if row["answers"] is not None]
    served: Any = [answer["qa"]["answer"] for answer in model.predict(labelled)]
    gold = [[answer["text"] for answer in row["answers"] if answer["text"] != "Oslo"] for row in labelled]
    expected = {name: compute(name, predictions=served, references=gold) for name in ("squad_f1", "exact_match")}
    assert result.scores["qa"].num_rows == 20
    assert dict(result.scores["qa"].metrics) == expected
    assert dict(result.scores["qa"].baseline) == {"squad_f1": 6 / 20, "exact_match": 6 / 20}


@pytest.mark.parametrize("suffix", [".jsonl", ".csv", ".parquet"])
def test_answers_and_their_scores_stand_in_every_kind_of_file(
    model: MultiTaskModel, tmp_path: Path, suffix: str
) -> None:
    source = write_rows(tmp_path / "in.jsonl", HELD_OUT)
    target = tmp_path / f"out{suffix}"
    assert predict_file(model, source, target) == 12
    served: Any = [answer["qa"] for answer in model.predict(HELD_OUT)]
    if suffix == ".jsonl":
        assert [json.loads(line)["qa"] for line in target.read_text(encoding="utf-8").splitlines()] == served
    else:
        table = pandas.read_csv(target) if suffix == ".csv" else pandas.read_parquet(target)
        assert list(table.columns) == ["id", "qa", "qa_score"]
        assert table["qa"].tolist() == [answer["answer"] for answer in served]
        assert table["qa_score"].tolist() == [answer["score"] for answer in served]


FEW_STEPS = {"training.epochs": None, "training.steps": 4, "training.learning_rate": 1.0e-4}
FEW_TOKENS = {"training.max_tokens": 100}  # a row of three windows


def seen(directory: Path, encoder: Path, *, sabotage: Any = None, **overrides: Any) -> tuple[Any, dict[str, Tensor]]:
    rows = [*questions(10, num_words=20), *questions(10, seed=5, num_words=100), *UNANSWERED]  # 1, 3 or 5 windows
    found = observed_run(config_of(directory, encoder, rows, MIXED, **FEW_STEPS, **overrides), sabotage=sabotage)
    weights = dict(weights_of(directory / "run" / "last"))
    del weights["heads.qa.out.bias"]  # it moves all logits of a window alike: its gradient is rounding noise
    return found, weights


def test_micro_batches_train_like_the_whole_step(tmp_path: Path, steady_bert: Path) -> None:
    whole, weights = seen(tmp_path / "whole", steady_bert)
    cut, others = seen(tmp_path / "cut", steady_bert, **FEW_TOKENS)
    assert [len(parts) for parts in whole["parts"]] == [1] * 4
    assert sum(len(parts) for parts in cut["parts"]) > 16
    assert cut["items"] == whole["items"]
    assert largest_difference(weights, others) < 1e-5
    _, wrong = seen(tmp_path / "wrong", steady_bert, sabotage=divide_by_own_micro_batch, **FEW_TOKENS)
    assert largest_difference(weights, wrong) > 1e-4
