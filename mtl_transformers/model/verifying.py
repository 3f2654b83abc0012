"""Which files a model directory has, and whether they are the ones that were written.

Owns their names, the manifest of a model directory (``storage/manifest.py`` has its format), and refusing a directory
that lacks a file, whose files were changed, or whose links lead out of it. Does not read what is in the files.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from fnmatch import fnmatch
from importlib.metadata import version
from pathlib import Path

from mtl_transformers.errors import FileError, ModelError
from mtl_transformers.model.tensors import check_tensors
from mtl_transformers.storage.files import write_file
from mtl_transformers.storage.manifest import MANIFEST, FileFacts, Manifest, faults, read_manifest

CONFIG, WEIGHTS, WEIGHTS_INDEX = "config.json", "model.safetensors", "model.safetensors.index.json"
TOKENIZER, HEADS = "tokenizer.json", "heads.safetensors"
TASKS, METRICS, CARD = "tasks.json", "metrics.json", "README.md"
ENCODER_FILES = (CONFIG, WEIGHTS, WEIGHTS_INDEX, "model-?????-of-?????.safetensors")
TOKENIZER_FILES = (
    TOKENIZER,
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.txt",
    "vocab.json",
    "merges.txt",
    "spiece.model",
    "spm.model",
    "sentencepiece.bpe.model",
)
VERIFIED = (*ENCODER_FILES, *TOKENIZER_FILES, HEADS, TASKS, METRICS)
"""Names and patterns of the files that are read when a directory is loaded: the manifest holds each."""
FILES = (*VERIFIED, MANIFEST, CARD)
"""Names and patterns of every file that a model directory may hold: what is fetched and what is uploaded."""
PICKLED = ("*.bin", "*.pt", "*.pth", "*.ckpt", "*.pkl", "*.pickle")
CONVERT = (
    "pickled weights can run code and are not read. Convert them where you trust them: "
    "AutoModel.from_pretrained(...).save_pretrained(...) writes safetensors."
)
AGAIN = "Copy or fetch the directory again."
_REQUIRED = {CONFIG, TOKENIZER, HEADS, METRICS, TASKS, MANIFEST}


def matches(name: str, patterns: Iterable[str]) -> bool:
    """Return whether a file's name is one of some names and patterns."""
    return any(fnmatch(name, pattern) for pattern in patterns)


def write_model_manifest(directory: Path, files: Mapping[str, FileFacts]) -> None:
    """Write the manifest of a model directory, after all of its files.

    Args:
        directory: which holds them.
        files: facts of each file that is read when it is loaded.

    Raises:
        FileError: it cannot be written.
    """
    facts = {name: version(name) for name in ("mtl_transformers", "torch", "transformers")}
    write_file(directory / MANIFEST, Manifest(files, facts).to_bytes())


def verify(path: Path) -> None:
    """Check that a model directory holds the files that were written, and nothing else that is read.

    Every file is read once.

    Raises:
        ModelError: one is missing, changed, truncated, unlisted or no file, points out of the directory, or its
            weights are pickled; with the file and what to do.
    """
    names = {entry.name for entry in path.iterdir()}
    _check_complete(path, names)
    for name in sorted(names):
        if matches(name, FILES):
            check_place(path / name)
    _check_manifest(path, {name for name in names if matches(name, VERIFIED)})
    for name in sorted(names):
        if matches(name, ENCODER_FILES) and name.endswith(".safetensors"):
            _check_header(path / name)


def check_place(path: Path) -> None:
    """Refuse what is no file, or a link to a file that lies elsewhere.

    A link into the blobs of the hub's cache is how that cache stores a file: ``<repository>/snapshots/<commit>/<file>``
    points to ``<repository>/blobs/<hash>``.

    Raises:
        ModelError: naming the file and what to do.
    """
    try:
        directory, real = path.parent.resolve(), path.resolve(strict=True)
    except (OSError, RuntimeError) as error:  # a link to nothing, or in a circle
        raise ModelError(f"{path} is a link that leads nowhere. {AGAIN}") from error
    in_cache = directory.parent.name == "snapshots" and real.parent == directory.parent.parent / "blobs"
    if real.parent != directory and not in_cache:
        raise ModelError(
            f"{path} points out of the directory, to {real}. Put a copy of the file in its place if you trust it."
        )
    if not real.is_file():
        raise ModelError(f"{path} is no file. {AGAIN}")


def _check_complete(path: Path, names: set[str]) -> None:
    weights = {WEIGHTS, WEIGHTS_INDEX} & names
    pickled = sorted(name for name in names if matches(name, PICKLED))
    if not weights and pickled:
        raise ModelError(f"{path} holds {pickled[0]} instead of {WEIGHTS}: {CONVERT}")
    missing = sorted(_REQUIRED - names) + ([] if weights else [WEIGHTS])
    if missing:
        raise ModelError(f"{path} is not complete, {', '.join(missing)} missing. {AGAIN}")


def _check_manifest(path: Path, names: set[str]) -> None:
    """Compare the files that would be read with the manifest, and each with what the manifest says of it."""
    try:
        manifest = read_manifest(path)
    except FileError as error:
        raise ModelError(f"{error}. {AGAIN}") from error
    strange = sorted(name for name in manifest.files if not matches(name, VERIFIED))
    if strange:
        raise ModelError(f"{path / MANIFEST} lists {strange[0]!r}, which is no file of a model directory. {AGAIN}")
    unlisted = sorted(names - manifest.files.keys())
    found = [*faults(path, manifest), *(f"{name} is not in {MANIFEST}" for name in unlisted)]
    if found:
        raise ModelError(f"{path} is not as it was written: {'; '.join(found)}. {AGAIN}")


def _check_header(path: Path) -> None:
    try:
        check_tensors(path)
    except FileError as error:
        raise ModelError(f"{error}. {AGAIN}") from error
