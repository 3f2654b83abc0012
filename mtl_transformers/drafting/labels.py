"""What a column could be the label of, by its values and its name: a kind with its options, or why it is none."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from mtl_transformers.drafting.facts import Facts
from mtl_transformers.drafting.naming import LABELS, SCALES, is_one_of

_SEPARATORS = ";|,"
_MOST_LABELS = 1000
_MOST_IDS = 20  # of whole numbers that are taken for classes
_PREFIXED = re.compile(r"([BIESLU])-.+")
_LONGEST = 8  # words of a label, on average
_SCHEMES = {"bio": set("BI"), "iobes": set("BIES"), "bilou": set("BILU")}


@dataclass(frozen=True, slots=True)
class Label:
    """A kind of task with its options besides the columns, and why."""

    kind: str
    why: str
    options: Mapping[str, object]


def label_of(name: str, facts: Facts) -> Label | str:
    """Return what kind of label a column is, or why it is none."""
    match facts.form:
        case "flag":
            return _classes(facts)
        case "text":
            return _text_label(facts)
        case "whole":
            return _whole_label(name, facts)
        case "number":
            return _regression(facts)
        case "spans":
            return Label("token_classification", f"spans of characters{nulls(facts)}", {"scheme": "spans"})
        case "names":
            return _multi_label(facts, {}) if facts.repeats >= 2 else "lists whose items hardly come again"
        case "numbers":
            return _numbers_label(facts)
        case _:
            return "values of a form that no kind reads"


def tags_of(facts: Facts) -> Label:
    """Return the label of a column with a tag for each word, in the narrowest scheme that has its tags."""
    tags = [tag for tag in facts.counts if tag != "O"]
    prefixes = {found[1] if (found := _PREFIXED.fullmatch(tag)) else tag for tag in tags}
    scheme = next((name for name, legal in _SCHEMES.items() if prefixes <= legal), "plain")
    names = {tag[2:] for tag in tags}
    in_scheme = f"{counted(len(names), 'label')} of spans in {scheme.upper()}"
    why = f"{len(facts.counts)} tags of words" if scheme == "plain" else in_scheme
    return Label("token_classification", why + nulls(facts), {"scheme": scheme})


def is_zero_or_one(name: str, facts: Facts) -> bool:
    """Tell a column of 0 and 1 that may be one label of several."""
    return facts.form == "whole" and {float(value) for value in facts.counts} <= {0, 1} and name.lower() not in LABELS


def counted(number: int, thing: str) -> str:
    """Return a number of things in words, as ``1 label``."""
    return f"{number:,} {thing}" if number == 1 else f"{number:,} {thing}s"


def nulls(facts: Facts) -> str:
    """Return the share of nulls for a reason, where there are some."""
    percent = 100 * facts.num_null / facts.num_rows
    return "" if not percent else (f", {percent:.0f} % null" if percent >= 1 else ", less than 1 % null")


def separator_of(counts: Mapping[str, int]) -> str | None:
    """Return what cuts texts into labels, or ``None``.

    A tenth of the rows is cut, hardly any part comes once, and there are no more parts than wholes: so that labels are
    told from sentences, and from places such as "Paris, France".
    """
    for mark in _SEPARATORS:
        parts = _parts(counts, mark)
        num_cut = sum(times for whole, times in counts.items() if mark in whole)
        repeated = sum(times for times in parts.values() if times > 1)
        short = all(len(part.split()) <= 4 for part in parts)
        enough = num_cut >= 0.1 * sum(counts.values()) and repeated >= 0.9 * parts.total()
        if enough and short and 1 < len(parts) <= len(counts):
            return mark
    return None


def _parts(counts: Mapping[str, int], separator: str) -> Counter[str]:
    found = Counter[str]()
    for whole, times in counts.items():
        found.update({part: times for piece in whole.split(separator) if (part := piece.strip())})
    return found


def _text_label(facts: Facts) -> Label | str:
    separator = separator_of(facts.counts)
    if separator is not None:
        why = f"{counted(len(_parts(facts.counts, separator)), 'label')} with {separator!r} between{nulls(facts)}"
        return Label("multi_label", why, {"separator": separator})
    if facts.mean_words > _LONGEST:
        return f"{facts.mean_words:.0f} words on average, which is no label"
    return _classes(facts)


def _classes(facts: Facts, note: str = "") -> Label | str:
    enough = 5 if facts.num_values >= 200 else 2
    if facts.num_distinct > _MOST_LABELS or (facts.repeats < enough and facts.num_distinct > 2):
        return f"{facts.num_distinct:,} different values in {facts.num_values:,} rows: no labels, and no longer text"
    return Label("classification", f"{counted(facts.num_distinct, 'label')}{nulls(facts)}{note}", {})


def _multi_label(facts: Facts, options: Mapping[str, object]) -> Label | str:
    if facts.num_distinct > _MOST_LABELS:
        return f"lists of {facts.num_distinct:,} different items"
    return Label("multi_label", f"lists of {counted(facts.num_distinct, 'label')}{nulls(facts)}", options)


def _numbers_label(facts: Facts) -> Label | str:
    if set(facts.counts) <= {"0", "1"}:
        return "lists of 0 and 1: a multi_label with multi_hot: true, once label_names says what each place means"
    return _multi_label(facts, {})


def _whole_label(name: str, facts: Facts) -> Label | str:
    """Tell numbers of classes from amounts: there are few, or they count up from 0 or 1 and are called labels."""
    values = sorted({float(value) for value in facts.counts})
    if is_one_of(name, SCALES) and facts.num_distinct > 2:
        return _regression(facts)
    counting = values[0] in (-1, 0, 1) and values[-1] - values[0] == len(values) - 1
    called_label = is_one_of(name, LABELS) and facts.repeats >= 5 and counting
    if called_label or (len(values) <= _MOST_IDS and facts.repeats >= 2):
        note = "" if len(values) == 2 else "; numbers, which regression could read too"
        return _classes(facts, note)
    if facts.is_unique:
        return "a whole number of its own in each row"
    return _regression(facts)


def _regression(facts: Facts) -> Label:
    values: Sequence[float] = [float(value) for value in facts.counts]
    return Label("regression", f"numbers from {min(values):g} to {max(values):g}{nulls(facts)}", {})
