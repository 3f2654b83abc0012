"""Commands over a config: ``init``, ``train``, ``check``, ``evaluate``, ``clean-labels``."""

from __future__ import annotations

import gc
import shlex
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Annotated, Literal

import typer
from tqdm import tqdm

from mtl_transformers.cli.arguments import ConfigPath, ModelName, Overrides, Revision, names, rank, read_config
from mtl_transformers.cli.checked import show_check
from mtl_transformers.cli.progress import progress_of
from mtl_transformers.cli.tables import (
    show,
    show_drafts,
    show_labels,
    show_plan,
    show_result,
    show_scores,
    show_suspects,
)


def init(
    files: Annotated[list[str], typer.Argument(help="Files of data, or directories of them.")],
    output: Annotated[Path | None, typer.Option(help="The config to write; else named after the data.")] = None,
    encoder: Annotated[str | None, typer.Option(help="A hub id, a directory, or package:<module>/<folder>.")] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the config that is there.")] = False,
) -> None:
    """Guess a config from data.

    Looks at the files, guesses text and label columns and their kinds, and writes a config with a comment for each
    guess, which check accepts as it is.
    """
    from mtl_transformers.drafting.drafts import drafts_of, write_config

    drafts = drafts_of(files)
    command = f"mtl init {' '.join(map(shlex.quote, files))}"
    written = write_config(drafts, output, encoder=encoder, command=command, overwrite=overwrite)
    show_drafts(drafts)
    show(f"→ {written}; look at it, then: mtl check {shlex.quote(str(written))}")


def train(
    config: ConfigPath,
    set_: Overrides = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an older run in the output.")] = False,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on from the newest valid checkpoint, or from the beginning.")
    ] = False,
    resume_from: Annotated[Path | None, typer.Option(help="Go on from this checkpoint.")] = None,
    allow_config_change: Annotated[
        bool, typer.Option("--allow-config-change", help="Resume though the config is another one.")
    ] = False,
) -> None:
    """Train as a config says.

    The best model is kept under OUTPUT/best. SIGTERM and Ctrl-C save a checkpoint and end with exit code 143 or 130;
    the second one ends at once.
    """
    loaded = read_config(config, set_)
    from mtl_transformers.training.loop import Planned, Result, Stopped, run
    from mtl_transformers.training.run import Evaluated
    from mtl_transformers.training.window import Logged

    events = run(loaded, overwrite=overwrite, resume=resume_from or resume, allow_config_change=allow_config_change)
    with ExitStack() as stack:
        for event in events:
            if isinstance(event, Stopped):
                stack.close()
                if rank("RANK") == 0:
                    saved = (
                        f"--resume goes on from {event.checkpoint}" if event.checkpoint else "nothing could be saved"
                    )
                    typer.echo(f"{event.request.reason}: stopped after step {event.step}; {saved}", err=True)
                raise typer.Exit(event.request.exit_code)
            if rank("RANK") > 0:
                continue
            match event:
                case Planned():
                    processes = f"{event.num_processes} process{'es' if event.num_processes > 1 else ''}"
                    show_plan(event.plan, where=f"{event.device}, {event.precision}, {processes}")
                    tasks = [of["task"] for of in event.plan["tasks"]]
                    num_steps, first_step = event.plan["steps"], event.first_step
                    progress = progress_of(tasks, num_steps=num_steps, first_step=first_step)
                    stack.enter_context(closing(progress))
                case Logged():
                    progress.logged(event)
                case Evaluated():
                    progress.evaluated(event)
                case Result():
                    stack.close()
                    show_result(event)


def check(
    config: ConfigPath,
    set_: Overrides = None,
    json: Annotated[Path | None, typer.Option(help="Where the report goes; else check.json beside the config.")] = None,
    strict: Annotated[bool, typer.Option("--strict", help="Exit with code 1 when there are warnings.")] = False,
) -> None:
    """Check a config and its data.

    Looks at labels, nulls, balance, lengths, repeated texts and texts of train in validation or test, shows the plan,
    and tries one batch; nothing is trained. What is found is also written as JSON.
    """
    loaded = read_config(config, set_)
    from mtl_transformers.checking.check import check as check_config
    from mtl_transformers.checking.check import write_report

    with _uncollected():  # many small lists live until the end; looking through them again and again took a fifth
        report = check_config(loaded)
    show_check(report)
    path = json or config.with_name("check.json")
    write_report(report, path)
    show(f"→ {path}")
    if strict and report.warnings:
        raise typer.Exit(1)


def evaluate(
    model: ModelName,
    config: ConfigPath,
    split: Annotated[Literal["train", "validation", "test"], typer.Option(help="What to score.")] = "validation",
    set_: Overrides = None,
    predictions: Annotated[Path | None, typer.Option(help="Write row id, gold and prediction as JSON lines.")] = None,
    revision: Revision = None,
) -> None:
    """Score a model on a split.

    Prints the metrics of each task, and precision, recall, F1 and support of each label.
    """
    loaded = read_config(config, set_)
    from mtl_transformers.inference.multitask import MultiTaskModel
    from mtl_transformers.training.scoring import evaluate_directory

    served = MultiTaskModel.from_pretrained(model, revision=revision)
    report = evaluate_directory(served, loaded, split=split, predictions=predictions)
    show_scores(report.scores, title=f"{model} on {split}")
    show_labels(report.labels)


def clean_labels(
    config: ConfigPath,
    folds: Annotated[int, typer.Option(min=2, help="Parts of the rows; a model is trained without each.")] = 5,
    out: Annotated[Path, typer.Option(help="The review file, JSON lines.")] = Path("review.jsonl"),
    tasks: Annotated[str | None, typer.Option(help="Names with commas; else all whose labels are names.")] = None,
    share: Annotated[
        float | None, typer.Option(help="List this share of the labelled rows; else those that are probably wrong.")
    ] = None,
    set_: Overrides = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an older review file.")] = False,
) -> None:
    """Find labels that are probably wrong.

    Answers every training row by a model that was not trained on it, and lists the rows whose labels it doubts, the
    worst first. The config's tasks.NAME.review leaves them out or weighs them less.
    """
    loaded = read_config(config, set_)
    from mtl_transformers.lifecycle.clean_labels import Report
    from mtl_transformers.lifecycle.clean_labels import clean_labels as find_suspects

    named = names(tasks)
    events = find_suspects(loaded, out, num_folds=folds, tasks=named, share=share, overwrite=overwrite)
    with tqdm(unit=" steps", leave=False, disable=None) as bar:
        for event in events:
            if isinstance(event, Report):
                bar.close()
                show_suspects(event, out)
            else:
                bar.total = folds * event.num_steps  # folds are of nearly equal size
                bar.update()


@contextmanager
def _uncollected() -> Iterator[None]:
    """Keep Python from looking for cycles of objects meanwhile."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
