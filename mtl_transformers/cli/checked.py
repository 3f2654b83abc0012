"""What ``mtl check`` prints: the plan, then texts, labels, numbers and the start, then what to look at.

Owns how a report looks. Tables are at most 80 columns wide, as in ``tables.py``; the rest is in the JSON file.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mtl_transformers.cli.tables import show, show_plan, table

if TYPE_CHECKING:  # heavy, and only named here
    from collections.abc import Iterator

    from mtl_transformers.checking.check import CheckedTask, Report
    from mtl_transformers.checking.estimates import Estimate
    from mtl_transformers.checking.findings import Finding

MOST_LABELS = 12  # of a task


def show_check(report: Report) -> None:
    """Print a report: tables of texts, labels, numbers and losses, the estimate, and the findings, warnings last."""
    show_plan(report.plan, where="nothing is trained")
    _show_texts(report)
    _show_labels(report)
    for task in report.tasks:
        if any(of.counts for of in task.labels.values()):
            _show_counts(task)
    _show_numbers(report)
    _show_start(report)
    show("", _estimate(report.estimate), "")
    ordered = sorted(report.findings, key=lambda finding: finding.severity)
    for finding in ordered:
        show(*_finding(finding))
    num_warnings = len(report.warnings)
    show(f"{_counted(num_warnings, 'warning')}, {_counted(len(ordered) - num_warnings, 'note')}")


def _show_texts(report: Report) -> None:
    """Print lengths, and how many rows repeat others or stand in a train split."""
    rows = (
        (
            of.dataset,
            of.split,
            f"{of.rows:,}",
            f"{of.mean:.1f}",
            f"{of.percentiles['99']:,}",
            f"{of.percentiles['100']:,}",
            f"{of.truncated:,}",
            f"{report.duplicates[of.dataset][of.split]:,}",
            "" if of.split == "train" else f"{report.in_train[of.dataset][of.split]:,}",
        )
        for of in report.lengths
    )
    columns = ("texts", "split", "rows", "tokens", "99 %", "longest", "cut", "repeated", "in train")
    show("", table(columns, rows, num_names=2))


def _show_labels(report: Report) -> None:
    rows = (
        (
            task.task,
            split,
            f"{of.labelled:,}",
            f"{of.nulls:,}",
            "" if of.effective_labels is None else f"{of.effective_labels:.1f}",
            "" if of.majority is None else f"{of.majority:.1%}",
            f"{task.conflicts.get(split, 0):,}",
        )
        for task in report.tasks
        for split, of in task.labels.items()
    )
    columns = ("labels", "split", "labelled", "null", "effective", "largest", "conflicts")
    show("", table(columns, rows, num_names=2))


def _show_counts(task: CheckedTask) -> None:
    """Print how often each label occurs in each split, the most frequent ones of train first."""
    ranked = sorted(task.labels["train"].counts.items(), key=lambda pair: -pair[1])
    rows = (
        (label, *(f"{of.counts.get(label, 0):,}" for of in task.labels.values())) for label, _ in ranked[:MOST_LABELS]
    )
    show("", table((task.task, *task.labels), rows))
    if len(ranked) > MOST_LABELS:
        show(f"… and {len(ranked) - MOST_LABELS} labels more")


def _show_numbers(report: Report) -> None:
    rows = [
        (task.task, target, split, f"{of.low:g}", f"{of.mean:.3g}", f"{of.high:g}", f"{of.std:.3g}")
        for task in report.tasks
        for split, targets in task.numbers.items()
        for target, of in targets.items()
        if of is not None
    ]
    if rows:
        show("", table(("numbers", "target", "split", "lowest", "mean", "highest", "std"), rows, num_names=3))


def _show_start(report: Report) -> None:
    rows = [
        (task.task, _loss(task.start.loss), _loss(task.start.of_equal_logits))
        for task in report.tasks
        if task.start is not None
    ]
    show("", table(("start", "loss", "of equal logits"), rows))


def _loss(value: float | None) -> str:
    return "not finite" if value is None else f"{value:.2f}"


def _estimate(of: Estimate) -> str:
    hours, seconds = divmod(round(of.seconds), 3600)
    return (
        f"estimate: {of.weights / 1e6:.1f} million weights; {of.memory_bytes / 2**30:.2f} GiB and "
        f"{hours}:{seconds // 60:02}:{seconds % 60:02} h for one process, {of.device}, {of.precision}"
    )


def _finding(finding: Finding) -> Iterator[str]:
    yield f"{finding.severity}: {finding}"
    if finding.rows and finding.severity == "warning":
        more = finding.count - len(finding.rows)
        known = finding.topic not in ("labels", "spans")  # these count labels, not rows
        yield "  " + "; ".join(finding.rows) + (f"; and {more:,} more" if known and more > 0 else "")


def _counted(number: int, thing: str) -> str:
    return f"{number} {thing}" if number == 1 else f"{number or 'no'} {thing}s"
