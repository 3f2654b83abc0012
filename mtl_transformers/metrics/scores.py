"""The values of the metrics by name, each a function of predictions and references of a whole corpus.

Owns the choices that the libraries leave open: what is undefined is 0, a constant correlates 0. Ranges and directions
are ``named.py``'s. scikit-learn, scipy and seqeval take long to import: functions do it.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mtl_transformers.metrics.rankings import average_precision, ndcg, reciprocal_rank
from mtl_transformers.text.squad import exact_match, word_f1


def _accuracy(predictions: Sequence[object], references: Sequence[object]) -> float:
    """Of 0/1 rows: the share of rows that are right in every label."""
    from sklearn.metrics import accuracy_score

    return float(accuracy_score(references, predictions))


def _prf(part: int, average: str) -> Callable[[Sequence[object], Sequence[object]], float]:
    """Return precision (0), recall (1) or F1 (2), averaged over the labels that occur; an id below 0 is none."""

    def score(predictions: Sequence[object], references: Sequence[object]) -> float:
        from sklearn.metrics import precision_recall_fscore_support

        gold, predicted = np.asarray(references), np.asarray(predictions)
        single = gold.ndim == 2 and gold.shape[1] == 1
        occurring = None if gold.ndim == 2 else [label for label in np.union1d(gold, predicted) if label >= 0]
        columns = precision_recall_fscore_support(
            gold.ravel() if single else gold,
            predicted.ravel() if single else predicted,
            labels=[1] if single else occurring,
            average=average,
            zero_division=0,
        )
        return float(columns[part])

    return score


def _matthews(predictions: Sequence[object], references: Sequence[object]) -> float:
    """Gorodkin's R_K for several classes; 0 when either side is constant."""
    from sklearn.metrics import matthews_corrcoef

    if min(len(np.unique(np.asarray(side))) for side in (predictions, references)) == 1:
        return 0.0
    return float(matthews_corrcoef(references, predictions))


def _kappa_quadratic(predictions: Sequence[object], references: Sequence[object]) -> float:
    """Cohen's kappa with quadratic weights (Cohen 1968) of places on a scale; 0 when both sides are one constant."""
    from sklearn.metrics import cohen_kappa_score

    if len(np.unique([*predictions, *references])) == 1:
        return 0.0
    return float(cohen_kappa_score(references, predictions, weights="quadratic"))


def _roc_auc(scores: Sequence[object], references: Sequence[object]) -> float:
    """Area under the ROC curve, one label against the rest, averaged over labels.

    A label that every item has, or none, has no curve and is left out; with no label left there is nothing to
    rank and the value is 0.5.
    """
    from sklearn.metrics import roc_auc_score

    table, gold = np.asarray(scores, dtype=np.float64), np.asarray(references)
    table = table[:, None] if table.ndim == 1 else table
    if gold.ndim == 1:
        gold = gold[:, None] == (np.arange(table.shape[1]) if table.shape[1] > 1 else [1])
    areas = [
        float(roc_auc_score(gold[:, label], table[:, label]))
        for label in range(table.shape[1])
        if len(np.unique(gold[:, label])) == 2
    ]
    return sum(areas) / len(areas) if areas else 0.5


def _mse(predictions: Sequence[object], references: Sequence[object]) -> float:
    from sklearn.metrics import mean_squared_error

    return float(mean_squared_error(references, predictions))


def _mae(predictions: Sequence[object], references: Sequence[object]) -> float:
    from sklearn.metrics import mean_absolute_error

    return float(mean_absolute_error(references, predictions))


def _pearson(predictions: Sequence[object], references: Sequence[object]) -> float:
    from scipy.stats import pearsonr

    return _correlation(pearsonr, predictions, references)


def _spearman(predictions: Sequence[object], references: Sequence[object]) -> float:
    from scipy.stats import spearmanr

    return _correlation(spearmanr, predictions, references)


def _correlation(
    function: Callable[..., tuple[float, float]], predictions: Sequence[object], references: Sequence[object]
) -> float:
    """A constant side correlates 0 (DESIGN §4)."""
    predicted: NDArray[np.float64] = np.asarray(predictions, dtype=np.float64)
    gold: NDArray[np.float64] = np.asarray(references, dtype=np.float64)
    if np.ptp(predicted) == 0 or np.ptp(gold) == 0:
        return 0.0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a nearly constant side: scipy warns that digits are lost
        value = float(function(predicted, gold)[0])
    return value if np.isfinite(value) else 0.0


def _perplexity(predictions: Sequence[object], references: Sequence[object]) -> float:
    """Return exp of the mean of what log-probabilities lack to those of certain answers, which are 0."""
    lacks = np.asarray(references, dtype=np.float64) - np.asarray(predictions, dtype=np.float64)
    with np.errstate(over="ignore"):  # infinite then
        return float(np.exp(lacks.mean()))


def _span_f1(predictions: Sequence[object], references: Sequence[object]) -> float:
    """Micro F1 of exact spans, as conlleval counts them; 0 where there is no span at all."""
    from seqeval.metrics import f1_score

    return float(f1_score(references, predictions, zero_division=0))


def _tag_accuracy(predictions: Sequence[Sequence[str]], references: Sequence[Sequence[str]]) -> float:
    """Return the share of words whose tag is right."""
    right = [
        tag == gold
        for tags, golds in zip(predictions, references, strict=True)
        for tag, gold in zip(tags, golds, strict=True)
    ]
    return sum(right) / len(right) if right else 0.0


def _over_questions(
    compare: Callable[[str, Sequence[str]], float],
) -> Callable[[Sequence[str], Sequence[Sequence[str]]], float]:
    """Return the mean over questions of what an answer and the right ones give."""

    def score(predictions: Sequence[str], references: Sequence[Sequence[str]]) -> float:
        return sum(map(compare, predictions, references)) / len(references)

    return score


def _over_queries(
    measure: Callable[[ArrayLike, ArrayLike], float],
) -> Callable[[Sequence[ArrayLike], Sequence[ArrayLike]], float]:
    """Return the mean of a measure over the queries with a relevant candidate; 0 where no query has one."""

    def score(scores: Sequence[ArrayLike], relevances: Sequence[ArrayLike]) -> float:
        queries = zip(scores, relevances, strict=True)
        found = [measure(given, gold) for given, gold in queries if (np.asarray(gold) > 0).any()]
        return sum(found) / len(found) if found else 0.0

    return score


SCORES: dict[str, Callable[..., float]] = {
    "accuracy": _accuracy,
    "f1_macro": _prf(2, "macro"),
    "f1_micro": _prf(2, "micro"),
    "f1_weighted": _prf(2, "weighted"),
    "precision": _prf(0, "macro"),
    "recall": _prf(1, "macro"),
    "matthews": _matthews,
    "kappa_quadratic": _kappa_quadratic,
    "roc_auc": _roc_auc,
    "mse": _mse,
    "mae": _mae,
    "pearson": _pearson,
    "spearman": _spearman,
    "retrieval_accuracy": _accuracy,
    "masked_accuracy": _accuracy,
    "perplexity": _perplexity,
    "span_f1": _span_f1,
    "tag_accuracy": _tag_accuracy,
    "squad_f1": _over_questions(word_f1),
    "exact_match": _over_questions(exact_match),
    "mrr": _over_queries(reciprocal_rank),
    "map": _over_queries(average_precision),
    "ndcg": _over_queries(ndcg),
    **{f"ndcg_{first}": _over_queries(partial(ndcg, first=first)) for first in (1, 3, 5, 10)},
}
