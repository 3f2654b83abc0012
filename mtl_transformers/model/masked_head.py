"""The head of masked language modelling that an encoder was pretrained with, where its file still holds it.

`AutoModel` leaves it out, so it is read from the file; ``native_names.py`` knows under which names.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor
from transformers.utils.hub import cached_file

from mtl_transformers.model.encoder import Encoder
from mtl_transformers.model.heads import Head
from mtl_transformers.model.native_names import FAMILIES, names_of
from mtl_transformers.model.tensors import read_some

_FILE = "model.safetensors"


def start_from_pretrained(head: Head, encoder: Encoder) -> bool:
    """Copy the pretrained head of an encoder into ours; tell whether its file holds one.

    Args:
        head: described by `head_spec` as "masked"; unchanged where the file holds none, or one of another form.
        encoder: of the family.
    """
    family, path = encoder.config.model_type, _file_of(encoder)
    if family not in FAMILIES or path is None:
        return False
    own = head.state_dict()
    theirs = {name: names_of(name, family=family, form="masked") for name in own}
    stored = read_some(path, [name for names in theirs.values() for name in names])
    found: dict[str, Tensor] = {
        name: next(stored[each] for each in names if each in stored)
        for name, names in theirs.items()
        if any(each in stored for each in names)
    }
    if any(name not in found or found[name].shape != tensor.shape for name, tensor in own.items()):
        return False
    with torch.no_grad():
        head.load_state_dict(found)
    return True


def _file_of(encoder: Encoder) -> Path | None:
    """Return the file that an encoder was read from; ``None`` where it lies in several."""
    if encoder.path is not None:
        path = encoder.path / _FILE
        return path if path.is_file() else None
    commit: str | None = getattr(encoder.config, "_commit_hash", None)
    found = cached_file(
        encoder.source, _FILE, revision=commit, local_files_only=True, _raise_exceptions_for_missing_entries=False
    )
    return None if found is None else Path(found)
