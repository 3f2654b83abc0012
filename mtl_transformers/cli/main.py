"""The command line: the table of its commands, and what holds for each of them.

A command parses, calls one function and prints: results go to stdout, progress and messages to stderr. An `MTLError`
is printed without a traceback and ends with exit code 2. Of several processes the first one talks.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Annotated

import typer

from mtl_transformers.cli.arguments import rank
from mtl_transformers.cli.calibrating import calibrate
from mtl_transformers.cli.changing import add_task, diff, drop_task, rename_task, replace_task
from mtl_transformers.cli.experiments import check, clean_labels, evaluate, init, train
from mtl_transformers.cli.exporting import export
from mtl_transformers.cli.libraries import quiet_libraries
from mtl_transformers.cli.plain import import_, split
from mtl_transformers.cli.predictions import predict
from mtl_transformers.cli.serving import serve
from mtl_transformers.cli.sharing import push
from mtl_transformers.errors import MTLError

COMMANDS: Mapping[str, Callable[..., None]] = {
    "init": init,
    "train": train,
    "check": check,
    "evaluate": evaluate,
    "predict": predict,
    "clean-labels": clean_labels,
    "add-task": add_task,
    "replace-task": replace_task,
    "drop-task": drop_task,
    "rename-task": rename_task,
    "diff": diff,
    "split": split,
    "import": import_,
    "calibrate": calibrate,
    "export": export,
    "serve": serve,
    "push": push,
}

app = typer.Typer(
    help="Train one encoder for all your classifiers, and answer all of them in one pass.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)


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


for name, command in COMMANDS.items():
    app.command(name)(command)


def main() -> None:
    """Run a command; print an `MTLError` and exit with 2."""
    quiet_libraries()
    try:
        app(prog_name="mtl")
    except MTLError as error:
        if rank("LOCAL_RANK") == 0:  # of each machine: a file may be missing on one of them
            typer.echo(f"error: {error}", err=True)
        sys.exit(2)
