"""Cleaning: the named steps of ``data.<name>.clean``, applied in their order.

Owns how a step is written: ``lowercase``, or with a choice ``drop_stopwords:english``. That form is stored with a
model, so that a prediction cleans as training did. Does not own what a step does (``cleaning_steps.py``), nor what
becomes of a text of which nothing is left.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import get_args

from mtl_transformers.errors import ConfigError, nearest
from mtl_transformers.text import cleaning_steps
from mtl_transformers.text.edits import Edited

_FUNCTIONS: Mapping[str, Callable[..., Edited]] = {
    "strip_html": cleaning_steps.strip_html,
    "unescape": cleaning_steps.unescape,
    "normalize_unicode": cleaning_steps.normalize_unicode,
    "lowercase": cleaning_steps.lowercase,
    "strip_accents": cleaning_steps.strip_accents,
    "strip_punctuation": cleaning_steps.strip_punctuation,
    "drop_stopwords": cleaning_steps.drop_stopwords,
    "mask_urls": cleaning_steps.mask_urls,
    "mask_emails": cleaning_steps.mask_emails,
    "mask_numbers": cleaning_steps.mask_numbers,
    "collapse_whitespace": cleaning_steps.collapse_whitespace,
}
STEPS = tuple(_FUNCTIONS)


def clean(text: str, steps: Sequence[str]) -> Edited:
    """Apply steps to a text; nothing may be left of it.

    Args:
        text: any text.
        steps: as `step_of` writes them.
    """
    edited = Edited(text)
    for step in steps:
        edited = edited.then(_function(step)(edited.text))
    return edited


def clean_words(words: Sequence[str], steps: Sequence[str]) -> list[str]:
    """Apply steps to each word; a word of which nothing is left stays in the list, so that tags keep their places."""
    return [clean(word, steps).text for word in words]


@cache
def _function(step: str) -> Callable[[str], Edited]:
    name, colon, choice = step.partition(":")
    function = _FUNCTIONS[name]
    return (lambda text: function(text, choice)) if colon else function


def step_of(given: object) -> str:
    """Return the one form of a step that a config names.

    Args:
        given: a name, ``name:choice``, or ``{name: choice}``. `normalize_unicode` alone is by NFKC.

    Raises:
        ConfigError: an unknown step or choice, with the nearest known one.
    """
    name, choice = _parts(given)
    if name not in STEPS:
        raise ConfigError(f"unknown step {name!r}{nearest(str(name), STEPS)} (known: {', '.join(STEPS)})")
    choices = _choices(name)
    if not choices and choice is not None:
        raise ConfigError(f"{name} takes no choice; got {choice!r}. Write {name} alone")
    return f"{name}:{_chosen(name, choice, choices)}" if choices else name


def _parts(given: object) -> tuple[str, object]:
    if isinstance(given, str):
        name, colon, choice = given.partition(":")
        return name, choice if colon else None
    if isinstance(given, Mapping) and len(given) == 1:
        return next(iter(given.items()))
    raise ConfigError(f"expected a step, as lowercase or {{drop_stopwords: english}}; got {given!r}")


def _choices(name: str) -> Mapping[str, str]:
    """Return what a step can be told: what is stored of a choice, by every way to write it."""
    match name:
        case "normalize_unicode":
            return {form: form for form in get_args(cleaning_steps.NormalForm)}
        case "drop_stopwords":
            return cleaning_steps.stopword_languages()
        case _:
            return {}


def _chosen(name: str, choice: object, choices: Mapping[str, str]) -> str:
    if choice is None and name == "normalize_unicode":
        return "NFKC"
    if isinstance(choice, str) and choice in choices:
        return choices[choice]
    known = f"{name} needs one of {', '.join(dict.fromkeys(choices.values()))}"
    if choice is None:
        raise ConfigError(f"{known}; write {{{name}: {choices.get('en', 'NFKC')}}}")
    advice = nearest(choice, choices) if isinstance(choice, str) else f". Quote it: {name}: 'no' is a text, no is false"
    raise ConfigError(f"{known}; got {choice!r}{advice}")
