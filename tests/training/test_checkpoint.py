"""Checkpoints as files: what comes back, what is noticed, and which ones stay."""

import errno
import os
import resource
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch

from mtl_transformers.errors import CheckpointError, FileError
from mtl_transformers.storage.manifest import write_manifest
from mtl_transformers.training.checkpoint import (
    OPTIMIZER,
    STATE,
    WEIGHTS,
    Checkpoint,
    checkpoint_path,
    list_checkpoints,
    newest_valid,
    prune,
    read_checkpoint,
    tidy,
    verify,
    write_checkpoint,
)

FILES = (WEIGHTS, OPTIMIZER, STATE, "manifest.json")


def checkpoint(step: int) -> Checkpoint:
    tensors = {"encoder.weight": torch.arange(12.0).reshape(3, 4) + step, "heads.task_a.bias": torch.ones(2)}
    moments = {f"exp_avg.{name}": tensor * 2 for name, tensor in tensors.items()} | {
        "step.encoder.weight": torch.ones(())
    }
    return Checkpoint(tensors, moments, {"state": {"step": step}, "text": "Zürich"}, {"step": step})


def write(folder: Path, *steps: int) -> None:
    for step in steps:
        write_checkpoint(checkpoint_path(folder, step), checkpoint(step))


def steps_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_what_is_written_comes_back(tmp_path: Path) -> None:
    write(tmp_path, 500)
    read, given = read_checkpoint(tmp_path / "step-000500"), checkpoint(500)
    for ours, theirs in ((read.weights, given.weights), (read.moments, given.moments)):
        assert ours.keys() == theirs.keys()
        assert all(torch.equal(ours[name], theirs[name]) for name in ours)
    assert read.state == given.state
    assert read.facts["step"] == 500


def test_a_checkpoint_has_the_files_of_the_format_readable_by_all(tmp_path: Path) -> None:
    write(tmp_path, 1)
    found = {path.name: path.stat().st_mode & 0o777 for path in (tmp_path / "step-000001").iterdir()}
    assert found == dict.fromkeys(FILES, 0o644)


def test_equal_checkpoints_have_equal_bytes(tmp_path: Path) -> None:
    write(tmp_path / "a", 7)
    write(tmp_path / "b", 7)
    for name in FILES:
        assert (tmp_path / "a/step-000007" / name).read_bytes() == (tmp_path / "b/step-000007" / name).read_bytes()


