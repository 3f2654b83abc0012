"""What the commands print: plans, scores, labels. Owns how plain values look, and computes none of them.

Tables are at most 80 columns wide as long as names are of ordinary length; longer names wrap, and nothing is cut.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rich import box
from rich.console import Console
from rich.table import Table

if TYPE_CHECKING:  # heavy, and only named here
    from pathlib import Path

    from mtl_transformers.drafting.drafts import Drafts
    from mtl_transformers.lifecycle.clean_labels import Report as Suspects
    from mtl_transformers.metrics.named import LabelScore
    from mtl_transformers.training.evaluation import TaskScores
    from mtl_transformers.training.loop import Result

WIDE = 1000  # columns of a file, in which nothing has to wrap
FIRST_SUSPECTS = 5  # of a task
SHOWN_TEXT = 40  # characters of a suspect's text


def show(*parts: str | Table) -> None:
    """Print lines and tables to stdout, as wide as the terminal; in a file no cell wraps."""
    width = None if sys.stdout.isatty() else WIDE
    console = Console(width=width, highlight=False, markup=False, emoji=False)
    for part in parts:
        console.print(part, soft_wrap=isinstance(part, str))
    sys.stdout.flush()  # before stderr goes on, where both go to one file


def table(columns: Sequence[str], rows: Iterable[Sequence[str]], *, num_names: int = 1) -> Table:
    """Return a table whose first columns are names, and whose others are numbers."""
    made = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 1, 0, 0), header_style="")
    for place, column in enumerate(columns):
        if place < num_names:
            made.add_column(column, overflow="fold")
        else:
            made.add_column(column, justify="right", no_wrap=True)
    for row in rows:
        made.add_row(*row)
    return made


def show_plan(plan: Mapping[str, Any], *, where: str) -> None:
    """Print what `training.overview.overview` describes: a table of datasets and one of tasks."""
    show(
        f"plan: {plan['steps']:,} steps, {plan['rows']:,} rows, fill {plan['fill']:.2f}; {where}",
        "",
        table(
            ("dataset", "rows", "validation", "share", "steps", "passes", "fill", "truncated"),
            (
                (
                    of["dataset"],
                    f"{of['rows']:,}",
                    f"{of['validation_rows']:,}",
                    f"{of['share']:.1%}",
                    f"{of['steps']:,}",
                    f"{of['passes']:.2f}",
                    f"{of['fill']:.2f}",
                    f"{of['truncated']:.1%}",
                )
                for of in plan["datasets"]
            ),
        ),
        "",
        table(
            ("task", "dataset", "kind", "labelled", "passes", "weight"),
            (
                (
                    of["task"],
                    of["dataset"],
                    of["kind"],
                    f"{of['labelled_rows']:,}",
                    f"{of['passes']:.2f}",
                    f"{of['weight']:g}",
                )
                for of in plan["tasks"]
            ),
            num_names=3,
        ),
        "",
        *_plan_notes(plan["datasets"], plan["tasks"]),
    )


def _plan_notes(datasets: Iterable[Mapping[str, Any]], tasks: Iterable[Mapping[str, Any]]) -> list[str]:
    notes = []
    for of in datasets:
        passes = of["encoder_passes_per_row"]
        if len(of["tasks"]) > 1:
            said = "one encoder pass" if passes == 1 else f"{passes} encoder passes"
            notes.append(f"{of['dataset']}: {said} for {len(of['tasks'])} tasks")
        if of["unlabelled_rows_left_out"]:
            notes.append(f"{of['dataset']}: rows without any label, left out: {of['unlabelled_rows_left_out']:,}")
        for split, filters in of["filtered_rows_left_out"].items():
            took = ", ".join(f"{key} {rows:,}" for key, rows in filters.items() if rows)
            if took:
                notes.append(f"{of['dataset']}, {split}: rows that filters left out: {took}")
    for of in tasks:
        if of.get("answers_repaired"):
            notes.append(f"{of['task']}: answers that stand elsewhere, repaired: {of['answers_repaired']:,}")
        if of.get("answers_lost"):
            notes.append(f"{of['task']}: answers that are not in their context, left out: {of['answers_lost']:,}")
    return notes


def show_scores(scores: Mapping[str, TaskScores], *, title: str) -> None:
    """Print each task's metrics beside those of the answer that ignores the text."""
    rows = (
        (task, metric, f"{value:.4f}", f"{of.baseline[metric]:.4f}", f"{of.num_rows:,}")
        for task, of in scores.items()
        for metric, value in of.metrics.items()
    )
    show(title, "", table(("task", "metric", "score", "baseline", "rows"), rows, num_names=2))


