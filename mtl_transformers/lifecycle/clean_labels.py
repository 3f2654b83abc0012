"""Which labels of a config's training rows are probably wrong: what ``mtl clean-labels`` does.

Owns the order (prepare, fold, train and answer, judge, rank) and what the review file says of a row. The file's format
is ``data/review.py``'s.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mtl_transformers.config import Config
from mtl_transformers.data.fingerprints import normalized_texts
from mtl_transformers.data.review import row_keys, write_review
from mtl_transformers.errors import ConfigError, FileError, nearest
from mtl_transformers.lifecycle.folds import folds_of
from mtl_transformers.lifecycle.items import JUDGED, Items, Read, can_be_judged, joined, read_rows, shown_items
from mtl_transformers.lifecycle.out_of_fold import Answered, Trained, out_of_fold
from mtl_transformers.lifecycle.suspects import Judged, Ranking, check_cleanlab, judge, rank
from mtl_transformers.training.experiment import Experiment, prepare

MOST_TEXT = 200  # characters of a text that the file shows

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Report:
    """What was found.

    Attributes:
        rankings: every labelled training row of each task, by task.
        lines: the rows that are listed, as the review file holds them.
    """

    rankings: Mapping[str, Ranking]
    lines: Sequence[Mapping[str, Any]]


def clean_labels(
    config: Config,
    out: Path,
    *,
    num_folds: int = 5,
    tasks: Sequence[str] | None = None,
    share: float | None = None,
    overwrite: bool = False,
) -> Iterator[Trained | Report]:
    """Rank the labels of the training rows, and write those that are probably wrong into a review file.

    Args:
        config: all its tasks are trained together; reviews that it names are not read.
        out: the review file.
        num_folds: parts of the rows, each answered by a model that was trained on the others.
        tasks: whose labels are ranked; ``None``: of all tasks whose kind allows it.
        share: of each task's labelled rows that are listed; ``None``: those that are probably wrong.
        overwrite: replace a file that lies there.

    Yields:
        What was trained, and last the report.

    Raises:
        MTLError: whatever is wrong with config, data or encoder, or `out` is taken.
    """
    check_cleanlab()
    chosen = _chosen(config, tasks)
    _check_settings(out, num_folds=num_folds, share=share, overwrite=overwrite)
    experiment = prepare(_without_reviews(config))
    train = experiment.of_split("train")
    folds = {
        name: folds_of(normalized_texts(split.table, _text(experiment, name)), num_folds=num_folds, seed=config.seed)
        for name, split in train.items()
    }
    parts: dict[str, list[Items]] = {name: [] for name in chosen}
    for event in out_of_fold(experiment, folds, num_folds=num_folds):
        if isinstance(event, Answered):
            for name in chosen:
                parts[name] += [event.items[name]] if name in event.items else []
            continue
        if event.step == event.num_steps:
            _LOG.info("fold %d of %d: trained on the others, %d steps", event.fold + 1, num_folds, event.num_steps)
        yield event
    judged = {name: judge(joined(of)) for name, of in parts.items()}
    rankings = {name: rank(of) for name, of in judged.items()}
    lines = [line for name in chosen for line in _lines(experiment, judged[name], rankings[name], name, share=share)]
    write_review(out, lines)
    yield Report(rankings, lines)


def _chosen(config: Config, tasks: Sequence[str] | None) -> list[str]:
    """Return the tasks whose labels are ranked.

    Raises:
        ConfigError: an unknown task, or one whose labels are no names.
    """
    legal = [name for name, task in config.tasks.items() if can_be_judged(task.kind, task.kind_options)]
    for name in tasks or ():
        if name not in config.tasks:
            raise ConfigError(
                f"--tasks: unknown task {name!r}; known: {', '.join(config.tasks)}{nearest(name, config.tasks)}"
            )
        if name not in legal:
            raise ConfigError(f"--tasks: the labels of {name!r} are no names; clean-labels ranks {', '.join(JUDGED)}")
    if not legal:
        raise ConfigError(f"tasks: none has labels that clean-labels can rank; it ranks {', '.join(JUDGED)}")
    return [name for name in legal if not tasks or name in tasks]


def _check_settings(out: Path, *, num_folds: int, share: float | None, overwrite: bool) -> None:
    """Refuse what could not be honoured after all the trainings."""
    if num_folds < 2:
        raise ConfigError(f"--folds {num_folds}: expected 2 or more")
    if share is not None and not 0 < share <= 1:
        raise ConfigError(f"--share {share}: expected more than 0, and at most 1")
    if out.exists() and not overwrite:
        raise FileError(f"{out}: lies there, perhaps with a person's edits; choose another --out, or --overwrite it")
    if not out.parent.is_dir():
        raise FileError(f"{out}: there is no directory {out.parent}; make it, or choose another --out")


def _without_reviews(config: Config) -> Config:
    """Return the config without reviews: their files may not be there yet, and all labels are looked at."""
    tasks = {name: task.model_copy(update={"review": None}) for name, task in config.tasks.items()}
    return config.model_copy(update={"tasks": tasks})


def _text(experiment: Experiment, dataset: str) -> tuple[str, ...]:
    """Return the text columns of a dataset."""
    return experiment.tables[dataset].spec.text


def _lines(
    experiment: Experiment, judged: Judged, ranking: Ranking, name: str, *, share: float | None
) -> Iterator[dict[str, Any]]:
    """Yield the listed rows of a task, the worst first."""
    served = experiment.tasks[name]
    split = experiment.splits[served.dataset]["train"]
    num_listed = ranking.num_suspects if share is None else round(share * len(ranking.rows))
    rows = ranking.rows[:num_listed].tolist()
    keys = row_keys(
        split.table, text=_text(experiment, split.dataset), label=served.task.label_columns(served.task.options)
    )
    read = read_rows(split, split.input_of(name), rows)
    labels = split.labels_of(rows)[name] if rows else []
    places, ids = split.places.of(rows), split.ids_of(rows)
    for n, row in enumerate(rows):
        one = Read(read.features[n : n + 1], read.texts[n : n + 1], read.form)
        at = _at_fault(judged, row)
        given, suggested = shown_items(
            served.task,
            labels[n],
            judged.items.places[at].tolist(),
            judged.items.labels[at].tolist(),
            judged.items.probabilities[at].argmax(axis=1).tolist(),
            one,
        )
        yield {
            "dataset": split.dataset,
            "split": split.split,
            "row": int(split.numbers[row]),
            "place": places[n],
            "id": ids[n],
            "text": read.texts[n][:MOST_TEXT],
            "task": name,
            "given": given,
            "suggested": suggested,
            "score": float(ranking.scores[n]),
            "key": keys[row],
            "keep": False,
        }


def _at_fault(judged: Judged, row: int) -> NDArray[np.int64]:
    """Return which items of a row are probably wrong; where none is, the worst one."""
    start, end = np.searchsorted(judged.items.rows, [row, row + 1])
    wrong = np.flatnonzero(judged.wrong[start:end])
    return np.asarray(start + (wrong if len(wrong) else [judged.scores[start:end].argmin()]))
