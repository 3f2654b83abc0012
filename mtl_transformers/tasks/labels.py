"""Label sets: their order, and finding a label in them. Shared by the kinds; knows no tensors.

A label is told by how it is written: ``3`` and ``"3"`` are the same one, so that a CSV file and a JSON file agree.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from typing import Any

from mtl_transformers.errors import DataError, nearest

Label = str | int

SHOWN = 10  # labels that a message lists
ALL_NULL = "every label is null; a task needs labelled training rows"


class UnknownLabelError(DataError):
    """A label that training never had.

    Args:
        message: what is wrong, and what to do.
        label: the label as it is written.
    """

    def __init__(self, message: str, *, label: str) -> None:
        super().__init__(message)
        self.label = label


def plain(value: Any) -> Label | None:
    """Return a label cell as a string, an integer or ``None``; a column with holes may hold 1 as 1.0.

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
    labels: Collection[Label], *, label_names: Sequence[str] | None, class_names: Sequence[str] | None
) -> tuple[Label, ...]:
    """Return the labels in the order in which they are trained and served.

    The names that the config gives, else the order of the table's ClassLabel, else sorted (numbers numerically).

    Args:
        labels: of the training rows, each once.
        label_names: of the config.
        class_names: of the column's ClassLabel.

    Raises:
        DataError: names and numbers are mixed, or a name is given twice.
    """
    if len({isinstance(label, str) for label in labels}) > 1:
        numbers = sorted(str(label) for label in labels if not isinstance(label, str))
        names = sorted(label for label in labels if isinstance(label, str))
        raise DataError(f"the labels mix names ({listed(names)}) and numbers ({listed(numbers)}); use one form")
    if label_names or class_names:
        return distinct(label_names or class_names or ())
    if all(map(_is_whole, labels)):
        return tuple(sorted(labels, key=lambda label: (int(label), str(label))))
    return tuple(sorted(labels, key=str))


def distinct(names: Sequence[str]) -> tuple[str, ...]:
    """Return names that differ from each other.

    Raises:
        DataError: with the names that are given more than once.
    """
    repeated = [name for name, times in Counter(names).items() if times > 1]
    if repeated:
        raise DataError(f"{listed(repeated)} is given more than once among {listed(names)}; every name stands once")
    return tuple(names)


def places(labels: Sequence[Label], *, named: bool) -> dict[str, int]:
    """Return the place of a label by every way to write it.

    Args:
        labels: in order.
        named: the order came from a ClassLabel or from ``label_names``: then a label's id is a way to write it too,
            unless the names are numbers themselves.
    """
    known = {str(label): place for place, label in enumerate(labels)}
    if named and not any(map(_is_whole, labels)):
        known |= {str(place): place for place in range(len(labels))}
    return known


def counts_in_order(counts: Mapping[Label, int], known: Mapping[str, int], num_labels: int) -> tuple[int, ...]:
    """Return the training rows of each label in order; labels without a place are left to encoding.

    Raises:
        DataError: no training row has one of the labels.
    """
    rows = [0] * num_labels
    for label, count in counts.items():
        if str(label) in known:
            rows[known[str(label)]] += count
    if not any(rows):
        expected = listed(list(known)[:num_labels])
        raise DataError(
            f"no training row has one of the labels {expected}; they have {listed(list(counts))}. Fix label_names"
        )
    return tuple(rows)


def unknown(label: Label, labels: Sequence[Label], known: Mapping[str, int]) -> UnknownLabelError:
    """Return the error of a label that training never had, with the nearest one."""
    ids = f" or their ids 0 to {len(labels) - 1}" if len(known) > len(labels) else ""
    return UnknownLabelError(
        f"label {label!r} is not among the {len(labels)} training labels ({listed(labels)}){ids}"
        f"{nearest(str(label), map(str, labels)) or '.'} Fix the data, or set unknown_label: ignore",
        label=str(label),
    )


def listed(labels: Sequence[Label]) -> str:
    """Return the first few labels for a message."""
    return ", ".join(map(repr, labels[:SHOWN])) + (", …" if len(labels) > SHOWN else "")


def _is_whole(label: Label) -> bool:
    return isinstance(label, int) or label.removeprefix("-").isdecimal()


def number(cell: Any) -> float:
    """Return a label cell as a number, null as NaN; one bad cell of a CSV column turned the others into text.

    Raises:
        DataError: it is no finite number.
    """
    if cell is None:
        return math.nan
    if isinstance(cell, str):
        return _read_number(cell)
    if not isinstance(cell, int | float):
        raise DataError(f"label {cell!r} is a {type(cell).__name__}; expected a number or null")
    if math.isinf(cell):
        raise DataError(f"label {cell!r} is not finite; expected a number or null")
    return float(cell)


def _read_number(text: str) -> float:
    with suppress(ValueError):
        if math.isfinite(number := float(text)):
            return number
    raise DataError(f"label {text!r} is no number; expected a number or an empty cell")
