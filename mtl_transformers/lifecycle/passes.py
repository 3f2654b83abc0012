"""Which tasks of a model share an encoder pass, for a row that has all columns. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from mtl_transformers.inference.served import ServedTask
from mtl_transformers.text.inputs import Input


def sharing(tasks: Mapping[str, ServedTask], of: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """Return, for some tasks, the others that read the same of a row."""
    reads = {name: _sequences(served.input) for name, served in tasks.items()}
    return {name: tuple(other for other in tasks if other != name and reads[other] == reads[name]) for name in of}


def _sequences(given: Input) -> Input:
    """Return what goes through the encoder: of a text and of the same text in words, the same."""
    sequences = given.as_served.sequences
    return replace(sequences, form="text") if given.form == "words" else sequences
