"""What the values of a column are: their form, how many differ, how long they are. Numbers in, numbers out."""

from __future__ import annotations

import datetime
import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from statistics import fmean, quantiles
from typing import Any, Literal

Form = Literal["empty", "text", "flag", "whole", "number", "names", "numbers", "spans", "answers", "date", "other"]
"""names: lists of text; numbers: lists of whole numbers; spans: lists of {label, start, end}; answers: SQuAD's."""

_DATE = re.compile(r"\d{4}-\d\d?-\d\d?([T ]\d\d?:\d\d.*)?|\d\d?[./]\d\d?[./]\d{2,4}( \d\d?:\d\d.*)?")
_SIGNS = re.compile(r"[\u2e80-\u9fff\uac00-\ud7af\uf900-\ufaff]")  # of scripts without spaces; tokenizers cut each one


@dataclass(frozen=True, slots=True)
class Facts:
    """What was counted in a column.

    Attributes:
        form: of the values.
        num_rows: rows looked at.
        num_null: of them null, or blank text.
        counts: the values as they are written, or the items of lists, with their number.
        mean_words: of a text or a list, over the values; 0 of others.
        long_words: words that 95 of 100 values do not pass.
    """

    form: Form
    num_rows: int
    num_null: int
    counts: Mapping[str, int]
    mean_words: float = 0.0
    long_words: int = 0

    @property
    def num_values(self) -> int:
        """Rows with a value."""
        return self.num_rows - self.num_null

    @property
    def num_distinct(self) -> int:
        """Different values, or different items of lists."""
        return len(self.counts)

    @property
    def is_unique(self) -> bool:
        """Every row has a value of its own."""
        return self.num_null == 0 and self.num_distinct == self.num_rows

    @property
    def repeats(self) -> float:
        """How often a value, or an item, comes on average."""
        return sum(self.counts.values()) / max(1, self.num_distinct)


def facts_of(values: Sequence[Any]) -> Facts:
    """Count what the values of a column are."""
    present = [value for value in values if not is_null(value)]
    form = _form(present)
    items = chain.from_iterable(present) if form in ("names", "numbers") else present
    counted = () if form in ("spans", "answers", "other") else (str(item) for item in items if item is not None)
    counts = Counter(counted)
    words = [num_words(value) for value in present] if form in ("text", "names") else []
    return Facts(
        form=form,
        num_rows=len(values),
        num_null=len(values) - len(present),
        counts=counts,
        mean_words=fmean(words) if words else 0.0,
        long_words=math.ceil(quantiles(words, n=20)[-1]) if len(words) > 1 else sum(words),
    )


def is_null(value: Any) -> bool:
    """Tell a null, a NaN and blank text."""
    if isinstance(value, str):
        return not value.strip()
    return value is None or (isinstance(value, float) and math.isnan(value))


def num_words(value: str | Sequence[str | None]) -> int:
    """Count words between spaces, and each sign of a script without spaces; of a list its items."""
    if not isinstance(value, str):
        return len(value)
    return len(value.split()) + len(_SIGNS.findall(value))


def _form(values: Sequence[Any]) -> Form:
    forms: set[Any] = {_form_of(value) for value in values}
    if forms == {"list"}:  # none but empty ones
        return "names"
    forms.discard("list")
    if forms == {"whole", "number"}:
        return "number"
    if len(forms) > 1:
        return "other"
    form: Form = forms.pop() if forms else "empty"
    if form == "text" and all(_DATE.fullmatch(value.strip()) for value in values):
        return "date"
    return form


def _form_of(value: Any) -> Any:
    match value:
        case bool():
            return "flag"
        case int():
            return "whole"
        case float():
            return "whole" if value.is_integer() else "number"
        case str():
            return "text"
        case datetime.date() | datetime.time():
            return "date"
        case dict():
            return "answers" if {"text", "answer_start"} <= value.keys() else "other"
        case list():
            return _form_of_list(value)
        case _:
            return "other"


def _form_of_list(values: Iterable[Any]) -> str:
    """Return the form of a list: ``list`` of an empty one, which may be any."""
    found = {_form_of_item(value) for value in values if value is not None}
    return found.pop() if len(found) == 1 else ("other" if found else "list")


def _form_of_item(value: Any) -> str:
    match value:
        case bool():
            return "other"
        case str():
            return "names"
        case int():
            return "numbers"
        case dict() if {"label", "start", "end"} <= value.keys():
            return "spans"
        case dict() if {"text", "answer_start"} <= value.keys():
            return "answers"
        case _:
            return "other"
