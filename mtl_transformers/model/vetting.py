"""What an encoder's directory may say before transformers reads it.

transformers follows some keys of its JSON files: to weights elsewhere, to an adapter's base model, to code that reads a
quantised file. Owns refusing these; code of a repository (``auto_map``) is never run, because every call says
``trust_remote_code=False``, and pickled weights are never read, because every call says ``use_safetensors=True``.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mtl_transformers.errors import ModelError

CONFIG, INDEX = "config.json", "model.safetensors.index.json"
TOKENIZER_CONFIG = "tokenizer_config.json"
_OBJECTS = (CONFIG, INDEX, "tokenizer.json", TOKENIZER_CONFIG, "special_tokens_map.json", "added_tokens.json")
_ADAPTER = "adapter_config.json"
_MOST_LABELS = 1_000_000
_REFUSED = {
    "quantization_config": "its weights are quantised; use the encoder that they were made from",
    "transformers_weights": "it names other weights than model.safetensors; rename them and remove the key",
}


def vet(directory: Path) -> None:
    """Refuse a directory whose JSON files are malformed, or lead transformers to other files.

    Raises:
        ModelError: naming the file, the key and what to do.
    """
    if (directory / _ADAPTER).exists():
        raise ModelError(
            f"{directory} holds {_ADAPTER}: an adapter needs a base model that lies elsewhere. Merge the two where you "
            "trust them, and name the merged encoder."
        )
    found = {name: _read_object(directory / name) for name in _OBJECTS if (directory / name).exists()}
    vet_config(found.get(CONFIG, {}), place=str(directory / CONFIG))
    _check_names(found.get(INDEX, {}).get("weight_map", {}), place=directory / INDEX)
    _check_names(
        dict(enumerate(found.get(TOKENIZER_CONFIG, {}).get("fast_tokenizer_files") or ())),
        place=directory / TOKENIZER_CONFIG,
        ending=".json",
    )


def vet_config(config: Mapping[str, Any], *, place: str) -> None:
    """Refuse keys of a configuration that lead elsewhere.

    Raises:
        ModelError: naming the key and what to do.
    """
    for key, reason in _REFUSED.items():
        if config.get(key) is not None:
            raise ModelError(f"{place}: the key {key} is not supported: {reason}.")
    labels = config.get("num_labels")
    if isinstance(labels, int) and labels > _MOST_LABELS:  # transformers makes a name for each
        raise ModelError(f"{place}: num_labels {labels:,} is more than {_MOST_LABELS:,}. Is that the right file?")


def _read_object(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise ModelError(f"{path} is malformed: {error}. Copy or fetch the directory again.") from error
    if not isinstance(content, dict):
        raise ModelError(f"{path} is malformed: a JSON object was expected, not {type(content).__name__}.")
    return content


def _check_names(names: object, *, place: Path, ending: str = ".safetensors") -> None:
    """Refuse names of files that are not names in the directory itself."""
    if not isinstance(names, dict):
        raise ModelError(f"{place} is malformed: an object was expected, not {type(names).__name__}.")
    for name in names.values():
        legal = isinstance(name, str) and Path(name).name == name and "\0" not in name and name.endswith(ending)
        if not legal:
            raise ModelError(
                f"{place} names {name!r}: expected the name of a {ending} file in the directory itself. Copy or fetch "
                "the directory again, from where you trust it."
            )
