"""Fetching a model directory from the hub into its cache.

Owns which of a repository's files are fetched: those of the directory format, and no others.
"""

from __future__ import annotations

from pathlib import Path

from huggingface_hub import snapshot_download

from mtl_transformers.errors import ModelError
from mtl_transformers.model.hub_errors import FAULTS, reason_of
from mtl_transformers.model.verifying import FILES, TASKS


def fetch(name: str, *, revision: str | None) -> Path:
    """Fetch what is not in the cache yet, and return where the files lie.

    Args:
        name: ``owner/name``.
        revision: branch, tag or commit; the main branch by default.

    Raises:
        ModelError: the hub cannot be reached or has no such model, and neither has the cache.
    """
    try:
        return Path(snapshot_download(name, revision=revision, allow_patterns=list(FILES)))
    except FAULTS as error:
        at = "" if revision is None else f", revision {revision!r}"
        raise ModelError(
            f"no model {name!r}{at}. A name is a directory that holds {TASKS}, as runs/tickets/best, or a hub id of "
            f"the form owner/name; there is no such directory, and fetching it from the hub failed: {reason_of(error)}"
        ) from error
