import numpy as np
import pytest

from mtl_transformers.text import embeddings
from mtl_transformers.text.embeddings import decode_embeddings, nearest, numbered


@pytest.mark.parametrize("at_once", [1, 7, 30, 2**24])
def test_the_nearest_is_the_same_in_blocks_of_any_size(at_once: int, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    queries, candidates = (rng.normal(size=(n, 5)).astype(np.float32) for n in (11, 6))
    monkeypatch.setattr(embeddings, "_AT_ONCE", at_once)
    expected = [max(range(6), key=lambda n: float(query @ candidates[n])) for query in queries]
    assert nearest(queries, candidates).tolist() == expected


def test_equal_texts_have_one_number() -> None:
    assert numbered(["b", "a", "b", "c"]) == [0, 1, 0, 2]


def test_a_vector_without_a_direction_stays_finite() -> None:
    (found,) = decode_embeddings([np.zeros((1, 3), dtype=np.float32)])
    assert found == {"embedding": [0.0, 0.0, 0.0]}
