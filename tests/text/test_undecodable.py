from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mtl_transformers.text.undecodable import undecodable

GOOD = "ein Wörtchen\r\nund\rnoch\n\n日本 "
PIECES = st.sampled_from([b"\r", b"\n", b"a", "é".encode(), "日".encode(), b"\xe9", b"\xe6\x97"])


def write(folder: Path, content: bytes) -> Path:
    path = folder / "a.txt"
    path.write_bytes(content)
    return path


@pytest.mark.parametrize(
    ("encoding", "bad", "text"),
    [
        ("utf-8", b"\xe9", GOOD),
        ("utf-8-sig", b"\xff", GOOD),
        ("utf-8", b"\xe6\x97", GOOD),  # two bytes of a character of three
        ("ascii", b"\x80", "a\rb\r\nc\n\n"),
        ("cp1252", b"\x81", "ein Wörtchen\r\nund\rnoch\n\n€"),
        ("utf-16-le", b"\x00\xdc", GOOD),  # the second half of a pair
        ("utf-16-be", b"\xdc\x00", GOOD),
        ("utf-16", b"\x00\xdc", "\ufeff" + GOOD),
        ("utf-32-le", b"\x00\x00\x11\x00", GOOD),
        ("shift_jis", b"\x85\x20", "日\r\n本\r語\n\n"),
        ("gbk", b"\x80", "日\r\n本\r語\n\n"),
    ],
)
@pytest.mark.parametrize("chunk_bytes", [1, 3, 1 << 20])
def test_the_byte_its_offset_and_its_line_are_found_in_any_encoding(
    tmp_path: Path, encoding: str, bad: bytes, text: str, chunk_bytes: int
) -> None:
    before = text.encode("utf-16-le" if encoding == "utf-16" else encoding)
    found = undecodable(write(tmp_path, before + bad + "\nmore\n".encode(encoding)), encoding, chunk_bytes=chunk_bytes)
    assert found is not None
    assert (found.line, found.offset, found.byte) == (5, len(before), bad[0])
    assert undecodable(write(tmp_path, before), encoding) is None


def test_a_file_that_ends_within_a_character_is_undecodable(tmp_path: Path) -> None:
    found = undecodable(write(tmp_path, "a\nä".encode()[:-1]))
    assert str(found) == "line 2: byte 0xc3 at offset 2 is no UTF-8 (unexpected end of data)"


def test_bytes_of_utf_16_are_told_from_those_of_latin_1(tmp_path: Path) -> None:
    found = [undecodable(write(tmp_path, "aé".encode(encoding))) for encoding in ("utf-16", "latin-1")]
    assert [one and one.likely for one in found] == ["utf-16", "latin-1"]


def test_a_file_with_zero_bytes_is_told_from_text(tmp_path: Path) -> None:
    found = [undecodable(write(tmp_path, content), chunk_bytes=2) for content in (b"a\0b\0\0\xff", b"abc\xff\0")]
    assert [one and one.after_nul for one in found] == [True, False]


@settings(deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=st.binary(max_size=8) | st.lists(PIECES, max_size=9).map(b"".join), chunk_bytes=st.integers(1, 9))
def test_any_bytes_agree_with_pythons_own_decoder(tmp_path: Path, content: bytes, chunk_bytes: int) -> None:
    path = write(tmp_path, content)
    found = undecodable(path, chunk_bytes=chunk_bytes)
    if found is None:
        content.decode()
    else:
        with pytest.raises(UnicodeDecodeError) as raised:
            content.decode()
        before = content[: raised.value.start].decode().replace("\r\n", "\n").replace("\r", "\n")
        assert (found.offset, found.line) == (raised.value.start, before.count("\n") + 1)
