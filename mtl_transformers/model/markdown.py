"""Words, names and tables as Markdown: what somebody else wrote cannot break out of its place."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence


def plain(value: str) -> str:
    """Escape what Markdown would read as a table's border, a link or markup, and keep it on one line."""
    return re.sub(r"([\\|`*_\[\]<>#])", r"\\\1", " ".join(value.split()))


def code(value: str) -> str:
    """Quote a name as code, with a fence longer than any run of backticks in it."""
    line = " ".join(value.split())
    fence = "`" * (1 + max((len(run) for run in re.findall("`+", line)), default=0))
    return f"{fence} {line} {fence}" if "`" in line else f"{fence}{line}{fence}"


def cell_code(value: str) -> str:
    """Quote a name as code in a table's cell, where a border has to be escaped even in code."""
    return code(value).replace("|", "\\|")


def codes(values: Iterable[str]) -> str:
    """Quote names as code, with commas between them."""
    return ", ".join(map(code, values))


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table; its cells are Markdown already."""
    return "\n".join("| " + " | ".join(cells) + " |" for cells in (header, ["---"] * len(header), *rows))


def bullets(lines: Iterable[str]) -> str:
    """Return a list, an entry a line."""
    return "\n".join(f"- {line}" for line in lines)
