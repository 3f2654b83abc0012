"""A temperature: what scaled the logits is found again, nothing gets less likely, and no label of a softmax moves."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from mtl_transformers.lifecycle.temperature import HIGHEST, LOWEST, fit_temperature, log_probabilities
from mtl_transformers.metrics.calibration import negative_log_likelihood
from mtl_transformers.text.decoding import decode_ordinal, softmax


def drawn(num_rows: int, num_labels: int = 4, *, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Logits, and labels drawn from exactly the probabilities that they give."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(scale=2.0, size=(num_rows, num_labels))
    labels = [rng.choice(num_labels, p=row) for row in softmax(logits)]
    return logits, np.eye(num_labels)[labels]


def loss(logits: np.ndarray, targets: np.ndarray, temperature: float, *, ordinal: bool = False) -> float:
    found = np.exp(log_probabilities(logits, temperature=temperature, ordinal=ordinal))
    return negative_log_likelihood(found, targets)


@pytest.mark.parametrize("factor", [0.5, 1.0, 3.0])
def test_the_factor_of_logits_is_found_again(factor: float):
    logits, targets = drawn(20_000)
    assert fit_temperature(factor * logits, targets, ordinal=False).value == pytest.approx(factor, rel=0.03)


def test_the_temperature_is_where_the_likelihood_has_no_slope():
    logits, targets = drawn(500)
    found = fit_temperature(3 * logits, targets, ordinal=False).value
    assert loss(3 * logits, targets, found) < min(loss(3 * logits, targets, found * by) for by in (0.99, 1.01))


def test_probabilities_as_labels_are_met():
    logits, _ = drawn(300)
    found = fit_temperature(2 * logits, softmax(logits), ordinal=False)
    assert found.value == pytest.approx(2, rel=1e-4)
    assert found.note is None


def test_the_factor_of_the_cuts_of_a_scale_is_found_again():
    rng = np.random.default_rng(0)
    place = rng.normal(scale=2.0, size=20_000)
    cuts = np.stack([place + 2, place, place - 2], axis=1)
    steps = np.eye(4)[(place[:, None] + rng.logistic(size=(20_000, 1)) > [-2, 0, 2]).sum(axis=1)]
    assert fit_temperature(3 * cuts, steps, ordinal=True).value == pytest.approx(3, rel=0.03)


def test_the_probabilities_are_those_of_the_predictions():
    logits = np.asarray([[2.0, 0.5, -1.0], [40.0, 39.0, -800.0]])
    assert np.exp(log_probabilities(logits, temperature=1.0, ordinal=False)) == pytest.approx(softmax(logits))
    decoded = decode_ordinal(logits, ["a", "b", "c", "d"], top_k=4)
    wanted = [[of["scores"][name] for name in "abcd"] for of in decoded]
    assert np.exp(log_probabilities(logits, temperature=1.0, ordinal=True)) == pytest.approx(np.asarray(wanted))


def test_where_all_is_right_no_temperature_is_best_and_it_stays_1():
    found = fit_temperature(np.asarray([[2.0, 0.0], [0.0, 1.0]]), np.eye(2), ordinal=False)
    assert found.value == 1.0
    assert "all rows are answered right" in str(found.note)
    one_wrong = fit_temperature(np.asarray([[2.0, 0.0], [0.0, 1.0], [0.5, 0.0]]), np.eye(2)[[0, 1, 1]], ordinal=False)
    assert one_wrong.value != 1.0
    assert one_wrong.note is None


def test_scores_that_tell_nothing_end_at_the_limit_which_is_said():
    wrong = fit_temperature(np.asarray([[2.0, 0.0], [0.0, 2.0]]), np.eye(2)[[1, 0]], ordinal=False)
    assert wrong.value == pytest.approx(HIGHEST, rel=1e-2)
    assert wrong.note == "the temperature is at its limit of 20"


def test_equal_logits_keep_1():
    assert fit_temperature(np.zeros((5, 3)), np.eye(3)[[0, 1, 2, 0, 1]], ordinal=False).value == 1.0


@settings(max_examples=60, deadline=None)
@given(
    logits=arrays(np.float32, st.tuples(st.integers(1, 12), st.integers(2, 5)), elements=st.floats(-30, 30, width=32)),
    seed=st.integers(0, 9),
    ordinal=st.booleans(),
)
def test_nothing_gets_less_likely_and_no_label_of_a_softmax_moves(logits: np.ndarray, seed: int, ordinal: bool):
    if ordinal:  # cuts fall, and a little apart, as a head gives them
        logits = -np.sort(-logits, axis=1) - 0.01 * np.arange(logits.shape[1], dtype=np.float32)
    num_labels = logits.shape[1] + ordinal
    targets = np.eye(num_labels)[np.random.default_rng(seed).integers(num_labels, size=len(logits))]
    found = fit_temperature(logits, targets, ordinal=ordinal).value
    assert LOWEST * 0.999 <= found <= HIGHEST * 1.001
    assert loss(logits, targets, found, ordinal=ordinal) <= loss(logits, targets, 1.0, ordinal=ordinal) + 1e-9
    if not ordinal:
        before, after = (log_probabilities(logits, temperature=at, ordinal=False) for at in (1.0, found))
        assert before.argmax(axis=1).tolist() == after.argmax(axis=1).tolist()


def test_on_a_scale_a_label_may_move():
    cuts = np.asarray([[1.0, 0.2, -3.0]])
    before, after = (log_probabilities(cuts, temperature=at, ordinal=True).argmax() for at in (1.0, 4.0))
    assert before != after
