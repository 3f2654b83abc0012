"""Pushing a directory to the hub: a model directory, or one that ``mtl export`` wrote.

Owns which files leave the machine (an allow-list: the files of the format), what becomes of older files there, and the
upload, which is one commit: what a reader finds is the old directory or the new one. Does not write any of the files.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from huggingface_hub import CommitInfo, CommitOperationAdd, CommitOperationDelete, HfApi, get_token

from mtl_transformers.errors import ModelError
from mtl_transformers.model.card import is_hub_id
from mtl_transformers.model.directory import load
from mtl_transformers.model.hub_errors import FAULTS, reason_of
from mtl_transformers.model.verifying import CARD, CONFIG, FILES, TASKS, check_place, matches
from mtl_transformers.runtime import onnx_directory
from mtl_transformers.storage.manifest import MANIFEST

MESSAGE = "Upload a directory of mtl_transformers"
_EXPORT = (
    onnx_directory.GRAPH,
    onnx_directory.RUNTIME,
    onnx_directory.PARITY,
    onnx_directory.TOKENIZER,
    onnx_directory.WORDS_TOKENIZER,
    MANIFEST,
    CARD,
)
_PATTERNS = {TASKS: FILES, onnx_directory.RUNTIME: _EXPORT}
"""The files of each format, by the one that tells it."""


@dataclass(frozen=True, slots=True)
class Upload:
    """What a push sends and what it leaves behind.

    Attributes:
        files: (name, size in bytes) of each file that goes, sorted.
        left_behind: names of the other files and directories, sorted.
        marker: the file that tells the format.
    """

    files: tuple[tuple[str, int], ...]
    left_behind: tuple[str, ...]
    marker: str

    @property
    def is_model(self) -> bool:
        """Whether it is a model directory."""
        return self.marker == TASKS

    @property
    def num_bytes(self) -> int:
        """Size of all that goes."""
        return sum(size for _, size in self.files)


@dataclass(frozen=True, slots=True)
class Pushed:
    """A push that is done.

    Attributes:
        address: of the commit.
        commit: its hash.
        upload: what it sent.
    """

    address: str
    commit: str
    upload: Upload


def files_to_push(directory: str | Path) -> Upload:
    """List the files of a directory that a push would send.

    Raises:
        ModelError: it is no directory of a format that is pushed, or it does not load.
    """
    path = _local(directory)
    marker = _checked(path)
    entries = sorted(path.iterdir())
    sent = [entry for entry in entries if entry.is_file() and matches(entry.name, _PATTERNS[marker])]
    return Upload(
        files=tuple((entry.name, entry.stat().st_size) for entry in sent),
        left_behind=tuple(entry.name for entry in entries if entry not in sent),
        marker=marker,
    )


def push(
    directory: str | Path,
    repo_id: str,
    *,
    private: bool,
    revision: str | None = None,
    tag: str | None = None,
    message: str | None = None,
    token: str | None = None,
    endpoint: str | None = None,
) -> Pushed:
    """Upload a directory in one commit; the repository and the branch are made when they do not exist.

    Files of the format that lie in the repository and not in the directory are removed there: a model with files that
    its manifest does not list is refused when it is loaded. Other files stay.

    Args:
        directory: a model directory, or an exported one.
        repo_id: ``owner/name``.
        private: a repository made here is private; else it is as the owner's account has it. An existing one stays as
            it is.
        revision: branch to commit to; the main branch by default.
        tag: a name for the commit, which must be new.
        message: of the commit.
        token: the hub's; the one that ``hf auth login`` stored by default.
        endpoint: address of the hub; the public one, or ``HF_ENDPOINT``, by default.

    Raises:
        ModelError: the directory does not load, it does not go with what the repository holds, or the hub refuses.
    """
    upload = files_to_push(directory)
    check_repository(repo_id)
    api = HfApi(endpoint=endpoint, token=token or _stored_token())
    with _told(f"pushing {directory} to {repo_id}"):
        api.create_repo(repo_id, private=private or None, exist_ok=True)
        _check_tag(api, repo_id, tag)
        if revision is not None:
            api.create_branch(repo_id, branch=revision, exist_ok=True)
        commit = _commit(api, _local(directory), upload, repo_id, revision=revision, message=message or MESSAGE)
    if tag is not None:
        with _told(f"{repo_id}: the files are there, commit {commit.oid}; giving it the tag {tag!r}"):
            api.create_tag(repo_id, tag=tag, revision=commit.oid)
    return Pushed(address=str(commit.commit_url), commit=commit.oid, upload=upload)


def check_repository(repo_id: str) -> None:
    """Refuse what is no name of a repository.

    Raises:
        ModelError: with the form of one.
    """
    if not is_hub_id(repo_id):
        raise ModelError(f"{repo_id!r} is no repository of the hub; expected owner/name, as your-name/tickets")


def _local(directory: str | Path) -> Path:
    path = Path(directory)
    if not path.is_dir():
        raise ModelError(f"{directory} is no directory. Name the one to push, as runs/tickets/best.")
    return path


def _checked(path: Path) -> str:
    """Check a directory as its readers do, and return the file that tells its format."""
    if (path / onnx_directory.RUNTIME).is_file() and not (path / TASKS).is_file():
        for name in _EXPORT:
            if (path / name).exists():
                check_place(path / name)
        onnx_directory.load(path)
        return onnx_directory.RUNTIME
    if (path / CONFIG).is_file() and not (path / TASKS).is_file():
        raise ModelError(
            f"{path} is a plain transformers directory, which is not checked here; `hf upload owner/name {path}` "
            "sends it"
        )
    load(path)
    return TASKS


def _stored_token() -> str:
    token = get_token()
    if token is None:
        raise ModelError("no token of the hub on this machine; `hf auth login` stores one, or set HF_TOKEN")
    return token


@contextmanager
def _told(what: str) -> Iterator[None]:
    """Turn what the hub's client raises into a `ModelError` that says what failed, and what to do."""
    try:
        yield
    except FAULTS as error:
        raise ModelError(f"{what} failed: {reason_of(error)}") from error


def _check_tag(api: HfApi, repo_id: str, tag: str | None) -> None:
    """Refuse a tag that is taken before anything is sent."""
    if tag is not None and tag in {known.name for known in api.list_repo_refs(repo_id).tags}:
        raise ModelError(
            f"{repo_id} has a tag {tag!r} already, and whoever loads it relies on what it names. Choose another, or "
            f"remove it first: hf repos tag delete {repo_id} {tag}"
        )


def _commit(
    api: HfApi, directory: Path, upload: Upload, repo_id: str, *, revision: str | None, message: str
) -> CommitInfo:
    """Send the files and remove older ones of the format, as one commit on top of the one that was looked at.

    Not ``upload_folder``: with hf_xet it makes several commits, between which nobody could load the model.
    """
    there = api.model_info(repo_id, revision=revision)
    names = {sibling.rfilename for sibling in there.siblings or ()}
    for marker in _PATTERNS.keys() - {upload.marker}:
        if marker in names:
            raise ModelError(
                f"{repo_id} holds a directory of another format ({marker}), whose files have the same names. Push to a "
                "repository of its own, or to a branch with --revision that does not hold it"
            )
    sent = {name for name, _ in upload.files}
    old = sorted(name for name in names - sent if matches(name, _PATTERNS[upload.marker]))
    return api.create_commit(
        repo_id,
        operations=[
            *(CommitOperationAdd(name, directory / name) for name in sorted(sent)),
            *(CommitOperationDelete(name) for name in old),
        ],
        commit_message=message,
        revision=revision,
        parent_commit=there.sha,
    )
