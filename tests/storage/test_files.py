"""A file is written whole, or the error names it and says what to do."""

import errno
import os
from pathlib import Path

import pytest
from broken_disk import failing_disk, largest_file, short_writes

from mtl_transformers.errors import FileError
from mtl_transformers.storage.files import (
    append_line,
    disk_errors,
    fault_of,
    replace_file,
    sha256_of,
    sync_names,
    write_file,
)

CONTENT = bytes(range(256)) * 40


def test_what_is_written_is_there_and_readable_by_all(tmp_path: Path) -> None:
    before = os.umask(0o077)
    try:
        write_file(tmp_path / "a", CONTENT)
    finally:
        os.umask(before)

    assert (tmp_path / "a").read_bytes() == CONTENT
    assert (tmp_path / "a").stat().st_mode & 0o777 == 0o644


def test_a_shorter_content_leaves_nothing_of_the_longer_one(tmp_path: Path) -> None:
    write_file(tmp_path / "a", CONTENT)
    write_file(tmp_path / "a", b"short")

    assert (tmp_path / "a").read_bytes() == b"short"


def test_short_writes_are_gone_on_with(tmp_path: Path) -> None:
    with short_writes():
        write_file(tmp_path / "a", CONTENT)
        append_line(tmp_path / "lines", "a line")

    assert (tmp_path / "a").read_bytes() == CONTENT
    assert (tmp_path / "lines").read_text() == "a line\n"


def test_a_short_write_with_no_space_after_it_is_an_error(tmp_path: Path) -> None:
    with short_writes(full_after=1000), pytest.raises(FileError, match="/a: No space left on device; the disk is full"):
        write_file(tmp_path / "a", CONTENT)


def test_a_write_that_takes_nothing_is_an_error_and_not_an_endless_loop(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "write", lambda *_: 0)

    with pytest.raises(FileError, match="/a: Input/output error; the disk reports an error"):
        write_file(tmp_path / "a", CONTENT)


def test_the_limit_of_the_system_is_an_error(tmp_path: Path) -> None:
    with largest_file(1000), pytest.raises(FileError, match="/a: File too large; the file is larger than this system"):
        write_file(tmp_path / "a", CONTENT)


@pytest.mark.parametrize("error", [errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS, errno.EACCES])
def test_a_fault_at_any_call_of_a_replacement_leaves_the_old_file_or_the_new_one(tmp_path: Path, error: int) -> None:
    path = tmp_path / "a"
    write_file(path, b"old")
    with failing_disk() as counted:
        replace_file(path, b"old")
    seen = []
    for number in range(1, counted.calls + 1):
        write_file(path, b"old")
        with (
            failing_disk(fail_at=number, error=error) as disk,
            pytest.raises(FileError, match=r"/\.?a(\.tmp)?: .+; .+"),
        ):
            replace_file(path, b"new")
        assert path.read_bytes() == (b"new" if "replace" in seen else b"old")
        assert [entry.name for entry in tmp_path.iterdir()] == ["a"]
        seen.append(disk.failed_in)

    assert seen == ["open", "write", "fchmod", "fsync", "replace", "open", "fsync"]


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileError, match=r"no/a: No such file or directory; check the path"):
        write_file(tmp_path / "no" / "a", CONTENT)


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is forbidden to root")
def test_a_folder_without_permission_is_named(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    try:
        with pytest.raises(FileError, match="/a: Permission denied; permission is missing"):
            write_file(tmp_path / "a", CONTENT)
    finally:
        tmp_path.chmod(0o700)


def test_an_error_without_a_number_keeps_its_text(tmp_path: Path) -> None:
    with pytest.raises(FileError, match="a: what happened; check the path and the disk"), disk_errors(Path("a")):
        raise OSError("what happened")


def test_the_number_that_a_library_tells_in_its_text_gives_the_remedy() -> None:
    told = fault_of(Path("a"), ValueError("I/O error: No space left on device (os error 28)"))

    assert told == "a: No space left on device; the disk is full; free some space"


def test_sha256_and_the_sync_of_names(tmp_path: Path) -> None:
    write_file(tmp_path / "a", b"abc")

    assert sha256_of(tmp_path / "a") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    sync_names(tmp_path)
