import json
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mtl_transformers.metrics.named import compute
from mtl_transformers.text.squad import exact_match, normalized, word_f1

OFFICIAL = [
    json.loads(line)
    for line in (Path(__file__).parents[1] / "golden" / "squad_scores.jsonl").read_text(encoding="utf-8").splitlines()
]
"""Random answers with what SQuAD's own script says of them: `get_raw_scores` of transformers 4.49's
``data/metrics/squad_metrics.py``, which is ``evaluate-v2.0.py`` and is gone from version 5."""


def test_the_scores_of_random_answers_are_those_of_the_official_script() -> None:
    assert len(OFFICIAL) == 300
    assert {row["exact"] for row in OFFICIAL} == {0, 1}
    assert sum(0 < row["f1"] < 1 for row in OFFICIAL) > 50
    for row in OFFICIAL:
        assert exact_match(row["prediction"], row["gold"]) == row["exact"], row
        assert word_f1(row["prediction"], row["gold"]) == pytest.approx(row["f1"], abs=1e-12), row


def test_the_metrics_are_the_means_of_the_official_scores() -> None:
    given_answers = {
        "predictions": [row["prediction"] for row in OFFICIAL],
        "references": [r["gold"] for r in OFFICIAL],
    }
    for name, key in (("squad_f1", "f1"), ("exact_match", "exact")):
        expected = sum(row[key] for row in OFFICIAL) / len(OFFICIAL)
        assert compute(name, **given_answers) == pytest.approx(expected, abs=1e-12)


def test_another_normalisation_gives_other_scores() -> None:
    same = [row["prediction"] in (row["gold"] or [""]) for row in OFFICIAL]
    assert same != [bool(row["exact"]) for row in OFFICIAL]


def test_an_answer_is_compared_without_case_punctuation_articles_and_spaces() -> None:
    assert normalized("  The U.S.,  an\tisland! ") == "us island"
    assert normalized("theme—park") == "theme—park"  # only ASCII punctuation, only whole articles
    assert exact_match("the Panthers!", ["Broncos", "panthers"]) == 1.0


def test_f1_by_hand() -> None:
    assert word_f1("in old Denver", ["Denver, Colorado"]) == pytest.approx(2 * (1 / 3) * (1 / 2) / (1 / 3 + 1 / 2))
    assert word_f1("Denver", ["Colorado", "the old Denver"]) == pytest.approx(2 / 3)  # the nearest one counts


@pytest.mark.parametrize("score", [exact_match, word_f1])
def test_no_answer_is_right_where_there_is_none_and_only_there(score) -> None:
    assert score("", []) == score("the", []) == 1.0
    assert score("", ["Denver"]) == score("Denver", []) == 0.0
    assert score("", ["the"]) == 1.0  # an answer that is nothing when normalised does not count


@given(st.text("aTb. ", max_size=12), st.lists(st.text("aTb. ", max_size=12), max_size=3))
def test_an_exact_match_has_f1_one_and_both_lie_between_zero_and_one(predicted: str, gold: list[str]) -> None:
    exact, f1 = exact_match(predicted, gold), word_f1(predicted, gold)
    assert 0.0 <= exact <= f1 <= 1.0
    words = [Counter(normalized(answer).split()) for answer in gold if normalized(answer)] or [Counter()]
    assert (f1 == 1.0) == (Counter(normalized(predicted).split()) in words)
