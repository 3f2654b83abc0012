"""The likelihood of labels that are steps of a scale: a cumulative link model (McCullagh 1980, section 2)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def ordinal_losses(logits: Tensor, labels: Tensor) -> Tensor:
    """Return the negative log-likelihood ``[M]`` of places on a scale, in a cumulative link model.

    Args:
        logits: ``[M, C - 1]`` logits of lying above each cut, descending.
        labels: ``[M]`` places from 0 to C - 1.
    """
    above = F.pad(logits, (1, 0), value=torch.inf)  # every label lies above no cut …
    above = F.pad(above, (0, 1), value=-torch.inf)  # … and below the last
    upper, lower = above.gather(1, labels[:, None])[:, 0], above.gather(1, labels[:, None] + 1)[:, 0]
    # P(lower < z < upper) = sigmoid(upper) · sigmoid(-lower) · (1 - exp(lower - upper)), without cancellation
    return -(F.logsigmoid(upper) + F.logsigmoid(-lower) + torch.log(-torch.expm1(lower - upper)))
