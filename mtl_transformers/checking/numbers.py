"""The numbers that are labels, on each split: their spread, and those far from all others."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mtl_transformers.checking.findings import Finding, named
from mtl_transformers.data.encoded import EncodedSplit
from mtl_transformers.tasks.task import Task

FAR = 6.0  # standard deviations of train from its mean


@dataclass(frozen=True, slots=True)
class Spread:
    """The known numbers of a target on a split; ``std`` is that of the numbers themselves (divided by n)."""

    num: int
    low: float
    mean: float
    high: float
    std: float


def numbers_of(task: Task, encoded: EncodedSplit) -> dict[str, NDArray[np.float64]]:
    """Return by target the numbers ``[n]`` of a split's rows, NaN where there is none; nothing for other labels."""
    if not task.numbers_in([]):
        return {}
    rows = np.flatnonzero(encoded.labelled[task.name])
    labels = encoded.labels.select_columns([task.name]).with_format("arrow")[:].column(0)
    given = task.numbers_in(labels.drop_null().to_pylist())
    numbers = {target: np.full(len(encoded), np.nan) for target in given}
    for target, values in given.items():
        numbers[target][rows] = values
    return numbers


def spread_of(numbers: NDArray[np.float64]) -> Spread | None:
    """Return the spread of the numbers that are known, if there are any."""
    known = numbers[~np.isnan(numbers)]
    if not len(known):
        return None
    low, mean, high, std = (float(value) for value in (known.min(), known.mean(), known.max(), known.std()))
    return Spread(num=len(known), low=low, mean=mean, high=high, std=std)


def number_findings(
    task: Task, encoded: Mapping[str, EncodedSplit], numbers: Mapping[str, Mapping[str, NDArray[np.float64]]]
) -> Iterator[Finding]:
    """Yield targets that are always the same, and numbers that are far from those of train."""
    for split, by_target in numbers.items():
        for target, values in by_target.items():
            spread, train = spread_of(values), spread_of(numbers["train"][target])
            if spread is None or train is None:
                continue
            far = np.flatnonzero(np.abs(values - train.mean) > FAR * train.std)
            if spread.low == spread.high and spread.num > 1:
                message, rows = f"{target} is {spread.low:g} in every row", np.array([], dtype=np.int64)
            elif len(far):
                message = f"{target} is more than {FAR:g} standard deviations from the mean of train: {len(far):,} rows"
                rows = far
            else:
                continue
            yield Finding(
                severity="warning",
                topic="numbers",
                place=f"tasks.{task.name}",
                split=split,
                message=message,
                count=len(rows),
                rows=named(encoded[split].places, rows.tolist()),
            )
