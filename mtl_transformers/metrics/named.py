"""Named metrics: what each compares, its direction and range, its value on a whole corpus.

Owns the metrics of DESIGN §4, each an `evaluate.Metric` over ``scores.py`` that works offline and writes no file, and
the door to any other by ``evaluate:<id or path>``. Does not decode predictions and averages nothing over batches or
tasks. `evaluate` takes seconds to import: functions do it.

Shapes: ``N`` items, ``C`` labels. Labels are numbers here; a kind of task maps its names to them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePath
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import ArrayLike

from mtl_transformers.errors import ConfigError, DataError, ModelError, nearest
from mtl_transformers.metrics.scores import SCORES

if TYPE_CHECKING:
    import evaluate

Inputs = Literal["labels", "values", "tags", "scores", "answers", "rankings", "any"]
Rows = Sequence[Sequence[str]] | Sequence[Sequence[float]]

NO_ANSWER = -1
"""The label id of a row that is not answered: it is wrong whatever is right, and no label of its own."""

FOREIGN = "evaluate:"
"""The prefix of a metric that `evaluate` loads by id or path."""


@dataclass(frozen=True, slots=True)
class Metric:
    """What a metric compares, and how its values read.

    Attributes:
        name: as in the config.
        inputs: what it compares. ``labels``: label ids ``[N]``, `NO_ANSWER` among the predicted ones, or 0/1 rows
            ``[N, C]``; ``values``: numbers ``[N]``; ``tags``: one list of tags for each row; ``scores``: a score of
            each label, ``[N, C]`` (of two labels also ``[N]``), with label ids or 0/1 rows; ``answers``: a text for
            each question, with a list of the right ones; ``rankings``: one list for each query, of scores and of
            relevances; ``any``: unknown.
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
            return {name: SCORES[name](predictions, references)}

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
