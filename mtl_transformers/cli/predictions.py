"""The command ``predict``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer
from tqdm import tqdm

from mtl_transformers.cli.arguments import ModelName, Revision, load_graph, names, renamed
from mtl_transformers.cli.libraries import keep_few_kernels
from mtl_transformers.errors import ConfigError

if TYPE_CHECKING:  # heavy, and only named here
    from mtl_transformers.inference.multitask import MultiTaskModel
    from mtl_transformers.inference.sharding import Worker
    from mtl_transformers.inference.shards import Present
    from mtl_transformers.runtime.onnx_model import OnnxModel


def predict(
    model: ModelName,
    source: Annotated[
        str, typer.Argument(help="A .csv, .tsv, .jsonl or .parquet file; for a directory of shards also a pattern.")
    ],
    target: Annotated[
        str, typer.Argument(help="A file of any of these kinds, or a directory (no ending, or a slash) of shards.")
    ],
    tasks: Annotated[str | None, typer.Option(help="Names with commas; else all whose columns there are.")] = None,
    columns: Annotated[
        str | None, typer.Option(help="The file's columns by the model's, with commas: body=message.")
    ] = None,
    id_: Annotated[str | None, typer.Option("--id", help="The column that names rows; else id.")] = None,
    keep: Annotated[str | None, typer.Option(help="Columns of the input to copy, with commas.")] = None,
    errors: Annotated[
        Literal["raise", "keep"],
        typer.Option(help="A row that cannot be read: stop, or write its message in the column error."),
    ] = "raise",
    top_k: Annotated[
        int | None, typer.Option(min=1, help="Also give the probabilities of the k best labels; in .jsonl.")
    ] = None,
    onnx: Annotated[bool, typer.Option("--onnx", help="MODEL is a directory that mtl export wrote; no torch.")] = False,
    shard_rows: Annotated[int | None, typer.Option(min=1, help="The most rows of a shard; else 100,000.")] = None,
    worker: Annotated[str | None, typer.Option(help="Make a part of the shards only: 0/4 to 3/4.")] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Begin a directory of shards anew.")] = False,
    revision: Revision = None,
) -> None:
    """Answer every row of a file, or of many.

    All tasks that read the same text share one encoder pass; no labels are needed. A directory of shards is resumable:
    the same command again makes what is missing.
    """
    is_file = bool(Path(target).suffix) and not target.endswith("/")
    anew = {"--shard-rows": shard_rows, "--worker": worker, "--overwrite": overwrite or None}
    _check_options({"--top-k": top_k} if not is_file else anew, target)
    keep_few_kernels()
    wanted = _Wanted(names(tasks), renamed(columns), id_, names(keep) or [], errors)
    from mtl_transformers.inference.sharding import parse_worker

    part = parse_worker(worker or "0/1")
    served = _of_onnx(model, revision=revision) if onnx else _of_torch(model, revision=revision)
    if is_file:
        _predict_file(served, Path(source), Path(target), wanted, top_k=top_k)
    else:
        _predict_shards(served, source, Path(target), wanted, shard_rows=shard_rows, worker=part, overwrite=overwrite)


def _of_torch(model: str, *, revision: str | None) -> MultiTaskModel:
    from mtl_transformers.inference.multitask import MultiTaskModel

    return MultiTaskModel.from_pretrained(model, revision=revision)


def _of_onnx(model: str, *, revision: str | None) -> OnnxModel:
    if revision is not None:
        raise ConfigError(f"--revision {revision}: is of a hub id, and an exported graph is a directory")
    if find_spec("pyarrow") is None:  # which comes with datasets, where torch is
        raise ConfigError("predict needs pyarrow: pip install pyarrow")
    return load_graph(model)


@dataclass(frozen=True, slots=True)
class _Wanted:
    """What holds for a file and for shards."""

    tasks: list[str] | None
    columns: dict[str, str] | None
    id_column: str | None
    keep: list[str]
    errors: Literal["raise", "keep"]


def _check_options(others: Mapping[str, object], target: str) -> None:
    """Refuse options of the other form of output."""
    for option, value in others.items():
        if value is not None:
            form = "a directory of shards" if option != "--top-k" else "a .jsonl file"
            raise ConfigError(f"{option} is for {form}, and {target} is none")


def _predict_file(
    model: MultiTaskModel | OnnxModel, source: Path, target: Path, wanted: _Wanted, *, top_k: int | None
) -> None:
    from mtl_transformers.inference.bulk import predict_file

    with tqdm(unit=" rows", leave=False, disable=None) as bar:
        num_rows = predict_file(
            model,
            source,
            target,
            tasks=wanted.tasks,
            columns=wanted.columns,
            id_column=wanted.id_column,
            keep=wanted.keep,
            errors=wanted.errors,
            top_k=top_k,
            on_rows=bar.update,
        )
    typer.echo(f"{num_rows:,} rows → {target}", err=True)


def _predict_shards(
    model: MultiTaskModel | OnnxModel,
    source: str,
    target: Path,
    wanted: _Wanted,
    *,
    shard_rows: int | None,
    worker: Worker,
    overwrite: bool,
) -> None:
    from mtl_transformers.inference.shard_run import plan_run
    from mtl_transformers.inference.sharding import SHARD_ROWS
    from mtl_transformers.inference.shards import make_shards

    run = plan_run(
        model,
        source,
        target,
        tasks=wanted.tasks,
        columns=wanted.columns,
        id_column=wanted.id_column,
        keep=wanted.keep,
        errors=wanted.errors,
        shard_rows=shard_rows or SHARD_ROWS,
        worker=worker,
        overwrite=overwrite,
    )
    typer.echo(f"{len(run.missing):,} of {len(run.shards):,} shards to make, {run.rows_to_answer:,} rows", err=True)
    with tqdm(total=run.rows_to_answer, unit=" rows", leave=False, disable=None) as bar:
        present = make_shards(model, run, on_rows=bar.update)
    typer.echo(_said(present, target), err=True)


def _said(present: Present, target: Path) -> str:
    """Return the last line: whether all shards are there, whoever made them."""
    unread = f", {present.num_errors:,} of them unread (column error)" if present.num_errors else ""
    rows = f"{present.num_rows:,} rows{unread}"
    if present.is_complete:
        return f"all {present.of_shards:,} shards are there: {rows} → {target}"
    there = f"{present.num_shards:,} of {present.of_shards:,} shards are there"
    return f"{there}: {rows} → {target}; other workers make the rest"
