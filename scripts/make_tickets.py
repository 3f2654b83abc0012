"""Make the quickstart's dataset: support tickets with four labels, as JSON lines.

Owns how a ticket is put together and how its labels go wrong; the wording stands in ``ticket_wording.yaml``.
Each split has sentences of its own, so no test sentence was ever trained on. The labels are honest about what
real ones are like: a few percent are wrong, and each label column has holes.

Columns: ``id``, ``body``, ``intent`` (a name), ``topics`` (names, ``[]`` for none), ``urgency`` (0 to 1) and
``entities`` (a list of ``{"start", "end", "label"}``, characters of ``body``); ``null`` is a hole.

    python scripts/make_tickets.py --out data/tickets --rows 4500 --seed 13
"""

import argparse
import json
import random
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypedDict

import yaml

Split = Literal["train", "validation", "test"]
SPLITS: tuple[Split, ...] = ("train", "validation", "test")
WORDING = Path(__file__).with_name("ticket_wording.yaml")

HELD_OUT_ROWS = 500  # of validation, and of test
HOLES = 0.2  # share of null labels, in each label column by itself
WRONG_INTENT = 0.04
WRONG_TOPICS = 0.05
WRONG_URGENCY = 0.03
URGENCY_SPREAD = 0.07  # standard deviation of two people's opinion about the same wording
LOST_ENTITY = 0.04
WRONG_ENTITY = 0.02
AMBIGUOUS = 0.06  # share of rows whose wording fits several intents

LOWER_CASE = 0.15  # share of rows written without capitals

EXTRAS = ((0, False), (0, True), (1, False), (1, True), (2, False))  # (topics, says how urgent it is)
EXTRA_WEIGHTS = (8, 20, 25, 27, 20)
ENTITY_LABELS = ("AMOUNT", "CITY", "DATE", "ORDER_ID", "PRODUCT")
MONTHS = ("January", "March", "April", "May", "June", "August", "October", "December")
WEEKDAYS = ("Monday", "Tuesday", "Thursday", "Friday", "Saturday")


class Entity(TypedDict):
    """A labelled span of characters of the body, end exclusive."""

    start: int
    end: int
    label: str


class Ticket(TypedDict):
    """One row of the dataset."""

    id: str
    body: str
    intent: str | None
    topics: list[str] | None
    urgency: float | None
    entities: list[Entity] | None


@dataclass(frozen=True, slots=True)
class Truth:
    """A ticket's text and what it says: every label present and right."""

    body: str
    intent: str
    topics: list[str]
    urgency: float
    entities: list[Entity]


@dataclass(frozen=True, slots=True)
class Intent:
    """An intent's usual urgency and its templates."""

    urgency: float
    templates: Sequence[str]


@dataclass(frozen=True, slots=True)
class Wording:
    """What tickets of one split are made of."""

    intents: dict[str, Intent]
    ambiguous: Sequence[tuple[Sequence[str], Sequence[str]]]  # (intents, templates)
    topics: dict[str, Sequence[str]]
    urgency: Sequence[tuple[float, Sequence[str]]]  # (value, sentences)
    openings: Sequence[str]
    closings: Sequence[str]
    values: dict[str, Sequence[str]]

    def templates(self) -> set[str]:
        """Return every sentence that this split may use."""
        groups = [intent.templates for intent in self.intents.values()]
        groups += [templates for _, templates in self.ambiguous]
        groups += [*self.topics.values(), *(sentences for _, sentences in self.urgency)]
        return {sentence for group in groups for sentence in group}


def read_wording(split: Split, path: Path = WORDING) -> Wording:
    """Return the wording of one split."""
    page = yaml.safe_load(path.read_text(encoding="utf-8"))
    return Wording(
        intents={name: Intent(part["urgency"], lines(part[split])) for name, part in page["intents"].items()},
        ambiguous=[(part["intents"], lines(part[split])) for part in page["ambiguous"]],
        topics={name: lines(part[split]) for name, part in page["topics"].items()},
        urgency=[(part["value"], lines(part[split])) for part in page["urgency"]],
        openings=lines(page["openings"]),
        closings=lines(page["closings"]),
        values={name: read_values(part, split) for name, part in page["values"].items()},
    )


