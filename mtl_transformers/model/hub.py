"""Pushing a model directory to the hub.

Owns which files leave the machine (an allow-list: the files of the directory format) and the upload. Does not
write any of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from huggingface_hub import HfApi
from huggingface_hub.errors import (
    HfHubHTTPError,
    HFValidationError,
    LocalTokenNotFoundError,
    OfflineModeIsEnabled,
)

from mtl_transformers.errors import ModelError
from mtl_transformers.model.directory import first_line, load
from mtl_transformers.model.verifying import FILES, matches


@dataclass(frozen=True, slots=True)
class Upload:
    """What a push sends and what it leaves behind.

    Attributes:
        files: (name, size in bytes) of each file that goes, sorted.
        left_behind: names of the other files and directories, sorted.
    """

    files: tuple[tuple[str, int], ...]
    left_behind: tuple[str, ...]


def files_to_push(directory: str | Path) -> Upload:
    """List the files of a model directory that a push would send.

    Raises:
        ModelError: it is no directory, or it does not load.
    """
    path = _local(directory)
    load(path)
    entries = sorted(path.iterdir())
    sent = [entry for entry in entries if entry.is_file() and matches(entry.name, FILES)]
    return Upload(
        files=tuple((entry.name, entry.stat().st_size) for entry in sent),
        left_behind=tuple(entry.name for entry in entries if entry not in sent),
    )


def push(
    directory: str | Path,
    repo_id: str,
    *,
    private: bool,
    revision: str | None = None,
    token: str | None = None,
    endpoint: str | None = None,
) -> str:
    """Upload a model directory; the repository and the branch are made when they do not exist.

    Args:
        directory: the model directory.
        repo_id: ``owner/name``.
        private: whether a repository made here is private; an existing one stays as it is.
        revision: branch to commit to; the main branch by default.
        token: the hub's; the one that ``hf auth login`` stored by default.
        endpoint: address of the hub; the public one, or ``HF_ENDPOINT``, by default.

    Returns:
        The address of the commit.

    Raises:
        ModelError: the directory does not load, or the hub refuses.
    """
    upload = files_to_push(directory)
    api = HfApi(endpoint=endpoint, token=token)
    try:
        api.create_repo(repo_id, private=private, exist_ok=True)
        if revision is not None:
            api.create_branch(repo_id, branch=revision, exist_ok=True)
        commit = api.upload_folder(
            repo_id=repo_id,
            folder_path=_local(directory),
            revision=revision,
            allow_patterns=[name for name, _ in upload.files],
            commit_message="Upload a model directory of mtl_transformers",
        )
    except (HfHubHTTPError, HFValidationError, LocalTokenNotFoundError, OfflineModeIsEnabled) as error:
        raise ModelError(
            f"pushing {directory} to {repo_id!r} failed: {first_line(error)} Check the name "
            "(owner/name), the network, and that `hf auth login` stored a token that may write there."
        ) from error
    return commit.commit_url


def _local(directory: str | Path) -> Path:
    path = Path(directory)
    if not path.is_dir():
        raise ModelError(f"{directory} is no directory. Name the one to push, as runs/tickets/best.")
    return path
