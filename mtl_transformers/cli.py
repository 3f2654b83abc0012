"""The command line: parse, call one function, print. The only place of the package that talks.

An `MTLError` is printed without a traceback and ends with exit code 2.
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Table
from tqdm import tqdm

from mtl_transformers.errors import ConfigError, MTLError

if TYPE_CHECKING:  # heavy: each command imports what it needs, so that --help answers at once
    from mtl_transformers.config import Config
    from mtl_transformers.training.loop import Evaluated, Logged, Result

app = typer.Typer(
    help="Train one encoder for all your classifiers, and answer all of them in one pass.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
out = Console(highlight=False, soft_wrap=True)

ConfigPath = Annotated[Path, typer.Argument(help="The config, a YAML file.")]
ModelName = Annotated[str, typer.Argument(help="A model directory, or a hub id.")]
Overrides = Annotated[
    list[str] | None, typer.Option("--set", help="Override a key: path=value, as in training.epochs=1.")
]


@app.command()
def train(
    config: ConfigPath,
    set_: Overrides = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace an older run in the output.")
    ] = False,
) -> None:
    """Train as the config says; the best model is kept under OUTPUT/best."""
    loaded = _config(config, set_)
    from mtl_transformers.training.loop import Evaluated, Planned, Result, run
    from mtl_transformers.training.window import Logged

    bar: tqdm[Any] | None = None
    for event in run(loaded, overwrite=overwrite):
        if not _is_first_process():
            continue
        match event:
            case Planned():
                _show_plan(event.plan, f"{event.device}, {event.precision}, {event.num_processes} process(es)")
                bar = tqdm(total=event.plan["steps"], unit="step", disable=not sys.stderr.isatty())
            case Logged():
                _show_progress(event, bar)
            case Evaluated():
                _show_evaluation(event)
            case Result():
                if bar is not None:
                    bar.close()
                _show_result(event)


@app.command()
def check(config: ConfigPath, set_: Overrides = None) -> None:
    """Look at config, columns, labels, nulls, truncation and the plan; nothing is trained or written."""
    loaded = _config(config, set_)
    from mtl_transformers.checking.check import check as check_config

    report = check_config(loaded)
    _show_plan(report.plan, "nothing is trained")
    table = Table("task", "split", "labelled", "null", title="labels", title_justify="left")
    for task in report.tasks:
        for split, labelled in task.labelled.items():
            table.add_row(task.task, split, f"{labelled:,}", f"{task.nulls[split]:,}")
    out.print(table)
    for task in report.tasks:
        if task.counts:
            ranked = sorted(task.counts.items(), key=lambda pair: -pair[1])
            shown = ", ".join(f"{label} {items:,}" for label, items in ranked[:12])
            out.print(f"{task.task}: {len(ranked)} labels: {shown}{', …' if len(ranked) > 12 else ''}", markup=False)
    for warning in report.warnings:
        out.print(f"warning: {warning}", markup=False)
    out.print(f"{len(report.warnings)} warning(s)")


@app.command()
def evaluate(
    model: ModelName,
    config: ConfigPath,
    split: Annotated[str, typer.Option(help="train, validation or test.")] = "validation",
    set_: Overrides = None,
    predictions: Annotated[Path | None, typer.Option(help="Write row id, gold and prediction as JSON lines.")] = None,
    revision: Annotated[str | None, typer.Option(help="Revision of a hub id.")] = None,
) -> None:
    """Score a model on a split: metrics, and precision, recall, F1 and support of each label."""
    loaded = _config(config, set_)
    from mtl_transformers.inference.multitask import MultiTaskModel
    from mtl_transformers.training.scoring import evaluate_directory

    report = evaluate_directory(
        MultiTaskModel.from_pretrained(model, revision=revision), loaded, split=split, predictions=predictions
    )
    _show_scores(report.scores, title=f"scores on {split}")
    for task, labels in report.labels.items():
        if labels:
            table = Table("label", "precision", "recall", "f1", "support", title=task, title_justify="left")
            for label in labels:
                numbers = (f"{label.precision:.4f}", f"{label.recall:.4f}", f"{label.f1:.4f}", f"{label.support:,}")
                table.add_row(label.label, *numbers)
            out.print(table)


@app.command()
def predict(
    model: ModelName,
    source: Annotated[Path, typer.Argument(help="A .csv, .tsv, .jsonl or .parquet file.")],
    target: Annotated[Path, typer.Argument(help="Likewise; a file that lies there is replaced.")],
    tasks: Annotated[str | None, typer.Option(help="Names of the tasks, with commas; else all that can be.")] = None,
    columns: Annotated[
        str | None, typer.Option(help="Columns by the model's names: body=message.")
    ] = None,
    id_: Annotated[str | None, typer.Option("--id", help="The column that names rows; else id.")] = None,
    top_k: Annotated[int | None, typer.Option(min=1, help="Also give the probabilities of the k best labels.")] = None,
    revision: Annotated[str | None, typer.Option(help="Revision of a hub id.")] = None,
) -> None:
    """Answer every row of a file: all tasks from one encoder pass, no labels needed."""
    renamed = dict(_pair(pair) for pair in columns.split(",")) if columns else None
    from mtl_transformers.inference.bulk import predict_file
    from mtl_transformers.inference.multitask import MultiTaskModel

    num_rows = predict_file(
        MultiTaskModel.from_pretrained(model, revision=revision),
        source,
        target,
        tasks=[name.strip() for name in tasks.split(",")] if tasks else None,
        columns=renamed,
        id_column=id_,
        top_k=top_k,
    )
    out.print(f"{num_rows:,} rows → {target}", markup=False)


@app.command()
def push(
    model: Annotated[Path, typer.Argument(help="A model directory.")],
    repo: Annotated[str, typer.Argument(help="The repository on the hub: owner/name.")],
    private: Annotated[bool, typer.Option("--private", help="A new repository is private.")] = False,
    revision: Annotated[str | None, typer.Option(help="The branch to commit to.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print what would go, and send nothing.")] = False,
) -> None:
    """Upload a model directory to the hub: the files of its format, and no others."""
    from mtl_transformers.model import hub

    if not dry_run:
        out.print(hub.push(model, repo, private=private, revision=revision), markup=False)
        return
    upload = hub.files_to_push(model)
    for name, size in upload.files:
        out.print(f"would send  {name}  {size:,} bytes", markup=False)
    for name in upload.left_behind:
        out.print(f"stays here  {name}", markup=False)


def main() -> None:
    """Run a command; print an `MTLError` and exit with 2."""
    _quiet_libraries()
    try:
        app()
    except MTLError as error:
        if _is_first_process():
            print(f"error: {error}", file=sys.stderr)
        sys.exit(2)


def _config(path: Path, overrides: list[str] | None) -> Config:
    from mtl_transformers.config import load_config, parse_override

    return load_config(path, dict(parse_override(text) for text in overrides or []))


def _pair(text: str) -> tuple[str, str]:
    ours, equals, theirs = text.partition("=")
    if not equals or not ours.strip() or not theirs.strip():
        raise ConfigError(f"--columns {text!r}: expected name=column, as in body=message")
    return ours.strip(), theirs.strip()


def _is_first_process() -> bool:
    return os.environ.get("RANK", "0") == "0"


def _quiet_libraries() -> None:
    """Let our own messages through on stderr, and of the libraries errors only."""
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")  # tokenizers warns about it after a fork
    logging.basicConfig(level=logging.ERROR, format="%(message)s", stream=sys.stderr)
    logging.getLogger("mtl_transformers").setLevel(logging.INFO if _is_first_process() else logging.ERROR)


def _show_plan(plan: Mapping[str, Any], where: str) -> None:
    table = Table(
        *("dataset", "task", "kind", "rows", "labelled", "weight", "share", "steps", "passes", "truncated"),
        title=f"plan: {plan['steps']:,} steps, {plan['rows']:,} rows, fill {plan['fill']:.2f}; {where}",
        title_justify="left",
    )
    tasks = {task["task"]: task for task in plan["tasks"]}
    for dataset in plan["datasets"]:
        for place, name in enumerate(dataset["tasks"]):
            of_dataset = (
                f"{dataset['rows']:,}",
                f"{dataset['share']:.1%}",
                f"{dataset['steps']:,}",
                f"{dataset['passes']:.2f}",
                f"{dataset['truncated']:.1%}",
            )
            rows, *rest = of_dataset if place == 0 else [""] * 5
            task = tasks[name]
            left = (dataset["dataset"] if place == 0 else "", name, task["kind"], rows)
            table.add_row(*left, f"{task['labelled_rows']:,}", f"{task['weight']:g}", *rest)
    out.print(table)
    for dataset in plan["datasets"]:
        left_out = dataset["unlabelled_rows_left_out"], dataset["empty_rows_left_out"]
        if any(left_out):
            out.print(
                f"{dataset['dataset']}: left out {left_out[0]:,} rows without a label, {left_out[1]:,} without text"
            )
        if len(dataset["tasks"]) > 1:
            out.print(f"{dataset['dataset']}: one encoder pass for {len(dataset['tasks'])} tasks")


def _show_progress(line: Logged, bar: tqdm[Any] | None) -> None:
    losses = "  ".join(f"{task} {loss:.3f}" for task, loss in line.losses.items())
    if bar is not None and not bar.disable:
        bar.set_postfix_str(f"{losses}  {line.tokens_per_s:,.0f} tokens/s")
        bar.update(line.step - bar.n)
    elif line.step == line.num_steps or line.step % max(10, line.num_steps // 20) < 10:
        out.print(f"step {line.step}/{line.num_steps}  {losses}  {line.tokens_per_s:,.0f} tokens/s", markup=False)


def _show_evaluation(event: Evaluated) -> None:
    scores = "  ".join(f"{task} {next(iter(of.metrics.values())):.4f}" for task, of in event.scores.items())
    tqdm.write(f"step {event.step}: {scores}  mean {event.mean:.4f}{'  (best)' if event.is_best else ''}")


def _show_scores(scores: Mapping[str, Any], *, title: str) -> None:
    table = Table("task", "metric", "score", "baseline", "rows", title=title, title_justify="left")
    for task, of_task in scores.items():
        for metric, value in of_task.metrics.items():
            table.add_row(task, metric, f"{value:.4f}", f"{of_task.baseline[metric]:.4f}", f"{of_task.num_rows:,}")
    out.print(table)


def _show_result(result: Result) -> None:
    _show_scores(result.scores, title=f"best model: step {result.best_step}, mean {result.mean:.4f}, validation")
    if result.shortfall:
        out.print(f"no model met all floors; the best one lacks {result.shortfall:.4f} in sum")
    table = Table("task", "labelled rows", "rows seen", "passes", title="coverage", title_justify="left")
    for task, line in result.coverage.items():
        table.add_row(task, f"{line['rows_available']:,}", f"{line['rows_seen']:,}", f"{line['passes']:.2f}")
    out.print(table)
    out.print(f"{result.num_steps:,} steps in {result.seconds:.0f} s → {result.best}", markup=False)
