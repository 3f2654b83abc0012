"""The experiment, read top to bottom: plan, choose, forward, weigh, backward, reduce, step, log, evaluate, save.

`run` yields what happens; `train` runs it to the end. Nothing is printed here.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator, Mapping
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator

from mtl_transformers.config import Config
from mtl_transformers.errors import CheckpointError, Interrupted
from mtl_transformers.inference.multitask import MultiTaskModel
from mtl_transformers.inference.precision import Precision, resolve_precision
from mtl_transformers.training.checkpoint import checkpoint_path, prune
from mtl_transformers.training.evaluation import TaskScores
from mtl_transformers.training.experiment import Experiment, prepare
from mtl_transformers.training.ledger import check_ledger, coverage, planned_ledger
from mtl_transformers.training.optimizer import learning_rate_factor, make_optimizer, set_learning_rate, warmup_steps
from mtl_transformers.training.overview import overview
from mtl_transformers.training.reduce import from_main_process, largest_request
from mtl_transformers.training.resume import identity
from mtl_transformers.training.run import (
    Evaluated,
    Run,
    first_metrics,
    first_state,
    restore,
    save,
    score,
    without_lost_best,
    write_numbers,
)
from mtl_transformers.training.saving import open_run
from mtl_transformers.training.selection import mean_score
from mtl_transformers.training.starting import Start, find_start, lock_run
from mtl_transformers.training.state import State
from mtl_transformers.training.steps import StepReader, training_data
from mtl_transformers.training.stopping import Request, Stops, listening
from mtl_transformers.training.tracking import make_accelerator, open_trackers
from mtl_transformers.training.trouble import leave_out, with_smaller_micro_batches
from mtl_transformers.training.update import NotFinite, Outcome, OutOfMemory, Updater
from mtl_transformers.training.window import Logged, Stopwatch, Window


@dataclass(frozen=True, slots=True)
class Planned:
    """The plan, before the first step.

    Attributes:
        plan: the table.
        device: where it is trained.
        precision: of the forward pass.
        num_processes: that share each step.
        first_step: steps that were done before.
    """

    plan: Mapping[str, Any]
    device: str
    precision: str
    num_processes: int
    first_step: int = 0


@dataclass(frozen=True, slots=True)
class Stopped:
    """The training was asked to stop, and saved what it needs to go on.

    Attributes:
        step: steps done.
        checkpoint: the newest one; ``None`` where none could be written.
        request: what asked.
    """

    step: int
    checkpoint: Path | None
    request: Request


@dataclass(frozen=True, slots=True)
class Result:
    """What a training gave.

    Attributes:
        output: the run directory.
        best: the model directory of the best model.
        scores: of the best model on the validation splits.
        mean: mean of each task's first metric.
        best_step: after which it was found.
        first_step: steps that were done before this training went on.
        num_steps: steps of the run.
        shortfall: what the best model lacks to the floors; 0 where they are met.
        coverage: rows available, rows seen, passes and rows left out of each task.
        seconds: of this training, evaluations included; of a resumed one, since then.
    """

    output: Path
    best: Path
    scores: Mapping[str, TaskScores]
    mean: float
    best_step: int
    first_step: int
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


Event = Planned | Logged | Evaluated | Stopped | Result


class _Asked(Exception):  # leaves an evaluation
    """Some process was asked to stop."""

    def __init__(self, request: Request) -> None:
        super().__init__(request)
        self.request = request


def train(
    config: Config, *, overwrite: bool = False, resume: bool | str | Path = False, allow_config_change: bool = False
) -> Result:
    """Train as a config says, and return what it gave.

    Args:
        config: from `load_config`.
        overwrite: replace an older run in the output directory.
        resume: go on with the run in the output directory, from its newest valid checkpoint or from the beginning; a
            path: from that checkpoint.
        allow_config_change: resume though the config differs from that of the checkpoint.

    Raises:
        Interrupted: a signal or ``training.max_minutes`` stopped it; the checkpoint is written.
        MTLError: whatever is wrong with config, data, encoder, checkpoint or output directory.
    """
    *_, last = run(config, overwrite=overwrite, resume=resume, allow_config_change=allow_config_change)
    if isinstance(last, Stopped):
        raise Interrupted(f"{last.request.reason} stopped the training after step {last.step}; resume goes on there")
    assert isinstance(last, Result)  # the last event
    return last


def run(
    config: Config,
    *,
    overwrite: bool = False,
    resume: bool | str | Path = False,
    allow_config_change: bool = False,
    anew: Collection[str] = (),
) -> Iterator[Event]:
    """Yield what happens; last the `Result`, or that it was `Stopped`. `anew`: as in `prepare`."""
    accelerator = make_accelerator(config)
    precision = resolve_precision(config.training.precision, accelerator.device)
    with ExitStack() as stack:
        begin = partial(find_start, config, overwrite=overwrite, resume=resume, allow_config_change=allow_config_change)
        start = from_main_process(lambda: begin(locks=stack), accelerator)
        with accelerator.main_process_first():  # the others read what the first one cached
            experiment = prepare(config, anew=anew)
        parts = _parts(experiment, accelerator, precision)
        state = first_state(parts)
        if start.checkpoint is not None:
            state = without_lost_best(parts, restore(parts, start.checkpoint))
        plan = overview(experiment)
        opened = partial(_open, parts, state, plan, start=start, overwrite=overwrite, locks=stack)
        from_main_process(opened, accelerator)
        del start, opened  # the checkpoint's tensors were copied
        stack.enter_context(open_trackers(accelerator, config))
        stack.enter_context(torch.random.fork_rng([accelerator.device] if accelerator.device.type == "cuda" else []))
        stops = stack.enter_context(listening(max_minutes=config.training.max_minutes))
        yield Planned(plan, str(accelerator.device), precision, accelerator.num_processes, first_step=state.step)
        yield from _train(parts, state, stops)


def _open(run: Run, state: State, plan: Mapping[str, Any], *, start: Start, overwrite: bool, locks: ExitStack) -> None:
    """Make the run directory ready, and keep other trainings out of it."""
    open_run(
        run.output,
        run.config,
        plan,
        is_continued=start.is_continued,
        overwrite=overwrite,
        step=state.step,
        is_evaluated=state.evaluated == state.step,
    )
    if start.is_named:
        prune(run.checkpoints, newest=state.step, keep=None, also=())
    lock_run(run.output, locks)


def _parts(experiment: Experiment, accelerator: Accelerator, precision: Precision) -> Run:
    config, settings = experiment.config, experiment.config.training
    network = accelerator.prepare_model(experiment.network, evaluation_mode=True)  # placed, not wrapped
    optimizer = make_optimizer(
        network,
        learning_rate=settings.learning_rate,
        head_learning_rate=settings.head_learning_rate,
        weight_decay=settings.weight_decay,
    )
    data = training_data(experiment)
    updater = Updater(
        network,
        data,
        optimizer,
        accelerator,
        precision=precision,
        weights={name: task.weight for name, task in config.tasks.items()},
        clip=settings.clip,
        seed=config.seed,
    )
    model = MultiTaskModel(network, experiment.tokenizer, experiment.tasks, precision=precision)
    return Run(
        experiment=experiment,
        data=data,
        model=model,
        optimizer=optimizer,
        updater=updater,
        accelerator=accelerator,
        output=Path(config.output),
        identity=identity(experiment),
    )


def _train(run: Run, state: State, stops: Stops) -> Iterator[Logged | Evaluated | Stopped | Result]:
    """Train from a state to the end, or until it is asked to stop."""
    settings, every_steps = run.config.training, run.config.tracking.every_steps
    first_step, started, stopwatch = state.step, time.perf_counter(), Stopwatch(state.ledger.tokens)
    saved, request = state, Request.NONE
    if settings.on_bad_numbers == "rollback" and not checkpoint_path(run.checkpoints, state.step).is_dir():
        save(run, state)
    with closing(StepReader(run.experiment.plan, run.data, run.accelerator)) as reader:
        while True:
            if not request and _is_evaluation_due(run, state):
                try:
                    state, evaluated = score(run, state, before_chunk=partial(_look, run, stops))
                    yield evaluated
                except _Asked as asked:
                    request = asked.request
                stopwatch.restart(state.ledger.tokens)  # its time is not training's
            is_done = _is_done(run, state)
            if state != saved and (is_done or request or _is_due(state.step, settings.save_every_steps)):
                saved = state if save(run, state) else saved
            if is_done or request:
                break
            state, request = _step(run, state, reader, stops)
            if _is_due(state.step, every_steps) or _is_evaluation_due(run, state):
                line = _line(run, state, tokens_per_s=stopwatch.read(state.ledger.tokens))
                write_numbers(run, state.step, line.values())
                yield line
                state = replace(state, window=Window())
    if is_done:
        yield _result(run, state, first_step=first_step, seconds=time.perf_counter() - started)
    else:
        checkpoint = checkpoint_path(run.checkpoints, saved.step)
        yield Stopped(state.step, checkpoint if checkpoint.is_dir() else None, request)


def _step(run: Run, state: State, reader: StepReader, stops: Stops) -> tuple[State, Request]:
    """Train one step, with smaller micro-batches where memory runs out; return what was asked meanwhile."""
    set_learning_rate(run.optimizer, _rate_factor(run, state.step))
    while True:
        read = partial(reader.read, state.step, max_tokens=state.max_tokens)
        match run.updater.step(state.step, read, request=stops.request):
            case OutOfMemory():
                state = with_smaller_micro_batches(run, state)
            case NotFinite() as bad:
                return leave_out(run, state, bad), Request.NONE
            case Outcome() as outcome:
                ledger, window = state.ledger.add(outcome.counts), state.window.add(outcome)
                return replace(state, step=state.step + 1, ledger=ledger, window=window), outcome.request


def _is_due(step: int, every_steps: int | None) -> bool:
    return every_steps is not None and step > 0 and step % every_steps == 0


def _is_evaluation_due(run: Run, state: State) -> bool:
    """Tell whether the validation splits are to be scored; a run that was stopped before may have left it to do."""
    is_last = state.step == run.experiment.plan.num_steps
    return state.evaluated != state.step and (is_last or _is_due(state.step, run.config.evaluation.every_steps))


def _is_done(run: Run, state: State) -> bool:
    early_stop = run.config.training.early_stop
    is_early = early_stop is not None and state.without_better >= early_stop
    return is_early or (state.step == run.experiment.plan.num_steps and state.evaluated == state.step)


def _look(run: Run, stops: Stops, error: Exception | None) -> None:
    """Leave an evaluation where a signal came to any process; a limit of time shorter than it would never get on."""
    request = largest_request(stops.request, run.accelerator, error=error)
    if request > Request.TIME:
        raise _Asked(request)


def _rate_factor(run: Run, step: int) -> float:
    settings, num_steps = run.config.training, run.experiment.plan.num_steps
    num_warmup = warmup_steps(settings.warmup, num_steps=num_steps)
    return learning_rate_factor(step, num_steps=num_steps, num_warmup=num_warmup, schedule=settings.schedule)


def _line(run: Run, state: State, *, tokens_per_s: float) -> Logged:
    return Logged(
        step=state.step,
        num_steps=run.experiment.plan.num_steps,
        losses=state.window.losses,
        learning_rate=run.config.training.learning_rate * _rate_factor(run, state.step - 1),
        gradient_norm=state.window.gradient_norm,
        gradient_norms=state.window.gradient_norms,
        tokens_per_s=tokens_per_s,
    )


def _result(run: Run, state: State, *, first_step: int, seconds: float) -> Result:
    """Compare what was trained with the plan, and describe the best model."""
    train = run.experiment.of_split("train")
    check_ledger(state.ledger, planned_ledger(run.experiment.plan, train, num_steps=state.step))
    if state.best is None:  # the last step is evaluated, but training.on_failed_save may be continue
        raise CheckpointError(
            f"{run.output}: no model was kept; free some space, and --resume goes on from the newest checkpoint"
        )
    return Result(
        output=run.output,
        best=run.output / "best",
        scores=state.best_scores,
        mean=mean_score({name: of.metrics for name, of in state.best_scores.items()}, first_metrics(run.config)),
        best_step=state.best.step,
        first_step=first_step,
        num_steps=state.step,
        shortfall=state.best.shortfall,
        coverage=coverage(state.ledger, train),
        seconds=seconds,
    )
