"""The page of a model card for a person: what the model answers, how well, on what it was trained, and its limits."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from mtl_transformers.model.card_content import (
    LIBRARY,
    Card,
    CardDataset,
    CardScore,
    CardTask,
    hub_id_of,
    is_hub_id,
    is_package,
    public_metric,
)
from mtl_transformers.model.markdown import bullets, cell_code, code, codes, plain, table
from mtl_transformers.text.inputs import Input

MOST_LABELS_SHOWN = 30
"""Label names of a task beyond this number are counted, not listed."""
FEW_ROWS = 10
"""A label with fewer training rows is told of among the limits."""
_BASELINE = (
    "The baseline ignores the text: the most frequent answer of the training rows, or their mean. A score means "
    "something by its distance from it, and by the number of rows."
)
_CHOSEN = "Scores on validation may flatter: this model may have been chosen by them, or its thresholds fitted there."


def introduction(card: Card) -> list[str]:
    """Return what the model is, who made it, and what may be done with it."""
    words = card.words
    number = "one task" if len(card.tasks) == 1 else f"{len(card.tasks)} tasks"
    made = (
        f"One encoder with a named head for each task: {number} answered from one encoder pass. "
        f"Trained with `{LIBRARY}`, starting from {_encoder(card.encoder)}."
    )
    about = [
        f"By {', '.join(map(plain, words.authors))}." if words.authors else None,
        f"Languages: {codes(words.language)}." if words.language else None,
        f"Licence: {_license(card)}." if words.license else "No licence was given: ask before you use it.",
    ]
    told = [] if words.description is None else [words.description.strip()]
    return [*told, made, " ".join(filter(None, about))]


def _license(card: Card) -> str:
    words = card.words
    named = plain(words.license_name) if words.license_name else code(words.license or "")
    return f"[{named}](<{words.license_link}>)" if words.license_link else named


def _encoder(name: str) -> str:
    """Name the encoder; a local directory stays unnamed."""
    if is_hub_id(name):
        return f"[{name}](https://huggingface.co/{name})"
    return f"`{name}`" if is_package(name) else "a local encoder"


def tasks(of_card: Sequence[CardTask]) -> Iterator[str]:
    """Yield the table of tasks, their labels, and what happens before and after the encoder."""
    yield table(
        ["task", "kind", "answers", "reads", "labelled rows seen"],
        [
            [
                f"`{task.name}`",
                plain(task.kind),
                plain(task.answers) or "–",
                "–" if task.input is None else _reads(task.input),
                f"{task.rows_seen:,}" if task.rows_seen else "–",
            ]
            for task in of_card
        ],
    )
    if labelled := [task for task in of_card if task.labels]:
        counted = any(task.label_counts for task in labelled)
        yield "Labels, or names of numbers" + (", with the training rows of each:" if counted else ":")
        yield bullets(f"`{task.name}`: {_labels(task)}" for task in labelled)
    if cleaned := [task for task in of_card if task.input is not None and task.input.clean]:
        yield "The model cleans texts by itself, before anything else; characters are counted as before:"
        yield bullets(_cleaning(cleaned))
    if decided := [task for task in of_card if task.decisions]:
        yield "How scores become answers:"
        yield bullets(f"`{task.name}`: {plain('; '.join(task.decisions))}" for task in decided)


def _reads(given: Input) -> str:
    """Say in words what is read of a row."""
    columns = [cell_code(column) for column in given.columns]
    context, options = columns[: given.num_context], columns[given.num_context :]
    match given.form:
        case "text":
            return f"text in {columns[0]}"
        case "words":
            return f"a list of words in {columns[0]}"
        case "pair":
            return f"a pair of texts in {columns[0]} and {columns[1]}"
    listed = "options in " + ", ".join(options)
    return f"{listed}, for {', '.join(context)}" if context else listed


def _cleaning(of_card: Iterable[CardTask]) -> Iterator[str]:
    """Yield the steps of cleaning, tasks that share them together."""
    alike: dict[tuple[str, ...], list[str]] = {}
    for task in of_card:
        if task.input is not None:
            alike.setdefault(task.input.clean, []).append(task.name)
    for steps, names in alike.items():
        yield f"{codes(names)}: {codes(steps)}"


def _labels(task: CardTask) -> str:
    counts = task.label_counts
    shown = [
        f"{code(label)} ({counts[label]:,})" if label in counts else code(label)
        for label in task.labels[:MOST_LABELS_SHOWN]
    ]
    more = len(task.labels) - MOST_LABELS_SHOWN
    return ", ".join(shown) + (f" and {more:,} more (see `tasks.json`)" if more > 0 else "")


def scores(of_card: Sequence[CardTask]) -> list[str]:
    """Return the table of scores, a line for each metric, and how to read it."""
    rows = [row for task in of_card for row in _score_rows(task)]
    told = [table(["task", "dataset", "split", "rows", "metric", "score", "baseline"], rows)]
    found = [score for task in of_card for score in task.scores]
    if any(score.baseline is not None for score in found):
        told.append(_BASELINE)
    if any(score.split.startswith("validation") for score in found):
        told.append(_CHOSEN)
    return told


def _score_rows(task: CardTask) -> list[list[str]]:
    """Return the cells of a task; one line for a task that was never scored."""
    named = [f"`{task.name}`", plain(task.dataset)]
    if not task.scores:
        return [[*named, "–", "–", "–", "not scored", "–"]]
    return [
        [
            *named,
            plain(score.split),
            f"{score.num_rows:,}",
            plain(public_metric(score.metric)) + (" (lower is better)" if score.lower_is_better else ""),
            "undefined" if score.value is None else f"{score.value:.4f}",
            _baseline(score),
        ]
        for score in task.scores
    ]


def _baseline(score: CardScore) -> str:
    return "–" if score.baseline is None else f"{score.baseline:.4f}"


def mixture(datasets: Sequence[CardDataset]) -> list[str]:
    """Return the table of what it was trained on."""
    total = sum(dataset.rows_seen for dataset in datasets) or 1
    rows = [
        [
            plain(dataset.name),
            _source(dataset),
            f"`{dataset.license}`" if dataset.license else "not given",
            "–" if dataset.num_rows is None else f"{dataset.num_rows:,}",
            f"{dataset.rows_seen:,}",
            f"{dataset.rows_seen / total:.1%}",
            f"{dataset.rows_seen / dataset.num_rows:.2f}" if dataset.num_rows else "–",
        ]
        for dataset in datasets
    ]
    header = ["dataset", "source", "licence of the data", "train rows", "rows seen", "share", "passes"]
    return [table(header, rows)]


def _source(dataset: CardDataset) -> str:
    """Name where a dataset came from; files stay unnamed."""
    hub_id = hub_id_of(dataset)
    if hub_id is None:
        return "local files"
    details = ", ".join(plain(part) for part in (dataset.config_name, dataset.revision) if part)
    link = f"[{hub_id}](https://huggingface.co/datasets/{hub_id})"
    return f"{link} ({details})" if details else link


def intended_use(card: Card) -> Iterator[str]:
    """Yield what it is meant for and what not, as a person said it; else what follows from how it was made."""
    words = card.words
    if words.intended_use is not None:
        yield words.intended_use.strip()
    else:
        yield "Answering the tasks above for texts like those of the training mixture; nothing more specific was said."
    if words.out_of_scope is not None:
        yield "Not for:"
        yield words.out_of_scope.strip()


def limits(card: Card) -> str:
    """Return what a user has to expect."""
    measured = (
        "The scores above hold for rows like those of the named splits. Other sources, languages or times were not "
        "measured."
    )
    return bullets(
        [
            *_lengths(card),
            "A task that has labels answers with those above and no others, whatever the text is about.",
            *_rare(card.tasks),
            measured,
            "The biases of the encoder and of the training data are in the predictions too.",
        ]
    )


def _lengths(card: Card) -> Iterator[str]:
    """Yield what becomes of long texts, tasks that read them alike together."""
    alike: dict[tuple[int, int | None], list[str]] = {}
    for task in card.tasks:
        given = task.input
        key = (card.max_length, None) if given is None else (given.max_length, given.stride)
        alike.setdefault(key, []).append(task.name)
    for (length, stride), names in alike.items():
        of = f" for {codes(names)}" if len(alike) > 1 else ""
        if stride is None:
            yield f"Texts are cut at {length:,} tokens{of}; what lies behind is not read."
        else:
            yield f"Texts are read in windows of {length:,} tokens{of}, {stride:,} of which two neighbours share."


def _rare(of_card: Iterable[CardTask]) -> Iterator[str]:
    for task in of_card:
        rare = [label for label, rows in task.label_counts.items() if rows < FEW_ROWS]
        if rare:
            shown = codes(rare[:MOST_LABELS_SHOWN]) + (" and others" if len(rare) > MOST_LABELS_SHOWN else "")
            yield f"`{task.name}` saw fewer than {FEW_ROWS} training rows of {shown}: do not rely on these."
