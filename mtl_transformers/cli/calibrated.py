"""What ``calibrate`` prints. Owns how decisions and their figures look, and computes none of them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from mtl_transformers.cli.tables import show, table

if TYPE_CHECKING:  # heavy, and only named here
    from mtl_transformers.lifecycle.calibrate import Calibration
    from mtl_transformers.lifecycle.decisions import Decided

Row = tuple[str, ...]

_ANSWERED = ("coverage", "accuracy_answered")  # shown where not all rows are answered


def show_calibration(calibration: Calibration, *, title: str) -> None:
    """Print each task's figures before and after, thresholds by label, and what a user should know."""
    tested = calibration.report_split
    columns = (
        "task",
        "figure",
        "before",
        "after",
        *((f"{tested} before", f"{tested} after") if tested else ("cross-fitted",)),
    )
    rows = (row for name, decided in calibration.tasks.items() for row in _figures(name, decided, tested=bool(tested)))
    show(f"{title}, {_measured(calibration)}", "", table(columns, rows, num_names=2), "")
    for name, decided in calibration.tasks.items():
        if decided.after.kind == "multi_label":
            show(table((name, *_LABEL_COLUMNS), _labels(decided)), "")
    show(*_decisions(calibration), *_notes(calibration))


def _measured(calibration: Calibration) -> str:
    if calibration.report_split is not None:
        return f"and measured on {calibration.report_split}"
    return f"cross-fitted in {calibration.num_folds} folds"


def _figures(name: str, decided: Decided, *, tested: bool) -> Iterator[Row]:
    """Yield a line for each figure: fitted rows before and after, then rows that were not fitted on."""
    fitted, held_out = decided.fitted, decided.held_out
    outcomes = [fitted.before, fitted.after]
    if held_out is not None:
        outcomes += [held_out.before, held_out.after] if tested else [held_out.after]
    for figure in fitted.after.figures:
        if figure in _ANSWERED and all(of.figures["coverage"] == 1 for of in outcomes):
            continue
        yield name, figure, *(_number(of.figures[figure]) for of in outcomes), *([] if held_out is not None else ["–"])


_LABEL_COLUMNS = ("rows", "threshold", "was", "f1", "was", "precision", "recall")


def _labels(decided: Decided) -> Iterator[Row]:
    """Yield a line for each label; its scores are those of rows that were not fitted on, where there are such."""
    from mtl_transformers.lifecycle.calibrate import decisions_of

    change = decided.held_out or decided.fitted
    thresholds = (decisions_of(task)["thresholds"] for task in (decided.before, decided.after))
    for of, was, old, new in zip(change.after.labels, change.before.labels, *thresholds, strict=True):
        yield (
            of.label,
            f"{of.support:,}",
            f"{new:.3f}",
            f"{old:.3f}",
            *(f"{value:.4f}" for value in (of.f1, was.f1, of.precision, of.recall)),
        )


def _decisions(calibration: Calibration) -> Iterator[str]:
    from mtl_transformers.lifecycle.calibrate import decisions_of

    for name, decided in calibration.tasks.items():
        if decided.after.kind == "classification":
            found = decisions_of(decided.after)
            limit = "answers all" if found["min_score"] is None else f"min_score {found['min_score']:.4f}"
            yield f"{name}: temperature {found['temperature']:.4f}, {limit}"


def _notes(calibration: Calibration) -> Iterable[str]:
    notes = [f"note: {name}: {note}" for name, of in calibration.tasks.items() for note in of.notes]
    return [*notes, *(f"left alone: {name}: {why}" for name, why in calibration.left_alone.items())]


def _number(value: float) -> str:
    return f"{value:.4f}" if math.isfinite(value) else "–"
