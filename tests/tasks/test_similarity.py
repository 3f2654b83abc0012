import json
import math
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import spearmanr

from mtl_transformers.batch import Target
from mtl_transformers.errors import ConfigError, DataError
from mtl_transformers.tasks.kinds import task_from_json
from mtl_transformers.tasks.similarity import Similarity, SimilarityOptions
from mtl_transformers.tasks.task import EncoderFacts
from mtl_transformers.text.encoding import Features
from mtl_transformers.text.masking import Vocabulary

FACTS = EncoderFacts(4, Vocabulary(size=9, mask_id=None, special_ids=(), tokens=()))


def pair(first: int, second: int) -> Features:
    return Features(((first,), (second,)), ())


def fit(cells: Any = ((),) * 5, *, metrics: tuple[str, ...] = (), **options: Any) -> Similarity:
    task = Similarity.fit("sim", SimilarityOptions(**options), metrics=metrics, cells=cells, class_names=None)
    return task.with_encoder(FACTS)


def scored(*scores: float | None, **options: Any) -> Similarity:
    return fit([(score,) for score in scores], label="score", **options)


def target(task: Similarity, rows: list[Features], labels: list[Any], **given: Any) -> Target:
    found = task.target(rows, first_sequences=range(0, 2 * len(rows), 2), labels=labels, **given)
    assert found is not None
    return found


def vectors(rows: int, *, seed: int = 0) -> torch.Tensor:
    return torch.randn(2 * rows, 4, generator=torch.Generator().manual_seed(seed))


def cosines(logits: torch.Tensor) -> np.ndarray:
    """Cosines ``[rows, rows]`` of first and second texts, by hand."""
    wide = logits.double().numpy()
    unit = wide / np.sqrt((wide**2).sum(axis=1))[:, None]
    return unit[0::2] @ unit[1::2].T


# pairs with a score


def test_the_scale_is_that_of_the_option_or_of_the_training_rows() -> None:
    task = scored(1.0, None, 3, 2.0)
    assert (task.low, task.high, task.counts, task.num_outputs) == (1.0, 3.0, (3,), 4)
    assert task.encode((2.0,), pair(1, 2), text="") == [0.5]
    assert task.encode((4.0,), pair(1, 2), text="") == [1.5]  # above those of training
    assert task.encode((None,), pair(1, 2), text="") is None
    wide = scored(1.0, 3.0, scale=(0.0, 5.0))
    assert wide.encode((4,), pair(1, 2), text="") == [0.8]
    with pytest.raises(DataError, match=r"score 5\.5 does not lie on the scale from 0 to 5"):
        wide.encode((5.5,), pair(1, 2), text="")


def test_scores_that_say_nothing_are_refused() -> None:
    with pytest.raises(DataError, match="every label is null"):
        scored(None, None)
    with pytest.raises(DataError, match="every score is 2"):
        scored(2.0, 2.0)
    with pytest.raises(DataError, match="'good' is no number"):
        fit([("good",)], label="score")


def test_the_loss_is_the_squared_error_of_the_cosine_times_the_weight() -> None:
    task, logits = scored(0.0, 1.0), vectors(3)
    rows = [pair(1, 2), pair(3, 4), pair(5, 6)]
    own = np.diag(cosines(logits))
    plain = target(task, rows, [[0.5], [1.0], [0.0]])
    assert (plain.num_items, plain.num_rows) == (3, 3)
    assert task.loss(logits, plain).item() == pytest.approx(((own - [0.5, 1.0, 0.0]) ** 2).sum(), rel=1e-5)
    weighed = target(task, rows, [[0.5], [1.0], [0.0]], weights=[2.0, 0.0, 1.0])
    assert task.loss(logits, weighed).item() == pytest.approx(2 * (own[0] - 0.5) ** 2 + own[2] ** 2, rel=1e-5)


def test_a_row_without_a_score_is_left_out() -> None:
    task = scored(0.0, 1.0)
    found = target(task, [pair(1, 2), pair(3, 4), pair(5, 6)], [[0.5], None, [0.0]])
    assert found.sequences.tolist() == [0, 1, 4, 5]
    assert found.num_items == 2


def test_spearman_of_random_cosines_is_scipys() -> None:
    task = fit([(0.0,), (1.0,)], label="score", metrics=("spearman", "pearson"))
    rng = np.random.default_rng(0)
    gold = rng.random(40)
    logits = [rng.normal(size=(2, 4)).astype(np.float32) for _ in gold]
    rows = [pair(1, 2)] * 40
    predictions = task.decode(logits, rows, texts=[""] * 40, form="options")
    found = task.score([[value] for value in gold], predictions, rows)
    own = [float(np.diag(cosines(torch.from_numpy(of)))[0]) for of in logits]
    assert found["spearman"] == pytest.approx(spearmanr(own, gold)[0])
    baseline = task.score([[value] for value in gold], [task.majority(row) for row in rows], rows)
    assert baseline == {"spearman": 0.0, "pearson": 0.0}


# positive pairs


def by_hand(logits: torch.Tensor, rows: list[Features], units: list[int], *, temperature: float = 0.05) -> float:
    """InfoNCE from first to second texts, row by row."""
    table = np.exp(cosines(logits) / temperature)
    total = 0.0
    for row, (mine, unit) in enumerate(zip(rows, units, strict=True)):
        others = [
            n
            for n, other in enumerate(rows)
            if n == row
            or (
                units[n] == unit
                and not {mine.input_ids[0]} & {other.input_ids[0]}
                and mine.input_ids[1] != other.input_ids[1]
            )
        ]
        total -= math.log(table[row, row] / table[row, others].sum())
    return total