def show_labels(labels: Mapping[str, Sequence[LabelScore]]) -> None:
    """Print precision, recall, F1 and support of each label of each task that has labels."""
    for task, of_task in labels.items():
        rows = (
            (of.label, f"{of.precision:.4f}", f"{of.recall:.4f}", f"{of.f1:.4f}", f"{of.support:,}") for of in of_task
        )
        if of_task:
            show("", table((task, "precision", "recall", "f1", "support"), rows))


def show_result(result: Result) -> None:
    """Print the best model's scores, what was trained, and where it lies."""
    show("")
    show_scores(result.scores, title=f"best model: step {result.best_step:,}, mean {result.mean:.4f} on validation")
    rows = (
        (task, f"{of['rows_available']:,}", f"{of['rows_seen']:,}", f"{of['passes']:.2f}")
        for task, of in result.coverage.items()
    )
    show("", table(("task", "labelled rows", "rows seen", "passes"), rows), "")
    if result.shortfall:
        show(f"no model met all floors; the best one lacks {result.shortfall:.4f} in sum")
    skipped = {task: of["rows_skipped"] for task, of in result.coverage.items() if of["rows_skipped"]}
    if skipped:
        show("left out, because a number was not finite: ", *(f"{task} {n:,} rows" for task, n in skipped.items()), "")
    steps = (
        f"steps {result.first_step + 1:,} to {result.num_steps:,}"
        if result.first_step
        else f"{result.num_steps:,} steps"
    )
    show(f"{steps} in {result.seconds:.0f} s → {result.best}")


def show_drafts(drafts: Drafts) -> None:
    """Print what each column was taken for and why, and the files and datasets that are left out."""
    for dataset in drafts.datasets:
        rows = ((name, guess.role, guess.why) for name, guess in dataset.guesses.items())
        show(table((dataset.name, "taken for", "because"), rows, num_names=3), "")
        show(*(f"left out: {file}: {why}" for file, why in dataset.left_out.items()))
    show(*(f"left out: {why}" for why in drafts.left_out.values()))


def show_suspects(report: Suspects, out: Path) -> None:
    """Print how many labels of each task are probably wrong, and the first ones that are listed."""
    listed = Counter(line["task"] for line in report.lines)
    rows = (
        (
            task,
            f"{len(of.rows):,}",
            f"{of.num_suspects:,}",
            f"{of.num_suspects / max(1, len(of.rows)):.1%}",
            f"{listed[task]:,}",
        )
        for task, of in report.rankings.items()
    )
    show(table(("task", "labelled", "suspects", "share", "listed"), rows), "")
    for task in listed:
        first = [line for line in report.lines if line["task"] == task][:FIRST_SUSPECTS]
        show(table((task, "suggested", "text"), map(_suspect, first), num_names=3), "")
    show(f"{_counted(len(report.lines), 'line')} → {out}")


def _suspect(line: Mapping[str, Any]) -> tuple[str, str, str]:
    given, suggested = (_named(line[field]) for field in ("given", "suggested"))
    text = " ".join(line["text"].split())
    return given, suggested, text if len(text) <= SHOWN_TEXT else f"{text[:SHOWN_TEXT]}…"


def _named(labels: Any) -> str:
    """Return a label, or several, or words with their tags."""
    if not isinstance(labels, list):
        return str(labels)
    return ", ".join(f"{of['text']}: {of['tag']}" if isinstance(of, dict) else str(of) for of in labels) or "none"


def _counted(number: int, thing: str) -> str:
    return f"{number} {thing}" if number == 1 else f"{number or 'no'} {thing}s"
