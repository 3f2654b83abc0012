"""The manifest of a model directory that a test has changed: what a stranger would write who wants it to load."""

from collections.abc import Iterable
from pathlib import Path

from mtl_transformers.model.verifying import VERIFIED, matches, write_model_manifest
from mtl_transformers.storage.manifest import facts_of_file


def seal(directory: Path, *, also: Iterable[str] = ()) -> Path:
    """Make the manifest of a directory that of the files that it holds now."""
    names = [*sorted(entry.name for entry in directory.iterdir() if matches(entry.name, VERIFIED)), *also]
    write_model_manifest(directory, {name: facts_of_file(directory / name) for name in names})
    return directory
