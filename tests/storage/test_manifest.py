"""A manifest notices any change of a file and of itself, and whatever it holds, nothing but a FileError is raised."""

import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mtl_transformers.errors import FileError
from mtl_transformers.storage.manifest import (
    MANIFEST,
    FileFacts,
    Manifest,
    facts_of,
    facts_of_file,
    faults,
    read_manifest,
    write_manifest,
)

FILES = {"weights.bin": bytes(range(256)) * 3, "state.json": b'{"step": 5}\n', "empty": b""}
SETTINGS = settings(
    max_examples=150, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)

plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
file_facts = st.builds(FileFacts, st.integers(0, 2**60), st.text("0123456789abcdef", min_size=64, max_size=64))
names = st.text(st.characters(codec="utf-8", exclude_characters="/\0"), min_size=1).filter(
    lambda name: Path(name).name == name and name != ".."
)
manifests = st.builds(
    Manifest,
    st.dictionaries(names, file_facts, max_size=4),
    st.dictionaries(
        st.text().filter(lambda name: name not in ("format_version", "files", "sha256")), plain, max_size=3
    ),
)


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    for name, content in FILES.items():
        (tmp_path / name).write_bytes(content)
    write_manifest(tmp_path, FILES, facts={"step": 5})
    return tmp_path


def test_a_directory_as_it_was_written_has_no_faults(directory: Path) -> None:
    manifest = read_manifest(directory)

    assert manifest.facts == {"step": 5}
    assert manifest.files == {name: facts_of(content) for name, content in FILES.items()}
    assert manifest.files == {name: facts_of_file(directory / name) for name in FILES}
    assert faults(directory, manifest) == []


def test_files_beyond_the_manifest_are_ignored(directory: Path) -> None:
    (directory / "notes.txt").write_text("mine")

    assert faults(directory, read_manifest(directory)) == []


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        (lambda path: path.unlink(), "weights.bin is missing"),
        (lambda path: path.write_bytes(b""), "weights.bin has 0 bytes instead of 768"),
        (lambda path: path.write_bytes(path.read_bytes()[:-1]), "weights.bin has 767 bytes instead of 768"),
        (lambda path: path.write_bytes(path.read_bytes() + b"\0"), "weights.bin has 769 bytes instead of 768"),
        (lambda path: path.write_bytes(b"\1" + path.read_bytes()[1:]), "weights.bin was changed: its SHA-256 is not"),
    ],
)
def test_a_changed_file_is_named_with_its_fault(directory: Path, change, fault: str) -> None:
    change(directory / "weights.bin")

    (found,) = faults(directory, read_manifest(directory))

    assert found.startswith(fault)


def test_a_directory_in_the_place_of_a_file_is_a_fault(directory: Path) -> None:
    for name in ("weights.bin", "empty"):
        (directory / name).unlink()
        (directory / name).mkdir()

    found = faults(directory, read_manifest(directory))

    assert [fault.split()[0] for fault in found] == ["empty", "weights.bin"]


def test_any_changed_byte_of_the_manifest_is_noticed(directory: Path) -> None:
    path = directory / MANIFEST
    content = path.read_bytes()
    for position in range(len(content)):
        for bit in (0, 3, 5, 7):
            changed = bytearray(content)
            changed[position] ^= 1 << bit
            path.write_bytes(bytes(changed))
            with pytest.raises(FileError, match=r"manifest\.json (is malformed|was changed|has format_version)"):
                read_manifest(directory)
    path.write_bytes(content)
    read_manifest(directory)  # the control


@pytest.mark.parametrize("kept", [0, 1, 100, -1])
def test_a_truncated_manifest_is_noticed(directory: Path, kept: int) -> None:
    path = directory / MANIFEST
    path.write_bytes(path.read_bytes()[:kept])

    with pytest.raises(FileError, match=r"manifest\.json (is malformed|was changed)"):
        read_manifest(directory)


def test_a_missing_manifest_says_that_the_directory_is_not_complete(directory: Path) -> None:
    (directory / MANIFEST).unlink()

    with pytest.raises(FileError, match=r"manifest\.json is missing: the directory was not written to its end"):
        read_manifest(directory)


def test_a_directory_in_the_place_of_the_manifest_is_refused(directory: Path) -> None:
    (directory / MANIFEST).unlink()
    (directory / MANIFEST).mkdir()

    with pytest.raises(FileError, match=r"manifest\.json"):
        read_manifest(directory)


@SETTINGS
@given(manifest=manifests)
def test_a_manifest_comes_back_as_it_was_written(tmp_path: Path, manifest: Manifest) -> None:
    (tmp_path / MANIFEST).write_bytes(manifest.to_bytes())

    assert read_manifest(tmp_path) == manifest


@SETTINGS
@given(content=plain | st.fixed_dictionaries({"format_version": plain, "files": plain, "sha256": plain}))
def test_json_that_is_no_manifest_is_a_file_error(tmp_path: Path, content: object) -> None:
    (tmp_path / MANIFEST).write_text(json.dumps(content))

    with pytest.raises(FileError, match=r"manifest\.json"):
        read_manifest(tmp_path)


@pytest.mark.parametrize("name", ["", ".", "..", "../x", "/etc/passwd", "a/b", "a/", "a\0b"])
def test_a_name_that_leads_elsewhere_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / MANIFEST).write_bytes(Manifest({name: facts_of(b"")}, {}).to_bytes())

    with pytest.raises(FileError, match="no name of a file in the directory"):
        read_manifest(tmp_path)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\xff\xfe",
        b"null",
        b"[" * 100_000 + b"]" * 100_000,
        b'{"a":' * 100_000 + b"1" + b"}" * 100_000,
        b'{"format_version": 1, "files": {"a": {"size": 1e999, "sha256": ""}}}',
        b'{"format_version": 1, "files": {"a": {"size": NaN, "sha256": ""}}}',
        b'{"format_version": 1, "files": {}, "x": Infinity}',
        b'{"format_version": 1, "files": {}, "x": ' + b"9" * 5000 + b"}",
        b'{"format_version": 1, "files": {}, "x": "\\ud800"}',
        b'{"format_version": 1, "files": {"\\ud800": {"size": 0, "sha256": ""}}}',
        b'{"format_version": 1, "files": {}, "x": ' + b"[" * 900 + b"]" * 900 + b"}",
    ],
)
def test_bytes_that_are_no_manifest_are_a_file_error(tmp_path: Path, content: bytes) -> None:
    (tmp_path / MANIFEST).write_bytes(content)

    with pytest.raises(FileError, match=r"manifest\.json"):
        read_manifest(tmp_path)
