"""What one section says of another, told even where sections are broken."""

import pytest


def test_an_unknown_dataset_of_a_task_is_told_with_the_nearest(problems):
    assert problems({"tasks.intent.data": "tikets"}) == [
        "tasks.intent.data: unknown dataset 'tikets'; known: tickets; did you mean 'tickets'?"
    ]


def test_a_dataset_that_no_task_reads_is_refused(problems):
    assert problems({"data.other": {"path": "csv", "text": "t"}}) == [
        "data.other: no task reads it; add a task with data: other, or remove it"
    ]


def test_a_weight_of_an_unknown_dataset_is_refused(problems):
    assert problems({"mixing.strategy": "weights", "mixing.weights": {"tikets": 2}}) == [
        "mixing.weights.tikets: unknown dataset; known: tickets; did you mean 'tickets'?"
    ]


@pytest.mark.parametrize(
    ("task", "metric", "expected"),
    [
        ({"kind": "classification"}, "acuracy", "accuracy, f1_macro, f1_micro, f1_weighted, precision, recall, "
         "matthews, roc_auc or evaluate:<id or path>; did you mean 'accuracy'?"),
        ({"kind": "regression"}, "accuracy", "pearson, spearman, mse, mae or evaluate:<id or path>"),
        ({"kind": "token_classification", "scheme": "plain"}, "span_f1", "tag_accuracy or evaluate:<id or path>"),
        ({"kind": "multi_label"}, "evaluate:", "f1_micro, f1_macro, f1_weighted, accuracy, precision, recall, roc_auc "
         "or evaluate:<id or path>"),
    ],
)  # fmt: skip
def test_a_metric_that_does_not_fit_the_kind_is_refused(problems, task, metric, expected):
    section = {"data": "tickets", "label": "y", "metrics": [metric], **task}
    assert problems({"tasks.intent": section}) == [
        f"tasks.intent.metrics: {metric!r} does not score this task; expected {expected}"
    ]


def test_span_f1_fits_a_scheme_of_spans(problems):
    section = {"data": "tickets", "kind": "token_classification", "label": "y", "scheme": "spans"}
    assert problems({"tasks.intent": section | {"metrics": ["span_f1", "tag_accuracy"]}}) == []


def test_options_of_a_task_that_another_one_leaves_without_use_are_refused(problems):
    section = {"data": "tickets", "kind": "token_classification", "label": "y", "train_as": "iobes"}
    assert problems({"tasks.intent": section | {"scheme": "spans", "overlaps": "first"}}) == []
    assert problems({"tasks.intent": section | {"scheme": "plain", "overlaps": "first", "decoding": "valid"}}) == [
        "tasks.intent.train_as: only of spans; with scheme: plain the head learns the tags as they are",
        "tasks.intent.decoding: only of spans; with scheme: plain any tag may follow any other",
        "tasks.intent.overlaps: only of scheme: spans; the tags of scheme: plain cannot overlap",
    ]


@pytest.mark.parametrize("first", ["mse", "mae", "evaluate:mape"])
def test_a_first_metric_without_a_range_or_better_when_lower_is_no_term_of_mean(problems, first):
    section = {"data": "tickets", "kind": "regression", "label": "y", "metrics": [first, "pearson"]}
    assert problems({"tasks.u": section}) == [
        f"best.metric: mean cannot hold u/{first}: it is unbounded, better when lower, or of unknown range. "
        "Put another metric first in tasks.u.metrics, or set best.metric to one task/metric"
    ]
    assert problems({"tasks.u": section, "best.metric": f"u/{first}"}) == []
    assert problems({"tasks.u": section | {"metrics": ["pearson", first]}}) == []


@pytest.mark.parametrize("place", ["best.metric", "best.floors"])
def test_a_score_that_no_evaluation_computes_is_refused(problems, place):
    def told(score):
        return problems({place: score if place == "best.metric" else {score: 0.5}})

    path = {"best.metric": "best.metric", "best.floors": "best.floors.{}"}[place]
    assert told("intent/accuracy") == []
    assert told("intnt/accuracy") == [
        f"{path.format('intnt/accuracy')}: 'intnt/accuracy' is not scored; known: intent/accuracy; "
        "did you mean 'intent/accuracy'?"
    ]
    assert told("intent/f1_macro") == [
        f"{path.format('intent/f1_macro')}: 'intent/f1_macro' is not scored; add f1_macro to tasks.intent.metrics"
    ]


def test_all_problems_are_told_together_even_where_sections_are_broken(problems):
    raw = {
        "output": "runs/x",
        "encoder": {"nam": "bert"},
        "data": {"tickets": {"path": "csv"}, "spare": {"path": "csv", "text": True}},
        "tasks": {
            "intent": {"data": "tickts", "kind": "classification", "label": "y", "weight": 0, "metrics": ["acuracy"]},
            "spans": {"data": "tickets", "kind": "token_classification", "scheme": "plain", "metrics": ["span_f1"]},
            "what": {"data": "tickets", "kind": "clasification", "weight": -1},
            "urgency": {"data": "tickets", "kind": "regression", "label": "y", "metrics": ["mse"]},
        },
        "mixing": {"strategy": "uniform", "cap": 5, "weights": {"tickts": 1}},
        "training": {"epochs": 1, "steps": 5, "clip": 0},
        "best": {"floors": {"urgency/pearson": 0.5, "intent/accuracy": "high", "what/accuracy": 0.5}},
        "extra": 1,
    }
    told = problems(raw=raw)
    assert [line.split(": ")[0] for line in told] == [
        "encoder.nam",
        "data.tickets.text",
        "data.spare.text",
        "tasks.intent.weight",
        "tasks.spans.label",
        "tasks.what.kind",
        "tasks.what.weight",
        "mixing.weights",
        "mixing.cap",
        "training.steps",
        "training.clip",
        "best.floors.intent/accuracy",
        "extra",
        "tasks.intent.metrics",
        "tasks.spans.metrics",
        "tasks.intent.data",
        "data.spare",
        "mixing.weights.tickts",
        "encoder.name",
        "best.metric",
        "best.floors.urgency/pearson",
        "best.floors.intent/accuracy",
    ]


def test_what_hangs_on_something_unknown_is_not_told_twice(problems):
    assert problems({"tasks.intent.data": None}) == ["tasks.intent.data: expected text; got null"]
    assert problems({"tasks": None}) == ["tasks: expected a mapping; got null. Remove the key, or give it keys"]
    (told,) = problems({"tasks.intent.kind": "x", "best.metric": "intent/accuracy"})
    assert told.startswith("tasks.intent.kind: unknown kind 'x'")


SECRETS = {
    "encoder.name": "https://jane:hunter2@models.example/bert",
    "data.tickets.files": {"train": ["https://jane:hunter2@data.example/train.csv"]},
    "data.tickets.options": {"token": "hf_" + "hunter2" * 5},
    "init_from": "hf_" + "hunter2" * 5,
}


@pytest.mark.parametrize("key", SECRETS)
def test_a_token_or_a_password_is_refused_and_not_shown(problems, key):
    told = [problem for problem in problems({key: SECRETS[key]}) if "holds a token or a password" in problem]
    assert len(told) == 1
    assert told[0].startswith(key)
    assert "HF_TOKEN" in told[0]
    assert "hunter2" not in str(problems({key: SECRETS[key]}))


def test_an_address_without_a_password_is_no_secret(problems):
    assert problems({"data.tickets.files": "https://data.example/hf_short/train.csv"}) == []
