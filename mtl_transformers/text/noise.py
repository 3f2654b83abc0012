"""Noise for one word: what a hurried hand, another case or another word for it makes of it.

Pure functions of the word and of draws from [0, 1). Does not draw, and does not choose the words (``augmenting.py``).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from mtl_transformers.text.edits import Replacement

Synonyms = Mapping[str, Sequence[str]]
"""Other words for a word, which is written in casefolded letters."""

_BESIDE: Mapping[str, str] = {
    "q": "wa", "w": "qeas", "e": "wrsd", "r": "etdf", "t": "ryfg", "y": "tugh", "u": "yihj", "i": "uojk", "o": "ipkl",
    "p": "ol", "a": "qwsz", "s": "weadzx", "d": "ersfxc", "f": "rtdgcv", "g": "tyfhvb", "h": "yugjbn", "j": "uihknm",
    "k": "iojlm", "l": "opk", "z": "asx", "x": "sdzc", "c": "dfxv", "v": "fgcb", "b": "ghvn", "n": "hjbm", "m": "jkn",
}  # fmt: skip
"""The keys beside a letter on a QWERTY keyboard."""


def misspelt(word: str, draws: Sequence[float]) -> list[Replacement]:
    """Mistype one character: as a key beside it, left out, in the place of the next one, or twice.

    Where the drawn mistake cannot be made (no known key, nothing would be left, no other character behind), the
    character is typed twice.

    Args:
        word: at least one character.
        draws: three: the mistake, the character, the key.
    """
    at = int(draws[1] * len(word))
    letter, behind = word[at], word[at + 1 : at + 2]
    beside = _BESIDE.get(letter.lower(), "")
    match int(draws[0] * 4):
        case 0 if beside:
            key = beside[int(draws[2] * len(beside))]
            return [(at, at + 1, key.upper() if letter.isupper() else key)]
        case 1 if len(word) > 1:
            return [(at, at + 1, "")]
        case 2 if behind not in ("", letter):
            return [(at, at + 2, behind + letter)]
        case _:
            return [(at, at + 1, letter * 2)]


def recased(word: str, draws: Sequence[float]) -> list[Replacement]:
    """Write a word in lower, upper, title or inverted case, in one of those that differ; its length stays.

    Args:
        word: any word; one without case stays as it is.
        draws: one, of the case.
    """
    cases = (word.lower(), word.upper(), word.capitalize(), word.swapcase())
    others = [case for case in dict.fromkeys(cases) if case != word and len(case) == len(word)]
    if not others:
        return []
    new = others[int(draws[0] * len(others))]
    return [(at, at + 1, new[at]) for at, letter in enumerate(word) if new[at] != letter]


def renamed(word: str, draws: Sequence[float], synonyms: Synonyms) -> list[Replacement]:
    """Put one of a word's synonyms for it, with a capital or in capitals as the word is.

    Args:
        word: any word; one without synonyms stays as it is.
        draws: one, of the synonym.
        synonyms: by word.
    """
    known = synonyms.get(word.casefold(), ())
    if not known:
        return []
    new = known[int(draws[0] * len(known))]
    if len(word) > 1 and word.isupper():
        new = new.upper()
    elif word[0].isupper():
        new = new[0].upper() + new[1:]
    return [(0, len(word), new)]
