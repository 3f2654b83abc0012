"""A draft: what was guessed of a dataset, each guess with its reason. Plain values; guesses and writes nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Guess:
    """What a column was taken for.

    Attributes:
        role: ``text``, ``id``, ``split``, ``left out``, or the kind of its task.
        why: in a few words.
    """

    role: str
    why: str


@dataclass(frozen=True, slots=True)
class DraftTask:
    """A task of a draft: its name, its kind, the kind's options, and why."""

    name: str
    kind: str
    options: Mapping[str, object]
    why: str


@dataclass(frozen=True, slots=True)
class DraftDataset:
    """A dataset of a draft.

    Attributes:
        name: a legal one.
        path: as the config has it, with `files` and `options`.
        files: by split.
        options: of the builder.
        text: its text columns.
        tasks: on it.
        guesses: what every column was taken for.
        split: how splits are made, as the config has it.
        split_why: the reason.
        id: the column that names rows.
        num_empty: rows without text, which are left out.
        long_words: words that 95 of 100 texts do not pass.
        hints: tasks and settings that a user may want, as comments.
        left_out: files that do not fit, with the reason.
        num_rows: by split.
    """

    name: str
    path: str
    files: Mapping[str, tuple[str, ...]]
    options: Mapping[str, object]
    text: tuple[str, ...]
    tasks: tuple[DraftTask, ...]
    guesses: Mapping[str, Guess]
    split: Mapping[str, object] = field(default_factory=dict)
    split_why: str = ""
    id: str | None = None
    num_empty: int = 0
    long_words: int = 0
    hints: tuple[str, ...] = ()
    left_out: Mapping[str, str] = field(default_factory=dict)
    num_rows: Mapping[str, int] = field(default_factory=dict)
