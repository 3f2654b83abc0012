"""Commands that change a task of a model, or tell what changed: ``add-task``, ``drop-task``, ``diff`` and others."""

from __future__ import annotations

from contextlib import ExitStack, closing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mtl_transformers.cli.arguments import ConfigPath, ModelName, Overrides, names
from mtl_transformers.cli.changes import diff_json, show_change, show_diff, show_edited
from mtl_transformers.cli.progress import progress_of
from mtl_transformers.cli.tables import show_plan
from mtl_transformers.errors import ModelError

if TYPE_CHECKING:  # heavy: each command imports what it needs, so that --help answers at once
    from collections.abc import Iterator

    from mtl_transformers.lifecycle.change import Change, Settings
    from mtl_transformers.training.loop import Event

Freeze = Annotated[
    str | None, typer.Option(help="What of the encoder is not trained: all, embeddings, or a number of lower layers.")
]
MaxDrop = Annotated[float, typer.Option(min=0, help="How much the first metric of another task may fall.")]
Out = Annotated[Path | None, typer.Option(help="Where the changed model goes; else in the place of the old one.")]
Data = Annotated[
    list[Path] | None,
    typer.Option(
        metavar="CONFIG", help="A config with data of the other tasks, besides that of the model's run; several times."
    ),
]
Rehearse = Annotated[bool, typer.Option("--rehearse", help="Train the other tasks too, on these data.")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace a training that was left unfinished.")]
Resume = Annotated[bool, typer.Option("--resume", help="Go on with it.")]


def add_task(
    model: ModelName,
    config: ConfigPath,
    freeze: Freeze = None,
    max_drop: MaxDrop = 0.01,
    out: Out = None,
    data: Data = None,
    rehearse: Rehearse = False,
    set_: Overrides = None,
    overwrite: Overwrite = False,
    resume: Resume = False,
) -> None:
    """Train a new task on a model, and add it.

    CONFIG has the data and the new task; of it, output is not read. With --freeze all nothing else changes by a byte.
    Without it the other tasks are scored before and after, and the model is not replaced where one falls.
    """
    from mtl_transformers.lifecycle.adding import adding

    settings = _settings(freeze, max_drop, out, data, set_, rehearse=rehearse, overwrite=overwrite, resume=resume)
    _watch(adding(model, config, settings))


def replace_task(
    model: ModelName,
    config: ConfigPath,
    tasks: Annotated[str | None, typer.Option(help="Names with commas; else all of the config.")] = None,
    freeze: Freeze = None,
    max_drop: MaxDrop = 0.01,
    out: Out = None,
    data: Data = None,
    rehearse: Rehearse = False,
    set_: Overrides = None,
    overwrite: Overwrite = False,
    resume: Resume = False,
) -> None:
    """Train a task of a model anew.

    The task gets a new head, of other labels or another kind where CONFIG says so. All else is as with add-task.
    """
    from mtl_transformers.lifecycle.adding import adding

    settings = _settings(freeze, max_drop, out, data, set_, rehearse=rehearse, overwrite=overwrite, resume=resume)
    _watch(adding(model, config, settings, replaced=names(tasks) or ()))


def drop_task(
    model: ModelName,
    task: Annotated[str, typer.Argument(help="The name of the task.")],
    out: Out = None,
) -> None:
    """Remove a task from a model.

    Nothing is trained, and nothing else changes by a byte.
    """
    from mtl_transformers.lifecycle.editing import drop_task as drop
    from mtl_transformers.lifecycle.storing import shown

    show_edited(f"dropped {task}", shown(drop(model, task, out=out)))


def rename_task(
    model: ModelName,
    old: Annotated[str, typer.Argument(help="The name of the task.")],
    new: Annotated[str, typer.Argument(help="The name that it gets.")],
    out: Out = None,
) -> None:
    """Give a task of a model another name.

    Nothing is trained, and nothing else changes by a byte.
    """
    from mtl_transformers.lifecycle.editing import rename_task as rename
    from mtl_transformers.lifecycle.storing import shown

    show_edited(f"renamed {old} to {new}", shown(rename(model, old, new, out=out)))


def diff(
    before: ModelName,
    after: ModelName,
    json: Annotated[bool, typer.Option("--json", help="Print all of it as JSON.")] = False,
    exit_code: Annotated[bool, typer.Option("--exit-code", help="Exit with code 1 when they differ.")] = False,
) -> None:
    """Tell what changed between two models.

    Compares the encoders tensor by tensor, and each task: its head, labels, settings and scores.
    """
    from mtl_transformers.lifecycle.diff import diff as compare

    found = compare(before, after)
    if json:
        typer.echo(diff_json(found))
    else:
        show_diff(found, before=before, after=after)
    if exit_code and not found.is_empty:
        raise typer.Exit(1)


def _settings(
    freeze: str | None,
    max_drop: float,
    out: Path | None,
    data: list[Path] | None,
    overrides: list[str] | None,
    *,
    rehearse: bool,
    overwrite: bool,
    resume: bool,
) -> Settings:
    from mtl_transformers.config import parse_override
    from mtl_transformers.lifecycle.change import Settings

    return Settings(
        freeze=freeze,
        max_drop=max_drop,
        out=out,
        data=tuple(data or ()),
        rehearse=rehearse,
        overrides=dict(map(parse_override, overrides or [])),
        overwrite=overwrite,
        resume=resume,
    )


def _watch(events: Iterator[Event | Change]) -> None:
    """Show a training and what became of the model.

    Raises:
        ModelError: the model was not replaced.
    """
    from mtl_transformers.lifecycle.change import Change
    from mtl_transformers.lifecycle.storing import shown
    from mtl_transformers.training.loop import Planned, Stopped
    from mtl_transformers.training.run import Evaluated
    from mtl_transformers.training.window import Logged

    with ExitStack() as stack:
        for event in events:
            match event:
                case Planned():
                    show_plan(event.plan, where=f"{event.device}, {event.precision}")
                    tasks = [of["task"] for of in event.plan["tasks"]]
                    num_steps = event.plan["steps"]
                    progress = progress_of(tasks, num_steps=num_steps, first_step=event.first_step)
                    stack.enter_context(closing(progress))
                case Logged():
                    progress.logged(event)
                case Evaluated():
                    progress.evaluated(event)
                case Stopped():
                    stack.close()
                    said = f"{event.request.reason}: stopped after step {event.step}; the model is as it was, "
                    typer.echo(f"{said}and --resume goes on with the training", err=True)
                    raise typer.Exit(event.request.exit_code)
                case Change():
                    stack.close()
                    show_change(event, path=shown(event.path))
                    if event.refused:
                        raise ModelError(event.refusal())
