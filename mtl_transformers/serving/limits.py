"""What a request has to pass before it is read: its key, its type, its size; and its id. Plain values of HTTP."""

from __future__ import annotations

import asyncio
import hmac
import re
import secrets
from collections.abc import AsyncIterator, Mapping
from itertools import count

from mtl_transformers.serving.errors import Refused

REQUEST_ID = re.compile(r"[A-Za-z0-9._:/+=-]{1,128}")
JSON_TYPE = re.compile(r"application/([\w.+-]+\+)?json\s*(;.*)?", re.IGNORECASE)
CLOSE = {"connection": "close"}  # the rest of a body that is not read would be taken for the next request


class RequestIds:
    """The ids of requests: the client's where it is a plain one, else a new one."""

    def __init__(self) -> None:
        self._start = secrets.token_hex(4)  # once: asking the system for each request would let other threads go first
        self._numbers = count(1)

    def of(self, given: str | None) -> str:
        """Return the id of a request of which the client gave one, or none."""
        if given is not None and REQUEST_ID.fullmatch(given):
            return given
        return f"{self._start}-{next(self._numbers)}"


def check_key(authorization: str | None, api_key: str | None) -> None:
    """Refuse a request without the key, in the same time wherever the key is wrong.

    Raises:
        Refused: the key is missing or wrong.
    """
    if api_key is None:
        return
    scheme, _, given = (authorization or "").partition(" ")
    is_right = hmac.compare_digest(given.strip().encode("utf-8", "surrogateescape"), api_key.encode())
    if scheme.lower() != "bearer" or not is_right:
        message = "expected the header Authorization: Bearer KEY with the server's key"
        raise Refused("key", message, headers={"www-authenticate": "Bearer"})


def check_type(content_type: str | None) -> None:
    """Refuse a body that is not said to be JSON: a page of another site could send one without asking.

    Raises:
        Refused: with what was expected.
    """
    if JSON_TYPE.fullmatch((content_type or "").strip()) is None:
        given = f"got {content_type!r:.100}" if content_type else "there is none"
        raise Refused("content_type", f"expected the header Content-Type: application/json; {given}", headers=CLOSE)


async def read_body(
    chunks: AsyncIterator[bytes], headers: Mapping[str, str], *, max_bytes: int, timeout_s: float
) -> bytes:
    """Read a body, and no more than a server takes, whether or not its length was said.

    Raises:
        Refused: it is too large or comes too slowly.
    """
    said = headers.get("content-length", "")
    if said.isdecimal() and int(said) > max_bytes:
        raise _too_large(max_bytes)
    body = bytearray()
    try:
        async with asyncio.timeout(timeout_s):
            async for chunk in chunks:
                body += chunk
                if len(body) > max_bytes:
                    raise _too_large(max_bytes)
    except TimeoutError as error:
        raise Refused("body_too_slow", f"the body did not come within {timeout_s:g} s", headers=CLOSE) from error
    return bytes(body)


def _too_large(max_bytes: int) -> Refused:
    return Refused("body_too_large", f"the body has more than {max_bytes} bytes", headers=CLOSE)
