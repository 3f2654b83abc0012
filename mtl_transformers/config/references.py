"""What one section says of another: datasets, tasks and metrics by name.

Works on the raw config, so that it finds what is wrong in one section while another is broken. What a section
says of itself was checked by the section; here a broken value is passed over.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping

from mtl_transformers.config.tasks import (
    TaskConfig,
    first_metric,
    is_legal,
    legal_metrics,
    option_problems,
    readable_task,
    rows_of_unit,
)
from mtl_transformers.errors import nearest
from mtl_transformers.metrics.named import FOREIGN, averageable, metric
from mtl_transformers.tasks.kinds import KINDS

_SECRET = re.compile(r"\bhf_[A-Za-z0-9]{20,}|://[^/\s:@]+:[^/\s@]+@")  # a token of the hub; a password in an address


def reference_problems(raw: Mapping[str, object]) -> list[str]:
    """Return names that stand for nothing, metrics that do not fit, and settings that nothing uses."""
    datasets, entries = list(_mapping(raw, "data")), _mapping(raw, "tasks")
    read = {name: readable_task(entry) for name, entry in entries.items()}
    tasks = {name: task for name, task in read.items() if task is not None}
    problems = [*_metric_problems(tasks), *_option_problems(tasks), *_unit_problems(tasks)]
    problems += _grouping_problems(_mapping(raw, "data"), tasks)
    if datasets and entries:
        problems += [
            *_dataset_problems(datasets, {name: _mapping(entries, name).get("data") for name in entries}),
            *_weight_problems(datasets, _mapping(_mapping(raw, "mixing"), "weights")),
        ]
    problems += [*_start_problems(raw), *_secret_problems(raw)]
    return problems + list(_best_problems(_mapping(raw, "best"), tasks, unread=entries.keys() - tasks.keys()))


def _mapping(values: Mapping[str, object], key: str) -> Mapping[str, object]:
    value = values.get(key)
    return {str(name): entry for name, entry in value.items()} if isinstance(value, Mapping) else {}


def _secret_problems(value: object, place: str = "") -> Iterator[str]:
    """Secrets: the config is saved beside the results and shown, so none may stand in it; the message hides it."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _secret_problems(inner, f"{place}.{key}" if place else str(key))
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from _secret_problems(inner, place)
    elif isinstance(value, str) and _SECRET.search(value):
        yield (
            f"{place}: holds a token or a password, and the config is saved with the results. Remove it: "
            "`hf auth login` or HF_TOKEN gives the hub's, and a file behind a password is fetched beforehand"
        )


def _start_problems(raw: Mapping[str, object]) -> Iterator[str]:
    """An encoder is named once: by itself, or as part of the model to start from."""
    encoder, start = _mapping(raw, "encoder"), raw.get("init_from")
    if start is None and encoder.get("name") is None:
        yield "encoder.name: missing; name an encoder, or a model directory of ours as init_from"
    for key in ("name", "revision"):
        if start is not None and encoder.get(key) is not None:
            yield f"encoder.{key}: init_from brings its own encoder; remove one of the two"


def _dataset_problems(datasets: list[str], read_from: Mapping[str, object]) -> Iterator[str]:
    """Datasets of no task, and tasks of no dataset; a name that was probably meant is in use."""
    used = set()
    for task, dataset in read_from.items():
        if not isinstance(dataset, str):  # nobody knows which one it reads
            used.update(datasets)
            continue
        meant = nearest(dataset, datasets)
        used |= {dataset, *(name for name in datasets if repr(name) in meant)}
        if dataset not in datasets:
            yield f"tasks.{task}.data: unknown dataset {dataset!r}; known: {', '.join(datasets)}{meant}"
    for dataset in datasets:
        if dataset not in used:
            yield f"data.{dataset}: no task reads it; add a task with data: {dataset}, or remove it"


def _weight_problems(datasets: list[str], weights: Iterable[str]) -> Iterator[str]:
    for name in weights:
        if name not in datasets:
            known = ", ".join(datasets)
            yield f"mixing.weights.{name}: unknown dataset; known: {known}{nearest(name, datasets)}"


