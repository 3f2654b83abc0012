"""The command ``export``, and the table that it prints."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from mtl_transformers.cli.arguments import ModelName, Overrides, Revision, read_config
from mtl_transformers.cli.tables import show, table
from mtl_transformers.errors import ConfigError

if TYPE_CHECKING:  # heavy, and only named here
    from mtl_transformers.lifecycle.exporting import Exported, ExportedTask

_EXTRA = ("onnx", "onnxscript", "onnxruntime")


def export(
    model: ModelName,
    onnx: Annotated[Path, typer.Option(help="The directory to write: one graph, and what its answers need.")],
    int8: Annotated[bool, typer.Option("--int8", help="A quarter of the size, and fastest on a CPU.")] = False,
    fp16: Annotated[bool, typer.Option("--fp16", help="Half of the size; not faster on a CPU.")] = False,
    config: Annotated[Path | None, typer.Option(help="Compare and score on the data of this config.")] = None,
    split: Annotated[
        Literal["train", "validation", "test"] | None, typer.Option(help="On which of its rows; else validation.")
    ] = None,
    set_: Overrides = None,
    max_drop: Annotated[
        float | None, typer.Option(min=0, help="Refuse when a first metric falls by more; else 0.01.")
    ] = None,
    rows: Annotated[Path | None, typer.Option(help="Compare on the rows of this file.")] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an older export.")] = False,
    revision: Revision = None,
) -> None:
    """Export a model as one ONNX graph.

    The directory answers without torch (mtl_transformers.runtime). Its answers are compared with the model's: on a
    config's rows, on those of a file, or on rows made of the vocabulary.
    """
    _check(int8=int8, fp16=fp16)
    if config is None:
        _check_scored({"--max-drop": max_drop, "--set": set_, "--split": split})
    loaded = None if config is None else read_config(config, set_)
    from mtl_transformers.lifecycle.exporting import export as export_model

    exported = export_model(
        model,
        onnx,
        revision=revision,
        precision="int8" if int8 else "fp16" if fp16 else "fp32",
        config=loaded,
        split=split or "validation",
        max_drop=0.01 if max_drop is None else max_drop,
        rows=rows,
        overwrite=overwrite,
    )
    _show(exported)


def _check(*, int8: bool, fp16: bool) -> None:
    if int8 and fp16:
        raise ConfigError("--int8 or --fp16? One graph has one precision; leave one of the two out")
    if missing := [name for name in _EXTRA if find_spec(name) is None]:
        raise ConfigError(f"export needs {missing[0]}: pip install 'mtl_transformers[onnx]'")


def _check_scored(options: Mapping[str, object]) -> None:
    """Refuse options that are of a config's rows, where there is none."""
    for option, value in options.items():
        if value is not None and value != []:
            raise ConfigError(f"{option} needs --config, whose rows are scored")


def _show(exported: Exported) -> None:
    """Print how the graph and torch differ, task by task, and what is left out."""
    columns = ("task", "compared on", "rows", "difference", "equal")
    show(table(columns, (_line(name, of) for name, of in exported.tasks.items()), num_names=2), "")
    if any(of.changes for of in exported.tasks.values()):
        show(table(("task", "metric", "torch", "graph"), _metrics(exported), num_names=2), "")
    elif exported.precision != "fp32":
        show(f"what {exported.precision} costs in metrics was not looked at: --config names rows with labels")
    if exported.left_out:
        show(f"left out, because masked_lm is not exported: {', '.join(exported.left_out)}")
    show(f"{exported.precision}, {exported.num_bytes / 1e6:.1f} MB → {exported.path}")


def _line(name: str, of: ExportedTask) -> tuple[str, ...]:
    equal = of.parity.equal_answers
    difference = f"{of.parity.largest_difference:.1e}"
    return name, of.source, f"{of.parity.num_rows:,}", difference, "" if equal is None else f"{equal:.1%}"


def _metrics(exported: Exported) -> Iterator[tuple[str, ...]]:
    for name, of in exported.tasks.items():
        for metric, change in of.changes.items():
            yield name, metric, f"{change.torch:.4f}", f"{change.onnx:.4f}"
