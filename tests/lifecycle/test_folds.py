"""Folds: where a row lies follows from its text, the seed and the number of folds, and from nothing else."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mtl_transformers.lifecycle.folds import folds_of

TEXTS = st.lists(st.text(max_size=8), max_size=30)
SEEDS = st.integers(-(2**60), 2**60)


@settings(deadline=None)
@given(texts=TEXTS, seed=SEEDS, num_folds=st.integers(2, 9))
def test_every_text_lies_in_one_of_the_folds(texts: list[str], seed: int, num_folds: int):
    folds = folds_of(texts, num_folds=num_folds, seed=seed)
    assert len(folds) == len(texts)
    assert all(0 <= fold < num_folds for fold in folds)


@settings(deadline=None)
@given(texts=TEXTS, company=TEXTS, seed=SEEDS, order=st.randoms(use_true_random=False))
def test_the_fold_of_a_text_does_not_depend_on_order_or_company(texts, company, seed, order):
    alone = dict(zip(texts, folds_of(texts, num_folds=5, seed=seed), strict=True))
    mixed = [*texts, *company, *texts]
    order.shuffle(mixed)
    for text, fold in zip(mixed, folds_of(mixed, num_folds=5, seed=seed), strict=True):
        assert text not in alone or alone[text] == fold


def test_folds_are_of_nearly_equal_size():
    counts = Counter(folds_of((f"text {number}" for number in range(5000)), num_folds=5, seed=13).tolist())
    assert set(counts) == {0, 1, 2, 3, 4}
    assert all(900 < count < 1100 for count in counts.values())  # 1000 ± 3.5 standard deviations


@pytest.mark.parametrize("other", [{"seed": 14}, {"num_folds": 4}])
def test_another_seed_or_number_gives_other_folds(other: dict[str, int]):
    texts = [f"text {number}" for number in range(100)]
    same = {"num_folds": 5, "seed": 13}
    assert not np.array_equal(folds_of(texts, **same), folds_of(texts, **(same | other)))
