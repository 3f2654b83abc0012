"""The least probability of an answer: a coverage or an accuracy is met by hand, or said to be out of reach."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mtl_transformers.errors import ConfigError
from mtl_transformers.lifecycle.abstaining import MinScore, fit_min_score, rule_of

SURE = [0.9, 0.8, 0.6, 0.4]
RIGHT = [True, True, False, True]
# answering the first 1, 2, 3, 4 rows: accuracy 1, 1, 2/3, 3/4


def chosen(rule: str | None, *, current: float | None = None) -> MinScore:
    return fit_min_score(SURE, RIGHT, current=current, rule=None if rule is None else rule_of(rule))


def test_an_accuracy_is_reached_by_answering_as_many_as_possible():
    assert chosen("accuracy=0.9").value == pytest.approx(0.7)
    assert chosen("accuracy=0.7").value is None  # all are answered
    assert chosen("accuracy=0.75").value is None


def test_a_coverage_is_reached_by_the_highest_score():
    assert chosen("coverage=0.5").value == pytest.approx(0.7)
    assert chosen("coverage=0.6").value == pytest.approx(0.5)
    assert chosen("coverage=1").value is None


def test_a_number_is_taken_as_it_is_and_none_answers_all():
    assert chosen("0.55") == MinScore(0.55)
    assert chosen("none", current=0.4) == MinScore(None)


def test_without_a_rule_what_is_there_stays():
    assert chosen(None, current=0.4) == MinScore(0.4)


def test_an_accuracy_out_of_reach_changes_nothing_which_is_said():
    found = fit_min_score([0.9, 0.8], [False, True], current=0.3, rule=rule_of("accuracy=0.8"))
    assert found == MinScore(0.3, "accuracy 0.8 is out of reach; the best is 0.500")


def test_rows_with_equal_scores_are_answered_together():
    assert (
        fit_min_score([0.8, 0.8, 0.5], [True, False, False], current=None, rule=rule_of("accuracy=0.6")).note
        is not None
    )


@settings(max_examples=200, deadline=None)
@given(
    rows=st.lists(st.tuples(st.sampled_from([0.25, 0.4, 0.5, 0.8, 1.0]), st.booleans()), min_size=1, max_size=12),
    share=st.sampled_from([0.1, 0.5, 0.75, 0.9, 1.0]),
    measure=st.sampled_from(["coverage", "accuracy"]),
)
def test_a_rule_is_met_on_the_rows_that_it_is_fitted_on(rows: list, share: float, measure: str):
    sure, right = np.asarray([score for score, _ in rows]), np.asarray([label for _, label in rows])
    found = fit_min_score(sure, right, current=None, rule=rule_of(f"{measure}={share}"))
    answered = sure >= (found.value or 0.0)
    if found.note is not None:
        assert not [score for score in sure if right[sure >= score].mean() >= share]
    elif measure == "coverage":
        assert answered.mean() >= share
        fewer = sure > sure[answered].min()
        assert fewer.mean() < share
    else:
        assert right[answered].mean() >= share
        assert answered.sum() == max((sure >= score).sum() for score in sure if right[sure >= score].mean() >= share)


@pytest.mark.parametrize("text", ["0", "1.5", "often", "coverage=", "coverage=2", "recall=0.5", "none=1", ""])
def test_what_is_no_rule_is_refused(text: str):
    with pytest.raises(ConfigError, match=r"--min-score .*coverage=SHARE, accuracy=SHARE or none"):
        rule_of(text)


def test_rules_read_as_they_are_written():
    written = ("0.6", "coverage=0.9", "accuracy=0.95", "none")
    assert tuple(str(rule_of(text)) for text in written) == written
