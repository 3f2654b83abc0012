"""Which fold a row lies in: a pure function of its text, the seed and the number of folds."""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray


def folds_of(texts: Iterable[str], *, num_folds: int, seed: int) -> NDArray[np.int64]:
    """Return the fold of each text, ``[n]`` from 0.

    Equal texts lie in one fold, in whatever dataset, order or company they stand. The hash is not the one that makes
    splits: a train split is an interval of that one, which would leave its folds unequal.

    Args:
        texts: normalised.
        num_folds: K.
        seed: of the config.
    """
    key = seed.to_bytes(16, "big", signed=True)
    return np.fromiter((_hash(text, key) % num_folds for text in texts), dtype=np.int64)


def _hash(text: str, key: bytes) -> int:
    digest = blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8, key=key, person=b"fold").digest()
    return int.from_bytes(digest, "big")
