"""The command ``push``."""

from __future__ import annotations

from typing import Annotated

import typer

from mtl_transformers.cli.arguments import ModelPath


def push(
    model: ModelPath,
    repo: Annotated[str, typer.Argument(help="The repository on the hub: owner/name.")],
    private: Annotated[bool, typer.Option("--private", help="A new repository is private.")] = False,
    revision: Annotated[str | None, typer.Option(help="The branch to commit to.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print what would go, and send nothing.")] = False,
) -> None:
    """Upload a model directory to the hub.

    Sends the files of the format, and no others.
    """
    from mtl_transformers.model import hub

    if not dry_run:
        typer.echo(hub.push(model, repo, private=private, revision=revision))
        return
    upload = hub.files_to_push(model)
    typer.echo(f"would go to {repo}:")
    for name, size in upload.files:
        typer.echo(f"{size:>15,} bytes  {name}")
    for name in upload.left_behind:
        typer.echo(f"{'stays here':>21}  {name}")
