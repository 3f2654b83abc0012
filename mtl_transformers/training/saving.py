"""What a training leaves behind: the run directory, and model directories with their cards.

Owns which of our files lie in a run directory and when one may be replaced. The format of a model directory is
``model/directory.py``'s.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from mtl_transformers.config import Config, card_words
from mtl_transformers.data.loading import is_hub_dataset
from mtl_transformers.errors import CheckpointError, MTLError
from mtl_transformers.inference.described import (
    DATASETS,
    WORDS,
    card_of,
    datasets_json,
    defined,
    model_name,
    split_json,
    words_json,
)
from mtl_transformers.inference.multitask import MultiTaskModel
from mtl_transformers.model import directory
from mtl_transformers.model.card import CardDataset, public_name, render_card
from mtl_transformers.storage.files import append_line, disk_errors, replace_file, write_file
from mtl_transformers.storage.swap import replacing, tidy_swap
from mtl_transformers.training.evaluation import TaskScores
from mtl_transformers.training.experiment import Experiment
from mtl_transformers.training.ledger import Ledger

CONFIG, PLAN, METRICS = "config.yaml", "plan.json", "metrics.jsonl"
CHECKPOINTS = "checkpoints"


def check_output(output: Path, *, overwrite: bool, resume: bool, reads: Iterable[str] = ()) -> None:
    """Refuse an output directory that holds another run, or anything that is not ours.

    Args:
        output: the run directory.
        overwrite: an older run may be replaced.
        resume: an older run is continued.
        reads: directories that the run starts from; one that would be replaced with the older run is refused.

    Raises:
        CheckpointError: with what to do.
    """
    if overwrite and resume:
        raise CheckpointError(f"{output}: continue the run that lies there, or replace it? Leave one of the two out")
    if not output.exists() or (output.is_dir() and not any(output.iterdir())):
        return
    ours = (output / CONFIG).is_file() and (output / PLAN).is_file()
    if not ours:
        raise CheckpointError(
            f"{output}: holds something that is no run of ours (no {CONFIG} and {PLAN}); choose another"
        )
    if resume:
        return
    if not overwrite:
        raise CheckpointError(
            f"{output}: holds another run; continue it with --resume, replace it with --overwrite, or choose another "
            "output"
        )
    for name in reads:
        if name and output.resolve() in (Path(name).resolve(), *Path(name).resolve().parents):
            raise CheckpointError(f"{name} lies in {output}, which --overwrite would remove; choose another output")


def open_run(
    output: Path,
    config: Config,
    plan: Mapping[str, Any],
    *,
    is_continued: bool,
    overwrite: bool,
    step: int,
    is_evaluated: bool,
) -> None:
    """Make the run directory, or go on with the one that is there.

    Args:
        output: the run directory.
        config: resolved, it is written there.
        plan: the table, likewise.
        is_continued: go on with the run that is there.
        overwrite: else replace one that is there.
        step: that was reached before.
        is_evaluated: the model was scored after that step; else it will be, where that is due.

    Raises:
        CheckpointError: a run appeared there since the output was looked at.
        FileError: it cannot be written.
    """
    if is_continued:
        _describe_run(output, config, plan)
        _tidy_models(output)
        _cut_log(output, step=step, is_evaluated=is_evaluated)
    elif (output / PLAN).is_file() and not overwrite:
        raise CheckpointError(f"{output}: another training began there meanwhile; choose another output")
    else:
        _start_run(output, config, plan)


def _start_run(output: Path, config: Config, plan: Mapping[str, Any]) -> None:
    """Make the run directory, in place of an older run, with the resolved config and the plan."""
    place = output.resolve()  # of a link, what it points to
    with replacing(place, marker=PLAN) as new:
        _describe_run(new, config, plan)
        write_file(new / METRICS, b"")


def _tidy_models(output: Path) -> None:
    """Finish interrupted replacements. Models of a later step stay: they are those that will be written again."""
    for name in ("best", "last"):
        tidy_swap(output.resolve() / name, marker=directory.TASKS)


def _cut_log(output: Path, *, step: int, is_evaluated: bool) -> None:
    """Cut from the log what came after a step, and lines that were cut short."""
    path = output / METRICS
    with disk_errors(path):
        lines = path.read_bytes().splitlines() if path.exists() else []
    kept = [line for line in lines if _is_until(line, step=step, is_evaluated=is_evaluated)]
    replace_file(path, b"".join(line + b"\n" for line in kept))


def _describe_run(output: Path, config: Config, plan: Mapping[str, Any]) -> None:
    replace_file(output / CONFIG, config.to_yaml().encode())
    replace_file(output / PLAN, f"{json.dumps(plan, indent=2, ensure_ascii=False)}\n".encode())


def _is_until(line: bytes, *, step: int, is_evaluated: bool) -> bool:
    """Tell whether a line of the log belongs to what was done."""
    try:
        entry = json.loads(line)
        number, is_score = int(entry["step"]), "eval/mean" in entry
        return number < step or (number == step and (is_evaluated or not is_score))
    except (ValueError, KeyError, TypeError):
        return False


def log_line(output: Path, entry: Mapping[str, float]) -> None:
    """Append one line to ``metrics.jsonl``; a number that is not finite is null, as JSON has none.

    Raises:
        FileError: the disk is full, or whatever else the system reports.
    """
    append_line(output / METRICS, json.dumps(defined(entry), ensure_ascii=False))


def model_step(path: Path) -> int | None:
    """Return after which step a model directory of a run was written; ``None`` where there is no valid one."""
    try:
        step = directory.load(path).tasks.get("step")
    except MTLError:
        return None
    return step if isinstance(step, int) else None


def save_model(
    path: Path,
    model: MultiTaskModel,
    experiment: Experiment,
    *,
    scores: Mapping[str, TaskScores],
    ledger: Ledger,
    step: int,
) -> None:
    """Write a model directory with the scores of its validation split."""
    served = {name: replace(task, rows_seen=ledger.labelled_rows[name]) for name, task in model.tasks.items()}
    described = MultiTaskModel(
        model.network, model.tokenizer, served, precision=model.precision, encoder_name=experiment.encoder_name
    )
    encoder = model.network.encoder
    frozen = experiment.config.encoder.freeze == "all" and encoder.path is not None
    datasets, words = _datasets(experiment, ledger), card_words(experiment.config.card)
    metrics = _metrics(scores)
    card = card_of(
        model_name(path),
        encoder=public_name(experiment.encoder_name),
        tasks=served,
        metrics=metrics,
        datasets=datasets,
        words=words,
    )
    told = {DATASETS: datasets_json(datasets), WORDS: words_json(words)}
    directory.save(
        path,
        encoder=encoder,
        tokenizer=model.tokenizer,
        heads=model.network.heads_state(),
        tasks={**described.tasks_json(), **told, "step": step},
        metrics=metrics,
        card=render_card(card),
        encoder_source=encoder.path if frozen else None,
    )


def _metrics(scores: Mapping[str, TaskScores]) -> dict[str, Any]:
    """Return the content of ``metrics.json``."""
    return {
        name: {"validation": split_json(of.metrics, baseline=of.baseline, num_rows=of.num_rows)}
        for name, of in scores.items()
    }


def _datasets(experiment: Experiment, ledger: Ledger) -> list[CardDataset]:
    """Return what a model directory tells of the training's datasets."""
    data = experiment.config.data
    return [
        CardDataset(
            name=dataset,
            num_rows=len(split),
            rows_seen=ledger.rows[dataset],
            hub_id=data[dataset].path if _is_of_the_hub(data[dataset].path) else None,
            config_name=data[dataset].name,
            revision=data[dataset].revision,
            license=data[dataset].license,
        )
        for dataset, split in experiment.of_split("train").items()
    ]


def _is_of_the_hub(path: str) -> bool:
    """Tell whether a dataset's path names one of the hub: a folder ``clients/acme`` on this machine looks like one."""
    return is_hub_dataset(path) and not Path(path).exists()
