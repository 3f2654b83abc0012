"""Plots of decisions, as PNG files: the only place that knows matplotlib.

Owns how reliability, coverage and thresholds look: one figure for each task, before and after side by side. Computes
nothing that it draws.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from mtl_transformers.errors import ConfigError
from mtl_transformers.lifecycle.decisions import Change, Decided, Outcome
from mtl_transformers.metrics.calibration import Reliability
from mtl_transformers.storage.files import replace_file
from mtl_transformers.tasks.classification import Classification
from mtl_transformers.tasks.multi_label import MultiLabel

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MOST_LABELS = 40  # that one figure shows
_DARK, _BLUE, _GREY, _RED = "#222222", "#3b6ea5", "#b8b8b8", "#b5473c"
_DOTS = 150  # to the inch
_MOST_NAME = 40  # characters of a label


def check_matplotlib() -> None:
    """Raise ConfigError where matplotlib is not installed, before anything is computed."""
    try:
        import matplotlib as _  # noqa: F401
    except ImportError as error:
        raise ConfigError("--report draws with matplotlib: pip install 'mtl_transformers[report]'") from error


def draw(name: str, decided: Decided, path: Path, *, measured: str) -> None:
    """Draw a task's decisions, measured on rows that they were not fitted on where there are such.

    Args:
        name: of the task.
        decided: its decisions.
        path: of the PNG file.
        measured: what the rows are, in words.

    Raises:
        FileError: the file cannot be written.
    """
    change = decided.held_out or decided.fitted
    title = f"{name}: {change.after.num_rows:,} rows, {measured}"
    if isinstance(decided.after, Classification):
        figure = _class_figure(decided.after, change, title)
    else:
        assert isinstance(decided.before, MultiLabel)  # a task keeps its kind
        figure = _label_figure(decided.before, decided.after, change, title)
    drawn = BytesIO()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing")  # of a script that the font lacks: a box is drawn
        figure.savefig(drawn, format="png", dpi=_DOTS, facecolor="white", metadata={"Software": None})
    replace_file(path, drawn.getvalue())


def _class_figure(task: Classification, change: Change, title: str) -> Figure:
    """Draw reliability before and after, each with its rows, and accuracy over coverage."""
    figure = _figure(11, 4.6, title)
    grid = figure.add_gridspec(2, 3, height_ratios=[3, 1])
    most = max(of.curves.reliability.counts.max() for of in (change.before, change.after) if of.curves is not None)
    for column, (when, outcome) in enumerate((("before", change.before), ("after", change.after))):
        assert outcome.curves is not None  # a classification has them
        upper, lower = figure.add_subplot(grid[0, column]), figure.add_subplot(grid[1, column])
        _draw_reliability(upper, lower, outcome.curves.reliability)
        lower.set_ylim(0, 1.05 * most)
        temperature = f", temperature {task.temperature:.2f}" if when == "after" else ""
        upper.set_title(f"{when}{temperature}: ECE {outcome.figures['ece']:.3f}", fontsize=10, color=_DARK)
        if not column:
            upper.set_ylabel("share that is right")
            lower.set_ylabel("rows in each bin")
    _draw_selection(figure.add_subplot(grid[:, 2]), change.after, task.min_score)
    return figure


def _draw_reliability(upper: Axes, lower: Axes, found: Reliability) -> None:
    """Draw the accuracy of each bin as a bar with its mean confidence as a tick, and below its rows."""
    left, width = found.edges[:-1], np.diff(found.edges)
    filled = found.counts > 0
    upper.plot([0, 1], [0, 1], color=_GREY, linewidth=1, linestyle="--", zorder=1)
    upper.bar(
        left[filled], found.accuracy[filled], width[filled], align="edge", color=_BLUE, edgecolor="white", alpha=0.85
    )
    upper.scatter(found.confidence[filled], found.accuracy[filled], color=_DARK, s=14, zorder=3, clip_on=False)
    lower.bar(left, found.counts, width, align="edge", color=_GREY, edgecolor="white")
    for axes in (upper, lower):
        _tidy(axes)
        axes.set_xlim(0, 1)
    upper.set_ylim(0, 1.02)
    upper.tick_params(labelbottom=False)
    lower.set_xlabel("probability of the answer")


def _draw_selection(axes: Axes, outcome: Outcome, min_score: float | None) -> None:
    """Draw the accuracy of the answered rows over the share that is answered, with the choice marked."""
    assert outcome.curves is not None  # of a classification
    curve, figures = outcome.curves.selection, outcome.figures
    _tidy(axes)
    axes.plot(curve.coverage, curve.accuracy, color=_BLUE, linewidth=1.5, drawstyle="steps-pre")
    axes.set_xlim(0, 1.02)
    lowest = min(curve.accuracy[curve.coverage >= 0.05].min(), 0.95)
    axes.set_ylim(max(0.0, lowest - 0.1), 1.02)
    axes.set_xlabel("coverage: share of the rows that is answered")
    axes.set_ylabel("share of the answers that is right")
    if min_score is None:
        axes.set_title("all rows are answered", fontsize=10, color=_DARK)
        return
    nothing = ": no row is answered" if not figures["coverage"] else ""
    axes.set_title(f"min_score {min_score:.2f}{nothing}", fontsize=10, color=_DARK)
    place = int(np.count_nonzero(curve.confidences >= min_score)) - 1
    is_crossed = place < 0 or curve.coverage[place] != figures["coverage"]
    if place >= 0 and is_crossed:
        _mark(axes, curve.coverage[place], curve.accuracy[place], face="white", label="min_score")
    if not nothing:
        label = "chosen without each fold" if is_crossed else "min_score"
        _mark(axes, figures["coverage"], figures["accuracy_answered"], face=_RED, label=label)
        axes.legend(frameon=False, fontsize=8, loc="lower left")


def _short(name: str) -> str:
    return name if len(name) <= _MOST_NAME else f"{name[:_MOST_NAME]}…"


def _mark(axes: Axes, coverage: float, accuracy: float, *, face: str, label: str) -> None:
    axes.scatter(coverage, accuracy, facecolor=face, edgecolor=_RED, s=36, zorder=3, clip_on=False, label=label)


def _label_figure(before: MultiLabel, after: MultiLabel, change: Change, title: str) -> Figure:
    """Draw threshold and F1 of each label as a line from what it was to what it is, the most frequent label first."""
    support = np.asarray([of.support for of in change.before.labels])
    shown = np.argsort(-support, kind="stable")[:MOST_LABELS].tolist()
    if len(support) > MOST_LABELS:
        title += f", the {MOST_LABELS} most frequent of {len(support)} labels"
    figure = _figure(9, 1.6 + 0.26 * len(shown), title)
    left, right = figure.subplots(1, 2, sharey=True)
    _draw_pairs(left, [before.thresholds[n] for n in shown], [after.thresholds[n] for n in shown])
    left.set_xlabel("threshold")
    left.set_title("label (rows that have it)", loc="left", fontsize=8, color=_DARK)
    left.set_yticks(
        range(len(shown)), [f"{_short(after.output_names[n])} ({support[n]:,})" for n in shown], parse_math=False
    )
    left.set_ylim(len(shown) - 0.5, -0.5)
    _draw_pairs(right, [change.before.labels[n].f1 for n in shown], [change.after.labels[n].f1 for n in shown])
    right.set_xlabel("F1")
    right.legend(frameon=False, fontsize=8, loc="lower left", bbox_to_anchor=(0, 1), ncols=2, borderaxespad=0.2)
    return figure


def _draw_pairs(axes: Axes, before: Sequence[float], after: Sequence[float]) -> None:
    _tidy(axes)
    places = range(len(before))
    axes.hlines(places, before, after, color=_GREY, linewidth=1.5, zorder=1)
    axes.scatter(before, places, facecolor="white", edgecolor=_DARK, s=22, zorder=2, label="before", clip_on=False)
    axes.scatter(after, places, color=_BLUE, s=26, zorder=3, label="after", clip_on=False)
    axes.set_xlim(0, 1)
    axes.grid(axis="y", visible=False)
    axes.tick_params(axis="y", length=0)


def _figure(width: float, height: float, title: str) -> Figure:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    figure.suptitle(title, x=0.01, ha="left", fontsize=11, color=_DARK, parse_math=False)
    return figure


def _tidy(axes: Axes) -> None:
    """Leave of the frame what carries numbers."""
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    axes.grid(color="#eeeeee", linewidth=0.8)
    axes.set_axisbelow(True)
    axes.tick_params(labelsize=8, colors=_DARK)
    axes.xaxis.label.set_fontsize(9)
    axes.yaxis.label.set_fontsize(9)
