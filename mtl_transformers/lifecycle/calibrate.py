"""Decisions, not only scores: what ``mtl calibrate`` does.

Owns the order (load, score, decide) for the tasks of a config, which tasks are left alone and why, and what is stored
of it in a model directory: the decisions in ``tasks.json``, their scores in ``metrics.json``, both in the card. Weights
and tokenizer keep their bytes. What a task decides is ``decisions.py``'s.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mtl_transformers.config import Config
from mtl_transformers.errors import ConfigError, DataError, nearest
from mtl_transformers.inference.described import split_json
from mtl_transformers.inference.multitask import MultiTaskModel
from mtl_transformers.lifecycle.abstaining import Rule
from mtl_transformers.lifecycle.contents import Content
from mtl_transformers.lifecycle.decisions import Decidable, Decided, Outcome, Wanted, decide
from mtl_transformers.lifecycle.scored_rows import ScoredRows, scored_rows
from mtl_transformers.lifecycle.storing import retold_card
from mtl_transformers.lifecycle.thresholds import F1, Target
from mtl_transformers.model import directory
from mtl_transformers.model.rewriting import check_target, rewrite
from mtl_transformers.tasks.classification import Classification
from mtl_transformers.training.scoring import encoded_splits, scored_model

SPLITS = ("validation", "test")
CROSS_FITTED = "cross_fitted"  # what the scores of such rows are called in metrics.json, behind the split's name
LEFT_ALONE: Mapping[str, str] = {
    "regression": "its answers are numbers",
    "token_classification": "its words are decided by the best tags, whatever their scale",
    "question_answering": "its answers are spans; no_answer_threshold is an option of the config",
    "multiple_choice": "its options differ from row to row",
    "ranking": "it orders candidates, and decides on none",
    "similarity": "its answers are embeddings",
    "masked_lm": "it only helps the others to train",
}
"""Why the tasks of a kind have no decisions to fit."""


@dataclass(frozen=True, slots=True)
class Calibration:
    """The decisions that were fitted.

    Attributes:
        source: the model directory.
        split: whose rows were fitted on.
        report_split: on which they were measured besides; ``None``: cross-fitted.
        num_folds: of cross-fitting.
        wanted: what for.
        tasks: by name.
        left_alone: by the name of a task, why.
    """

    source: Path
    split: str
    report_split: str | None
    num_folds: int
    wanted: Wanted
    tasks: Mapping[str, Decided]
    left_alone: Mapping[str, str]


def calibrate(
    model: str | Path,
    config: Config,
    *,
    split: str = "validation",
    report_split: str | None = None,
    tasks: Sequence[str] | None = None,
    target: Target | None = None,
    rule: Rule | None = None,
    num_folds: int = 5,
    revision: str | None = None,
) -> Calibration:
    """Fit a temperature for each classification and a threshold for each label of a multi-label task.

    Args:
        model: a directory, or a hub id; nothing is written (`store` does).
        config: where the data lie.
        split: whose labelled rows are fitted on: validation or test.
        report_split: the other one, to measure on; ``None``: each row is measured by what was fitted without its fold.
        tasks: names; ``None``: all that have decisions.
        target: of thresholds; ``None``: the highest F1.
        rule: of the least probability of a classification's answer; ``None``: it stays.
        num_folds: parts of the rows, in which equal texts stay together.
        revision: of a hub id.

    Raises:
        ConfigError: a setting that cannot be honoured.
        ModelError: the model does not load, or lacks a task.
        DataError: no labelled row in a split; a label that the model never saw.
    """
    _check_settings(split, report_split, num_folds=num_folds)
    chosen, left_alone = _chosen(config, tasks, target=target, rule=rule)
    stored = directory.load(model, revision=revision)
    narrowed = _with_tasks(config, chosen)
    scored = scored_model(MultiTaskModel.from_pretrained(stored.path), narrowed)
    rows = _rows_of(scored, narrowed, split, num_folds=num_folds)
    others = {} if report_split is None else _rows_of(scored, narrowed, report_split, num_folds=num_folds)
    wanted = Wanted(F1 if target is None else target, rule)
    decided = {}
    for name in chosen:
        task = scored.tasks[name].task
        assert isinstance(task, Decidable)  # by its kind
        decided[name] = decide(task, rows[name], wanted, report=others.get(name))
    return Calibration(stored.path, split, report_split, num_folds, wanted, decided, left_alone)


def check_place(model: str | Path, out: Path | None) -> Path:
    """Return where the calibrated model will stand, before anything is computed.

    Args:
        model: a directory, or a hub id.
        out: where it goes; ``None``: in the place of the directory.

    Raises:
        ConfigError: a model of the hub needs a place.
        FileError: the place holds something else.
    """
    if out is None and not Path(model).is_dir():
        raise ConfigError(
            f"{model}: no directory that could be written to; check the path, or for a model of the hub say with --out "
            "where the calibrated one goes"
        )
    target = Path(model) if out is None else out
    check_target(Path(model), target)
    return target


def store(calibration: Calibration, target: Path) -> None:
    """Write the model directory again with the decisions and their scores, in one step.

    ``metrics.json`` gets the metrics of the model as it is served now: on the split that was fitted on, which flatters,
    and beside them those of the rows that were not. Of a task that decides otherwise than before, scores on other
    splits are not known any more.

    Args:
        calibration: what was fitted.
        target: where it goes; the model's own directory, or a place where nothing lies.

    Raises:
        FileError: it cannot be written; what lies there is as it was.
    """
    stored = directory.load(calibration.source)
    tasks, metrics = copy.deepcopy(stored.tasks), copy.deepcopy(stored.metrics)
    for name, decided in calibration.tasks.items():
        tasks["tasks"][name] |= decisions_of(decided.after)
        scores = {} if decided.after != decided.before else metrics.get(name, {})
        metrics[name] = scores
        scores[calibration.split] = _scores(decided.fitted.after)
        scores.pop(f"{calibration.split}_{CROSS_FITTED}", None)
        if decided.held_out is not None:
            other = calibration.report_split or f"{calibration.split}_{CROSS_FITTED}"
            scores[other] = _scores(decided.held_out.after)
    card = retold_card(target, stored, Content(tasks, directory.finite(metrics), stored.heads))
    rewrite(calibration.source, target, tasks=tasks, metrics=metrics, card=card)


def decisions_of(task: Decidable) -> dict[str, Any]:
    """Return what a task decides by, as ``tasks.json`` holds it."""
    if isinstance(task, Classification):
        return {"temperature": task.temperature, "min_score": task.min_score}
    return {"thresholds": list(task.thresholds)}


def _scores(outcome: Outcome) -> dict[str, Any]:
    return split_json(outcome.metrics, baseline=outcome.baseline, num_rows=outcome.num_rows)


def _check_settings(split: str, report_split: str | None, *, num_folds: int) -> None:
    for option, value in (("--split", split), ("--report-split", report_split)):
        if value is not None and value not in SPLITS:
            raise ConfigError(
                f"{option} {value!r}: expected {' or '.join(SPLITS)}; a model is too sure of rows it was trained on"
            )
    if split == report_split:
        raise ConfigError(f"--report-split {split!r}: it is the split that is fitted on; name the other one")
    if num_folds < 2:
        raise ConfigError(f"--folds {num_folds}: expected 2 or more")


def _chosen(
    config: Config, tasks: Sequence[str] | None, *, target: Target | None, rule: Rule | None
) -> tuple[list[str], dict[str, str]]:
    """Return the tasks that are calibrated, and why others are not.

    Raises:
        ConfigError: an unknown task, one without decisions, or a setting that no task takes.
    """
    why = {name: LEFT_ALONE[task.kind] for name, task in config.tasks.items() if task.kind in LEFT_ALONE}
    for name in tasks or ():
        if name not in config.tasks:
            raise ConfigError(
                f"--tasks: unknown task {name!r}; known: {', '.join(config.tasks)}{nearest(name, config.tasks)}"
            )
        if name in why:
            raise ConfigError(f"--tasks: {name!r} has no decisions to fit: {why[name]}")
    chosen = [name for name in config.tasks if name not in why and (not tasks or name in tasks)]
    if not chosen:
        raise ConfigError("tasks: none is a classification or multi_label, which calibrate fits decisions of")
    kinds = {config.tasks[name].kind for name in chosen}
    if target is not None and "multi_label" not in kinds:
        raise ConfigError("--target is of multi_label tasks, and there is none; leave it out")
    if rule is not None and "classification" not in kinds:
        raise ConfigError("--min-score is of classifications, and there is none; leave it out")
    return chosen, {} if tasks else why


def _with_tasks(config: Config, names: Sequence[str]) -> Config:
    """Return the config with some of its tasks, and their datasets."""
    tasks = {name: config.tasks[name] for name in names}
    used = {task.data for task in tasks.values()}
    data = {name: section for name, section in config.data.items() if name in used}
    return config.model_copy(update={"tasks": tasks, "data": data})


def _rows_of(model: MultiTaskModel, config: Config, split: str, *, num_folds: int) -> dict[str, ScoredRows]:
    """Return the labelled rows of each task.

    Raises:
        DataError: a task has none.
    """
    found: dict[str, ScoredRows] = {}
    for encoded in encoded_splits(model, config, split):
        found |= scored_rows(model, encoded, num_folds=num_folds, seed=config.seed)
    if without := [name for name in config.tasks if name not in found]:
        raise DataError(
            f"no labelled row in the {split} split of {', '.join(without)}; name with --tasks those that have some, or "
            "another split"
        )
    return found