@given(
    texts=st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=9),
    data=st.data(),
)
def test_the_loss_is_the_cross_entropy_among_the_rows_of_the_unit(texts: list[tuple[int, int]], data: Any) -> None:
    units = sorted(data.draw(st.lists(st.integers(0, 3), min_size=len(texts), max_size=len(texts))))
    rows, task, logits = [pair(*of) for of in texts], fit(), vectors(len(texts), seed=len(texts))
    found = task.loss(logits, target(task, rows, [[1.0]] * len(rows), units=units)).item()
    assert found == pytest.approx(by_hand(logits, rows, units), rel=1e-4, abs=1e-4)


def test_equal_texts_are_no_negatives() -> None:
    task, logits, units = fit(temperature=0.5), vectors(3), [0, 0, 0]
    distinct = [pair(1, 2), pair(3, 4), pair(5, 6)]
    losses = [
        task.loss(logits, target(task, rows, [[1.0]] * 3, units=units)).item()
        for rows in (distinct, [pair(1, 2), pair(1, 4), pair(5, 6)], [pair(1, 2), pair(3, 2), pair(5, 6)])
    ]
    assert losses[0] == pytest.approx(by_hand(logits, distinct, units, temperature=0.5), rel=1e-4)
    assert losses[1] < losses[0]
    assert losses[2] < losses[0]


def test_units_are_added_and_a_unit_that_is_cut_has_another_loss() -> None:
    task, logits = fit(), vectors(6)
    rows = [pair(n, n + 10) for n in range(6)]

    def loss(part: slice, units: list[int]) -> float:
        sequences = slice(2 * part.start, 2 * part.stop)
        return task.loss(logits[sequences], target(task, rows[part], [[1.0]] * len(units), units=units)).item()

    whole = loss(slice(0, 6), [0, 0, 0, 1, 1, 1])
    assert loss(slice(0, 3), [0] * 3) + loss(slice(3, 6), [0] * 3) == pytest.approx(whole, rel=1e-5)
    cut = loss(slice(0, 2), [0] * 2) + loss(slice(2, 6), [0, 1, 1, 1])
    assert cut != pytest.approx(whole, rel=1e-2)


def test_a_unit_of_one_row_has_nothing_to_compare_and_is_counted() -> None:
    task, logits = fit(), vectors(1).requires_grad_()
    one = target(task, [pair(1, 2)], [[1.0]])
    loss = task.loss(logits, one)
    loss.backward()
    assert (loss.item(), one.num_items) == (0.0, 1)
    assert logits.grad is not None
    assert torch.isfinite(logits.grad).all()


def test_retrieval_counts_the_rows_whose_own_text_is_the_nearest_of_all() -> None:
    task = fit()
    rows = [pair(1, 2), pair(3, 4), pair(5, 4)]
    east, north, south = [1.0, 0, 0, 0], [0, 1.0, 0, 0], [0, -1.0, 0, 0]
    logits = [np.asarray(of, dtype=np.float32) for of in ([east, east], [north, south], [east, north])]
    predictions = task.decode(logits, rows, texts=[""] * 3, form="options")
    # the second row finds the third one's text, which equals its own; the third row finds the first one's
    assert task.score([[1.0]] * 3, predictions, rows) == {"retrieval_accuracy": pytest.approx(2 / 3)}
    unlike = [pair(1, 2), pair(3, 4), pair(5, 6)]
    assert task.score([[1.0]] * 3, predictions, unlike) == {"retrieval_accuracy": pytest.approx(1 / 3)}
    constant = [task.majority(row) for row in unlike]
    assert task.score([[1.0]] * 3, constant, unlike) == {"retrieval_accuracy": pytest.approx(1 / 3)}


def test_a_text_has_an_embedding_of_length_1_and_two_have_their_cosine() -> None:
    task, logits = fit(), vectors(1)
    one, two = task.decode(
        [logits[:1].numpy(), logits.numpy()], [Features(((1,),), ()), pair(1, 2)], texts=["", ""], form="options"
    )
    assert isinstance(one, dict)
    assert isinstance(two, dict)
    assert sum(value**2 for value in one["embedding"]) == pytest.approx(1.0)
    assert two["embeddings"][0] == one["embedding"]
    assert two["score"] == pytest.approx(cosines(logits)[0, 0])
    assert json.loads(json.dumps(two)) == two


def test_options_that_do_not_fit_each_other_are_refused() -> None:
    def problems(**options: Any) -> set[str]:
        return set(Similarity.option_problems(SimilarityOptions(**options)))

    assert problems() == problems(group_size=4, temperature=0.1) == problems(label="score", scale=(0.0, 5.0)) == set()
    assert problems(label="score", group_size=4, temperature=0.1) == {"group_size", "temperature"}
    assert problems(scale=(0.0, 5.0)) == {"scale"}
    assert problems(label="score", scale=(5.0, 0.0)) == {"scale"}


def test_long_texts_in_windows_are_refused() -> None:
    given: dict[str, Any] = {"text": ("a", "b"), "form": "pair", "max_length": 9}
    assert Similarity.input_of(SimilarityOptions(), **given).form == "options"
    with pytest.raises(ConfigError, match="remove stride"):
        Similarity.input_of(SimilarityOptions(), **given, stride=3)


def test_a_task_is_rebuilt_with_its_scale() -> None:
    task = scored(0.0, 1.0, scale=(0.0, 5.0))
    assert task_from_json(json.loads(json.dumps(task.to_json()))) == task
