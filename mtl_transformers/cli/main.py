"""The commands: parse, call one function, print. Results go to stdout, progress and messages to stderr.

An `MTLError` is printed without a traceback and ends with exit code 2. Of several processes the first one talks.
"""

from __future__ import annotations

import gc
import logging
import os
import shlex
import sys
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer
from tqdm import tqdm

from mtl_transformers.cli.checked import show_check
from mtl_transformers.cli.progress import Messages, progress_of
from mtl_transformers.cli.tables import (
    show,
    show_drafts,
    show_labels,
    show_plan,
    show_result,
    show_scores,
    show_suspects,
)
from mtl_transformers.errors import ConfigError, MTLError

if TYPE_CHECKING:  # heavy: each command imports what it needs, so that --help answers at once
    from mtl_transformers.config import Config

app = typer.Typer(
    help="Train one encoder for all your classifiers, and answer all of them in one pass.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)

ConfigPath = Annotated[Path, typer.Argument(help="The config, a YAML file.")]
ModelName = Annotated[str, typer.Argument(help="A model directory, or a hub id.")]
Revision = Annotated[str | None, typer.Option(help="Branch, tag or commit of a hub id.")]
Overrides = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Override a key of the config, as training.epochs=1."),
]


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"mtl_transformers {import_module('mtl_transformers').__version__}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Train one encoder for all your classifiers, and answer all of them in one pass."""


@app.command()
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


@app.command()
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
    loaded = _config(config, set_)
    from mtl_transformers.training.loop import Planned, Result, Stopped, run
    from mtl_transformers.training.run import Evaluated
    from mtl_transformers.training.window import Logged

    events = run(loaded, overwrite=overwrite, resume=resume_from or resume, allow_config_change=allow_config_change)
    with ExitStack() as stack:
        for event in events:
            if isinstance(event, Stopped):
                stack.close()
                if _rank("RANK") == 0:
                    saved = (
                        f"--resume goes on from {event.checkpoint}" if event.checkpoint else "nothing could be saved"
                    )
                    typer.echo(f"{event.request.reason}: stopped after step {event.step}; {saved}", err=True)
                raise typer.Exit(event.request.exit_code)
            if _rank("RANK") > 0:
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


@app.command()
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
    loaded = _config(config, set_)
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


@app.command()
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
    loaded = _config(config, set_)
    from mtl_transformers.inference.multitask import MultiTaskModel
    from mtl_transformers.training.scoring import evaluate_directory

    served = MultiTaskModel.from_pretrained(model, revision=revision)
    report = evaluate_directory(served, loaded, split=split, predictions=predictions)
    show_scores(report.scores, title=f"{model} on {split}")
    show_labels(report.labels)


@app.command()
def predict(
    model: ModelName,
    source: Annotated[Path, typer.Argument(help="A .csv, .tsv, .jsonl or .parquet file.")],
    target: Annotated[Path, typer.Argument(help="Likewise; a file that lies there is replaced.")],
    tasks: Annotated[str | None, typer.Option(help="Names with commas; else all whose columns there are.")] = None,
    columns: Annotated[
        str | None, typer.Option(help="The file's columns by the model's, with commas: body=message.")
    ] = None,
    id_: Annotated[str | None, typer.Option("--id", help="The column that names rows; else id.")] = None,
    top_k: Annotated[int | None, typer.Option(min=1, help="Also give the probabilities of the k best labels.")] = None,
    revision: Revision = None,
) -> None:
    """Answer every row of a file.

    All tasks that read the same text share one encoder pass; no labels are needed.
    """
    renamed = dict(map(_pair, columns.split(","))) if columns else None
    from mtl_transformers.inference.bulk import predict_file
    from mtl_transformers.inference.multitask import MultiTaskModel

    served = MultiTaskModel.from_pretrained(model, revision=revision)
    with tqdm(unit=" rows", leave=False, disable=None) as bar:
        num_rows = predict_file(
            served,
            source,
            target,
            tasks=[name.strip() for name in tasks.split(",")] if tasks else None,
            columns=renamed,
            id_column=id_,
            top_k=top_k,
            on_rows=bar.update,
        )
    typer.echo(f"{num_rows:,} rows → {target}", err=True)


@app.command()
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
    loaded = _config(config, set_)
    from mtl_transformers.lifecycle.clean_labels import Report
    from mtl_transformers.lifecycle.clean_labels import clean_labels as find_suspects

    named = [name.strip() for name in tasks.split(",")] if tasks else None
    events = find_suspects(loaded, out, num_folds=folds, tasks=named, share=share, overwrite=overwrite)
    with tqdm(unit=" steps", leave=False, disable=None) as bar:
        for event in events:
            if isinstance(event, Report):
                bar.close()
                show_suspects(event, out)
            else:
                bar.total = folds * event.num_steps  # folds are of nearly equal size
                bar.update()


@app.command()
def push(
    model: Annotated[Path, typer.Argument(help="A model directory.")],
    repo: Annotated[str, typer.Argument(help="The repository on the hub: owner/name.")],
    private: Annotated[bool, typer.Option("--private", help="A new repository is private.")] = False,
    revision: Annotated[str | None, typer.Option(help="The branch to commit to.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print what would go, and send nothing.")] = False,
) -> None:
    """Upload a model directory to the hub.

    Sends the files of the format, and no others.
    """
    from mtl_transformers.model import hub

    if not dry_run:
        typer.echo(hub.push(model, repo, private=private, revision=revision))
        return
    upload = hub.files_to_push(model)
    typer.echo(f"would go to {repo}:")
    for name, size in upload.files:
        typer.echo(f"{size:>15,} bytes  {name}")
    for name in upload.left_behind:
        typer.echo(f"{'stays here':>21}  {name}")


@contextmanager
def _uncollected() -> Iterator[None]:
    """Keep Python from looking for cycles of objects meanwhile."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def main() -> None:
    """Run a command; print an `MTLError` and exit with 2."""
    _quiet_libraries()
    try:
        app(prog_name="mtl")
    except MTLError as error:
        if _rank("LOCAL_RANK") == 0:  # of each machine: a file may be missing on one of them
            typer.echo(f"error: {error}", err=True)
        sys.exit(2)


def _config(path: Path, overrides: list[str] | None) -> Config:
    from mtl_transformers.config import load_config, parse_override

    return load_config(path, dict(map(parse_override, overrides or [])))


def _pair(text: str) -> tuple[str, str]:
    ours, equals, theirs = (part.strip() for part in text.partition("="))
    if not (ours and equals and theirs):
        raise ConfigError(f"--columns {text!r}: expected name=column, as in body=message")
    return ours, theirs


def _rank(variable: str) -> int:
    """Return the number of this process as the launcher gives it: over all machines, or on this one."""
    return int(os.environ.get(variable, "0"))


def _quiet_libraries() -> None:
    """Let our own messages through to stderr, and of the libraries errors only."""
    for variable in ("TRANSFORMERS_VERBOSITY", "DATASETS_VERBOSITY", "HF_HUB_VERBOSITY"):
        os.environ.setdefault(variable, "error")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")  # tokenizers warns about it after a fork
    os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "ERROR")
    if not sys.warnoptions:
        warnings.simplefilter("ignore")
    logging.basicConfig(level=logging.ERROR, format="%(message)s", handlers=[Messages()])
    logging.getLogger("mtl_transformers").setLevel(logging.INFO if _rank("RANK") == 0 else logging.ERROR)
