"""Promise 5: corpus metrics over each row once, and what is scored is what is served."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from little import TICKET_TASKS, mixed_config, ticket_config, tickets
from scipy.stats import pearsonr
from seqeval.metrics import f1_score as span_f1
from sklearn.metrics import accuracy_score, f1_score

from mtl_transformers import ConfigError, MultiTaskModel, Result, train
from mtl_transformers.config import Config
from mtl_transformers.inference.precision import default_device, has_fast_bf16
from mtl_transformers.training.evaluation import evaluate, predict_split, score_split
from mtl_transformers.training.experiment import prepare
from mtl_transformers.training.scoring import evaluate_directory

VALIDATION = tickets(60, seed=1, holes=0.2)
SETTINGS = {
    "training.epochs": 4,
    "training.head_learning_rate": 5.0e-3,
    "training.schedule": "constant",
    "evaluation.every_steps": 13,
    "tasks.intent.metrics": ["accuracy", "f1_macro", "roc_auc"],
}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, tiny_bert: Path) -> tuple[Config, Result]:
    place = tmp_path_factory.mktemp("evaluation")
    config = ticket_config(place, tiny_bert, SETTINGS, validation=VALIDATION)
    return config, train(config)


def logged(output: Path, step: int) -> dict[str, float]:
    """Return the metrics of an evaluation, as ``metrics.jsonl`` has them."""
    lines = [json.loads(line) for line in (output / "metrics.jsonl").read_text().splitlines()]
    (line,) = [line for line in lines if line["step"] == step and "eval/mean" in line]
    return {name: value for name, value in line.items() if name.startswith("eval/")}


def test_the_logged_metrics_are_those_of_the_served_predictions(run):
    _, result = run
    model = MultiTaskModel.from_pretrained(result.best)
    answers = model.predict([{"body": row["body"]} for row in VALIDATION])
    found = logged(result.output, result.best_step)

    def both(column: str, task: str) -> tuple[list[Any], list[Any]]:
        kept = [n for n, row in enumerate(VALIDATION) if row[column] is not None]
        return [VALIDATION[n][column] for n in kept], [answers[n][task] for n in kept]

    gold, predicted = both("intent", "intent")
    labels = [answer["label"] for answer in predicted]
    assert found["eval/intent/accuracy"] == accuracy_score(gold, labels)
    assert found["eval/intent/f1_macro"] == f1_score(gold, labels, average="macro")

    gold, predicted = both("topics", "topics")
    names = ["app", "card", "order"]
    hot = [[[name in row for name in names] for row in rows] for rows in (gold, [of["labels"] for of in predicted])]
    assert found["eval/topics/f1_micro"] == f1_score(*hot, average="micro", zero_division=0)

    gold, predicted = both("urgency", "mood")
    values = [answer["values"]["urgency"] for answer in predicted]
    assert found["eval/mood/pearson_urgency"] == pytest.approx(pearsonr(gold, values)[0], abs=1e-12)

    gold, predicted = both("entities", "entities")
    texts = [row["body"] for row in VALIDATION if row["entities"] is not None]
    tags = [[_tags(*row) for row in zip(texts, spans, strict=True)] for spans in (gold, predicted)]
    assert found["eval/entities/span_f1"] == span_f1(*tags)


def _tags(text: str, spans: list[dict[str, Any]]) -> list[str]:
    """Return a tag for each character: every place here is one word."""
    tags = ["O"] * len(text)
    for span in spans:
        tags[span["start"] : span["end"]] = ["B-PLACE", *["I-PLACE"] * (span["end"] - span["start"] - 1)]
    return tags


def test_evaluating_the_directory_gives_the_scores_of_the_training_exactly(run):
    config, result = run
    report = evaluate_directory(MultiTaskModel.from_pretrained(result.best), config, split="validation")
    assert report.scores == result.scores
    stored = json.loads((result.best / "metrics.json").read_text())
    assert {task: of["validation"] for task, of in stored.items()} == {
        task: {**of.metrics, "num_rows": of.num_rows, "baseline": of.baseline} for task, of in result.scores.items()
    }


def test_bf16_scores_are_those_of_the_served_model_too(tmp_path, tiny_bert):
    if not has_fast_bf16(default_device()):
        pytest.skip("this processor does not compute in bf16")
    config = ticket_config(tmp_path, tiny_bert, {"training.precision": "bf16"}, validation=VALIDATION)
    result = train(config)
    model = MultiTaskModel.from_pretrained(result.best)
    assert model.precision == "bf16"
    assert evaluate_directory(model, config, split="validation").scores == result.scores


def test_spans_trained_as_other_tags_and_decoded_legally_are_scored_as_they_are_served(tmp_path, tiny_bert):
    tasks = {"entities": {**TICKET_TASKS["entities"], "train_as": "bilou", "decoding": "valid"}}
    learning = {"training.epochs": 16, "training.head_learning_rate": 5.0e-3}
    config = ticket_config(tmp_path, tiny_bert, learning, validation=VALIDATION, tasks=tasks)
    result = train(config)
    model = MultiTaskModel.from_pretrained(result.best)
    assert model.tasks["entities"].task.labels == ("O", "B-PLACE", "I-PLACE", "L-PLACE", "U-PLACE")
    assert model.network.head("entities").out.out_features == 5
    rows = [row for row in VALIDATION if row["entities"] is not None]
    answers = model.predict([{"body": row["body"]} for row in rows], tasks=["entities"])
    gold = [_tags(row["body"], row["entities"]) for row in rows]
    predicted = [_tags(row["body"], answer["entities"]) for row, answer in zip(rows, answers, strict=True)]
    assert result.scores["entities"].metrics["span_f1"] == span_f1(gold, predicted) > 0.5
    assert evaluate_directory(model, config, split="validation").scores == result.scores
    otherwise = ticket_config(tmp_path, tiny_bert, {"tasks.entities.train_as": "iobes"}, tasks=tasks)
    with pytest.raises(ConfigError, match=r"entities\.train_as: 'iobes', but the model was trained with 'bilou'"):
        evaluate_directory(model, otherwise, split="validation")


def test_the_mean_is_that_of_the_first_metrics(run):
    _, result = run
    firsts = [next(iter(of.metrics.values())) for of in result.scores.values()]
    assert logged(result.output, result.best_step)["eval/mean"] == result.mean == pytest.approx(np.mean(firsts))


def test_each_labelled_row_counts_once(run):
    _, result = run
    for column, task in (("intent", "intent"), ("topics", "topics"), ("entities", "entities")):
        assert result.scores[task].num_rows == sum(row[column] is not None for row in VALIDATION)


def test_metrics_are_of_the_corpus_and_no_mean_over_batches(run):
    config, result = run
    model = MultiTaskModel.from_pretrained(result.best, max_tokens=1)  # every row is a batch of its own
    split = prepare(config).of_split("validation")["tickets"]
    scores = evaluate(model, {"tickets": split})
    assert scores["intent"].metrics == pytest.approx(result.scores["intent"].metrics, abs=1e-6)
    assert scores["topics"].metrics == result.scores["topics"].metrics

    answers = predict_split(model, split)
    gold = [label for label in split.labels_of(range(len(split)))["intent"] if label is not None]
    predicted = [
        model.tasks["intent"].task.labels.index(answers[n]["intent"]["label"])
        for n, label in enumerate(split.labels_of(range(len(split)))["intent"])
        if label is not None
    ]
    halves = [f1_score(gold[part], predicted[part], average="macro") for part in (slice(20), slice(20, None))]
    whole = f1_score(gold, predicted, average="macro")
    assert scores["intent"].metrics["f1_macro"] == whole != pytest.approx(np.mean(halves), abs=1e-3)


def test_the_rows_of_a_split_are_answered_in_their_order(run):
    config, result = run
    model = MultiTaskModel.from_pretrained(result.best)
    split = prepare(config).of_split("validation")["tickets"]
    answers = predict_split(model, split)
    assert len(answers) == len(split)
    for n in (0, 17, len(split) - 1):
        (text,) = split.texts_of([n], split.inputs[0].given)
        (alone,) = model.predict([{"body": text}], tasks=["mood"])
        assert answers[n]["mood"]["values"] == pytest.approx(alone["mood"]["values"], abs=1e-5)


def test_the_baseline_ignores_the_text(run):
    config, result = run
    counts = prepare(config).tasks["intent"].task.label_counts
    majority = max(counts, key=lambda label: counts[label])
    gold = [row["intent"] for row in VALIDATION if row["intent"] is not None]
    assert result.scores["intent"].baseline["accuracy"] == gold.count(majority) / len(gold)
    assert result.scores["mood"].baseline["pearson"] == 0.0


def test_a_split_is_scored_for_the_tasks_on_its_dataset(tmp_path, tiny_bert):
    config = mixed_config(tmp_path, tiny_bert)
    result = train(config)
    assert set(result.scores) == set(config.tasks)
    split = prepare(config).of_split("validation")["pairs"]
    model = MultiTaskModel.from_pretrained(result.best)
    assert set(score_split(model, split, predict_split(model, split))) == {"relation"}
