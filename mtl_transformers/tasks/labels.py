"""Label sets: their order, and finding a label in them. Shared by the kinds; knows no tensors."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from mtl_transformers.errors import DataError, nearest

Label = str | int | bool


def plain(value: Any) -> Label | None:
    """Return a label cell as a string, an integer or ``None``; a CSV column with holes reads 1 as 1.0.

    Raises:
        DataError: for values that are no labels.
    """
    if value is None or isinstance(value, str | int):
        return value
    if isinstance(value, float):
        if math.isnan(value):
            return None
        if value.is_integer():
            return int(value)
        raise DataError(f"label {value!r} is a fraction; labels are names or whole numbers (kind: regression?)")
    raise DataError(f"label {value!r} is a {type(value).__name__}; expected a name or a whole number")


def ordered(
    counts: Mapping[Label, int], *, label_names: Sequence[str] | None, class_names: Sequence[str] | None
) -> tuple[Label, ...]:
    """Return the labels in the order in which they are trained and served.

    The names that the config gives, else the order of the table's ClassLabel, else sorted (numbers numerically).
    """
    if label_names or class_names:
        return tuple(label_names or class_names or ())
    return tuple(sorted(counts, key=lambda label: (isinstance(label, str), label)))


def count(labels: Iterable[Label]) -> Counter[Label]:
    """Count the labels of the training rows; names and numbers may not be mixed.

    Raises:
        DataError: when there is none, or when both names and numbers occur.
    """
    counts = Counter(labels)
    if not counts:
        raise DataError("every label is null; a task needs labelled training rows")
    if len({isinstance(label, str) for label in counts}) > 1:
        numbers = sorted(str(label) for label in counts if not isinstance(label, str))[:5]
        names = sorted(label for label in counts if isinstance(label, str))[:5]
        raise DataError(f"the labels mix names ({', '.join(names)}) and numbers ({', '.join(numbers)}); use one form")
    return counts


def index(label: Label, labels: Sequence[Label], *, known: Mapping[Label, int], named: bool) -> int:
    """Return a label's place in the order; a number is an id where the order is made of names.

    Args:
        label: a cell of the table.
        labels: the labels in order.
        known: place of each label.
        named: the labels came from a ClassLabel or from ``label_names``, so whole numbers are ids.

    Raises:
        DataError: for an unknown label, with the nearest known one.
    """
    if label in known:
        return known[label]
    if named and isinstance(label, int) and not isinstance(label, bool):
        if 0 <= label < len(labels):
            return label
        raise DataError(f"label id {label} is outside 0 to {len(labels) - 1}, the ids of the {len(labels)} labels")
    shown = ", ".join(repr(known_label) for known_label in labels[:10]) + (", …" if len(labels) > 10 else "")
    raise DataError(
        f"label {label!r} is not among the {len(labels)} training labels ({shown})"
        f"{nearest(str(label), map(str, labels))}. Fix the data, or set unknown_label: ignore"
    )
