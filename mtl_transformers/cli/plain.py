"""The commands ``split`` and ``import``: from a model directory to plain transformers directories, and back."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mtl_transformers.cli.arguments import ModelName, Revision, names
from mtl_transformers.errors import ConfigError

Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace such a directory that lies there.")]


def split(
    model: ModelName,
    task: Annotated[str, typer.Argument(help="The task's name.")],
    out: Annotated[Path, typer.Argument(help="The directory to write.")],
    overwrite: Overwrite = False,
    revision: Revision = None,
) -> None:
    """Write one task as a plain transformers directory.

    Its logits equal the task's. What transformers does not do is said.
    """
    from mtl_transformers.lifecycle.split import split as write

    made = write(model, task, out, revision=revision, overwrite=overwrite)
    for note in made.notes:
        typer.echo(f"note: {note}", err=True)
    typer.echo(f"{made.architecture}, opened by {made.auto_class} → {out}")
    typer.echo(f"largest difference of the logits on random tokens: {made.parity}")


def import_(
    out: Annotated[Path, typer.Argument(help="The model directory to write.")],
    sources: Annotated[list[str], typer.Argument(metavar="NAME=DIR", help="A task's name and its directory.")],
    columns: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=COLUMNS", help="Columns of its text: rte=first,second. Else text."),
    ] = None,
    kinds: Annotated[
        list[str] | None,
        typer.Option("--kind", metavar="NAME=KIND", help="Its kind, where its config.json does not say: ranking."),
    ] = None,
    overwrite: Overwrite = False,
) -> None:
    """Make one model of plain transformers directories.

    They must share an encoder: heads that were trained on it while it was frozen.
    """
    from mtl_transformers.lifecycle.imported_tasks import Source
    from mtl_transformers.lifecycle.importing import import_models

    places = [_pair(text, "NAME=DIR") for text in sources]
    of_columns = _by_name(columns, "--columns", places)
    of_kind = _by_name(kinds, "--kind", places)
    given = [
        Source(name, Path(path), tuple(names(of_columns.get(name)) or ()), of_kind.get(name)) for name, path in places
    ]
    made = import_models(out, given, overwrite=overwrite)
    for name, served in made.model.tasks.items():
        read = ", ".join(served.input.columns)
        typer.echo(f"{name}: {served.task.kind} on {read}, logits differ by {made.parities[name]}")
    typer.echo(f"{len(given)} tasks on one encoder → {out}")


def _by_name(texts: list[str] | None, option: str, places: list[tuple[str, str]]) -> dict[str, str]:
    """Return what an option says of each name."""
    found = dict(_pair(text, f"{option} NAME=…") for text in texts or [])
    for name in found.keys() - dict(places).keys():
        raise ConfigError(f"{option} {name}: there is no such name among {', '.join(dict(places))}")
    return found


def _pair(text: str, expected: str) -> tuple[str, str]:
    name, equals, rest = text.partition("=")
    if not (name and equals and rest):
        raise ConfigError(f"{text!r}: expected {expected}, as in intent=out/intent")
    return name, rest
