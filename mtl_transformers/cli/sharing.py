"""The command ``push``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:  # heavy
    from mtl_transformers.model.hub import Upload


def push(
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="A model directory, or what mtl export wrote.")],
    repo: Annotated[str, typer.Argument(help="The repository on the hub: owner/name.")],
    revision: Annotated[str | None, typer.Option(help="The branch to commit to; else main.")] = None,
    tag: Annotated[str | None, typer.Option(help="A new name for the commit, as v1.")] = None,
    message: Annotated[str | None, typer.Option(help="Of the commit.")] = None,
    private: Annotated[bool, typer.Option("--private", help="A new repository is private.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print what would go, and send nothing.")] = False,
) -> None:
    """Upload a model directory to the hub.

    Sends the files of the format and no others, in one commit, and prints its
    address.
    """
    from mtl_transformers.model import hub

    if dry_run:
        hub.check_repository(repo)
        _show(hub.files_to_push(directory), f"{repo}, {_place(revision, tag)}")
        return
    pushed = hub.push(directory, repo, private=private, revision=revision, tag=tag, message=message)
    size = f"{len(pushed.upload.files)} files, {pushed.upload.num_bytes:,} bytes"
    typer.echo(f"{size} → {repo}, {_place(revision, tag)}", err=True)
    if pushed.upload.is_model:
        typer.echo(f'MultiTaskModel.from_pretrained("{repo}", revision="{tag or pushed.commit}")', err=True)
    typer.echo(pushed.address)


def _place(revision: str | None, tag: str | None) -> str:
    branch = f"branch {revision or 'main'}"
    return branch if tag is None else f"{branch}, tag {tag}"


def _show(upload: Upload, place: str) -> None:
    typer.echo(f"would go to {place}:")
    for name, size in upload.files:
        typer.echo(f"{size:>15,} bytes  {name}")
    typer.echo(f"{upload.num_bytes:>15,} bytes  in all")
    for name in upload.left_behind:
        typer.echo(f"{'stays here':>21}  {name}")