def lines(text: str) -> list[str]:
    """Return the lines of a block of text."""
    return text.splitlines()


def read_values(part: dict[str, str], split: Split) -> list[str]:
    """Return a slot's values to draw from; outside train two in five are new to the model."""
    known, new = lines(part["train"]), lines(part["new"])
    return known if split == "train" else known + 2 * new


def draw_value(slot: str, wording: Wording, rng: random.Random) -> str:
    """Return a value for one slot of a template."""
    if slot == "AMOUNT":
        amount = rng.choice((f"{rng.randint(3, 900)}", f"{rng.randint(3, 900)}.{rng.choice((50, 90, 95, 99))}"))
        return rng.choice((f"${amount}", f"{amount} euros", f"{amount} dollars", f"€{amount}", f"{amount} EUR"))
    if slot == "ORDER_ID":
        number = rng.randint(10_000, 999_999)
        return rng.choice((f"#{number}", f"{number}", f"ORD-{number}", f"A{number}", f"#{number % 997}-{number}"))
    if slot == "DATE":
        month, day = rng.choice(MONTHS), rng.randint(4, 28)
        return rng.choice(
            (
                f"{month} {day}",
                f"{day} {month}",
                f"the {day}th of {month}" if day < 21 else f"{month} {day}",
                f"2026-{rng.randint(1, 12):02d}-{day:02d}",
                f"{rng.randint(1, 12):02d}/{day:02d}/2026",
                rng.choice(WEEKDAYS),
            )
        )
    return rng.choice(wording.values[slot])


def fill(template: str, wording: Wording, rng: random.Random) -> tuple[str, list[Entity]]:
    """Return a template with its slots filled, and where the values stand."""
    text, entities, end = "", list[Entity](), 0
    for slot in re.finditer(r"\{([A-Z_]+)\}", template):
        text += template[end : slot.start()]
        value = draw_value(slot[1], wording, rng)
        entities.append({"start": len(text), "end": len(text) + len(value), "label": slot[1]})
        text += value
        end = slot.end()
    return text + template[end:], entities


def join(parts: Sequence[str], wording: Wording, rng: random.Random) -> tuple[str, list[Entity]]:
    """Return the filled templates joined by one space, with spans in the joined text."""
    body, entities = "", list[Entity]()
    for template in parts:
        text, found = fill(template, wording, rng)
        start = len(body) + bool(body)
        entities += [{**span, "start": span["start"] + start, "end": span["end"] + start} for span in found]
        body = f"{body} {text}" if body else text
    return body, entities


def chance(probability: float, rng: random.Random) -> bool:
    """Return True with this probability."""
    return rng.random() < probability


def draw_intent(wording: Wording, rng: random.Random) -> tuple[str, str]:
    """Return an intent and a sentence that states it, more or less clearly."""
    if chance(AMBIGUOUS, rng):
        intents, templates = rng.choice(wording.ambiguous)
        return rng.choice(intents), rng.choice(templates)
    names = list(wording.intents)
    name = rng.choices(names, weights=range(len(names) + 4, 4, -1))[0]
    return name, rng.choice(wording.intents[name].templates)


def draw_ticket(wording: Wording, rng: random.Random) -> Truth:
    """Return a ticket of one request and up to two more sentences."""
    intent, request = draw_intent(wording, rng)
    num_topics, states_urgency = rng.choices(EXTRAS, weights=EXTRA_WEIGHTS)[0]
    topics = rng.sample(list(wording.topics), num_topics)
    urgency = wording.intents[intent].urgency
    sentences = [request, *(rng.choice(wording.topics[topic]) for topic in topics)]
    if chance(0.25, rng):
        rng.shuffle(sentences)
    if states_urgency:
        urgency, phrases = rng.choice(wording.urgency)
        sentences.append(rng.choice(phrases))
    opening = [rng.choice(wording.openings)] if chance(0.4, rng) else []
    closing = [rng.choice(wording.closings)] if chance(0.3, rng) else []
    body, entities = join([*opening, *sentences, *closing], wording, rng)
    return Truth(body.lower() if chance(LOWER_CASE, rng) else body, intent, topics, urgency, entities)


