"""Confident learning: planted wrong labels lead the ranking; several items of a row are judged as `cleanlab` does."""

import builtins

import cleanlab.filter
import cleanlab.multilabel_classification.filter
import cleanlab.token_classification.filter
import numpy as np
import pytest

from mtl_transformers.errors import ConfigError
from mtl_transformers.lifecycle.items import Items
from mtl_transformers.lifecycle.suspects import Judged, check_cleanlab, judge, rank


def items(labels, probabilities, *, rows=None, groups=None) -> Items:
    labels = np.asarray(labels, dtype=np.int64)
    rows = np.arange(len(labels)) if rows is None else np.asarray(rows)
    groups = np.zeros_like(labels) if groups is None else np.asarray(groups)
    return Items(rows, groups, groups, labels, np.asarray(probabilities, dtype=np.float32))


def sure(labels, num_labels: int, generator: np.random.Generator) -> np.ndarray:
    """Probabilities that mean these labels, with some noise."""
    raw = generator.random((len(labels), num_labels)) * 0.4 + 0.05
    raw[np.arange(len(labels)), labels] += 1.5
    return raw / raw.sum(axis=1, keepdims=True)


@pytest.fixture
def generator() -> np.random.Generator:
    return np.random.default_rng(3)


def test_planted_wrong_labels_lead_the_ranking(generator: np.random.Generator):
    right = generator.integers(0, 4, 300)
    given = right.copy()
    given[:15] = (given[:15] + 1) % 4
    ranking = rank(judge(items(given, sure(right, 4, generator))))
    assert set(ranking.rows[:15].tolist()) == set(range(15))
    assert 10 <= ranking.num_suspects <= 15
    assert sorted(ranking.rows.tolist()) == list(range(300))


def test_right_labels_give_no_suspect(generator: np.random.Generator):
    right = generator.integers(0, 4, 300)
    assert rank(judge(items(right, sure(right, 4, generator)))).num_suspects == 0


def test_a_score_is_half_of_one_plus_the_margin_between_the_given_and_the_best_other_label():
    judged = judge(items([0, 1, 1], [[0.7, 0.2, 0.1], [0.6, 0.3, 0.1], [0.1, 0.8, 0.1]]))
    assert judged.scores == pytest.approx([(1 + 0.5) / 2, (1 - 0.3) / 2, (1 + 0.7) / 2])


def test_suspects_come_before_rows_with_lower_scores_and_a_row_is_as_good_as_its_worst_item():
    given = items([0, 0, 0, 0, 0], [[1.0, 0.0]] * 5, rows=[3, 3, 5, 8, 9])
    judged = Judged(given, np.array([0.9, 0.4, 0.1, 0.2, 0.7]), np.array([True, False, False, False, True]))
    ranking = rank(judged)
    assert ranking.rows.tolist() == [3, 9, 5, 8]
    assert ranking.scores.tolist() == [0.4, 0.7, 0.1, 0.2]
    assert ranking.num_suspects == 2


def test_labels_of_several_are_judged_as_cleanlab_judges_them(generator: np.random.Generator):
    right = (generator.random((400, 3)) < 0.4).astype(np.int64)
    there = np.clip(0.1 + 0.8 * right + generator.normal(0, 0.1, right.shape), 0.01, 0.99)
    given = right.copy()
    wrong = generator.choice(400, 30, replace=False)
    given[wrong, wrong % 3] ^= 1
    rows, places = np.indices(given.shape).reshape(2, -1)
    flat = there.reshape(-1)
    judged = judge(items(given.reshape(-1), np.stack([1 - flat, flat], axis=1), rows=rows, groups=places))
    theirs = cleanlab.multilabel_classification.filter.find_label_issues(
        [np.flatnonzero(row).tolist() for row in given], there, n_jobs=1
    )
    ours = np.zeros(400, dtype=bool)
    np.logical_or.at(ours, rows, judged.wrong)
    assert ours.tolist() == theirs.tolist()
    assert ours.sum() >= 20


def test_words_are_judged_as_cleanlab_judges_them(generator: np.random.Generator):
    lengths = generator.integers(1, 9, 120)
    rows = np.repeat(np.arange(120), lengths)
    right = generator.integers(0, 3, len(rows))
    scores = sure(right, 3, generator)
    given = right.copy()
    given[::20] = (given[::20] + 1) % 3
    judged = judge(items(given, scores, rows=rows))
    edges = np.cumsum(lengths)[:-1]
    theirs = cleanlab.token_classification.filter.find_label_issues(
        [part.tolist() for part in np.split(given, edges)], np.split(scores, edges), n_jobs=1
    )
    starts = np.concatenate([[0], edges])
    assert sorted(np.flatnonzero(judged.wrong).tolist()) == sorted(int(starts[row]) + word for row, word in theirs)
    assert judged.wrong.sum() >= 20


def test_where_one_label_was_seen_nothing_is_suspect():
    judged = judge(items([1, 1, 1], [[0.9, 0.1], [0.2, 0.8], [0.5, 0.5]]))
    assert not judged.wrong.any()
    assert judged.scores == pytest.approx([0.1, 0.8, 0.5])


def test_a_task_without_labelled_rows_has_an_empty_ranking():
    ranking = rank(judge(items([], np.empty((0, 2)))))
    assert (ranking.rows.tolist(), ranking.num_suspects) == ([], 0)


def test_without_cleanlab_the_extra_is_named(monkeypatch: pytest.MonkeyPatch):
    load = builtins.__import__

    def without(name, *rest):
        if name == "cleanlab":
            raise ImportError(name)
        return load(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ConfigError, match=r"pip install 'mtl_transformers\[noise\]'"):
        check_cleanlab()