def _metric_problems(tasks: Mapping[str, TaskConfig]) -> Iterator[str]:
    for name, task in tasks.items():
        legal = legal_metrics(task)
        for chosen in task.metrics:
            if not is_legal(chosen, task):
                yield (
                    f"tasks.{name}.metrics: {chosen!r} does not score this task; expected {', '.join(legal)} "
                    f"or {FOREIGN}<id or path>{nearest(chosen, legal)}"
                )


def _option_problems(tasks: Mapping[str, TaskConfig]) -> Iterator[str]:
    for name, task in tasks.items():
        for option, problem in option_problems(task).items():
            yield f"tasks.{name}.{option}: {problem}"


def _grouping_problems(data: Mapping[str, object], tasks: Mapping[str, TaskConfig]) -> Iterator[str]:
    """Tasks that group the rows of a dataset, and others on it: all read the same rows."""
    first: dict[str, str] = {}
    for name, task in tasks.items():
        if KINDS[task.kind].groups_rows:
            first.setdefault(task.data, name)
    for name, task in tasks.items():
        grouping = first.get(task.data)
        if grouping is None:
            continue
        kind, options = KINDS[task.kind], task.kind_options
        if name == grouping:
            text = _mapping(data, task.data).get("text")
            if isinstance(text, str):
                yield f"data.{task.data}.text: {kind.kind} reads a query and its candidates, as [query, candidate]"
        elif kind.groups_rows:
            expected = tasks[grouping].kind_options.group
            if options.group != expected:
                yield f"tasks.{name}.group: {options.group!r}, but {grouping} groups {task.data} by {expected!r}"
        elif kind.label_columns(options):
            yield (
                f"tasks.{name}.data: {grouping} groups the rows of {task.data} by queries, and {kind.kind} reads "
                f"them one by one. Name the file once more as another dataset, and read that one"
            )


def _unit_problems(tasks: Mapping[str, TaskConfig]) -> Iterator[str]:
    """Tasks that compare rows of one dataset with each other: its steps are cut into units once."""
    first: dict[str, str] = {}
    for name, task in tasks.items():
        size = rows_of_unit(task)
        if size == 1:
            continue
        other = first.setdefault(task.data, name)
        if size != (others := rows_of_unit(tasks[other])):
            yield (
                f"tasks.{name}.group_size: {size}, but {other} compares {others} rows of {task.data}; the rows of a "
                "step are grouped once for each dataset, so give both the same"
            )


def _best_problems(
    best: Mapping[str, object], tasks: Mapping[str, TaskConfig], *, unread: Iterable[str]
) -> Iterator[str]:
    chosen = best.get("metric", "mean")
    if chosen == "mean":
        yield from _mean_problems(tasks)
    elif isinstance(chosen, str):
        yield from _score_problems("best.metric", chosen, tasks, unread=unread)
    for name in _mapping(best, "floors"):
        yield from _score_problems(f"best.floors.{name}", name, tasks, unread=unread)


def _mean_problems(tasks: Mapping[str, TaskConfig]) -> Iterator[str]:
    for name, task in tasks.items():
        first = first_metric(task)
        if is_legal(first, task) and not averageable(metric(first)):
            yield (
                f"best.metric: mean cannot hold {name}/{first}: it is unbounded, better when lower, or of unknown "
                f"range. Put another metric first in tasks.{name}.metrics, or set best.metric to one task/metric"
            )


def _score_problems(place: str, score: str, tasks: Mapping[str, TaskConfig], *, unread: Iterable[str]) -> Iterator[str]:
    """Tell a ``task/metric`` that no evaluation computes."""
    known = [f"{name}/{chosen}" for name, task in tasks.items() for chosen in task.metrics or [first_metric(task)]]
    name, _, chosen = score.partition("/")
    if score in known or name in unread:
        return
    if name in tasks and is_legal(chosen, tasks[name]):
        yield f"{place}: {score!r} is not scored; add {chosen} to tasks.{name}.metrics"
    else:
        yield f"{place}: {score!r} is not scored; known: {', '.join(known)}{nearest(score, known)}"