FAULTS: dict[str, Callable[[Path], object]] = {
    "empty": lambda path: path.write_bytes(b""),
    "half": lambda path: path.write_bytes(path.read_bytes()[: path.stat().st_size // 2]),
    "one byte less": lambda path: path.write_bytes(path.read_bytes()[:-1]),
    "one byte more": lambda path: path.write_bytes(path.read_bytes() + b"\0"),
    "first bit": lambda path: flip(path, 0),
    "middle bit": lambda path: flip(path, path.stat().st_size // 2),
    "last bit": lambda path: flip(path, path.stat().st_size - 1),
    "missing": lambda path: path.unlink(),
    "directory": lambda path: (path.unlink(), path.mkdir()),
}


def flip(path: Path, place: int) -> None:
    content = bytearray(path.read_bytes())
    content[place] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("name", FILES)
def test_a_fault_is_named_and_the_older_checkpoint_is_used(tmp_path: Path, name: str, fault: str) -> None:
    write(tmp_path, 5, 10)
    FAULTS[fault](tmp_path / "step-000010" / name)

    found, (skipped,) = newest_valid(tmp_path)

    assert found == tmp_path / "step-000005"
    assert "step-000010" in skipped
    assert name in skipped
    with pytest.raises(CheckpointError, match=name):
        read_checkpoint(tmp_path / "step-000010")


@pytest.mark.parametrize("seed", range(20))
def test_any_flipped_bit_is_noticed(tmp_path: Path, seed: int) -> None:
    write(tmp_path, 1)
    path = tmp_path / "step-000001" / FILES[seed % 4]
    flip(path, torch.randint(path.stat().st_size, (), generator=torch.Generator().manual_seed(seed)).item())
    with pytest.raises(CheckpointError, match=path.name):
        verify(tmp_path / "step-000001")


def test_without_a_fault_the_newest_one_is_used(tmp_path: Path) -> None:
    write(tmp_path, 5, 10)
    assert newest_valid(tmp_path) == (tmp_path / "step-000010", [])
    assert newest_valid(tmp_path, until=9) == (tmp_path / "step-000005", [])
    assert newest_valid(tmp_path / "none") == (None, [])


def test_a_manifest_that_leaves_a_file_out_is_no_manifest_of_ours(tmp_path: Path) -> None:
    write(tmp_path, 1)
    other = tmp_path / "step-000001"
    (other / OPTIMIZER).unlink()
    write_manifest(other, [WEIGHTS, STATE], facts={"checkpoint_version": 1, "step": 1})
    with pytest.raises(CheckpointError, match=f"{OPTIMIZER} is not in its manifest"):
        verify(other)


def test_a_checkpoint_of_another_version_says_so(tmp_path: Path) -> None:
    write(tmp_path, 1)
    write_manifest(tmp_path / "step-000001", [WEIGHTS, OPTIMIZER, STATE], facts={"checkpoint_version": 2, "step": 1})
    with pytest.raises(CheckpointError, match="version 2; expected 1"):
        verify(tmp_path / "step-000001")


def test_the_newest_ones_stay_and_that_of_the_best_model(tmp_path: Path) -> None:
    write(tmp_path, 1, 2, 3, 4, 5)
    prune(tmp_path, newest=5, keep=2, also=[2])
    assert steps_in(tmp_path) == ["step-000002", "step-000004", "step-000005"]


def test_later_ones_are_of_a_run_that_was_left_and_go(tmp_path: Path) -> None:
    write(tmp_path, 1, 2, 8, 9)
    prune(tmp_path, newest=2, keep=1, also=[])
    assert steps_in(tmp_path) == ["step-000002"]


def test_what_is_not_a_checkpoint_is_left_alone(tmp_path: Path) -> None:
    write(tmp_path, 1)
    (tmp_path / "notes").mkdir()
    (tmp_path / "step-7").mkdir()
    prune(tmp_path, newest=1, keep=1, also=[])
    tidy(tmp_path)
    assert steps_in(tmp_path) == ["notes", "step-000001", "step-7"]
    assert list_checkpoints(tmp_path) == [tmp_path / "step-000001"]


def test_a_file_with_the_name_of_a_checkpoint_is_left_alone(tmp_path: Path) -> None:
    write(tmp_path, 2)
    (tmp_path / "step-000001").write_text("a file")
    prune(tmp_path, newest=2, keep=1, also=[])
    tidy(tmp_path)
    assert newest_valid(tmp_path) == (tmp_path / "step-000002", [])
    assert (tmp_path / "step-000001").is_file()


def test_a_checkpoint_under_another_name_is_not_believed(tmp_path: Path) -> None:
    write(tmp_path, 1)
    shutil.copytree(tmp_path / "step-000001", tmp_path / "step-000099")
    with pytest.raises(CheckpointError, match="its manifest is that of step 1; give it back its name"):
        verify(tmp_path / "step-000099")


def test_what_is_no_checkpoint_says_so_and_which_there_are(tmp_path: Path) -> None:
    write(tmp_path, 1, 2)
    for wrong, message in ((tmp_path, "is no checkpoint"), (tmp_path / "step-000003", "there is no such checkpoint")):
        with pytest.raises(CheckpointError, match=f"{message}.*there are step-000002, step-000001"):
            verify(wrong)


def test_steps_are_ordered_as_numbers(tmp_path: Path) -> None:
    write(tmp_path, 999_999, 1_000_000)
    assert [path.name for path in list_checkpoints(tmp_path)] == ["step-1000000", "step-999999"]


def test_a_replaced_checkpoint_that_lost_its_manifest_is_written_anew(tmp_path: Path) -> None:
    write(tmp_path, 3)
    (tmp_path / "step-000003" / "manifest.json").unlink()
    write(tmp_path, 3)
    verify(tmp_path / "step-000003")


def test_something_else_in_its_place_is_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "step-000003").mkdir()
    (tmp_path / "step-000003" / "thesis.txt").write_text("years of work")
    with pytest.raises(FileError, match="not ours"):
        write(tmp_path, 3)
    assert steps_in(tmp_path / "step-000003") == ["thesis.txt"]


class Cut(BaseException):
    """Stands for the kill: nothing catches it."""


@contextmanager
def fault_at(number: int, fault: Callable[[], BaseException]) -> Iterator[list[str]]:
    """Let a call of the file system, counted from 1, fail; gives the calls so far."""
    calls: list[str] = []

    def counted(name: str) -> Callable[..., Any]:
        original = getattr(os, name)

        def call(*args: Any, **keywords: Any) -> Any:
            calls.append(name)
            if len(calls) == number:
                raise fault()
            return original(*args, **keywords)

        return call

    with pytest.MonkeyPatch.context() as patch:
        for name in ("open", "write", "fsync", "fchmod", "chmod", "rename", "replace", "mkdir", "unlink", "rmdir"):
            patch.setattr(os, name, counted(name))
        yield calls


def attempts(fault: Callable[[], BaseException], place: Path) -> Iterator[tuple[Path, BaseException | None, str]]:
    """Write a second checkpoint beside a first one, with the fault at each call in turn."""
    number = 1
    while True:
        folder = place / str(number)
        write(folder, 5)
        error: BaseException | None = None
        with fault_at(number, fault) as calls:
            try:
                write(folder, 10)
                prune(folder, newest=10, keep=1, also=[])
            except (Cut, FileError) as caught:
                error = caught
        if len(calls) < number:
            return
        yield folder, error, calls[number - 1]
        shutil.rmtree(folder)
        number += 1


def test_a_kill_at_any_call_leaves_a_valid_checkpoint(tmp_path: Path) -> None:
    seen, number = set(), 0
    for folder, error, _ in attempts(Cut, tmp_path):
        assert isinstance(error, Cut)
        tidy(folder)
        found, skipped = newest_valid(folder)
        assert found is not None
        assert skipped == []
        assert set(steps_in(folder)) <= {"step-000005", "step-000010"}
        seen.add(found.name)
        number += 1
    assert seen == {"step-000005", "step-000010"}
    assert number > 20


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO, errno.EDQUOT, errno.EROFS])
def test_a_fault_of_the_disk_at_any_call_is_an_error_of_ours_and_leaves_a_valid_checkpoint(
    tmp_path: Path, number: int
) -> None:
    for folder, error, call in attempts(lambda: OSError(number, os.strerror(number)), tmp_path):
        assert isinstance(error, FileError), call
        assert os.strerror(number) in str(error)
        found, skipped = newest_valid(folder)
        assert found is not None
        assert skipped == []
        write(folder, 20)  # and the next one is written
        assert newest_valid(folder)[0] == folder / "step-000020"


