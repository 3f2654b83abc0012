"""The command ``predict``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from tqdm import tqdm

from mtl_transformers.cli.arguments import ModelName, Revision, names, renamed


def predict(
    model: ModelName,
    source: Annotated[Path, typer.Argument(help="A .csv, .tsv, .jsonl or .parquet file.")],
    target: Annotated[Path, typer.Argument(help="Likewise; a file that lies there is replaced.")],
    tasks: Annotated[str | None, typer.Option(help="Names with commas; else all whose columns there are.")] = None,
    columns: Annotated[
        str | None, typer.Option(help="The file's columns by the model's, with commas: body=message.")
    ] = None,
    id_: Annotated[str | None, typer.Option("--id", help="The column that names rows; else id.")] = None,
    top_k: Annotated[int | None, typer.Option(min=1, help="Also give the probabilities of the k best labels.")] = None,
    revision: Revision = None,
) -> None:
    """Answer every row of a file.

    All tasks that read the same text share one encoder pass; no labels are needed.
    """
    by_ours = renamed(columns)
    from mtl_transformers.inference.bulk import predict_file
    from mtl_transformers.inference.multitask import MultiTaskModel

    served = MultiTaskModel.from_pretrained(model, revision=revision)
    with tqdm(unit=" rows", leave=False, disable=None) as bar:
        num_rows = predict_file(
            served,
            source,
            target,
            tasks=names(tasks),
            columns=by_ours,
            id_column=id_,
            top_k=top_k,
            on_rows=bar.update,
        )
    typer.echo(f"{num_rows:,} rows → {target}", err=True)
