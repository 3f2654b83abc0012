"""A model directory made from another one: encoder and tokenizer byte for byte, the rest new.

Owns which files are copied. What becomes of tasks and heads is ``lifecycle/``'s; the format is ``directory.py``'s.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from mtl_transformers.model.directory import writing
from mtl_transformers.model.verifying import ENCODER_FILES, TOKENIZER_FILES, matches
from mtl_transformers.storage.files import disk_errors


def rewrite(
    path: str | Path,
    *,
    encoder: Path,
    tokenizer: Path,
    heads: Mapping[str, Tensor],
    tasks: Mapping[str, Any],
    metrics: Mapping[str, Any],
    card: str,
) -> None:
    """Write a model directory with the encoder and the tokenizer of others; one that lies there is replaced.

    Args:
        path: the directory; it may be one of the others.
        encoder: the model directory whose encoder's files are copied.
        tokenizer: that whose tokenizer's files are.
        heads: as `directory.save` takes them; likewise the others.
        tasks: the content of ``tasks.json``.
        metrics: the content of ``metrics.json``.
        card: the text of README.md.

    Raises:
        ModelError: tasks and heads do not fit each other.
        FileError: as `directory.save`.
    """
    with writing(path, heads=heads, tasks=tasks, metrics=metrics, card=card) as new:
        _copy(encoder, new, ENCODER_FILES)
        _copy(tokenizer, new, TOKENIZER_FILES)


def _copy(source: Path, target: Path, patterns: tuple[str, ...]) -> None:
    for entry in sorted(source.iterdir()):
        if matches(entry.name, patterns):
            with disk_errors(target / entry.name):
                shutil.copyfile(entry, target / entry.name)
