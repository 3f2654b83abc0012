"""Little datasets with planted signals, and configs over them, for whole runs that take a second or two."""

import json
import random
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from mtl_transformers.config import Config, load_config

INTENTS = {"refund": "billing", "parcel": "delivery", "password": "account"}
PLACES = ("Berlin", "Zurich", "Quito")
FILLERS = ("the", "my", "and", "how", "I", "when", "have", "of", "it", "on", "with", "your", "very", "much", "please")

Row = dict[str, Any]


def tickets(num_rows: int, *, seed: int = 0, holes: float = 0.0, max_fillers: int = 11) -> list[Row]:
    """Rows of raw text with labels that single words give away; ``holes`` is the share of nulls in each column."""
    rng = random.Random(seed)
    rows = []
    for number in range(num_rows):
        word, intent = rng.choice(list(INTENTS.items()))
        topics = sorted(topic for topic in ("app", "card", "order") if rng.random() < 0.4)
        place, bangs = rng.choice(PLACES), rng.randrange(2)
        words = [word, *topics, place, *rng.choices(FILLERS, k=rng.randint(1, max_fillers))]
        rng.shuffle(words)
        text = " ".join(words) + " !" * bangs
        start = text.index(place)
        row: Row = {
            "id": f"t{number}",
            "body": text,
            "intent": intent,
            "topics": topics,
            "urgency": float(bangs),
            "calm": 5.0 - bangs,
            "entities": [{"label": "PLACE", "start": start, "end": start + len(place)}],
        }
        for column in ("intent", "topics", "urgency", "calm", "entities"):
            if rng.random() < holes:
                row[column] = None
        rows.append(row)
    return rows


def pairs(num_rows: int, *, seed: int = 0) -> list[Row]:
    """Pairs of texts, labelled by whether the second one has the same word."""
    rng = random.Random(seed)
    rows = []
    for _ in range(num_rows):
        first, second = rng.choices(list(INTENTS), k=2)
        filled = [" ".join([word, *rng.choices(FILLERS, k=rng.randrange(1, 6))]) for word in (first, second)]
        rows.append({"first": filled[0], "second": filled[1], "relation": "same" if first == second else "other"})
    return rows


def scored_pairs(num_rows: int, *, seed: int = 0) -> list[Row]:
    """Pairs as `pairs`, with a score from 1 to 4."""
    rng = random.Random(seed)
    return [{**row, "score": 3 * (row["relation"] == "same") + rng.random() + 1} for row in pairs(num_rows, seed=seed)]


def sentences(num_rows: int, *, seed: int = 0, holes: float = 0.0) -> list[Row]:
    """Rows of words with a BIO tag each."""
    rng = random.Random(seed)
    rows = []
    for _ in range(num_rows):
        words = rng.choices([*FILLERS, *PLACES, "New York"], k=rng.randrange(2, 9))
        tagged = [(part, tag) for word in words for part, tag in _tagged(word)]
        tags = None if rng.random() < holes else [tag for _, tag in tagged]
        rows.append({"tokens": [word for word, _ in tagged], "tags": tags})
    return rows


def questions(num_rows: int, *, seed: int = 0, num_words: int = 60, place: int | None = None) -> list[Row]:
    """Questions after the place that stands in a long context of words of one piece each, by a tiny tokenizer.

    Args:
        num_rows: questions.
        seed: of words and places.
        num_words: of a context.
        place: which word the answer is; ``None``: any.
    """
    rng = random.Random(seed)
    short = ("the", "my", "and", "how", "of", "on", "very", "much")
    rows = []
    for number in range(num_rows):
        words, answer = rng.choices(short, k=num_words), rng.choice(PLACES)
        at = rng.randrange(num_words) if place is None else place
        words[at] = answer
        start = len(" ".join([*words[:at], ""]))
        answers = [{"text": answer, "answer_start": start}]
        rows.append({"id": f"q{number}", "question": "to ?", "context": " ".join(words), "answers": answers})
    return rows


def _tagged(word: str) -> list[tuple[str, str]]:
    if word in FILLERS:
        return [(word, "O")]
    return [(part, "I-PLACE" if n else "B-PLACE") for n, part in enumerate(word.split())]


def riddles(num_rows: int, *, seed: int = 0, holes: float = 0.0, most_options: int = 4) -> list[Row]:
    """A text and two options or more, one of which names a place."""
    rng = random.Random(seed)
    rows = []
    for _ in range(num_rows):
        words = [rng.choice(PLACES), *rng.choices(list(INTENTS), k=rng.randrange(1, most_options))]
        rng.shuffle(words)
        answer = next(n for n, word in enumerate(words) if word in PLACES)
        text, *options = (" ".join([word, *rng.choices(FILLERS, k=rng.randint(1, 5))]) for word in ("where", *words))
        rows.append({"text": text, "options": options, "answer": None if rng.random() < holes else answer})
    return rows


