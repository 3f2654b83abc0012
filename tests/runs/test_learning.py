"""A tiny run learns a planted signal for a task of each kind."""

import pytest
from little import TICKET_TASKS, ticket_config, tickets

from mtl_transformers import MultiTaskModel, train


@pytest.mark.slow
def test_every_kind_learns_what_single_words_give_away(tmp_path, steady_bert):
    settings = {
        "training.epochs": 40,
        "training.learning_rate": 2.0e-3,
        "training.head_learning_rate": 2.0e-3,
        "tasks.topics.weight": 4.0,
    }
    rows = {"train": tickets(200, max_fillers=1), "validation": tickets(60, seed=1, max_fillers=1)}
    result = train(ticket_config(tmp_path, steady_bert, settings, **rows))

    firsts = {task: next(iter(result.scores[task].metrics.items())) for task in TICKET_TASKS}
    assert [name for name, _ in firsts.values()] == ["accuracy", "f1_micro", "pearson", "span_f1"]
    assert all(score >= 0.9 for _, score in firsts.values()), firsts
    assert all(next(iter(of.baseline.values())) < 0.6 for of in result.scores.values())

    (answer,) = MultiTaskModel.from_pretrained(result.best).predict(["parcel Quito card my !"])
    assert answer["intent"]["label"] == "delivery"
    assert answer["topics"]["labels"] == ["card"]
    assert answer["mood"]["values"] == pytest.approx({"urgency": 1.0, "calm": 4.0}, abs=0.3)
    assert [(span["label"], span["text"], span["start"]) for span in answer["entities"]] == [("PLACE", "Quito", 7)]
