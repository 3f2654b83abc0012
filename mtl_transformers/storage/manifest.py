"""The manifest of a directory: which files belong to it, their sizes and SHA-256.

safetensors and JSON readers notice a truncated file; none notices a flipped bit. The manifest does, in itself too:
it carries a digest of its own content, and its bytes must be those that writing that content gives.

    {
      "format_version": 1,
      …                                         facts of whoever wrote it
      "files": {<name>: {"size": bytes, "sha256": …}},
      "sha256": of the canonical JSON of all of the above
    }
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mtl_transformers.errors import FileError
from mtl_transformers.storage.files import disk_errors, sha256_of, write_file

MANIFEST = "manifest.json"
FORMAT_VERSION = 1
_OWN = ("format_version", "files", "sha256")


@dataclass(frozen=True, slots=True)
class FileFacts:
    """What a manifest says of a file.

    Attributes:
        size: bytes.
        sha256: hexadecimal digits.
    """

    size: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a directory should hold.

    Attributes:
        files: by name.
        facts: what its writer says besides.
    """

    files: Mapping[str, FileFacts]
    facts: Mapping[str, Any]

    def to_bytes(self) -> bytes:
        """Return the content of ``manifest.json``."""
        content = {
            "format_version": FORMAT_VERSION,
            **self.facts,
            "files": {name: {"size": of.size, "sha256": of.sha256} for name, of in sorted(self.files.items())},
        }
        content["sha256"] = hashlib.sha256(_json(content)).hexdigest()
        return _json(content) + b"\n"


def facts_of(content: bytes) -> FileFacts:
    """Return what a manifest says of a file with this content."""
    return FileFacts(len(content), hashlib.sha256(content).hexdigest())


def facts_of_file(path: Path) -> FileFacts:
    """Return what a manifest says of a file that is there."""
    with disk_errors(path):
        return FileFacts(path.stat().st_size, sha256_of(path))


def write_manifest(directory: Path, names: Iterable[str], *, facts: Mapping[str, Any]) -> None:
    """Write the manifest of files that are there.

    Raises:
        FileError: a file cannot be read, or the manifest not written.
    """
    files = {name: facts_of_file(directory / name) for name in names}
    write_file(directory / MANIFEST, Manifest(files, facts).to_bytes())


def read_manifest(directory: Path) -> Manifest:
    """Read a manifest and check it against its own digest.

    Raises:
        FileError: it is missing, malformed, changed, or of another version.
    """
    path = directory / MANIFEST
    if not path.is_file():
        raise FileError(f"{path} is missing: the directory was not written to its end")
    with disk_errors(path):
        found = path.read_bytes()
    try:
        content = json.loads(found)
        _check_version(path, content["format_version"])
        manifest = _from_json(content)
        written = manifest.to_bytes()
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError, OverflowError) as error:
        raise FileError(f"{path} is malformed: {type(error).__name__} at {error}") from error
    if written != found:
        raise FileError(f"{path} was changed: it is not what its own SHA-256 says")
    return manifest


def _check_version(path: Path, version: object) -> None:
    if version != FORMAT_VERSION:
        raise FileError(
            f"{path} has format_version {version!r}; this version of mtl_transformers reads {FORMAT_VERSION}"
        )


def _from_json(content: Mapping[str, Any]) -> Manifest:
    files = {_name(name): FileFacts(int(of["size"]), str(of["sha256"])) for name, of in content["files"].items()}
    return Manifest(files, {key: value for key, value in content.items() if key not in _OWN})


def _name(name: str) -> str:
    """Return what can only be the name of a file in the directory itself."""
    if Path(name).name != name or name == ".." or "\0" in name or not name.encode():
        raise ValueError(f"the name {name!r}: no name of a file in the directory")
    return name


def faults(directory: Path, manifest: Manifest) -> list[str]:
    """Return what differs between a directory and its manifest, a message for each file; files beyond it are ignored.

    Sizes are compared first: a truncated file is found without reading it.
    """
    return [fault for name, of in manifest.files.items() if (fault := _fault(directory / name, of)) is not None]


def _fault(path: Path, expected: FileFacts) -> str | None:
    try:
        size = path.stat().st_size
        if size != expected.size:
            return f"{path.name} has {size:,} bytes instead of {expected.size:,}"
        if sha256_of(path) != expected.sha256:
            return f"{path.name} was changed: its SHA-256 is not the one of the manifest"
    except FileNotFoundError:
        return f"{path.name} is missing"
    except OSError as error:
        return f"{path.name} cannot be read: {error.strerror}"
    return None


def _json(content: Mapping[str, Any]) -> bytes:
    return json.dumps(content, indent=2, allow_nan=False).encode()
