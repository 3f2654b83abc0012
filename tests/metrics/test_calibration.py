"""Reliability, ECE, Brier score, likelihood and coverage, each by hand, and beside the libraries where they have it."""

import numpy as np
import pytest
from sklearn.metrics import log_loss

from mtl_transformers.metrics.calibration import brier_score, negative_log_likelihood, reliability, selection


def test_the_expected_calibration_error_is_the_mean_gap_of_the_bins_weighted_by_their_rows():
    confidences = [0.1, 0.3, 0.9, 0.9, 0.9, 0.9]
    right = [0, 1, 1, 1, 1, 0]
    # two bins: {0.1, 0.3} at 0.2 with half right, {4 × 0.9} at 0.9 with three quarters right
    found = reliability(confidences, right, num_bins=2)
    assert found.counts.tolist() == [2, 4]
    assert found.confidence == pytest.approx([0.2, 0.9])
    assert found.accuracy == pytest.approx([0.5, 0.75])
    assert found.error == pytest.approx(2 / 6 * 0.3 + 4 / 6 * 0.15)


def test_a_bin_holds_its_upper_edge_and_the_first_one_zero():
    assert reliability([0.0, 0.2, 0.2 + 1e-12, 1.0], [1, 1, 1, 1], num_bins=5).counts.tolist() == [2, 1, 0, 0, 1]


def test_the_edges_of_fifteen_bins_are_not_moved_by_rounding():
    edges = np.linspace(0, 1, 16)[1:]
    assert reliability(edges, edges).counts.tolist() == [1] * 15


def test_an_empty_bin_has_no_means_and_counts_nothing():
    found = reliability([0.9], [1], num_bins=2)
    assert np.isnan(found.confidence[0])
    assert np.isnan(found.accuracy[0])
    assert found.error == pytest.approx(0.1)


def test_confidences_that_are_right_as_often_as_they_say_have_no_error_and_others_have():
    right = [1, 1, 1, 0] * 25
    assert reliability([0.75] * 100, right).error == 0
    assert reliability([0.95] * 100, right).error == pytest.approx(0.2)


def test_the_brier_score_sums_over_labels_and_means_over_rows():
    given, gold = [[0.7, 0.2, 0.1], [0.0, 0.0, 1.0]], [[1, 0, 0], [1, 0, 0]]
    assert brier_score(given, gold) == pytest.approx(((0.09 + 0.04 + 0.01) + (1 + 0 + 1)) / 2)


def test_the_likelihood_is_that_of_scikit_learn_and_never_infinite():
    given, gold = [[0.7, 0.2, 0.1], [0.2, 0.3, 0.5]], [[1, 0, 0], [0, 1, 0]]
    assert negative_log_likelihood(given, gold) == pytest.approx(log_loss([0, 1], given, labels=[0, 1, 2]))
    assert np.isfinite(negative_log_likelihood([[0.0, 1.0]], [[1, 0]]))


def test_of_a_probability_as_label_every_label_counts():
    assert negative_log_likelihood([[0.5, 0.5]], [[0.25, 0.75]]) == pytest.approx(np.log(2))
    assert brier_score([[0.5, 0.5]], [[0.25, 0.75]]) == pytest.approx(2 * 0.0625)


def test_the_more_rows_are_answered_the_lower_is_the_confidence_that_is_asked_for():
    found = selection([0.9, 0.5, 0.7, 0.7], [True, False, True, False])
    assert found.confidences.tolist() == [0.9, 0.7, 0.5]
    assert found.coverage.tolist() == [0.25, 0.75, 1.0]
    assert found.accuracy == pytest.approx([1.0, 2 / 3, 0.5])
