"""A model directory that is damaged is refused by name; one that cannot be saved leaves the old one as it was."""

import errno
import json
import random
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from broken_disk import failing_disk, largest_file, short_writes
from sealing import seal
from untrained import Parts, make_parts, write

from mtl_transformers.errors import FileError, ModelError
from mtl_transformers.model.directory import load
from mtl_transformers.storage.manifest import MANIFEST

VERIFIED = (
    "config.json",
    "model.safetensors",
    "tokenizer.json",
    "tokenizer_config.json",
    "heads.safetensors",
    "tasks.json",
    "metrics.json",
)
WRITTEN_BY_LIBRARIES = ("model.safetensors", "tokenizer.json", "config.json", "tokenizer_config.json")


@pytest.fixture(scope="module")
def parts(tiny_bert: Path) -> Parts:
    return make_parts(tiny_bert)


@pytest.fixture(scope="module")
def written(parts: Parts, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(parts, tmp_path_factory.mktemp("runs") / "best", card="# old\n")


@pytest.fixture
def directory(written: Path, tmp_path: Path) -> Path:
    """Return a copy that a test may damage."""
    return shutil.copytree(written, tmp_path / "best")


# --- what is on the disk has changed ---


def flipped(content: bytes, position: int, bit: int = 0) -> bytes:
    changed = bytearray(content)
    changed[position] ^= 1 << bit
    return bytes(changed)


DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "emptied": lambda content: b"",
    "cut in half": lambda content: content[: len(content) // 2],
    "a byte short": lambda content: content[:-1],
    "a byte more": lambda content: content + b"\n",
    "first byte": lambda content: flipped(content, 0),
    "middle byte": lambda content: flipped(content, len(content) // 2, 3),
    "last byte": lambda content: flipped(content, -1, 6),
    "some byte": lambda content: flipped(content, random.Random(len(content)).randrange(len(content)), 5),
}


def test_the_manifest_names_every_file_that_is_read(written: Path) -> None:
    assert set(json.loads((written / MANIFEST).read_text())["files"]) == set(VERIFIED)


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_file_is_named_with_what_to_do(directory: Path, damage: str) -> None:
    for path in [directory / name for name in (*VERIFIED, MANIFEST)]:
        content = path.read_bytes()
        path.write_bytes(DAMAGES[damage](content))

        with pytest.raises(ModelError) as caught:
            load(directory)

        assert str(directory) in str(caught.value)
        assert path.name in str(caught.value)
        assert "Copy or fetch the directory again" in str(caught.value)
        path.write_bytes(content)
    load(directory)  # the control


def test_a_missing_file_or_a_directory_in_its_place_is_named(directory: Path) -> None:
    for path in [directory / name for name in (*VERIFIED, MANIFEST)]:
        content = path.read_bytes()
        path.unlink()
        with pytest.raises(ModelError, match=path.name):
            load(directory)
        path.mkdir()
        with pytest.raises(ModelError, match=path.name):
            load(directory)
        path.rmdir()
        path.write_bytes(content)
    load(directory)  # the control


def test_the_card_may_be_edited_and_other_files_may_lie_around(directory: Path) -> None:
    (directory / "README.md").write_text("# mine\n")
    (directory / "notes.txt").write_text("mine")

    load(directory)


@pytest.mark.parametrize("name", ["vocab.txt", "added_tokens.json", "special_tokens_map.json", "merges.txt"])
def test_a_file_that_would_be_read_but_was_not_written_is_refused(directory: Path, name: str) -> None:
    (directory / name).write_text("{}")

    with pytest.raises(ModelError, match=f"{name} is not in manifest.json"):
        load(directory)


def test_a_manifest_that_lists_other_files_is_refused(directory: Path) -> None:
    (directory / "notes.txt").write_text("mine")
    seal(directory, also=["notes.txt"])

    with pytest.raises(ModelError, match=r"manifest\.json lists 'notes.txt', which is no file of a model directory"):
        load(directory)


# --- the disk fails while a directory is saved ---


@pytest.mark.slow
def test_a_fault_at_any_call_of_a_save_leaves_the_old_directory_or_the_new_one(parts: Parts, directory: Path) -> None:
    with failing_disk() as counted:
        write(parts, directory, card="# old\n")
    failed, cards = [], []
    for number in range(1, counted.calls + 1):
        message = fault_of_save(parts, directory, fail_at=number, error=(errno.ENOSPC, errno.EIO)[number % 2])
        if message is None:
            write(parts, directory, card="# old\n")
            continue
        assert re.match(rf"{directory.parent}/\S+: .+; .+", message[0])
        load(directory)
        cards.append((directory / "README.md").read_text())
        failed.append(message[1])
        if cards[-1] == "# new\n":
            write(parts, directory, card="# old\n")  # and what the fault left is in nobody's way

    assert {"open", "write", "fsync", "chmod", "mkdir", "rename", "unlink"} <= set(failed)
    renames = [number for number, call in enumerate(failed) if call == "rename"]
    assert cards.count("# old\n") == renames[1] + 1  # until the new one is in its place
    assert [path.name for path in directory.parent.iterdir()] == ["best"]


def fault_of_save(parts: Parts, directory: Path, *, fail_at: int, error: int) -> tuple[str, str | None] | None:
    """Return the message of a save with a fault and the call that failed; ``None`` where transformers may ignore it."""
    with failing_disk(fail_at=fail_at, error=error) as disk:
        try:
            write(parts, directory, card="# new\n")
        except FileError as fault:
            return str(fault), disk.failed_in
    assert disk.failed_in == "mkdir"  # of a directory that is there
    return None


def test_short_writes_make_the_same_directory(parts: Parts, written: Path, tmp_path: Path) -> None:
    with short_writes():
        write(parts, tmp_path / "best", card="# old\n")

    for path in written.iterdir():
        assert path.read_bytes() == (tmp_path / "best" / path.name).read_bytes(), path.name


@pytest.mark.parametrize("full_after", [1, 3_000, 6_000])
def test_a_short_write_and_then_no_space_is_named(parts: Parts, directory: Path, full_after: int) -> None:
    with short_writes(full_after=full_after), pytest.raises(FileError, match=r"No space left on device; .*free some"):
        write(parts, directory, card="# new\n")

    load(directory)
    assert (directory / "README.md").read_text() == "# old\n"
    assert [path.name for path in directory.parent.iterdir()] == ["best"]


@pytest.mark.parametrize("name", ["model.safetensors", "tokenizer.json", "heads.safetensors"])
def test_a_limit_of_the_system_is_met_in_every_library_that_writes(tiny_bert: Path, directory: Path, name: str) -> None:
    larger = make_parts(tiny_bert)
    if name == "tokenizer.json":
        larger.tokenizer.add_tokens([f"token{number}" for number in range(2_000)])
    if name == "heads.safetensors":
        larger.heads["heads.intent.more"] = torch.zeros(100_000)
    sizes = {path.name: path.stat().st_size for path in write(larger, directory.with_name("larger")).iterdir()}
    size = sizes.pop(name)
    assert size > max(sizes.values())

    with largest_file(size - 1), pytest.raises(FileError, match=f"{name}: File too large; the file is larger"):
        write(larger, directory, card="# new\n")

    load(directory)
    assert (directory / "README.md").read_text() == "# old\n"
    assert sorted(path.name for path in directory.parent.iterdir()) == ["best", "larger"]
    with largest_file(size):
        write(larger, directory, card="# new\n")  # the control


def test_a_fault_while_a_frozen_encoder_is_copied_is_named(parts: Parts, tiny_bert: Path, directory: Path) -> None:
    size = (tiny_bert / "model.safetensors").stat().st_size
    with largest_file(size - 1), pytest.raises(FileError, match=r"model\.safetensors: File too large"):
        write(parts, directory, source=tiny_bert, card="# new\n")

    assert (directory / "README.md").read_text() == "# old\n"
