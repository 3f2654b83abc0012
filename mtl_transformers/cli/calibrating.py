"""The command ``calibrate``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from mtl_transformers.cli.arguments import ConfigPath, ModelName, Overrides, Revision, names, read_config
from mtl_transformers.cli.calibrated import show_calibration
from mtl_transformers.cli.tables import show

Split = Literal["validation", "test"]


def calibrate(
    model: ModelName,
    config: ConfigPath,
    split: Annotated[Split, typer.Option(help="Whose labelled rows are fitted on.")] = "validation",
    tasks: Annotated[str | None, typer.Option(help="Names with commas; else all that have decisions.")] = None,
    target: Annotated[
        str | None,
        typer.Option(metavar="TARGET", help="Of thresholds: f1 (the default), precision=P or recall=R."),
    ] = None,
    min_score: Annotated[
        str | None,
        typer.Option(
            metavar="RULE",
            help="Below which probability a classification has no answer: a number, coverage=SHARE, accuracy=SHARE or "
            "none; else as it is.",
        ),
    ] = None,
    report_split: Annotated[
        Split | None, typer.Option(help="Measure on this split; else each row by what was fitted without its fold.")
    ] = None,
    folds: Annotated[int, typer.Option(min=2, help="Parts of the rows for that.")] = 5,
    out: Annotated[Path | None, typer.Option(help="Write the model there; else in its place.")] = None,
    report: Annotated[Path | None, typer.Option(help="Write plots and calibration.json there.")] = None,
    set_: Overrides = None,
    revision: Revision = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Fit and print, and leave the model as it is.")] = False,
) -> None:
    """Fit probabilities and thresholds.

    Fits a temperature for each classification and a threshold for each label of a multi_label task on rows that were
    not trained on, and stores them in the model directory. Weights keep their bytes.
    """
    loaded = read_config(config, set_)
    from mtl_transformers.lifecycle.abstaining import rule_of
    from mtl_transformers.lifecycle.calibrate import calibrate as fit
    from mtl_transformers.lifecycle.calibrate import check_place, store
    from mtl_transformers.lifecycle.calibration_report import check_report, write_report
    from mtl_transformers.lifecycle.thresholds import target_of

    place = None if dry_run else check_place(model, out)
    if report is not None:
        check_report(report, models=[Path(model), *([] if place is None else [place])])
    calibration = fit(
        model,
        loaded,
        split=split,
        report_split=report_split,
        tasks=names(tasks),
        target=None if target is None else target_of(target),
        rule=None if min_score is None else rule_of(min_score),
        num_folds=folds,
        revision=revision,
    )
    show_calibration(calibration, title=f"{model} on {split}")
    if report is not None:
        write_report(calibration, report)
        show(f"→ {report}")
    if place is None:
        show("nothing was changed (--dry-run)")
    else:
        store(calibration, place)
        show(f"→ {place}")
