"""The page at ``/``, and what a browser may do on it."""

from __future__ import annotations

import re
from base64 import b64encode
from hashlib import sha256
from importlib.resources import files

_INLINE = re.compile(r"<(script|style)(?:\s[^>]*)?>(.*?)</\1>", re.DOTALL)


def page() -> str:
    """Return the page."""
    return files(__package__).joinpath("page.html").read_text(encoding="utf-8")


def policy(html: str) -> str:
    """Return the Content-Security-Policy of a page: only its own inline scripts and styles, and this server."""
    hashes: dict[str, list[str]] = {"script": [], "style": []}
    for kind, text in _INLINE.findall(html):
        hashes[kind].append(f"'sha256-{b64encode(sha256(text.encode()).digest()).decode()}'")
    allowed = {f"{kind}-src": " ".join(found) or "'none'" for kind, found in hashes.items()}
    rules = {
        "default-src": "'none'",
        **allowed,
        "connect-src": "'self'",
        "img-src": "'self' data:",
        "base-uri": "'none'",
        "form-action": "'none'",
        "frame-ancestors": "'none'",
    }
    return "; ".join(f"{rule} {value}" for rule, value in rules.items())