def searches(num_queries: int, *, seed: int = 0, holes: float = 0.0, most_candidates: int = 5) -> list[Row]:
    """Rows of a query and a candidate, relevant where it names a place; the rows of a query stand apart."""
    rng = random.Random(seed)
    rows = []
    for number in range(num_queries):
        query = " ".join(["where", *rng.choices(FILLERS, k=rng.randint(1, 3)), str(number)])
        for word in (rng.choice(PLACES), *rng.choices(list(INTENTS), k=rng.randrange(1, most_candidates))):
            candidate = " ".join([word, *rng.choices(FILLERS, k=rng.randint(1, 5))])
            relevance = None if rng.random() < holes else 2.0 * (word in PLACES)
            rows.append({"query_id": f"q{number}", "query": query, "candidate": candidate, "relevance": relevance})
    rng.shuffle(rows)
    return rows


def write_rows(path: Path, rows: Iterable[Mapping[str, Any]]) -> Path:
    """Write JSON lines."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def dataset(directory: Path, name: str, *, text: Any, **splits: Iterable[Mapping[str, Any]]) -> Row:
    """Write a dataset's splits, and return its section ``data.<name>``."""
    files = {split: str(write_rows(directory / f"{name}-{split}.jsonl", rows)) for split, rows in splits.items()}
    return {"path": "json", "files": files, "text": text}


TICKET_TASKS: dict[str, Row] = {
    "intent": {"data": "tickets", "kind": "classification", "label": "intent"},
    "topics": {"data": "tickets", "kind": "multi_label", "label": "topics"},
    "mood": {"data": "tickets", "kind": "regression", "label": ["urgency", "calm"]},
    "entities": {"data": "tickets", "kind": "token_classification", "label": "entities", "scheme": "spans"},
}
"""One task of each kind, on one dataset."""


UNLABELLED_TASKS: dict[str, Row] = {
    "fill": {"data": "tickets", "kind": "masked_lm"},
    "words": {"data": "pairs", "kind": "masked_lm", "whole_words": True, "probability": 0.3},
    "close": {"data": "pairs", "kind": "similarity", "label": "score", "scale": [0, 5]},
    "find": {"data": "pairs", "kind": "similarity", "group_size": 4},
}
"""Hidden tokens and embeddings, beside a classification on the dataset of the first one."""


def raw_config(directory: Path, encoder: Path, *, data: Mapping[str, Any], tasks: Mapping[str, Any]) -> Row:
    """Return a quick config in fp32 over some datasets, as a YAML file would hold it."""
    return {
        "output": str(directory / "run"),
        "encoder": {"name": str(encoder)},
        "data": {name: {**section} for name, section in data.items()},
        "tasks": {name: {**section} for name, section in tasks.items()},
        "mixing": {"strategy": "proportional"},
        "training": {"epochs": 1, "batch_size": 8, "precision": "fp32", "learning_rate": 1.0e-3},
        "evaluation": {"every_steps": None},
    }


def ticket_config(
    directory: Path,
    encoder: Path,
    overrides: Mapping[str, Any] | None = None,
    *,
    train: Iterable[Row] | None = None,
    validation: Iterable[Row] | None = None,
    tasks: Mapping[str, Any] = TICKET_TASKS,
) -> Config:
    """Return a config of the four kinds on one little dataset."""
    section = dataset(
        directory,
        "tickets",
        text="body",
        train=tickets(40) if train is None else train,
        validation=tickets(13, seed=1) if validation is None else validation,
    )
    raw = raw_config(directory, encoder, data={"tickets": {**section, "id": "id"}}, tasks=tasks)
    return load_config(raw, overrides)


def unlabelled_config(directory: Path, encoder: Path, overrides: Mapping[str, Any] | None = None) -> Config:
    """Return a config of tasks that hide tokens or embed texts, one of them beside a classification."""
    data = {
        "tickets": dataset(directory, "tickets", text="body", train=tickets(40), validation=tickets(13, seed=1)),
        "pairs": dataset(
            directory,
            "pairs",
            text=["first", "second"],
            train=scored_pairs(40),
            validation=scored_pairs(10, seed=1),
        ),
    }
    tasks = {"intent": TICKET_TASKS["intent"], **UNLABELLED_TASKS}
    return load_config(raw_config(directory, encoder, data=data, tasks=tasks), overrides)


def mixed_config(directory: Path, encoder: Path, overrides: Mapping[str, Any] | None = None) -> Config:
    """Return a config of three datasets and six tasks of all kinds and forms, with holes."""
    data = {
        "tickets": dataset(
            directory,
            "tickets",
            text="body",
            train=tickets(70, holes=0.4),
            validation=tickets(13, seed=1, holes=0.2),
        ),
        "pairs": dataset(directory, "pairs", text=["first", "second"], train=pairs(40), validation=pairs(10, seed=1)),
        "news": dataset(
            directory,
            "news",
            text="tokens",
            train=sentences(50, holes=0.2),
            validation=sentences(11, seed=1),
        ),
    }
    tasks = {
        **TICKET_TASKS,
        # not pearson: this little training gives nearly constant values, whose correlation is rounding noise
        "mood": {**TICKET_TASKS["mood"], "metrics": ["spearman", "mse"]},
        "relation": {"data": "pairs", "kind": "classification", "label": "relation", "weight": 0.5},
        "names": {"data": "news", "kind": "token_classification", "label": "tags"},
    }
    return load_config(raw_config(directory, encoder, data=data, tasks=tasks), overrides)
