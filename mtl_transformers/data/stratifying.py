"""Divides things so that every label's shares are right: iterative stratification.

After Sechidis, Tsoumakas and Vlahavas, "On the Stratification of Multi-Label Data" (ECML PKDD 2011), algorithm 1. We
differ where it draws lots: things come in a given order, and of equal demands the first side's is met. A thing may
be several rows, which stay together. Pure numbers; knows no table.
"""

from __future__ import annotations

import heapq
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray


def stratified_sides(things: Sequence[Mapping[str, int]], shares: Sequence[float]) -> NDArray[np.int64]:
    """Return the side of each thing.

    The rarest label is divided first: later there would be nothing to choose from. Each of its things goes to the side
    that lacks most rows of the label, then to the one that lacks most rows at all, then to the first one. So a label
    with fewer than half a row for a side is on the others only.

    Args:
        things: of each in order, how many of its rows have a label; at least one label each.
        shares: of the rows for each side; they add up to 1.

    Returns:
        ``[N]`` places in ``shares``.
    """
    rows = Counter[str]()
    holders: dict[str, list[int]] = defaultdict(list)
    for number, labels in enumerate(things):
        rows.update(labels)
        for label in labels:
            holders[label].append(number)
    num_rows = sum(max(labels.values()) for labels in things)
    given = {label: [0] * len(shares) for label in rows}
    given_in_all = [0] * len(shares)
    left = {label: len(numbers) for label, numbers in holders.items()}
    rarest = [(count, label) for label, count in left.items()]
    heapq.heapify(rarest)
    sides = np.full(len(things), -1, dtype=np.int64)
    while rarest:
        count, label = heapq.heappop(rarest)
        if count != left[label]:
            continue  # it became rarer, and stood further up
        for number in holders[label]:
            if sides[number] >= 0:
                continue
            lacking = [share * rows[label] - of_side for share, of_side in zip(shares, given[label], strict=True)]
            lacking_in_all = [share * num_rows - of_side for share, of_side in zip(shares, given_in_all, strict=True)]
            side = max(range(len(shares)), key=lambda side: (lacking[side], lacking_in_all[side], -side))
            sides[number] = side
            given_in_all[side] += max(things[number].values())
            for other, of_thing in things[number].items():
                given[other][side] += of_thing
                left[other] -= 1
                heapq.heappush(rarest, (left[other], other))
    return sides
