"""Which tasks of a model share an encoder pass, for a row that has all columns. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from mtl_transformers.text.inputs import Input


def sharing(inputs: Mapping[str, Input], of: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """Return, for some tasks, the others that read the same of a row; `inputs` by task."""
    reads = {name: _sequences(given) for name, given in inputs.items()}
    return {name: tuple(other for other in inputs if other != name and reads[other] == reads[name]) for name in of}


def _sequences(given: Input) -> Input:
    """Return what goes through the encoder: of a text and of the same text in words, the same."""
    sequences = given.as_served.sequences
    return replace(sequences, form="text") if given.form == "words" else sequences
