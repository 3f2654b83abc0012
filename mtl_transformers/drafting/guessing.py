"""From the columns of a table to a draft: what each is, and which tasks there are. A pure function of what was seen.

What a column is called decides only where its values leave it open.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain, pairwise
from typing import Any

from mtl_transformers.drafting.draft import DraftDataset, DraftTask, Guess
from mtl_transformers.drafting.facts import Facts, facts_of
from mtl_transformers.drafting.labels import Label, is_zero_or_one, label_of, nulls, tags_of
from mtl_transformers.drafting.naming import (
    GENERIC,
    LABELS,
    ORIGINS,
    SPLIT_COLUMNS,
    SPLIT_WORDS,
    is_id,
    is_one_of,
    legal_name,
)
from mtl_transformers.drafting.tables import Seen
from mtl_transformers.drafting.texts import Texts, Values, texts_of
from mtl_transformers.errors import DataError

_LEFT_OUT = "left out"
_LISTS = ("[", "{")


def guessed(seen: Seen) -> DraftDataset:
    """Guess what the columns of a dataset are.

    Raises:
        DataError: no column looks like text, or none like a label.
    """
    values: Values = {name: list(chain.from_iterable(of.values.values())) for name, of in seen.columns.items()}
    facts = {name: facts_of(cells) for name, cells in values.items()}
    guesses = {name: Guess(_LEFT_OUT, why) for name, of in facts.items() if (why := _aside(name, of, values[name]))}
    split = _split_column(facts, one_table=len(seen.num_rows) == 1)
    if split:
        guesses[split[0]] = Guess("split", ", ".join(facts[split[0]].counts))
    ids = [name for name, of in facts.items() if is_id(name) and of.is_unique and name not in guesses]
    guesses |= {name: Guess("id", "a value of its own in each row") for name in ids[:1]}
    free = {name: of for name, of in facts.items() if name not in guesses}
    texts = texts_of(free, values)
    if texts is None:
        raise DataError(f"dataset {seen.group.name!r}: none of its columns ({_listed(facts)}) looks like text{_ADVICE}")
    guesses |= {name: Guess("text", _about_text(facts[name])) for name in texts.columns}
    free = {name: of for name, of in free.items() if name not in texts.columns}
    tasks, of_tasks = _tasks(seen, free, texts)
    if not tasks:
        columns = _listed(name for name in facts if name not in texts.columns) or "none"
        raise DataError(
            f"dataset {seen.group.name!r}: text is {_listed(texts.columns)}, but none of the other columns ({columns}) "
            f"looks like a label{_ADVICE}"
        )
    guesses |= of_tasks
    return DraftDataset(
        name=seen.group.name,
        path=seen.group.layout.path,
        files=seen.group.files,
        options=seen.group.layout.options,
        text=texts.columns,
        tasks=tuple(tasks),
        guesses={name: guesses[name] for name in facts},
        split={"column": split[0], **({"values": split[1]} if split[1] else {})} if split else {},
        split_why=f"{len(facts[split[0]].counts)} values that are splits" if split else "",
        id=ids[0] if ids else None,
        long_words=_long_words(facts, texts),
        hints=tuple(_hints(seen, facts, texts)),
        left_out=seen.left_out,
        num_rows=seen.num_rows,
    )


_ADVICE = ". Name the columns in a config of your own, as the README's chapter on your own CSV does"


def _listed(names: Any) -> str:
    return ", ".join(map(str, names))


def _aside(name: str, facts: Facts, values: Sequence[Any]) -> str | None:
    """Return why a column is neither text nor label, if that is so whatever the others are."""
    first = next((value for value in values if value is not None), None)
    if facts.form == "empty":
        return "no row has a value"
    if facts.form not in ("spans", "answers", "other") and facts.num_distinct < 2:
        return f"always {_listed(facts.counts) or 'empty'}"
    if facts.form == "date":
        return "dates, by which a split could be made"
    if facts.form == "whole" and _counts_up(values) and not is_id(name):
        return "the number of the row"
    if is_id(name) and not facts.is_unique:
        return "its name is that of an id"
    if facts.form == "text" and all(value is None or value.strip().startswith(_LISTS) for value in values) and first:
        return "lists written as text; JSON lines or parquet hold lists as they are"
    return None


def _counts_up(values: Sequence[Any]) -> bool:
    """Tell whether values count the rows: by 1, or by more where rows were left out of the sample."""
    steps = {later - earlier for earlier, later in pairwise(values)} if None not in values else set()
    return len(values) > 2 and len(steps) == 1 and steps.pop() > 0


def _split_column(facts: Mapping[str, Facts], *, one_table: bool) -> tuple[str, dict[str, str]] | None:
    """Return a column whose values are splits, and ours by those that are called otherwise."""
    for name, of in facts.items():
        ours = {value: SPLIT_WORDS.get(value.strip().lower()) for value in of.counts}
        called_split = one_table and name.lower() in SPLIT_COLUMNS and of.form == "text" and of.num_null == 0
        if called_split and None not in ours.values() and "train" in ours.values() and len(ours) > 1:
            return name, {value: split for value, split in ours.items() if split and value != split}
    return None


def _about_text(facts: Facts) -> str:
    words = "words" if facts.form == "names" else "words on average"
    amount = f"lists of {facts.mean_words:.0f} {words}" if facts.form == "names" else f"{facts.mean_words:.0f} {words}"
    return f"{amount}, {facts.num_distinct:,} different{nulls(facts)}"


def _long_words(facts: Mapping[str, Facts], texts: Texts) -> int:
    """Return the words of a long sequence: of a text or a pair, with the longest of its options."""
    return sum(facts[name].long_words for name in texts.columns) + (30 if texts.choice else 0)


def _tasks(seen: Seen, free: Mapping[str, Facts], texts: Texts) -> tuple[list[DraftTask], dict[str, Guess]]:
    """Return the tasks on the columns that are no text, and what each of these columns is."""
    if texts.answers is not None:
        options, used = {"label": texts.answers}, (texts.answers,)
        return _only(seen, "question_answering", options, free, used, "answers in the context")
    if texts.choice is not None:
        options = dict(zip(("options", "label"), texts.choice, strict=True))
        return _only(seen, "multiple_choice", options, free, texts.choice, "the index of one of the options")
    guesses: dict[str, Guess] = {}
    by_column: dict[str, Label] = {}
    for name, of in free.items():
        found = _label(seen, name, of, texts)
        if isinstance(found, Label):
            by_column[name] = found
        guesses[name] = Guess(found.kind, found.why) if isinstance(found, Label) else Guess(_LEFT_OUT, found)
    tasks: list[DraftTask] = []
    for columns in _families(by_column, free):
        label = by_column[columns[0]]
        if len(columns) > 1 and label.kind == "classification":
            label = Label("multi_label", f"{len(columns)} columns of 0 and 1", {"multi_hot": True})
            guesses |= {name: Guess("multi_label", "0 or 1") for name in columns}
        why = label.why if len(columns) == 1 or label.kind == "multi_label" else f"{len(columns)} columns of numbers"
        wanted = _name_of(columns, dataset=seen.group.name)
        name = legal_name(wanted, otherwise="labels", taken=[task.name for task in tasks])
        given = columns[0] if len(columns) == 1 else list(columns)
        tasks.append(DraftTask(name, label.kind, {"label": given, **label.options}, why))
    return tasks, guesses


def _only(
    seen: Seen, kind: str, options: Mapping[str, str], free: Mapping[str, Facts], used: Sequence[str], why: str
) -> tuple[list[DraftTask], dict[str, Guess]]:
    """Return the one task of a dataset whose rows are made for it."""
    guesses = {
        name: Guess(kind, why) if name in used else Guess(_LEFT_OUT, f"the rows are made for {kind}") for name in free
    }
    name = legal_name(_name_of([options["label"]], dataset=seen.group.name), otherwise="task")
    return [DraftTask(name, kind, options, why)], guesses


def _label(seen: Seen, name: str, facts: Facts, texts: Texts) -> Label | str:
    """Return what kind of label a column is beside the others, or why it is none."""
    if name in texts.others:
        return "text too" if facts.form == "text" else "as many items as words, but no tags"
    if seen.group.layout.path == "conllu" and name != "upos":
        return "a column of CoNLL-U beside upos"
    if name in texts.tags:
        return tags_of(facts)
    if class_names := seen.columns[name].class_names:
        kind = "multi_label" if facts.form == "names" else "classification"
        return Label(kind, f"{len(class_names)} labels{nulls(facts)}", {})
    if is_one_of(name, ORIGINS):
        return f"{facts.num_distinct:,} values, which say where a row is from"
    return label_of(name, facts)


def _families(labels: Mapping[str, Label], facts: Mapping[str, Facts]) -> Iterator[tuple[str, ...]]:
    """Yield the columns of each task: alone, or those of 0 and 1 and those of numbers that belong together."""
    flags = [name for name in labels if is_zero_or_one(name, facts[name])]
    numbers = [name for name, label in labels.items() if label.kind == "regression"]
    together = [tuple(flags)] if len(flags) > 2 else []
    if len(numbers) > 1 and (all(len(name) == 1 for name in numbers) or _prefix(numbers)):
        together.append(tuple(numbers))
    in_family = {name: family for family in together for name in family}
    yield from dict.fromkeys(in_family.get(name, (name,)) for name in labels)


def _prefix(names: Sequence[str]) -> str:
    """Return the word that names begin with, as ``emotion`` of ``emotion_joy`` and ``emotion_fear``."""
    parted = [re.split(r"[\W_]+", name, maxsplit=1) for name in names]
    firsts = {parts[0] for parts in parted}
    return firsts.pop() if len(firsts) == 1 and all(len(parts) > 1 for parts in parted) else ""


def _name_of(columns: Sequence[str], *, dataset: str) -> str:
    """Return what a task may be called: as its column, or as its dataset where every label is called so."""
    if len(columns) == 1:
        return dataset if columns[0].lower() in GENERIC else columns[0]
    return _prefix(columns) or ("_".join(columns) if all(len(name) == 1 for name in columns) else "labels")


def _hints(seen: Seen, facts: Mapping[str, Facts], texts: Texts) -> Iterator[str]:
    """Yield what may be meant too."""
    if len(texts.columns) == 1 and texts.others and facts[texts.columns[0]].form == "text":
        yield f"text: [{texts.others[0]}, {texts.columns[0]}] would read two columns as a pair"
    if len(texts.columns) == 2 and facts[texts.columns[0]].repeats >= 3 and any(map(_is_relevance, facts)):
        query = texts.columns[0]
        yield f"{query} comes again and again: kind: ranking with group: {query} would rank the candidates of each"


def _is_relevance(name: str) -> bool:
    return is_one_of(name, {"relevance", "relevant", "rank", "is_relevant", *LABELS})
