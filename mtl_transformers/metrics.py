"""Named metrics: what each compares, its direction and range, its value on a whole corpus.

Owns the metrics of DESIGN §4, each an `evaluate.Metric` over scikit-learn, scipy, seqeval or ``rankings.py`` that
works offline and writes no file, and the door to any other by ``evaluate:<id or path>``. Does not decode
predictions and averages nothing over batches or tasks. `evaluate` takes seconds to import: functions do it.

Shapes: ``N`` items, ``C`` labels. Labels are numbers here; a kind of task maps its names to them.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import PurePath
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mtl_transformers.errors import ConfigError, DataError, ModelError, nearest
from mtl_transformers.rankings import average_precision, ndcg, reciprocal_rank
from mtl_transformers.text.squad import exact_match, word_f1

if TYPE_CHECKING:
    import evaluate

Inputs = Literal["labels", "values", "tags", "scores", "answers", "rankings", "any"]
Rows = Sequence[Sequence[str]] | Sequence[Sequence[float]]

FOREIGN = "evaluate:"
"""The prefix of a metric that `evaluate` loads by id or path."""


@dataclass(frozen=True, slots=True)
class Metric:
    """What a metric compares, and how its values read.

    Attributes:
        name: as in the config.
        inputs: what it compares. ``labels``: label ids ``[N]`` or 0/1 rows ``[N, C]``; ``values``: numbers
            ``[N]``; ``tags``: one list of tags for each row; ``scores``: a score of each label, ``[N, C]``
            (of two labels also ``[N]``), with label ids or 0/1 rows; ``answers``: a text for each question, with a list
            of the right ones; ``rankings``: one list for each query, of scores and of relevances; ``any``: unknown.
        higher_is_better: its direction; assumed of a foreign metric.
        low: its lowest value; ``None`` where there is none or it is unknown.
        high: its highest value; likewise.
    """

    name: str
    inputs: Inputs
    higher_is_better: bool
    low: float | None
    high: float | None


@dataclass(frozen=True, slots=True)
class LabelScore:
    """Precision, recall and F1 of one label, and how often it is the right one."""

    label: str
    precision: float
    recall: float
    f1: float
    support: int


METRICS: dict[str, Metric] = {
    metric.name: metric
    for metric in (
        Metric("accuracy", "labels", higher_is_better=True, low=0.0, high=1.0),
        Metric("f1_macro", "labels", higher_is_better=True, low=0.0, high=1.0),
        Metric("f1_micro", "labels", higher_is_better=True, low=0.0, high=1.0),
        Metric("f1_weighted", "labels", higher_is_better=True, low=0.0, high=1.0),
        Metric("precision", "labels", higher_is_better=True, low=0.0, high=1.0),
        Metric("recall", "labels", higher_is_better=True, low=0.0, high=1.0),
        Metric("matthews", "labels", higher_is_better=True, low=-1.0, high=1.0),
        Metric("kappa_quadratic", "labels", higher_is_better=True, low=-1.0, high=1.0),
        Metric("roc_auc", "scores", higher_is_better=True, low=0.0, high=1.0),
        Metric("mse", "values", higher_is_better=False, low=0.0, high=None),
        Metric("mae", "values", higher_is_better=False, low=0.0, high=None),
        Metric("pearson", "values", higher_is_better=True, low=-1.0, high=1.0),
        Metric("spearman", "values", higher_is_better=True, low=-1.0, high=1.0),
        Metric("retrieval_accuracy", "labels", higher_is_better=True, low=0.0, high=1.0),
        Metric("masked_accuracy", "labels", higher_is_better=True, low=0.0, high=1.0),
        Metric("perplexity", "values", higher_is_better=False, low=1.0, high=None),
        Metric("span_f1", "tags", higher_is_better=True, low=0.0, high=1.0),
        Metric("tag_accuracy", "tags", higher_is_better=True, low=0.0, high=1.0),
        Metric("squad_f1", "answers", higher_is_better=True, low=0.0, high=1.0),
        Metric("exact_match", "answers", higher_is_better=True, low=0.0, high=1.0),
        Metric("mrr", "rankings", higher_is_better=True, low=0.0, high=1.0),
        Metric("map", "rankings", higher_is_better=True, low=0.0, high=1.0),
        Metric("ndcg", "rankings", higher_is_better=True, low=0.0, high=1.0),
        Metric("ndcg_1", "rankings", higher_is_better=True, low=0.0, high=1.0),
        Metric("ndcg_3", "rankings", higher_is_better=True, low=0.0, high=1.0),
        Metric("ndcg_5", "rankings", higher_is_better=True, low=0.0, high=1.0),
        Metric("ndcg_10", "rankings", higher_is_better=True, low=0.0, high=1.0),
    )
}


def metric(name: str) -> Metric:
    """Return a metric by its name in the config.

    Raises:
        ConfigError: an unknown name.
    """
    if name in METRICS:
        return METRICS[name]
    if name.startswith(FOREIGN) and name != FOREIGN:
        return Metric(name, "any", higher_is_better=True, low=None, high=None)
    raise ConfigError(
        f"metric {name!r} is not one of {', '.join(METRICS)}; any other is written evaluate:<id or path>"
        f"{nearest(name, METRICS)}"
    )


def averageable(metric: Metric) -> bool:
    """Tell whether a metric may be a term of ``mean``: higher is better and the range is bounded."""
    return metric.higher_is_better and metric.low is not None and metric.high is not None


def compute(name: str, *, predictions: ArrayLike | Rows, references: ArrayLike | Rows) -> float:
    """Return the value of a metric over a whole corpus.

    Args:
        name: of the metric.
        predictions: what `Metric.inputs` says, for each item.
        references: the gold labels, values or tags of the same items.

    Raises:
        ConfigError: an unknown metric, or a foreign one that cannot be loaded or gives no single number.
        DataError: no item at all.
        ModelError: predictions that are not finite.
    """
    spec = metric(name)
    if not len(np.atleast_1d(np.asarray(references, dtype=object))):
        raise DataError(f"metric {name!r}: there is no labelled row to score")
    if spec.inputs == "any":
        return _compute_foreign(name, predictions, references)
    if spec.inputs not in ("tags", "answers", "rankings"):
        predictions, references = np.asarray(predictions), np.asarray(references)
    if spec.inputs in ("values", "scores", "rankings"):
        rows = predictions if isinstance(predictions, Sequence) else [predictions]
        if not all(np.isfinite(row).all() for row in rows):
            raise ModelError(
                f"metric {name!r}: predictions are NaN or infinite, so training has diverged. "
                "Lower training.learning_rate, or set training.precision: fp32"
            )
    result = evaluation_module(name, predictions, references).compute(
        predictions=_plain(predictions), references=_plain(references)
    )
    return float(result[name])


def _plain(values: ArrayLike | Rows) -> object:
    return values.tolist() if isinstance(values, np.ndarray) else values


def evaluation_module(name: str, predictions: ArrayLike | Rows, references: ArrayLike | Rows) -> evaluate.Metric:
    """Return one of our metrics as an `evaluate.Metric` that takes such predictions and references.

    It keeps its inputs in memory: by default `evaluate` writes them, and a lock, into its cache.
    """
    import evaluate
    from evaluate.info import Features, Value

    def feature(values: ArrayLike | Rows) -> object:
        if METRICS[name].inputs == "answers":
            return Value("string") if values is predictions else [Value("string")]
        if METRICS[name].inputs in ("tags", "rankings"):
            return [Value("string" if METRICS[name].inputs == "tags" else "float64")]
        array = np.asarray(values)
        dtype = Value("float64" if METRICS[name].inputs == "values" or array.dtype.kind == "f" else "int64")
        return dtype if array.ndim == 1 else [dtype]

    class Named(evaluate.Metric):  # type: ignore[misc]  # evaluate has no types
        def _info(self) -> evaluate.MetricInfo:
            features = Features({"predictions": feature(predictions), "references": feature(references)})
            return evaluate.MetricInfo(description=name, citation="", features=features)

        def _build_data_dir(self) -> str:
            return ""

        def _compute(self, *, predictions: Sequence[object], references: Sequence[object]) -> dict[str, float]:
            return {name: _SCORES[name](predictions, references)}

    return Named(keep_in_memory=True)


def _compute_foreign(name: str, predictions: ArrayLike | Rows, references: ArrayLike | Rows) -> float:
    """Load a metric by ``evaluate.load``, which runs its code: only where the config says ``evaluate:``."""
    import evaluate

    target = name.removeprefix(FOREIGN)
    try:
        module = evaluate.load(target, keep_in_memory=True)
        result = module.compute(predictions=_plain(predictions), references=_plain(references))
    except (OSError, ImportError, ValueError, TypeError) as error:
        reason = " ".join(str(error).split())
        raise ConfigError(f"metric {name!r} cannot be computed: {reason}. Check the id or path") from error
    own = PurePath(target).stem
    if own not in result and len(result) != 1:
        raise ConfigError(f"metric {name!r} gives {', '.join(result)} and no {own!r}; a metric here needs one value")
    value = np.asarray(result[own] if own in result else next(iter(result.values())))
    if value.size != 1 or value.dtype.kind not in "biuf":
        raise ConfigError(f"metric {name!r} gives {value.tolist()!r}; a metric here needs one number")
    return float(value.item())


def per_label(
    *, predictions: ArrayLike | Rows, references: ArrayLike | Rows, labels: Sequence[str]
) -> list[LabelScore]:
    """Return precision, recall, F1 and support of each label; what is undefined is 0.

    Args:
        predictions: label ids ``[N]``, 0/1 rows ``[N, C]``, or BIO tags of each row, whose spans count.
        references: likewise; an id without a name counts as a wrong answer.
        labels: names of the ids in order, or the labels of spans.
    """
    if _holds_tags(references) or _holds_tags(predictions):
        return _per_span_label(predictions, references, labels)
    from sklearn.metrics import precision_recall_fscore_support

    gold, predicted = np.asarray(references), np.asarray(predictions)
    if gold.ndim == 2 and gold.shape[1] == 1:  # sklearn takes a single column of 0 and 1 for two classes
        gold, predicted, ids = gold[:, 0], predicted[:, 0], [1]
    else:
        ids = list(range(len(labels)))
    columns = precision_recall_fscore_support(gold, predicted, labels=ids, average=None, zero_division=0)
    return [
        LabelScore(label, float(p), float(r), float(f), int(n))
        for label, p, r, f, n in zip(labels, *columns, strict=True)
    ]


def _holds_tags(values: ArrayLike | Rows) -> bool:
    rows = values if isinstance(values, Sequence) else ()
    return any(isinstance(row, Sequence) and len(row) > 0 and isinstance(row[0], str) for row in rows)


def _per_span_label(predictions: object, references: object, labels: Sequence[str]) -> list[LabelScore]:
    from seqeval.metrics import classification_report
    from seqeval.metrics.sequence_labeling import get_entities

    report: Mapping[str, Mapping[str, float]] = {}
    if get_entities(references) or get_entities(predictions):
        report = classification_report(references, predictions, output_dict=True, zero_division=0)
    none = {"precision": 0.0, "recall": 0.0, "f1-score": 0.0, "support": 0}
    found = [(label, report.get(label, none)) for label in labels]
    return [
        LabelScore(
            label,
            float(score["precision"]),
            float(score["recall"]),
            float(score["f1-score"]),
            int(score["support"]),
        )
        for label, score in found
    ]


def _accuracy(predictions: Sequence[object], references: Sequence[object]) -> float:
    """Of 0/1 rows: the share of rows that are right in every label."""
    from sklearn.metrics import accuracy_score

    return float(accuracy_score(references, predictions))


def _prf(part: int, average: str) -> Callable[[Sequence[object], Sequence[object]], float]:
    """Return precision (0), recall (1) or F1 (2), averaged over the labels that occur."""

    def score(predictions: Sequence[object], references: Sequence[object]) -> float:
        from sklearn.metrics import precision_recall_fscore_support

        gold, predicted = np.asarray(references), np.asarray(predictions)
        single = gold.ndim == 2 and gold.shape[1] == 1
        columns = precision_recall_fscore_support(
            gold.ravel() if single else gold,
            predicted.ravel() if single else predicted,
            labels=[1] if single else None,
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


_SCORES: dict[str, Callable[..., float]] = {
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
