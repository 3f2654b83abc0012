"""The report of a calibration on disk: ``calibration.json`` and a plot of each task.

    report/
    ├── calibration.json     settings; per task decisions before and after, figures, reliability bins, coverage curve
    └── <task>.png

Owns what stands in the file. The plots are ``plots.py``'s.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from mtl_transformers.errors import FileError
from mtl_transformers.lifecycle.calibrate import Calibration, decisions_of
from mtl_transformers.lifecycle.class_decisions import Curves
from mtl_transformers.lifecycle.decisions import Change, Decided, Outcome
from mtl_transformers.lifecycle.plots import check_matplotlib, draw
from mtl_transformers.model.directory import finite
from mtl_transformers.storage.files import disk_errors, replace_file

REPORT = "calibration.json"
_POINTS = 101  # of a curve in the file, at most


def check_report(directory: Path, *, models: Sequence[Path]) -> None:
    """Refuse a report that could not be written, before anything is computed.

    Args:
        directory: of the report.
        models: model directories that are read or written.

    Raises:
        ConfigError: matplotlib is not installed.
        FileError: the path is a file, or lies in a model directory.
    """
    check_matplotlib()
    if directory.exists() and not directory.is_dir():
        raise FileError(f"{directory}: is a file; name a directory for the report")
    for model in models:
        if model.resolve() in (directory.resolve(), *directory.resolve().parents):
            raise FileError(f"{directory}: lies in the model directory {model}; choose another place for the report")


def write_report(calibration: Calibration, directory: Path) -> None:
    """Write the file and the plots; older ones of the same names are replaced.

    Raises:
        FileError: they cannot be written.
    """
    with disk_errors(directory):
        directory.mkdir(parents=True, exist_ok=True)
    for name, decided in calibration.tasks.items():
        draw(name, decided, directory / f"{name}.png", measured=measured_on(calibration, decided))
    text = json.dumps(finite(report_json(calibration)), indent=2, ensure_ascii=False, allow_nan=False)
    replace_file(directory / REPORT, f"{text}\n".encode())


def measured_on(calibration: Calibration, decided: Decided) -> str:
    """Say which rows a task was measured on."""
    if decided.held_out is None:
        return f"those of {calibration.split} that it was fitted on"
    if calibration.report_split is not None:
        return f"{calibration.report_split}, fitted on {calibration.split}"
    return f"{calibration.split}, cross-fitted in {calibration.num_folds} folds"


def report_json(calibration: Calibration) -> dict[str, Any]:
    """Return the content of the file."""
    return {
        "fitted_on": calibration.split,
        "held_out": calibration.report_split or f"cross-fitted in {calibration.num_folds} folds",
        "target": str(calibration.wanted.target),
        "min_score": None if calibration.wanted.rule is None else str(calibration.wanted.rule),
        "tasks": {name: _task_json(decided) for name, decided in calibration.tasks.items()},
        "left_alone": dict(calibration.left_alone),
    }


def _task_json(decided: Decided) -> dict[str, Any]:
    return {
        "kind": decided.after.kind,
        "labels": list(decided.after.output_names),
        "before": decisions_of(decided.before),
        "after": decisions_of(decided.after),
        "notes": list(decided.notes),
        "fitted": _change_json(decided.fitted),
        "held_out": None if decided.held_out is None else _change_json(decided.held_out),
    }


def _change_json(change: Change) -> dict[str, Any]:
    return {"before": _outcome_json(change.before), "after": _outcome_json(change.after)}


def _outcome_json(outcome: Outcome) -> dict[str, Any]:
    return {
        "num_rows": outcome.num_rows,
        **outcome.figures,
        "metrics": dict(outcome.metrics),
        "labels": [asdict(of) for of in outcome.labels],
        **({} if outcome.curves is None else _curves_json(outcome.curves)),
    }


def _curves_json(curves: Curves) -> Mapping[str, Any]:
    """Return the bins, and evenly chosen points of the curve, its ends among them."""
    bins, curve = curves.reliability, curves.selection
    last = len(curve.confidences) - 1
    points = np.unique(np.linspace(0, last, min(_POINTS, last + 1)).round().astype(np.int64))
    return {
        "reliability": {
            "edges": bins.edges.tolist(),
            "rows": bins.counts.tolist(),
            "confidence": bins.confidence.tolist(),
            "accuracy": bins.accuracy.tolist(),
        },
        "selection": {
            "min_score": curve.confidences[points].tolist(),
            "coverage": curve.coverage[points].tolist(),
            "accuracy": curve.accuracy[points].tolist(),
        },
    }
