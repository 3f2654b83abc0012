"""An exported directory: one ONNX graph and all that its answers need, readable without torch.

Owns the format below, reading it strictly and refusing one that is not as it was written. Writing the graph is
``inference/``'s.

    out/
    ├── model.onnx             input_ids, attention_mask and, if used, token_type_ids [S, L] → for each task, under its
    │                          name, [S, C] of each sequence or [S, L, C] of each token
    ├── tokenizer.json         for raw texts and pairs
    ├── tokenizer_words.json   for lists of words, where it is another one
    ├── runtime.json           {"format_version": 1, "precision", "encoder", "pad_id", "uses_token_types", "max_length",
    │                          "tasks": {<task>: {"kind", "dataset", "input": {…}, "decoder": {…}}}}
    ├── parity.json            how it compares with the model that it was made of
    └── manifest.json          sizes and SHA-256 of all of the above
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer

from mtl_transformers.errors import FileError, ModelError
from mtl_transformers.runtime.questions import Answerable
from mtl_transformers.runtime.text_encoders import TextEncoders
from mtl_transformers.storage.manifest import Manifest, faults, read_manifest
from mtl_transformers.text.inputs import Input
from mtl_transformers.text.kinds_of_decoder import decoder_from_json

FORMAT_VERSION = 1
GRAPH, RUNTIME, PARITY = "model.onnx", "runtime.json", "parity.json"
TOKENIZER, WORDS_TOKENIZER = "tokenizer.json", "tokenizer_words.json"
_REQUIRED = (GRAPH, RUNTIME, TOKENIZER)
_AGAIN = "Copy the directory again, or export the model again"


@dataclass(frozen=True, slots=True)
class OnnxDirectory:
    """What an exported directory holds beside its graph.

    Attributes:
        path: where it lies.
        tasks: by name.
        encoders: of its tokenizer.
        pad_id: of the padding token.
        uses_token_types: whether the graph takes ``token_type_ids``.
        precision: fp32, fp16 or int8.
        encoder: name of the pretrained encoder that the model began with.
        fingerprint: the SHA-256 of its parts, and the precision.
    """

    path: Path
    tasks: Mapping[str, Answerable]
    encoders: TextEncoders
    pad_id: int
    uses_token_types: bool
    precision: str
    encoder: str
    fingerprint: Mapping[str, str]


def load(path: str | Path) -> OnnxDirectory:
    """Read an exported directory.

    Raises:
        ModelError: it is none, or it is not as it was written; with the file and what to do.
    """
    path = Path(path)
    manifest = verify(path)
    try:
        facts = json.loads((path / RUNTIME).read_bytes())
        _check_version(path, facts["format_version"])
        if not facts["tasks"]:
            raise ModelError(f"{path / RUNTIME} holds no task. {_AGAIN}")
        return OnnxDirectory(
            path=path,
            tasks={name: _answerable(entry) for name, entry in facts["tasks"].items()},
            encoders=_encoders(path, uses_token_types=facts["uses_token_types"]),
            pad_id=facts["pad_id"],
            uses_token_types=facts["uses_token_types"],
            precision=facts["precision"],
            encoder=facts["encoder"],
            fingerprint=_fingerprint(manifest, precision=facts["precision"]),
        )
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ModelError(f"{path / RUNTIME} is malformed: {type(error).__name__} at {error}. {_AGAIN}") from error


def verify(path: Path) -> Manifest:
    """Check that a directory holds the files that were written, and return their facts. Every file is read once.

    Raises:
        ModelError: one is missing, changed or truncated.
    """
    if not path.is_dir():
        raise ModelError(f"{path} is no directory. Name one that mtl export wrote")
    missing = [name for name in _REQUIRED if not (path / name).is_file()]
    if missing:
        raise ModelError(f"{path} is no exported directory: it has no {missing[0]}. Make one with: mtl export")
    try:
        manifest = read_manifest(path)
    except FileError as error:
        raise ModelError(f"{error}. {_AGAIN}") from error
    read = [*_REQUIRED, WORDS_TOKENIZER]
    unlisted = [name for name in read if (path / name).exists() and name not in manifest.files]
    found = [*faults(path, manifest), *(f"{name} is not in the manifest" for name in unlisted)]
    if found:
        raise ModelError(f"{path} is not as it was written: {'; '.join(found)}. {_AGAIN}")
    return manifest


def _fingerprint(manifest: Manifest, *, precision: str) -> dict[str, str]:
    named = {"weights": GRAPH, "tokenizer": TOKENIZER, "tasks": RUNTIME}
    return {**{part: manifest.files[name].sha256 for part, name in named.items()}, "precision": precision}


def _check_version(path: Path, version: object) -> None:
    if version != FORMAT_VERSION:
        raise ModelError(
            f"{path / RUNTIME} has format_version {version!r}; this version of mtl_transformers reads "
            f"{FORMAT_VERSION}. Export the model again"
        )


def _answerable(entry: Mapping[str, Any]) -> Answerable:
    return Answerable(
        kind=entry["kind"],
        dataset=entry["dataset"],
        input=Input.from_json(entry["input"]),
        decoder=decoder_from_json(entry["decoder"]),
    )


def _encoders(path: Path, *, uses_token_types: bool) -> TextEncoders:
    text = _tokenizer(path / TOKENIZER)
    has_words = (path / WORDS_TOKENIZER).is_file()
    words = _tokenizer(path / WORDS_TOKENIZER) if has_words else text
    return TextEncoders(text=text, words=words, uses_token_types=uses_token_types)


def _tokenizer(path: Path) -> Tokenizer:
    try:
        return Tokenizer.from_file(str(path))
    except Exception as error:  # tokenizers has no class of its own for a file that it cannot read
        raise ModelError(f"{path} cannot be read: {error}. {_AGAIN}") from error
