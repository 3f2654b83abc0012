"""Soft labels: a probability for each label instead of one label. Owns how they are written, and their errors."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from mtl_transformers.errors import DataError
from mtl_transformers.tasks.labels import Label

TOLERANCE = 0.01  # of the sum of probabilities, which files round


def soft_counts(cells: Iterable[tuple[Any, ...]], names: Sequence[str] | None) -> Counter[Label]:
    """Count the rows by their most probable label; every label that has a probability is one."""
    counts: Counter[Label] = Counter()
    for (cell,) in cells:
        found = probabilities_of(cell, names)
        if found is not None:
            counts.update(dict.fromkeys(found, 0))
            counts[max(found, key=lambda name: found[name])] += 1
    return counts


def probabilities_of(cell: Any, names: Sequence[str] | None) -> dict[str, float] | None:
    """Return a cell's probabilities by label; ``None`` where it is null.

    Raises:
        DataError: it holds no probabilities, or they do not add up to 1.
    """
    if cell is None:
        return None
    if isinstance(cell, Mapping):
        given = {str(name): value for name, value in cell.items() if value is not None}
    elif isinstance(cell, list | tuple) and names is not None and len(cell) == len(names):
        given = dict(zip(names, cell, strict=True))
    else:
        wanted = "an object of names" if names is None else f"an object, or a list of {len(names)} numbers"
        raise DataError(f"label {cell!r}: expected the probability of each label: {wanted} (lists need label_names)")
    if not given or all(value is None for value in given.values()):
        return None
    if not all(isinstance(value, int | float) and 0 <= value <= 1 for value in given.values()):
        raise DataError(f"label {cell!r}: expected numbers from 0 to 1")
    if abs(sum(given.values()) - 1) > TOLERANCE:
        raise DataError(f"label {cell!r}: the probabilities add up to {sum(given.values()):g}, not to 1")
    return {name: float(value) for name, value in given.items()}
