"""The model card: plain values in, the text of README.md out.

Owns the words of the card, the hub's metadata block, and what stands in neither: the paths of the machine
that trained. Does not read files or know what a kind of task is: the caller describes each task, score and
dataset.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path, PureWindowsPath
from typing import Any

from huggingface_hub import CardData, EvalResult
from huggingface_hub.repocard_data import eval_results_to_model_index

LIBRARY = "mtl_transformers"
MOST_LABELS_SHOWN = 30
"""Label names of a task beyond this number are counted, not listed."""

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
    """

    split: str
    metric: str
    value: float | None
    num_rows: int


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
    """

    name: str
    kind: str
    hub_task: str
    dataset: str
    labels: Sequence[str] = ()
    scores: Sequence[CardScore] = ()


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
    """

    name: str
    num_rows: int | None
    rows_seen: int
    hub_id: str | None = None
    config_name: str | None = None
    revision: str | None = None


@dataclass(frozen=True, slots=True)
class Card:
    """Everything that a model card tells.

    Attributes:
        name: the model's name, no path.
        encoder: the encoder's name as configured; shown only when it is a hub id or ``package:…``.
        max_length: tokens of the longest text that the encoder is given.
        tasks: the tasks in order.
        datasets: the training mixture in order.
        language: ISO codes of the texts' languages; empty when unknown.
        license: the licence as the hub spells it; ``None`` when none is given.
    """

    name: str
    encoder: str
    max_length: int
    tasks: Sequence[CardTask]
    datasets: Sequence[CardDataset]
    language: Sequence[str] = ()
    license: str | None = None


def is_hub_id(name: str) -> bool:
    """Return whether a name has the form ``owner/name``; that of a relative directory can look the same."""
    return _HUB_ID.fullmatch(name) is not None


def public_name(name: str) -> str:
    """Return what may be told of an encoder: a hub id or ``package:…`` as it is, of a path the last part only.

    A path tells of the machine and of whose it is. What exists here is a path, even where it looks like a hub id.
    """
    named = is_hub_id(name) or _PACKAGE.fullmatch(name) is not None or not re.search(r"[/\\~]", name)
    if named and not ("/" in name and Path(name).exists()):
        return name
    return PureWindowsPath(name).name or "local"  # which cuts at / and \


def render_card(card: Card) -> str:
    """Write the text of README.md: the hub's metadata block, then a page for a person.

    Returns:
        Markdown that ``huggingface_hub.ModelCard`` parses; its ``eval_results`` hold each defined score once.
    """
    sections = [
        f"# {_text(card.name)}",
        _introduction(card),
        "## Tasks and scores",
        _task_table(card.tasks),
        *(_labels(task) for task in card.tasks if task.labels),
        "## Training mixture",
        _mixture_table(card.datasets),
        "## How to load it",
        _loading(card),
        "## Limits",
        _limits(card),
    ]
    return f"---\n{_metadata(card)}\n---\n\n" + "\n\n".join(sections) + "\n"


def _metadata(card: Card) -> str:
    """Return the YAML block.

    The model-index is built task by task: in one call the hub's function merges tasks that share a dataset.
    """
    datasets = {dataset.name: dataset for dataset in card.datasets}
    hub_ids = [hub_id for hub_id in map(_hub_id, card.datasets) if hub_id is not None]
    data: dict[str, Any] = {
        "language": list(card.language),
        "license": card.license,
        "library_name": LIBRARY,
        "base_model": card.encoder if is_hub_id(card.encoder) else None,
        "datasets": list(dict.fromkeys(hub_ids)),
        "pipeline_tag": _pipeline_tag(card.tasks),
        "tags": ["multi-task", *dict.fromkeys(task.hub_task for task in card.tasks)],
    }
    entries = [entry for task in card.tasks for entry in _index(card.name, _results(task, datasets[task.dataset]))]
    if entries:
        data["model-index"] = [{"name": card.name, "results": entries}]
    return CardData(**{key: value for key, value in data.items() if value}).to_yaml()


def _index(name: str, results: list[EvalResult]) -> list[dict[str, Any]]:
    entries: list[dict[str, Any]] = eval_results_to_model_index(name, results)[0]["results"]
    return entries


def _results(task: CardTask, dataset: CardDataset) -> list[EvalResult]:
    """Return the defined scores of a task as the hub's records."""
    hub_id = _hub_id(dataset)
    return [
        EvalResult(
            task_type=task.hub_task,
            task_name=task.name,
            dataset_type=hub_id or dataset.name,
            dataset_name=dataset.name,
            dataset_config=dataset.config_name if hub_id else None,
            dataset_revision=dataset.revision if hub_id else None,
            dataset_split=score.split,
            metric_type=_metric(score.metric),
            metric_name=f"{task.name}/{_metric(score.metric)}",
            metric_value=score.value,
        )
        for score in task.scores
        if score.value is not None
    ]


def _hub_id(dataset: CardDataset) -> str | None:
    """Return the dataset's id on the hub; a path given in its place is none."""
    return dataset.hub_id if dataset.hub_id is not None and is_hub_id(dataset.hub_id) else None


