"""What a model card tells, as plain values, and which names of encoders may be told.

Owns the values alone: what they are read from is ``inference/described.py``'s, their words on the page
``card_page.py``'s and ``card_usage.py``'s, the hub's metadata ``card_metadata.py``'s.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PureWindowsPath

from mtl_transformers.text.inputs import Input

LIBRARY = "mtl_transformers"

_HUB_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*/[A-Za-z0-9][A-Za-z0-9._-]*")
_PACKAGE = re.compile(r"package:[A-Za-z0-9_.]+(/[A-Za-z0-9_-]+)*")


@dataclass(frozen=True, slots=True)
class CardScore:
    """One metric of a task on one split.

    Attributes:
        split: the split's name.
        metric: the metric's name.
        value: its value; ``None`` where it is undefined on these rows.
        num_rows: the rows with a label that were scored.
        baseline: the same of a prediction that ignores the text; ``None`` where it is not known.
        lower_is_better: its direction.
    """

    split: str
    metric: str
    value: float | None
    num_rows: int
    baseline: float | None = None
    lower_is_better: bool = False


@dataclass(frozen=True, slots=True)
class CardTask:
    """One task as the card shows it.

    Attributes:
        name: the task's name.
        kind: its kind.
        hub_task: what the hub calls such a task, as ``text-classification``.
        dataset: name of the `CardDataset` that it was trained and scored on.
        labels: label names, or the names of a regression's targets, in the order of the head's outputs.
        scores: its metrics on each split.
        answers: what an answer is, in words.
        input: what it reads of a row; ``None`` when that is not known.
        rows_seen: labelled rows that training took, repeats counted; 0 when that is not known.
        label_counts: training items of each label; empty where there are none, or they are not known.
        decisions: how scores become answers where that was set, a clause each.
    """

    name: str
    kind: str
    hub_task: str
    dataset: str
    labels: Sequence[str] = ()
    scores: Sequence[CardScore] = ()
    answers: str = ""
    input: Input | None = None
    rows_seen: int = 0
    label_counts: Mapping[str, int] = field(default_factory=dict)
    decisions: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class CardDataset:
    """One dataset of the training mixture.

    Attributes:
        name: the dataset's name.
        num_rows: rows of its train split; ``None`` when that is not known.
        rows_seen: rows that training took from it, repeats counted.
        hub_id: its id on the hub; ``None`` when it came from files.
        config_name: the hub dataset's configuration.
        revision: the hub dataset's revision.
        license: its licence as the hub spells it; ``None`` when none was given.
    """

    name: str
    num_rows: int | None
    rows_seen: int
    hub_id: str | None = None
    config_name: str | None = None
    revision: str | None = None
    license: str | None = None


@dataclass(frozen=True, slots=True)
class CardWords:
    """What only a person can say of a model.

    Attributes:
        name: the model's name; ``None``: that of its run.
        description: what it is, in Markdown.
        intended_use: what it is meant for, in Markdown.
        out_of_scope: what it is not to be used for, in Markdown.
        authors: names.
        language: ISO codes of the texts' languages; empty when unknown.
        license: the model's licence as the hub spells it; ``None`` when none is given.
        license_name: of a licence that the hub does not know.
        license_link: where its text stands.
    """

    name: str | None = None
    description: str | None = None
    intended_use: str | None = None
    out_of_scope: str | None = None
    authors: tuple[str, ...] = ()
    language: tuple[str, ...] = ()
    license: str | None = None
    license_name: str | None = None
    license_link: str | None = None


NO_WORDS = CardWords()


@dataclass(frozen=True, slots=True)
class Card:
    """Everything that a model card tells.

    Attributes:
        name: the model's name, no path.
        encoder: the encoder's name as configured; shown only when it is a hub id or ``package:…``.
        max_length: tokens of the longest text that the encoder is given.
        tasks: the tasks in order.
        datasets: the training mixture in order.
        words: what a person says of it.
    """

    name: str
    encoder: str
    max_length: int
    tasks: Sequence[CardTask]
    datasets: Sequence[CardDataset]
    words: CardWords = NO_WORDS


def is_hub_id(name: str) -> bool:
    """Return whether a name has the form ``owner/name``; that of a relative directory can look the same."""
    return _HUB_ID.fullmatch(name) is not None


def is_package(name: str) -> bool:
    """Return whether a name is that of an encoder in an installed package."""
    return _PACKAGE.fullmatch(name) is not None


def public_name(name: str) -> str:
    """Return what may be told of an encoder: a hub id or ``package:…`` as it is, of a path the last part only.

    A path tells of the machine and of whose it is. What exists here is a path, even where it looks like a hub id.
    """
    named = is_hub_id(name) or is_package(name) or not re.search(r"[/\\~]", name)
    if named and not ("/" in name and Path(name).exists()):
        return name
    return PureWindowsPath(name).name or "local"  # which cuts at / and \


def public_metric(name: str) -> str:
    """Return a metric's name; of ``evaluate:<id or path>`` only the last part, which is no path."""
    prefix, colon, place = name.partition(":")
    return f"{prefix}:{PureWindowsPath(place).stem}" if colon else name


def hub_id_of(dataset: CardDataset) -> str | None:
    """Return the dataset's id on the hub; a path given in its place is none."""
    return dataset.hub_id if dataset.hub_id is not None and is_hub_id(dataset.hub_id) else None
