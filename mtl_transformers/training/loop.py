"""The experiment, read top to bottom: plan, choose, forward, weigh, backward, reduce, step, log, evaluate, save.

`run` yields what happens; `train` runs it to the end. Nothing is printed here.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator

from mtl_transformers.config import Config, first_metric
from mtl_transformers.inference.multitask import MultiTaskModel
from mtl_transformers.inference.precision import resolve_precision
from mtl_transformers.model.tokenizer import pad_id
from mtl_transformers.training.evaluation import TaskScores, evaluate
from mtl_transformers.training.experiment import Experiment, prepare
from mtl_transformers.training.ledger import Ledger, check_ledger, coverage, empty_ledger, planned_ledger
from mtl_transformers.training.optimizer import (
    learning_rate_factor,
    make_optimizer,
    set_learning_rate,
    warmup_steps,
)
from mtl_transformers.training.overview import overview
from mtl_transformers.training.saving import check_output, log_line, save_model, start_run
from mtl_transformers.training.selection import Standing, chosen_score, mean_score, shortfall
from mtl_transformers.training.steps import TrainingData, steps_ahead
from mtl_transformers.training.tracking import make_accelerator, start_trackers
from mtl_transformers.training.update import Updater
from mtl_transformers.training.window import Logged, Window


@dataclass(frozen=True, slots=True)
class Planned:
    """The plan, before the first step."""

    plan: Mapping[str, Any]
    device: str
    precision: str
    num_processes: int


@dataclass(frozen=True, slots=True)
class Evaluated:
    """The validation splits were scored."""

    step: int
    scores: Mapping[str, TaskScores]
    mean: float
    is_best: bool


@dataclass(frozen=True, slots=True)
class Result:
    """What a training gave.

    Attributes:
        output: the run directory.
        best: the model directory of the best model.
        scores: of the best model on the validation splits.
        mean: mean of each task's first metric.
        best_step: after which it was found.
        num_steps: steps that were run.
        shortfall: what the best model lacks to the floors; 0 where they are met.
        coverage: rows available, rows seen and passes of each task.
        seconds: of training, evaluations included.
    """

    output: Path
    best: Path
    scores: Mapping[str, TaskScores]
    mean: float
    best_step: int
    num_steps: int
    shortfall: float
    coverage: Mapping[str, Mapping[str, Any]]
    seconds: float

    def table(self) -> str:
        """Return a plain table: each task's metrics beside the baseline that ignores the text."""
        lines = [f"{'task':<20} {'metric':<16} {'score':>8} {'baseline':>9} {'rows':>7}"]
        for name, scores in self.scores.items():
            for metric, value in scores.metrics.items():
                lines.append(
                    f"{name:<20} {metric:<16} {value:>8.4f} {scores.baseline[metric]:>9.4f} {scores.num_rows:>7}"
                )
        return "\n".join(lines)


@dataclass(frozen=True, slots=True)
class State:
    """The state of a training between two steps; with the weights and the optimizer it is all there is.

    Attributes:
        step: steps done.
        ledger: what was trained.
        best: how the best model stands.
        best_scores: its scores.
        without_better: evaluations since.
    """

    step: int
    ledger: Ledger
    best: Standing | None = None
    best_scores: Mapping[str, TaskScores] = field(default_factory=dict)
    without_better: int = 0


def train(config: Config, *, overwrite: bool = False) -> Result:
    """Train as a config says, and return what it gave.

    Args:
        config: from `load_config`.
        overwrite: replace an older run in the output directory.

    Raises:
        MTLError: whatever is wrong with config, data, encoder or output directory.
    """
    *_, last = run(config, overwrite=overwrite)
    assert isinstance(last, Result)  # the last event
    return last


def run(config: Config, *, overwrite: bool = False) -> Iterator[Planned | Logged | Evaluated | Result]:
    """Train as a config says, and yield what happens; the last event is the `Result`."""
    output = Path(config.output)
    check_output(output, overwrite=overwrite, reads=[config.encoder.name or "", config.init_from or ""])
    accelerator = make_accelerator(config)
    precision = resolve_precision(config.training.precision, accelerator.device)
    with accelerator.main_process_first():  # the others read what the first one cached
        experiment = prepare(config)
    plan = overview(experiment)
    if accelerator.is_main_process:
        start_run(output, config, plan)
    accelerator.wait_for_everyone()
    start_trackers(accelerator, config)
    yield Planned(plan, str(accelerator.device), precision, accelerator.num_processes)
    network = accelerator.prepare_model(experiment.network, evaluation_mode=True)  # placed, not wrapped
    model = MultiTaskModel(network, experiment.tokenizer, experiment.tasks, precision=precision)
    seeded = [accelerator.device] if accelerator.device.type == "cuda" else []
    with torch.random.fork_rng(seeded):
        yield from _train(experiment, model, accelerator, output)
    accelerator.end_training()