def _pipeline_tag(tasks: Sequence[CardTask]) -> str | None:
    """Return what most tasks are to the hub, the first of equals: it lists a model under one tag only."""
    return next((tag for tag, _ in Counter(task.hub_task for task in tasks).most_common(1)), None)


def _introduction(card: Card) -> str:
    number = "one task" if len(card.tasks) == 1 else f"{len(card.tasks)} tasks"
    return (
        f"One encoder with a named head for each task: {number} answered from one encoder pass. "
        f"Trained with `{LIBRARY}`, starting from {_encoder(card.encoder)}."
    )


def _encoder(name: str) -> str:
    """Name the encoder; a local directory stays unnamed."""
    if is_hub_id(name):
        return f"[{name}](https://huggingface.co/{name})"
    return f"`{name}`" if _PACKAGE.fullmatch(name) else "a local encoder"


def _task_table(tasks: Sequence[CardTask]) -> str:
    rows = []
    for task in tasks:
        fixed = [
            f"`{task.name}`",
            task.kind,
            _text(task.dataset),
            str(len(task.labels)) if task.labels else "–",
        ]
        rows += [[*fixed, *cells] for cells in _score_cells(task.scores)]
    return _table(["task", "kind", "dataset", "labels", "split", "rows", "scores"], rows)


def _score_cells(scores: Sequence[CardScore]) -> list[list[str]]:
    """Return (split, rows, scores) cells, one line a split; one line for a task that was never scored."""
    lines: dict[tuple[str, int], list[str]] = {}
    for score in scores:
        value = "undefined" if score.value is None else f"{score.value:.4f}"
        lines.setdefault((score.split, score.num_rows), []).append(f"{_metric(score.metric)} {value}")
    if not lines:
        return [["–", "–", "not scored"]]
    return [[_text(split), f"{rows:,}", _text(", ".join(cells))] for (split, rows), cells in lines.items()]


def _metric(name: str) -> str:
    """Return a metric's name; of ``evaluate:<id or path>`` only the last part, which is no path."""
    prefix, colon, place = name.partition(":")
    return f"{prefix}:{PureWindowsPath(place).stem}" if colon else name


def _labels(task: CardTask) -> str:
    shown = ", ".join(_code(label) for label in task.labels[:MOST_LABELS_SHOWN])
    more = len(task.labels) - MOST_LABELS_SHOWN
    return f"Labels of `{task.name}`: {shown}" + (f" and {more:,} more (see tasks.json)." if more > 0 else ".")


def _mixture_table(datasets: Sequence[CardDataset]) -> str:
    total = sum(dataset.rows_seen for dataset in datasets) or 1
    rows = [
        [
            _text(dataset.name),
            _source(dataset),
            "–" if dataset.num_rows is None else f"{dataset.num_rows:,}",
            f"{dataset.rows_seen:,}",
            f"{dataset.rows_seen / total:.1%}",
            f"{dataset.rows_seen / dataset.num_rows:.2f}" if dataset.num_rows else "–",
        ]
        for dataset in datasets
    ]
    return _table(["dataset", "source", "train rows", "rows seen", "share", "passes"], rows)


def _source(dataset: CardDataset) -> str:
    """Name where a dataset came from; files stay unnamed."""
    hub_id = _hub_id(dataset)
    if hub_id is None:
        return "local files"
    details = ", ".join(_text(part) for part in (dataset.config_name, dataset.revision) if part)
    link = f"[{hub_id}](https://huggingface.co/datasets/{hub_id})"
    return f"{link} ({details})" if details else link


def _loading(card: Card) -> str:
    named = ", ".join(f'"{task.name}"' for task in card.tasks[:1])
    return f"""\
With `{LIBRARY}`, every task by its name (`directory` is this directory or its hub id):

```python
from {LIBRARY} import MultiTaskModel

model = MultiTaskModel.from_pretrained(directory)
model.predict(["a text"])                  # every task whose columns are given
model.predict(["a text"], tasks=[{named}])
```

Without it, as a plain encoder with its tokenizer (the heads are in `heads.safetensors`, described by
`tasks.json`):

```python
from transformers import AutoModel, AutoTokenizer

tokenizer = AutoTokenizer.from_pretrained(directory)
encoder = AutoModel.from_pretrained(directory)
```"""


def _limits(card: Card) -> str:
    return f"""\
- Texts are cut at {card.max_length} tokens; what lies behind is not read.
- A task that has labels answers with those above and no others, whatever the text is about.
- The scores above hold for rows like those of the named splits. Other sources, languages or times were not
  measured.
- The biases of the encoder and of the training data are in the predictions too."""


def _table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    return "\n".join("| " + " | ".join(cells) + " |" for cells in (header, ["---"] * len(header), *rows))


def _text(value: str) -> str:
    """Escape what Markdown would read as a table's border, a link or markup, and keep it on one line."""
    return re.sub(r"([\\|`*_\[\]<>#])", r"\\\1", " ".join(value.split()))


def _code(value: str) -> str:
    """Quote a name as code, with a fence longer than any run of backticks in it."""
    line = " ".join(value.split())
    fence = "`" * (1 + max((len(run) for run in re.findall("`+", line)), default=0))
    return f"{fence} {line} {fence}" if "`" in line else f"{fence}{line}{fence}"
