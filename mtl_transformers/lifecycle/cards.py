"""The card of a model directory that was changed: what nobody edited is told anew, what a person wrote stays.

Owns the parts of a card: the keys of its metadata block, and its sections. Pure: texts in, a text out.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

_FRONT = re.compile(r"\A---\n(.*?)^---\n", re.DOTALL | re.MULTILINE)
_KEY = re.compile(r"^(?=[A-Za-z_][\w-]*:)", re.MULTILINE)
_FENCED = re.compile(r"^```.*?^```$", re.DOTALL | re.MULTILINE)
_NAME = re.compile(r"^(?:model-index:\n- name: )(.+)$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class MergedCard:
    """A card for a changed model.

    Attributes:
        text: of README.md.
        stale: the parts that a person edited and that would be told otherwise now: someone should look at them.
    """

    text: str
    stale: tuple[str, ...]


def merged_card(found: str, *, before: str, after: str) -> MergedCard:
    """Return the card that was found, with what is told of the changed model in the places nobody edited.

    Args:
        found: the card as it lies there.
        before: the card as it would be told of the model before the change.
        after: and after it.
    """
    front, sections = _parts(found)
    front_before, sections_before = _parts(before)
    front_after, sections_after = _parts(after)
    keys, stale_keys = _merged(front, front_before, front_after)
    texts, stale_texts = _merged(sections, sections_before, sections_after)
    head = f"---\n{''.join(keys.values())}---\n\n" if keys else ""
    page = "\n\n".join(text.strip() for text in texts.values())
    return MergedCard(f"{head}{page}\n", (*stale_keys, *stale_texts))


def name_in(card: str) -> str | None:
    """Return the name of the model in a card's metadata, where it has one."""
    found = _NAME.search(card)
    return found[1].strip("'\"") if found else None


def _merged(
    found: Mapping[str, str], before: Mapping[str, str], after: Mapping[str, str]
) -> tuple[dict[str, str], list[str]]:
    """Return the parts of the new card, and the names of the edited ones that would have changed."""
    merged: dict[str, str] = {}
    stale = []
    for name, text in found.items():
        if name in before and text.rstrip() == before[name].rstrip():
            merged |= {name: after[name]} if name in after else {}
            continue
        merged[name] = text
        if before.get(name) != after.get(name):
            stale.append(name)
    new = {name: text for name, text in after.items() if name not in found and name not in before}
    return {**merged, **new}, stale


def _parts(card: str) -> tuple[dict[str, str], dict[str, str]]:
    """Return the keys of the metadata block and the sections of a card, each with its text."""
    front = _FRONT.match(card)
    rest = card[front.end() :] if front else card
    keys = {part.partition(":")[0]: part for part in _KEY.split(front[1]) if part} if front else {}
    return keys, _sections(rest)


def _sections(text: str) -> dict[str, str]:
    """Cut a text in front of its second-level headings; what stands before the first one is the introduction."""
    fenced = [found.span() for found in _FENCED.finditer(text)]
    cuts = [
        found.start()
        for found in re.finditer(r"^## ", text, re.MULTILINE)
        if not any(start < found.start() < end for start, end in fenced)
    ]
    sections: dict[str, str] = {}
    for start, end in zip([0, *cuts], [*cuts, len(text)], strict=True):
        part = text[start:end]
        name = part.partition("\n")[0].removeprefix("## ").strip() if start in cuts else "introduction"
        while name in sections:
            name += " again"
        sections[name] = part
    return sections
