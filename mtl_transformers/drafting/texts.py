"""Which columns are the text: words with tags, a pair, a question and its context, or one column of text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mtl_transformers.drafting.facts import Facts, is_null
from mtl_transformers.drafting.labels import separator_of
from mtl_transformers.drafting.naming import TEXTS, WORDS, is_one_of, pair_in

Values = Mapping[str, Sequence[Any]]
"""The sampled cells of each column, all splits behind each other."""

_FEW_TAGS = 300


@dataclass(frozen=True, slots=True)
class Texts:
    """The text of a dataset.

    Attributes:
        columns: one of text or words, or two of a pair.
        tags: columns with a tag for each word.
        answers: a column of SQuAD's answers.
        choice: the columns of options and of the right one's index.
        others: texts that could be read too.
    """

    columns: tuple[str, ...]
    tags: tuple[str, ...] = ()
    answers: str | None = None
    choice: tuple[str, str] | None = None
    others: tuple[str, ...] = ()


def texts_of(facts: Mapping[str, Facts], values: Values) -> Texts | None:
    """Return what the text of a table is, or ``None`` where nothing looks like it."""
    by_form = {form: [name for name, of in facts.items() if of.form == form] for form in ("names", "spans", "answers")}
    texts = [name for name, of in facts.items() if is_text(name, of)]
    if by_form["answers"] and {"question", "context"} <= facts.keys():
        return Texts(("question", "context"), answers=by_form["answers"][0])
    if tagged := _tagged(by_form["names"], facts, values):
        return tagged
    choice = _choice(by_form["names"], facts, values)
    if by_form["spans"]:
        texts = [name for name in texts if _holds(values[name], values[by_form["spans"][0]])] or texts
    elif not choice and (pair := pair_in(texts)):
        return Texts(pair, others=tuple(name for name in texts if name not in pair))
    named = () if by_form["spans"] else TEXTS  # of texts that hold the spans the longest one is meant
    best = max(texts, key=lambda name: (is_one_of(name, named), facts[name].mean_words), default=None)
    if best is not None:
        return Texts((best,), choice=choice, others=tuple(name for name in texts if name != best))
    words = [name for name in by_form["names"] if facts[name].mean_words >= 2 and facts[name].num_distinct > 20]
    found = max(words, key=lambda name: facts[name].num_distinct, default=None) or _shortest(facts)
    return Texts((found,)) if found is not None else None


def is_text(name: str, facts: Facts) -> bool:
    """Tell text from labels: it is long, and seldom comes again."""
    if facts.form != "text" or separator_of(facts.counts):
        return False
    share = facts.num_distinct / max(1, facts.num_values)
    if facts.mean_words >= 5:
        return share >= 0.2 or facts.num_distinct > 200
    return share >= 0.5 and (facts.mean_words >= 3 or is_one_of(name, TEXTS))


def _shortest(facts: Mapping[str, Facts]) -> str | None:
    """Return the column of short texts, such as queries or names, where there are no longer ones."""
    short = [name for name, of in facts.items() if of.form == "text" and of.num_distinct >= 0.5 * of.num_values]
    return max(short, key=lambda name: facts[name].mean_words, default=None)


def _tagged(names: Sequence[str], facts: Mapping[str, Facts], values: Values) -> Texts | None:
    """Find a column of words and those with as many tags in every row."""
    by_preference = sorted(
        (name for name in names if facts[name].mean_words >= 1),
        key=lambda name: (
            WORDS.index(name.lower()) if name.lower() in WORDS else len(WORDS),
            -facts[name].num_distinct,
        ),
    )
    for words in by_preference:
        equal = [name for name in names if name != words and _equally_long(values[words], values[name])]
        tags = [name for name in equal if _are_tags(facts[name], facts[words])]
        if tags:
            return Texts((words,), tags=tuple(tags), others=tuple(name for name in equal if name not in tags))
    return None


def _are_tags(facts: Facts, words: Facts) -> bool:
    return 1 < facts.num_distinct <= _FEW_TAGS and facts.num_distinct < max(20, words.num_distinct / 2)


def _equally_long(first: Sequence[Any], second: Sequence[Any]) -> bool:
    """Tell whether two columns of lists have equal lengths wherever both have a value."""
    both = [(len(one), len(other)) for one, other in zip(first, second, strict=True) if one and other]
    return bool(both) and all(one == other for one, other in both) and len({one for one, _ in both}) > 1


def _choice(names: Sequence[str], facts: Mapping[str, Facts], values: Values) -> tuple[str, str] | None:
    """Find a column of options, which hardly come again, and the index of one of them in each row."""
    for options in names:
        for answer, of in facts.items():
            both = [
                (given, index)
                for given, index in zip(values[options], values[answer], strict=True)
                if not is_null(given) and not is_null(index)
            ]
            if (
                of.form == "whole"
                and facts[options].repeats < 3
                and both
                and all(len(given) > 1 and 0 <= index < len(given) for given, index in both)
            ):
                return options, answer
    return None


def _holds(texts: Sequence[Any], spans: Sequence[Any]) -> bool:
    """Tell whether all spans end within a column of text."""
    return all(
        text is not None and all(span["end"] is not None and span["end"] <= len(text) for span in of_row)
        for text, of_row in zip(texts, spans, strict=True)
        if of_row
    )
