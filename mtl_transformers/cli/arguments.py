"""Arguments and options that several commands take, and the values that they stand for."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mtl_transformers.errors import ConfigError

if TYPE_CHECKING:  # heavy: each command imports what it needs, so that --help answers at once
    from mtl_transformers.config import Config
    from mtl_transformers.runtime.onnx_model import OnnxModel

ConfigPath = Annotated[Path, typer.Argument(help="The config, a YAML file.")]
ModelName = Annotated[str, typer.Argument(help="A model directory, or a hub id.")]
Revision = Annotated[str | None, typer.Option(help="Branch, tag or commit of a hub id.")]
Overrides = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Override a key of the config, as training.epochs=1."),
]


def read_config(path: Path, overrides: list[str] | None) -> Config:
    """Load a config with the overrides of ``--set``."""
    from mtl_transformers.config import load_config, parse_override

    return load_config(path, dict(map(parse_override, overrides or [])))


def load_graph(directory: str, *, num_threads: int | None = None) -> OnnxModel:
    """Load a directory that ``mtl export`` wrote.

    Raises:
        ConfigError: onnxruntime is not installed.
    """
    try:
        from mtl_transformers.runtime.onnx_model import OnnxModel
    except ImportError as error:
        raise ConfigError(f"--onnx needs more packages ({error}): pip install 'mtl_transformers[onnx]'") from error
    return OnnxModel.from_pretrained(directory, num_threads=num_threads)


def names(text: str | None) -> list[str] | None:
    """Return the names in a text with commas."""
    return [name.strip() for name in text.split(",")] if text else None


def renamed(text: str | None) -> dict[str, str] | None:
    """Return the columns in a text as ``body=message,subject=title``.

    Raises:
        ConfigError: a part is no pair.
    """
    return dict(map(_pair, text.split(","))) if text else None


def _pair(text: str) -> tuple[str, str]:
    ours, equals, theirs = (part.strip() for part in text.partition("="))
    if not (ours and equals and theirs):
        raise ConfigError(f"--columns {text!r}: expected name=column, as in body=message")
    return ours, theirs


def rank(variable: str) -> int:
    """Return the number of this process as the launcher gives it: over all machines, or on this one."""
    return int(os.environ.get(variable, "0"))
