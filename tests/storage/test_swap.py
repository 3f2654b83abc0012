"""Whenever a swap is cut, the old directory or the new one is complete under its name afterwards."""

import os
import shutil
from collections.abc import Callable
from functools import wraps
from pathlib import Path

import pytest
from broken_disk import failing_disk

from mtl_transformers.errors import FileError
from mtl_transformers.storage.swap import finish_swap, replacing, start_swap, swap, sync

MARKER = "marker.json"
FILES = ("a", "b", MARKER)


class Cut(BaseException):
    """Stands for the kill: nothing catches it."""


class Disk:
    """Counts the renames and removals of the file system, and cuts in front of one of them."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *, cut_at: int) -> None:
        self.cut_at = cut_at
        self.calls = 0
        for name in ("rename", "unlink", "rmdir"):
            monkeypatch.setattr(os, name, self.counted(getattr(os, name)))

    def counted(self, call: Callable[..., None]) -> Callable[..., None]:
        @wraps(call)
        def step(*args: object, **keywords: object) -> None:
            self.calls += 1
            if self.calls == self.cut_at:
                raise Cut
            call(*args, **keywords)

        return step


def write(path: Path, content: str) -> None:
    new = start_swap(path, marker=MARKER)
    for name in FILES:
        (new / name).write_text(content)
    sync(new)
    swap(new, path)


def read(path: Path) -> dict[str, str]:
    return {file.name: file.read_text() for file in path.iterdir()}


def complete(content: str) -> dict[str, str]:
    return dict.fromkeys(FILES, content)


def cut_replacement(path: Path, *, at: int) -> bool:
    """Write one directory, replace it and cut there; return whether the cut was reached."""
    write(path, "old")
    with pytest.MonkeyPatch.context() as monkeypatch:
        Disk(monkeypatch, cut_at=at)
        try:
            write(path, "new")
        except Cut:
            return True
    return False


def test_a_cut_in_front_of_any_rename_or_removal_loses_nothing(tmp_path: Path) -> None:
    seen, cut = set(), 1
    while cut_replacement(tmp_path / str(cut) / "best", at=cut):
        path = tmp_path / str(cut) / "best"
        finish_swap(path, marker=MARKER)

        content = read(path)
        assert content in (complete("old"), complete("new")), cut
        seen.add(content[MARKER])
        write(path, "next")
        assert read(path) == complete("next")
        assert [entry.name for entry in path.parent.iterdir()] == ["best"]
        cut += 1

    assert seen == {"old", "new"}
    assert cut - 1 == 3 + len(FILES) + 2  # three renames, then each file, the mark and the directory of the old one


def test_a_backup_of_that_name_is_never_removed(tmp_path: Path) -> None:
    write(tmp_path / "best", "mine")
    shutil.copytree(tmp_path / "best", tmp_path / "best.old")

    finish_swap(tmp_path / "best", marker=MARKER)
    with pytest.raises(FileError, match=r"best\.old holds something that is not ours \(no replacement put it there\)"):
        write(tmp_path / "best", "new")

    assert read(tmp_path / "best") == read(tmp_path / "best.old") == complete("mine")


def test_a_reader_that_repairs_in_the_midst_of_a_swap_does_not_end_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path / "best", "old")
    rename, path = os.rename, tmp_path / "best"

    def renamed(source: Path, target: Path, **keywords: object) -> None:
        rename(source, target)
        if Path(target).name == "best.old" and not seen:
            seen.append(target)
            finish_swap(path, marker=MARKER)  # the reader

    seen: list[Path] = []
    monkeypatch.setattr(os, "rename", renamed)
    write(path, "new")
    assert seen
    assert read(path) == complete("new")
    assert [entry.name for entry in tmp_path.iterdir()] == ["best"]


def test_without_the_repair_a_cut_leaves_the_name_empty(tmp_path: Path) -> None:
    path = tmp_path / "best"

    assert cut_replacement(path, at=2)

    assert not path.exists()
    finish_swap(path, marker=MARKER)
    assert read(path) == complete("old")


def test_a_cut_in_the_removal_itself_never_brings_half_a_directory_back(tmp_path: Path) -> None:
    path = tmp_path / "best"
    assert cut_replacement(path, at=5)
    shutil.rmtree(path)  # even when the new one is lost afterwards

    finish_swap(path, marker=MARKER)

    assert not path.exists()


def test_files_are_readable_by_all(tmp_path: Path) -> None:
    new = start_swap(tmp_path / "best", marker=MARKER)
    (new / MARKER).touch(mode=0o600)

    sync(new)

    assert (new / MARKER).stat().st_mode & 0o777 == 0o644


@pytest.mark.parametrize("name", ["best", "best.old"])
def test_what_has_no_marker_is_not_ours(tmp_path: Path, name: str) -> None:
    (tmp_path / name).mkdir()
    (tmp_path / name / "thesis.txt").touch()

    finish_swap(tmp_path / "best", marker=MARKER)

    with pytest.raises(FileError, match=f"{name} holds something that is not ours"):
        start_swap(tmp_path / "best", marker=MARKER)
    assert (tmp_path / name / "thesis.txt").exists()


def test_a_file_in_the_place_is_not_ours(tmp_path: Path) -> None:
    (tmp_path / "best").write_text("a file")

    with pytest.raises(FileError, match="best holds something that is not ours"):
        start_swap(tmp_path / "best", marker=MARKER)


def replace(path: Path, content: str) -> None:
    with replacing(path, marker=MARKER) as new:
        for name in FILES:
            (new / name).write_text(content)


def test_a_fault_at_any_call_of_a_replacement_leaves_a_complete_directory_and_no_rubbish(tmp_path: Path) -> None:
    path = tmp_path / "best"
    replace(path, "old")
    with failing_disk() as counted:
        replace(path, "old")
    calls, left = [], []
    for number in range(1, counted.calls + 1):
        with failing_disk(fail_at=number) as disk, pytest.raises(FileError, match=r"best.*: No space left on device"):
            replace(path, "new")
        left.append(read(path))
        assert left[-1] in (complete("old"), complete("new")), number
        assert not path.with_name(".best.tmp").exists()
        calls.append(disk.failed_in)
        replace(path, "old")  # what the fault left is in nobody's way
        assert [entry.name for entry in tmp_path.iterdir()] == ["best"]

    assert calls.count("rename") == 3  # the old one aside, the new one in, the old one to be removed
    second = [number for number, call in enumerate(calls) if call == "rename"][1]
    assert all(content == complete("old") for content in left[: second + 1])
    assert all(content == complete("new") for content in left[second + 1 :])


def test_a_failure_while_a_directory_is_filled_removes_what_was_written(tmp_path: Path) -> None:
    replace(tmp_path / "best", "old")

    with pytest.raises(ZeroDivisionError), replacing(tmp_path / "best", marker=MARKER) as new:
        (new / "a").write_text(f"half {1 / 0}")

    assert read(tmp_path / "best") == complete("old")
    assert [entry.name for entry in tmp_path.iterdir()] == ["best"]
