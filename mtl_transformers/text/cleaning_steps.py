"""What each step of cleaning does: a text to a cleaner one, with the way of its characters back.

Knows nothing of how a config names the steps; that is ``cleaning.py``.

A step that takes something out leaves one space where it would glue two words: ``one<br>two`` becomes ``one two``.
Other white space stays as it is; `collapse_whitespace` is a step of its own. Every step is linear in the text.
"""

from __future__ import annotations

import html
import re
import unicodedata
from collections.abc import Iterator
from functools import cache
from typing import Literal

import regex
import stopwords

from mtl_transformers.text.edits import Edited, Replacement, replaced
from mtl_transformers.text.word import WORD

NormalForm = Literal["NFKC", "NFC", "NFKD", "NFD"]

_INSIDE_A_TAG = r"""(?:"[^"]*"|'[^']*'|[^<>"'])*+"""
_MARKUP = regex.compile(
    rf"""(?:
        <!--(?:.*?-->|.*)
      | <(script|style)\b{_INSIDE_A_TAG}>(?:.*?</\1\s*>|.*)
      | </?(?P<name>[a-z][^\s<>/]*){_INSIDE_A_TAG}>
      | <[!?][^<>]*>
    )+""",
    regex.DOTALL | regex.IGNORECASE | regex.VERBOSE,
)
_WITHIN_WORDS = frozenset((
    "a", "abbr", "acronym", "b", "bdi", "bdo", "big", "cite", "code", "data", "del", "dfn", "em", "font", "i", "ins",
    "kbd", "mark", "q", "s", "samp", "small", "span", "strike", "strong", "sub", "sup", "time", "tt", "u", "var", "wbr",
))  # fmt: skip
"""Elements that do not part the text before them from the text behind (HTML §4.5, and obsolete ones)."""

_REFERENCE = re.compile(r"&(?:#[0-9]+;?|#[xX][0-9a-fA-F]+;?|[^\t\n\f <&#;]{1,32};?)")
_BESIDE_ASCII = re.compile(r"[\x00-\x7f]?[^\x00-\x7f]+")  # ASCII is normalised, but may take the marks behind it
_NOT_ASCII = re.compile(r"[^\x00-\x7f]")
_FIRST_ACCENT = 200  # combining classes from here on: attached, above, below
_PUNCTUATION = regex.compile(r"[\p{P}$+<=>^`|~]+")
_URL = regex.compile(r"""\b(?:(?:https?|ftp)://|www\.)[^\s<>"]+(?<![.,;:!?'’”)\]}…])""", regex.IGNORECASE)
_EMAIL = regex.compile(r"(?<![\w.+%-])[\w.+%-]++@\w[\w-]*+(?:\.\w[\w-]*+)+")
_NUMBER = regex.compile(r"(?<!\w|\d[.,])\d++(?:[.,]\d++)*+(?!\w)")
_SPACES = re.compile(r"\s+")


def strip_html(text: str) -> Edited:
    """Take out tags, comments, declarations, and scripts and styles with what they hold.

    What opens like a tag is one, as in a browser: ``a<b and c>d`` becomes ``a d``, ``a < b`` and ``<3`` stay. Not
    done by `html.parser`, which does not tell where an end tag ends, fails on ``<![a``, and reads broken markup
    otherwise in each patch of Python.
    """
    if "<" not in text:
        return Edited(text)
    return replaced(text, ((*found.span(), _in_place_of_markup(found)) for found in _MARKUP.finditer(text)))


def _in_place_of_markup(found: regex.Match[str]) -> str:
    parts = not _WITHIN_WORDS.issuperset(name.lower() for name in found.captures("name"))
    return _gap(found.string, found.start(), found.end()) if parts else ""


def unescape(text: str) -> Edited:
    """Read character references (``&amp;``, ``&#8364;``) once, as `html.unescape` does: ``&amp;lt;`` is ``&lt;``."""
    if "&" not in text:
        return Edited(text)
    return replaced(text, _references(text))


def _references(text: str) -> Iterator[Replacement]:
    for found in _REFERENCE.finditer(text):
        old, new, end = found[0], html.unescape(found[0]), found.end()
        while len(new) > 1 and new[-1] == old[-1]:  # of &ampx, which is &x, the last character is none of it
            old, new, end = old[:-1], new[:-1], end - 1
        if new != old:
            yield found.start(), end, new


def normalize_unicode(text: str, form: NormalForm) -> Edited:
    """Bring characters into a normal form: by NFKC ``ﬁ`` becomes ``fi``, and a letter takes its marks in."""
    if unicodedata.is_normalized(form, text):
        return Edited(text)
    return replaced(text, _normalized_parts(text, form))