def test_a_short_write_is_continued(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    original = os.write
    monkeypatch.setattr(os, "write", lambda descriptor, content: original(descriptor, content[:7]))
    write(tmp_path, 1)
    verify(tmp_path / "step-000001")


def test_a_file_that_the_system_does_not_take_is_an_error_with_its_name(tmp_path: Path) -> None:
    write(tmp_path, 1)
    large = Checkpoint({"weight": torch.zeros(100_000)}, {}, {}, {"step": 2})
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))  # the kernel cuts the write and then refuses
    try:
        with pytest.raises(FileError, match=rf"{WEIGHTS}: File too large"):
            write_checkpoint(tmp_path / "step-000002", large)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert newest_valid(tmp_path) == (tmp_path / "step-000001", [])
    write_checkpoint(tmp_path / "step-000002", large)
    tidy(tmp_path)
    assert steps_in(tmp_path) == ["step-000001", "step-000002"]


@pytest.mark.parametrize(
    "content", ["[]", "{", '{"files": 3}', "[" * 100_000, '{"format_version": 1, "files": {}}', ""]
)
def test_a_manifest_that_is_something_else_is_an_error_of_ours(tmp_path: Path, content: str) -> None:
    write(tmp_path, 1)
    (tmp_path / "step-000001" / "manifest.json").write_text(content)
    with pytest.raises(CheckpointError, match=r"manifest\.json"):
        verify(tmp_path / "step-000001")