def _train(
    experiment: Experiment, model: MultiTaskModel, accelerator: Accelerator, output: Path
) -> Iterator[Logged | Evaluated | Result]:
    config, plan, train_splits = experiment.config, experiment.plan, experiment.of_split("train")
    settings = config.training
    data = TrainingData(
        splits=train_splits,
        tasks=experiment.tasks_by_dataset(),
        pad_id=pad_id(experiment.tokenizer),
    )
    optimizer = make_optimizer(
        model.network,
        learning_rate=settings.learning_rate,
        head_learning_rate=settings.head_learning_rate,
        weight_decay=settings.weight_decay,
    )
    updater = Updater(
        model.network,
        data,
        optimizer,
        accelerator,
        precision=model.precision,
        weights={name: task.weight for name, task in config.tasks.items()},
        clip=settings.clip,
        seed=config.seed,
    )
    num_warmup = warmup_steps(settings.warmup, num_steps=plan.num_steps)
    state, window, started = State(step=0, ledger=empty_ledger(train_splits)), Window(), time.perf_counter()
    for step, micro_batches in steps_ahead(plan, data, accelerator, max_tokens=settings.max_tokens):
        factor = learning_rate_factor(step, num_steps=plan.num_steps, num_warmup=num_warmup, schedule=settings.schedule)
        set_learning_rate(optimizer, factor)
        outcome = updater.step(step, micro_batches)
        state = replace(state, step=step + 1, ledger=state.ledger.add(outcome.counts))
        window.add(outcome)
        is_evaluated = state.step == plan.num_steps or _is_due(state.step, config.evaluation.every_steps)
        if is_evaluated or _is_due(state.step, config.tracking.every_steps):
            line = window.close(step=state.step, num_steps=plan.num_steps, rate=settings.learning_rate * factor)
            _write(accelerator, output, state.step, line.values())
            yield line
        if is_evaluated:
            state, event = _evaluate(experiment, model, accelerator, output, state)
            window = Window()  # its time is not training's
            yield event
            if settings.early_stop is not None and state.without_better >= settings.early_stop:
                break
    check_ledger(state.ledger, planned_ledger(plan, train_splits, num_steps=state.step))
    assert state.best is not None  # the last step is evaluated
    yield Result(
        output=output,
        best=output / "best",
        scores=state.best_scores,
        mean=mean_score({name: of.metrics for name, of in state.best_scores.items()}, first_metrics(config)),
        best_step=state.best.step,
        num_steps=state.step,
        shortfall=state.best.shortfall,
        coverage=coverage(state.ledger, train_splits),
        seconds=time.perf_counter() - started,
    )


def _evaluate(
    experiment: Experiment, model: MultiTaskModel, accelerator: Accelerator, output: Path, state: State
) -> tuple[State, Evaluated]:
    """Score the validation splits, keep the model as ``last/`` and, where it is better, as ``best/``."""
    config = experiment.config
    model.network.eval()
    scores = evaluate(model, experiment.of_split("validation"), accelerator=accelerator)
    metrics = {name: of_task.metrics for name, of_task in scores.items()}
    standing = Standing(
        step=state.step,
        score=chosen_score(metrics, chosen=config.best.metric, first_metrics=first_metrics(config)),
        shortfall=shortfall(metrics, config.best.floors),
    )
    is_best = standing.beats(state.best)
    for name in ("last", "best") if is_best else ("last",):
        if accelerator.is_main_process:
            save_model(output / name, model, experiment, scores=scores, ledger=state.ledger, step=state.step)
    mean = mean_score(metrics, first_metrics(config))
    flat = {f"eval/{task}/{name}": value for task, of in metrics.items() for name, value in of.items()}
    rows = {
        f"ledger/{task}/{name}": value
        for task, line in coverage(state.ledger, experiment.of_split("train")).items()
        for name, value in line.items()
    }
    _write(accelerator, output, state.step, {**flat, "eval/mean": mean, **rows})
    accelerator.wait_for_everyone()
    if is_best:
        state = replace(state, best=standing, best_scores=scores, without_better=0)
    else:
        state = replace(state, without_better=state.without_better + 1)
    return state, Evaluated(state.step, scores, mean, is_best)


def _is_due(step: int, every_steps: int | None) -> bool:
    return every_steps is not None and step % every_steps == 0


def first_metrics(config: Config) -> dict[str, str]:
    """Return the metric of each task that counts in the mean."""
    return {name: first_metric(task) for name, task in config.tasks.items()}


def _write(accelerator: Accelerator, output: Path, step: int, values: Mapping[str, float]) -> None:
    """Send numbers to ``metrics.jsonl`` and the trackers, once."""
    if accelerator.is_main_process:
        log_line(output, {"step": step, **values})
    accelerator.log(dict(values), step=step)
