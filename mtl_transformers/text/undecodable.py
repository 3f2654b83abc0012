"""Which byte of a file is no text in an encoding, and in which line it stands.

Reads a file from its beginning in bounded memory, whatever its line ends. Knows no format; what to do about the byte
is the caller's to say.
"""

from __future__ import annotations

import codecs
from dataclasses import dataclass
from pathlib import Path

_CHUNK_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Undecodable:
    """The first byte of a file that is no text.

    Attributes:
        line: in which it stands, counted from 1.
        offset: bytes of the file before it.
        byte: its value.
        encoding: in which the file was read.
        reason: what the decoder says.
        after_nul: zero bytes stand before it, as in files that are no text, and in UTF-16.
    """

    line: int
    offset: int
    byte: int
    encoding: str
    reason: str
    after_nul: bool = False

    def __str__(self) -> str:
        return f"line {self.line}: byte {self.byte:#04x} at offset {self.offset} is no {self.encoding} ({self.reason})"

    @property
    def likely(self) -> str:
        """An encoding that the file may have: UTF-16 marks its first bytes, and latin-1 takes every byte."""
        return "utf-16" if self.offset == 0 and self.byte in (0xFE, 0xFF) else "latin-1"


def is_utf8(encoding: str) -> bool:
    """Return whether a known encoding is UTF-8, with or without a mark (BOM) at the beginning."""
    return codecs.lookup(encoding).name in ("utf-8", "utf-8-sig")


def undecodable(path: str | Path, encoding: str = "utf-8", *, chunk_bytes: int = _CHUNK_BYTES) -> Undecodable | None:
    """Return the first byte of a file that is no text in an encoding, or ``None``."""
    if is_utf8(encoding):
        encoding = "utf-8"  # the codec utf-8-sig counts from behind the mark, which is UTF-8 like any other character
    decoder = codecs.getincrementaldecoder(encoding)()
    line, start, last, has_nul = 1, 0, "", False
    with open(path, "rb") as stream:
        while True:
            chunk = stream.read(chunk_bytes)
            pending = len(decoder.getstate()[0])  # bytes of the chunk before, which begin a character
            try:
                text = decoder.decode(chunk, final=not chunk)
            except UnicodeDecodeError as error:
                text = decoder.decode(chunk[: max(0, error.start - pending)])
                return Undecodable(
                    line + _line_ends(text, last),
                    start - pending + error.start,
                    error.object[error.start],
                    encoding.upper(),
                    error.reason,
                    after_nul=has_nul or "\0" in text,
                )
            if not chunk:
                return None
            line += _line_ends(text, last)
            start, last, has_nul = start + len(chunk), text[-1:] or last, has_nul or "\0" in text


def _line_ends(text: str, last: str) -> int:
    """Count LF, CR and CR/LF, where ``last`` is the character before the text."""
    return text.count("\n") + text.count("\r") - (last + text).count("\r\n")