def mislabel_topics(topics: list[str], names: Sequence[str], rng: random.Random) -> list[str]:
    """Return the topics, now and then with one forgotten or one too many."""
    if not chance(WRONG_TOPICS, rng):
        return topics
    return topics[1:] if topics else [rng.choice(names)]


def blur_urgency(urgency: float, rng: random.Random) -> float:
    """Return one person's opinion of the urgency; now and then a careless one."""
    value = rng.random() if chance(WRONG_URGENCY, rng) else rng.gauss(urgency, URGENCY_SPREAD)
    return round(min(1.0, max(0.0, value)), 2)


def mislabel_entities(entities: list[Entity], rng: random.Random) -> list[Entity]:
    """Return the entities, now and then with one overlooked or under a wrong label."""
    return [
        {**entity, "label": rng.choice(ENTITY_LABELS)} if chance(WRONG_ENTITY, rng) else entity
        for entity in entities
        if not chance(LOST_ENTITY, rng)
    ]


def annotate(truth: Truth, row_id: str, wording: Wording, rng: random.Random) -> Ticket:
    """Return the ticket as people would have labelled it: with errors and with holes."""
    intent = rng.choice(list(wording.intents)) if chance(WRONG_INTENT, rng) else truth.intent
    topics = mislabel_topics(truth.topics, list(wording.topics), rng)
    urgency = blur_urgency(truth.urgency, rng)
    entities = mislabel_entities(truth.entities, rng)
    return {
        "id": row_id,
        "body": truth.body,
        "intent": None if chance(HOLES, rng) else intent,
        "topics": None if chance(HOLES, rng) else topics,
        "urgency": None if chance(HOLES, rng) else urgency,
        "entities": None if chance(HOLES, rng) else entities,
    }


def make_split(split: Split, num_rows: int, *, seed: int) -> list[Ticket]:
    """Return the tickets of one split, no body twice; a pure function of its arguments."""
    wording = read_wording(split)
    rng = random.Random(f"{seed}/{split}")
    tickets: dict[str, Ticket] = {}
    while len(tickets) < num_rows:
        truth = draw_ticket(wording, rng)
        ticket = annotate(truth, f"{split}-{len(tickets):05d}", wording, rng)
        tickets.setdefault(truth.body, ticket)
    return list(tickets.values())


def write_split(path: Path, tickets: Sequence[Ticket]) -> None:
    """Write tickets as JSON lines."""
    path.parent.mkdir(parents=True, exist_ok=True)
    text = "".join(json.dumps(ticket, ensure_ascii=False) + "\n" for ticket in tickets)
    path.write_text(text, encoding="utf-8", newline="\n")


def main(arguments: Sequence[str] | None = None) -> None:
    """Write ``train.jsonl``, ``validation.jsonl`` and ``test.jsonl``."""
    parser = argparse.ArgumentParser(description="Make the quickstart's support tickets.")
    parser.add_argument("--out", type=Path, default=Path("data/tickets"), help="directory of the three files")
    parser.add_argument("--rows", type=int, default=4500, help="rows of train; validation and test have 500 each")
    parser.add_argument("--seed", type=int, default=13)
    options = parser.parse_args(arguments)
    for split in SPLITS:
        tickets = make_split(split, options.rows if split == "train" else HELD_OUT_ROWS, seed=options.seed)
        write_split(options.out / f"{split}.jsonl", tickets)
        print(f"{options.out / split}.jsonl: {len(tickets)} tickets")


if __name__ == "__main__":
    main()
