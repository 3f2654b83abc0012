"""Losses of items that are made of several vectors: the options of a row, the candidates of a query.

Shapes: ``M`` vectors, ``G`` groups, ``K`` vectors of the largest one.
"""

from __future__ import annotations

import torch
from torch import Tensor

from mtl_transformers.batch import Target


def by_group(values: Tensor, target: Target, *, fill: float) -> Tensor:
    """Return values ``[M]`` as ``[G, K]``, a row for each group of a target, its end filled up.

    Args:
        values: of each vector.
        target: names the groups.
        fill: what stands where a group has no vector.
    """
    assert target.groups is not None  # targets of these kinds have groups
    _, rows, sizes = torch.unique_consecutive(target.groups, return_inverse=True, return_counts=True)
    starts = sizes.cumsum(dim=0) - sizes
    columns = torch.arange(len(values), device=values.device) - starts[rows]
    table = values.new_full((len(sizes), int(sizes.max())), fill)
    return table.index_put((rows, columns), values)


def weighed_groups(losses: Tensor, target: Target) -> Tensor:
    """Return the sum of item losses ``[G]``, each times the weight of its group."""
    if target.weights is None:
        return losses.sum()
    return (losses * by_group(target.weights, target, fill=0.0)[:, 0]).sum()


def groups_of_rows(sizes: list[int]) -> Tensor:
    """Return the number ``[M]`` of the row of each vector, from how many vectors each row has."""
    return torch.arange(len(sizes)).repeat_interleave(torch.tensor(sizes))
