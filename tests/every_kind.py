"""A tiny model directory with a task of every kind and form, random and not trained."""

from pathlib import Path

import torch
from little import dataset, pairs, questions, raw_config, riddles, scored_pairs, searches, sentences, tickets

from mtl_transformers.config import load_config
from mtl_transformers.inference.multitask import MultiTaskModel
from mtl_transformers.model import directory
from mtl_transformers.training.experiment import prepare

TASKS = {
    "intent": {"data": "tickets", "kind": "classification", "label": "intent"},
    "topics": {"data": "tickets", "kind": "multi_label", "label": "topics"},
    "urgency": {"data": "tickets", "kind": "regression", "label": "urgency"},
    "mood": {"data": "tickets", "kind": "regression", "label": ["urgency", "calm"]},
    "entities": {"data": "tickets", "kind": "token_classification", "label": "entities", "scheme": "spans"},
    "relation": {"data": "pairs", "kind": "classification", "label": "relation"},
    "close": {"data": "scored", "kind": "similarity", "label": "score"},
    "tags": {"data": "news", "kind": "token_classification", "label": "tags", "scheme": "plain"},
    "answer": {"data": "questions", "kind": "question_answering", "label": "answers"},
    "choice": {"data": "riddles", "kind": "multiple_choice", "options": "options", "label": "answer"},
    "order": {"data": "searches", "kind": "ranking", "label": "relevance", "group": "query_id"},
}
"""One task of each kind that an export keeps, and more of those whose answers have two forms."""

ROWS = (
    {
        "body": "refund my card in Berlin please !",
        "first": "a parcel",
        "second": "the password",
        "tokens": ["from", "New", "York"],
        "question": "to ?",
        "context": "the card is to Berlin and my order of " * 6,
        "text": "where is the parcel",
        "options": ["Berlin of the", "refund it", "on my card"],
        "query": "where is it",
        "candidate": ["Quito and the", "parcel on my"],
    },
    {
        "body": "the parcel has not arrived and I want it very much " * 4,
        "first": "refund",
        "second": "my card, how and when with your order",
        "tokens": ["Zurich"],
        "question": "how ?",
        "context": "Quito",
        "text": "when",
        "options": ["password", "the app of my account"],
        "query": "order",
        "candidate": ["Zurich", "it", "my password and the app"],
    },
)
"""Rows that every task can read."""


def every_kind_dir(place: Path, encoder: Path, *, clean: tuple[str, ...] = ()) -> Path:
    """Write a model directory of `TASKS` below a place, and return it."""
    made = {
        "tickets": ("body", tickets),
        "pairs": (["first", "second"], pairs),
        "scored": (["first", "second"], scored_pairs),
        "news": ("tokens", sentences),
        "questions": (["question", "context"], questions),
        "riddles": ("text", riddles),
        "searches": (["query", "candidate"], searches),
    }
    data = {
        name: {**dataset(place, name, text=text, train=rows(30), validation=rows(8, seed=1)), "clean": list(clean)}
        for name, (text, rows) in made.items()
    }
    experiment = prepare(load_config(raw_config(place, encoder, data=data, tasks=TASKS)))
    network = experiment.network
    with torch.no_grad():
        for parameter in network.heads.parameters():
            parameter.mul_(20)  # answers that differ from row to row
    model = MultiTaskModel(network.eval(), experiment.tokenizer, experiment.tasks)
    directory.save(
        place / "best",
        encoder=network.encoder,
        tokenizer=experiment.tokenizer,
        heads=network.heads_state(),
        tasks=model.tasks_json(),
        metrics={},
        card="---\n---\n",
    )
    return place / "best"