def _normalized_parts(text: str, form: NormalForm) -> Iterator[Replacement]:
    """Yield the smallest parts that normalise by themselves and change."""
    for found in _BESIDE_ASCII.finditer(text):
        if unicodedata.is_normalized(form, found[0]):
            continue
        start = found.start()
        for place in range(start + 1, found.end() + 1):
            if place == found.end() or _stands_apart(text[start:place], text[place], form):
                new = unicodedata.normalize(form, text[start:place])
                if new != text[start:place]:
                    yield start, place, new
                start = place


def _stands_apart(before: str, character: str, form: NormalForm) -> bool:
    """Tell whether a character begins a part: no mark (nor made of one), and not composed with what is before."""
    if unicodedata.combining(unicodedata.normalize("NFKD", character)[0]):
        return False
    apart = unicodedata.normalize(form, before) + unicodedata.normalize(form, character)
    return unicodedata.normalize(form, before + character) == apart


def lowercase(text: str) -> Edited:
    """Lower all letters, a final sigma by its place; ``İ`` becomes two characters."""
    lowered = text.lower()
    if len(lowered) == len(text):
        return Edited(lowered)
    grown = ((place, place + 1, letter.lower()) for place, letter in enumerate(text) if len(letter.lower()) > 1)
    edited = replaced(text, grown)
    return Edited(lowered, edited.changes)


def strip_accents(text: str) -> Edited:
    """Take accents off letters (``é``, ``ç``, ``ё``), not the marks that make other letters (``が``, ``कि``, ``שׁ``)."""
    if text.isascii():
        return Edited(text)
    found = ((match.start(), match.end(), _without_accents(match[0])) for match in _NOT_ASCII.finditer(text))
    return replaced(text, (part for part in found if part[2] != text[part[0]]))


@cache
def _without_accents(character: str) -> str:
    decomposed = unicodedata.normalize("NFD", character)
    kept = "".join(part for part in decomposed if unicodedata.combining(part) < _FIRST_ACCENT)
    return character if kept == decomposed else unicodedata.normalize("NFC", kept)


def strip_punctuation(text: str) -> Edited:
    """Take out Unicode's punctuation and ASCII's symbols, as BERT's tokenizer counts them: ``don't`` is ``don t``."""
    spans = (found.span() for found in _PUNCTUATION.finditer(text))
    return replaced(text, ((start, end, _gap(text, start, end)) for start, end in spans))


def drop_stopwords(text: str, language: str) -> Edited:
    """Take out the words of a language's list, in whatever case, each with the white space behind it."""
    listed = _listed(language)
    return replaced(
        text,
        (
            (found.start(), _behind_spaces(text, found.end()), "")
            for found in WORD.finditer(text)
            if found[0].casefold().replace("’", "'") in listed
        ),
    )


@cache
def _listed(language: str) -> frozenset[str]:
    return frozenset(word.casefold() for word in stopwords.get_stopwords(language))


def stopword_languages() -> dict[str, str]:
    """Return the languages that have a list of stop words: the name by name and by code."""
    return {name: name for name in sorted(stopwords.languages())} | dict(stopwords.LANGUAGE_MAPPING)


def _behind_spaces(text: str, place: int) -> int:
    while place < len(text) and text[place].isspace():
        place += 1
    return place


def mask_urls(text: str) -> Edited:
    """Put ``URL`` for addresses that begin with ``http://``, ``https://``, ``ftp://`` or ``www.``."""
    return _masked(text, _URL, "URL")


def mask_emails(text: str) -> Edited:
    """Put ``EMAIL`` for mail addresses."""
    return _masked(text, _EMAIL, "EMAIL") if "@" in text else Edited(text)


def mask_numbers(text: str) -> Edited:
    """Put ``NUMBER`` for numbers, with their points and commas; digits beside letters stay (``A4``, ``3rd``)."""
    return _masked(text, _NUMBER, "NUMBER")


def _masked(text: str, pattern: regex.Pattern[str], mask: str) -> Edited:
    return replaced(text, ((*found.span(), mask) for found in pattern.finditer(text)))


def collapse_whitespace(text: str) -> Edited:
    """Make each run of white space one space, and take it off both ends."""
    if text == " ".join(text.split()):
        return Edited(text)
    spans = (found.span() for found in _SPACES.finditer(text))
    parts = ((start, end, _gap_inside(text, start, end)) for start, end in spans)
    return replaced(text, (part for part in parts if part[2] != text[part[0] : part[1]]))


def _gap_inside(text: str, start: int, end: int) -> str:
    return " " if start > 0 and end < len(text) else ""


def _gap(text: str, start: int, end: int) -> str:
    """Return the space that keeps what stands before ``text[start:end]`` from what stands behind, if it needs one."""
    inside = _gap_inside(text, start, end)
    return "" if inside and (text[start - 1].isspace() or text[end].isspace()) else inside
