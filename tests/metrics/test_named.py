import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import scipy.stats
import sklearn.metrics
from hypothesis import given, settings
from hypothesis import strategies as st

from mtl_transformers.errors import ConfigError, DataError, ModelError
from mtl_transformers.metrics.named import METRICS, LabelScore, averageable, compute, metric, per_label

GOLD = [0, 0, 0, 1, 1, 2]
PRED = [0, 0, 1, 1, 2, 2]  # right: 2 of 3, 1 of 2, 1 of 1; predicted: 2, 2, 2 of which right 2, 1, 1


@pytest.mark.parametrize(
    ("name", "by_hand"),
    [
        ("accuracy", 4 / 6),
        ("precision", (1 + 1 / 2 + 1 / 2) / 3),
        ("recall", (2 / 3 + 1 / 2 + 1) / 3),
        ("f1_micro", 4 / 6),
        ("f1_macro", (4 / 5 + 1 / 2 + 2 / 3) / 3),
        ("f1_weighted", (3 * 4 / 5 + 2 * 1 / 2 + 1 * 2 / 3) / 6),
        # Gorodkin: (c s − Σ p_k t_k) / sqrt((s² − Σ p_k²)(s² − Σ t_k²)), c = 4 right of s = 6
        ("matthews", (4 * 6 - 12) / ((36 - 12) * (36 - 14)) ** 0.5),
    ],
)
def test_label_metrics_equal_numbers_by_hand(name: str, by_hand: float) -> None:
    assert compute(name, predictions=PRED, references=GOLD) == pytest.approx(by_hand, abs=1e-12)


@pytest.mark.parametrize(
    ("name", "by_hand"),
    [
        ("accuracy", 2 / 3),  # a row is right when every label is
        ("f1_micro", 2 * 2 / (3 + 3)),
        ("f1_macro", (2 / 3 + 2 / 3 + 0) / 3),
        ("f1_weighted", (1 * 2 / 3 + 2 * 2 / 3 + 0) / 3),
        ("precision", (1 / 2 + 1 + 0) / 3),
        ("recall", (1 + 1 / 2 + 0) / 3),
    ],
)
def test_multi_label_rows_are_scored_by_label(name: str, by_hand: float) -> None:
    gold = [[1, 1, 0], [0, 1, 0], [0, 0, 0]]
    predicted = [[1, 1, 0], [1, 0, 0], [0, 0, 0]]
    assert compute(name, predictions=predicted, references=gold) == pytest.approx(by_hand, abs=1e-12)


def test_a_single_label_is_scored_as_a_label_and_not_as_two_classes() -> None:
    predicted, gold = [[1], [1], [0], [0]], [[1], [0], [1], [0]]
    for name in ("f1_micro", "f1_macro", "precision", "recall"):
        assert compute(name, predictions=predicted, references=gold) == 0.5
    assert per_label(predictions=predicted, references=gold, labels=["x"]) == [LabelScore("x", 0.5, 0.5, 0.5, 2)]


@pytest.mark.parametrize(
    ("name", "by_hand"),
    [
        ("mse", (0.25 + 0 + 4) / 3),
        ("mae", (0.5 + 0 + 2) / 3),
        # deviations (−1, 0, 1) and (−1.5, −1, 2.5): covariance 4, squares 2 and 9.5
        ("pearson", 4 / (2 * 9.5) ** 0.5),
        ("spearman", 1.0),
    ],
)
def test_regression_metrics_equal_numbers_by_hand(name: str, by_hand: float) -> None:
    value = compute(name, predictions=[1.5, 2.0, 5.5 - 0.5], references=[1.0, 2.0, 3.0])
    if name == "pearson":
        value = compute(name, predictions=[0.5, 1.0, 4.5], references=[1.0, 2.0, 3.0])
    assert value == pytest.approx(by_hand, abs=1e-12)


@pytest.mark.parametrize("name", ["pearson", "spearman"])
@pytest.mark.parametrize(
    ("predictions", "references"), [([2.0, 2.0, 2.0], [1.0, 2.0, 3.0]), ([1.0, 2.0], [3, 3]), ([1.0], [2.0])]
)
def test_a_constant_side_correlates_zero(name: str, predictions: list[float], references: list[float]) -> None:
    assert compute(name, predictions=predictions, references=references) == 0.0


def test_a_nearly_constant_prediction_warns_nobody() -> None:
    compute("pearson", predictions=[1.0, 1.0 + 2e-16, 1.0 + 4e-16], references=[1.0, 2.0, 3.0])


def test_span_f1_counts_exact_spans() -> None:
    gold = [["B-per", "I-per", "O", "B-loc"], ["O"], []]
    predicted = [["B-per", "I-per", "B-loc", "O"], ["B-per"], []]  # one of three right, one of two found
    assert compute("span_f1", predictions=predicted, references=gold) == pytest.approx(2 / 5)
    assert compute("tag_accuracy", predictions=predicted, references=gold) == pytest.approx(2 / 5)


def test_an_inside_tag_that_continues_nothing_opens_a_span() -> None:
    assert compute("span_f1", predictions=[["O", "I-x", "I-x"]], references=[["O", "B-x", "I-x"]]) == 1.0


def test_no_span_at_all_is_zero() -> None:
    assert compute("span_f1", predictions=[["O"], []], references=[["O"], []]) == 0.0
    none = per_label(predictions=[["O"], []], references=[["O"], []], labels=["x"])
    assert none == [LabelScore("x", 0.0, 0.0, 0.0, 0)]


def test_tag_accuracy_of_rows_without_words_is_zero() -> None:
    assert compute("tag_accuracy", predictions=[[], []], references=[[], []]) == 0.0


# rankings


def test_rankings_are_scored_query_by_query_and_averaged_over_those_with_a_relevant_candidate() -> None:
    scores = [[0.1, 0.9, 0.5], [2.0, 1.0], [1.0]]
    relevances = [[2.0, 0.0, 0.0], [1.0, 0.0], [0.0]]
    assert compute("mrr", predictions=scores, references=relevances) == pytest.approx((1 / 3 + 1) / 2)
    assert compute("map", predictions=scores, references=relevances) == pytest.approx((1 / 3 + 1) / 2)
    assert compute("ndcg", predictions=scores, references=relevances) == pytest.approx((1 / 2 + 1) / 2)
    assert compute("ndcg_1", predictions=scores, references=relevances) == pytest.approx(1 / 2)
    assert compute("ndcg_10", predictions=scores, references=relevances) == pytest.approx((1 / 2 + 1) / 2)
    assert compute("mrr", predictions=[[1.0, 2.0]], references=[[0.0, 0.0]]) == 0.0


def test_scores_of_candidates_that_are_not_finite_are_refused() -> None:
    with pytest.raises(ModelError, match="training has diverged"):
        compute("mrr", predictions=[[1.0], [float("nan"), 1.0]], references=[[1.0], [1.0, 0.0]])


# roc_auc


def test_roc_auc_of_two_labels_is_the_share_of_ordered_pairs() -> None:
    gold, scores = [1, 0, 1, 0], [0.9, 0.8, 0.3, 0.1]  # of 4 pairs, (0.3, 0.8) is out of order
    assert compute("roc_auc", predictions=scores, references=gold) == 0.75
    assert compute("roc_auc", predictions=[[1 - s, s] for s in scores], references=gold) == 0.75


def test_roc_auc_of_several_labels_is_the_mean_of_one_against_the_rest() -> None:
    rng = np.random.default_rng(0)
    scores, gold = rng.dirichlet(np.ones(4), size=50), rng.integers(0, 4, size=50)
    expected = sklearn.metrics.roc_auc_score(gold, scores, multi_class="ovr", average="macro")
    assert compute("roc_auc", predictions=scores, references=gold) == pytest.approx(expected, abs=1e-12)


def test_roc_auc_leaves_out_labels_without_both_sides() -> None:
    gold = [0, 0, 1, 1]  # label 2 never occurs
    scores = [[0.8, 0.1, 0.1], [0.3, 0.6, 0.1], [0.2, 0.7, 0.1], [0.4, 0.5, 0.1]]
    assert compute("roc_auc", predictions=scores, references=gold) == (0.75 + 0.75) / 2
    assert compute("roc_auc", predictions=scores, references=[0, 0, 0, 0]) == 0.5
    rows = [[1, 0, 0], [1, 0, 0], [0, 0, 0], [0, 0, 0]]
    assert compute("roc_auc", predictions=scores, references=rows) == 0.75


# against the libraries

LABELS = st.integers(0, 3)
PAIRS = st.lists(st.tuples(LABELS, LABELS), min_size=1, max_size=30)


@settings(max_examples=25, deadline=None)
@given(PAIRS)
def test_label_metrics_equal_sklearn_on_any_labels(pairs: list[tuple[int, int]]) -> None:
    predicted, gold = map(list, zip(*pairs, strict=True))
    for average in ("micro", "macro", "weighted"):
        expected = sklearn.metrics.f1_score(gold, predicted, average=average, zero_division=0)
        assert compute(f"f1_{average}", predictions=predicted, references=gold) == pytest.approx(expected)
    assert compute("accuracy", predictions=predicted, references=gold) == pytest.approx(
        sklearn.metrics.accuracy_score(gold, predicted)
    )
    if len({*predicted, *gold}) > 1:
        assert compute("matthews", predictions=predicted, references=gold) == pytest.approx(
            sklearn.metrics.matthews_corrcoef(gold, predicted)
        )


@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(st.integers(-99, 99), st.integers(-99, 99)), min_size=2, max_size=30))
def test_correlations_equal_scipy_unless_a_side_is_constant(pairs: list[tuple[int, int]]) -> None:
    predicted, gold = map(list, zip(*pairs, strict=True))
    for name, function in (("pearson", scipy.stats.pearsonr), ("spearman", scipy.stats.spearmanr)):
        constant = len(set(predicted)) == 1 or len(set(gold)) == 1
        expected = 0.0 if constant else function(predicted, gold)[0]
        assert compute(name, predictions=predicted, references=gold) == pytest.approx(expected, abs=1e-9)


TAG_ROWS = st.lists(
    st.lists(st.tuples(*[st.sampled_from(["O", "B-x", "I-x", "B-y", "I-y"])] * 2), max_size=6),
    min_size=1,
    max_size=5,
)


@settings(max_examples=25, deadline=None)
@given(TAG_ROWS)
def test_span_f1_equals_a_count_of_sets_of_spans(rows: list[list[tuple[str, str]]]) -> None:
    predicted, gold = [[p for p, _ in row] for row in rows], [[g for _, g in row] for row in rows]
    found, right = spans(predicted), spans(gold)
    expected = 2 * len(found & right) / (len(found) + len(right)) if found or right else 0.0
    assert compute("span_f1", predictions=predicted, references=gold) == pytest.approx(expected)


def spans(rows: list[list[str]]) -> set[tuple[int, int, int, str]]:
    """Spans as conlleval finds them: a span goes on over I- of its own label."""
    found = set()
    for number, tags in enumerate(rows):
        start = 0
        for end in range(1, len(tags) + 1):
            label = tags[start][2:]
            if end == len(tags) or not label or tags[end] != f"I-{label}":
                if label:
                    found.add((number, start, end, label))
                start = end
    return found


# per label


def test_per_label_gives_every_label_in_order_with_its_support() -> None:
    assert per_label(predictions=PRED, references=GOLD, labels=["a", "b", "c", "never"]) == [
        LabelScore("a", 1.0, pytest.approx(2 / 3), pytest.approx(4 / 5), 3),
        LabelScore("b", 0.5, 0.5, 0.5, 2),
        LabelScore("c", 0.5, 1.0, pytest.approx(2 / 3), 1),
        LabelScore("never", 0.0, 0.0, 0.0, 0),
    ]


def test_per_label_takes_an_id_without_a_name_as_a_wrong_answer() -> None:
    assert per_label(predictions=[0, 2], references=[0, 0], labels=["a", "b"]) == [
        LabelScore("a", 1.0, 0.5, pytest.approx(2 / 3), 2),
        LabelScore("b", 0.0, 0.0, 0.0, 0),
    ]


def test_per_label_of_rows_and_of_spans() -> None:
    rows = per_label(predictions=[[1, 0], [1, 1]], references=[[1, 0], [0, 1]], labels=["a", "b"])
    assert rows == [LabelScore("a", 0.5, 1.0, pytest.approx(2 / 3), 1), LabelScore("b", 1.0, 1.0, 1.0, 1)]
    tags = per_label(predictions=[["B-x", "B-y"], []], references=[["B-x", "O"], []], labels=["x", "y", "z"])
    assert tags == [
        LabelScore("x", 1.0, 1.0, 1.0, 1),
        LabelScore("y", 0.0, 0.0, 0.0, 0),
        LabelScore("z", 0.0, 0.0, 0.0, 0),
    ]


# direction and range


def test_only_bounded_metrics_where_higher_is_better_may_be_averaged() -> None:
    assert {name for name in METRICS if not averageable(METRICS[name])} == {"mse", "mae", "perplexity"}
    assert not averageable(metric("evaluate:accuracy"))


def test_a_perfect_prediction_reaches_the_end_of_each_range() -> None:
    perfect = {"labels": GOLD, "values": [1.0, 2.0, 3.0], "tags": [["B-x", "O"]], "scores": [0, 1]}
    perfect |= {"rankings": [[1.0, 2.0, 0.0], [0.0, 3.0]]}
    answers = {"predictions": ["Denver", ""], "references": [["Rio", "the Denver"], []]}
    for name, spec in METRICS.items():
        same = dict.fromkeys(("predictions", "references"), perfect.get(spec.inputs))
        value = compute(name, **(answers if spec.inputs == "answers" else same))
        assert value == pytest.approx(spec.high if spec.higher_is_better else spec.low)


# errors


def test_an_unknown_metric_names_the_nearest() -> None:
    with pytest.raises(ConfigError, match=r"'f1_marco' is not one of .*evaluate:<id or path>.*did you mean 'f1_macro'"):
        compute("f1_marco", predictions=[1], references=[1])


@pytest.mark.parametrize("name", ["accuracy", "pearson", "span_f1", "roc_auc"])
def test_nothing_to_score_is_an_error(name: str) -> None:
    with pytest.raises(DataError, match=f"metric '{name}': there is no labelled row"):
        compute(name, predictions=[], references=[])


@pytest.mark.parametrize("name", ["mse", "pearson", "roc_auc"])
def test_predictions_that_are_not_finite_are_an_error(name: str) -> None:
    with pytest.raises(ModelError, match=r"NaN or infinite.*training\.learning_rate"):
        compute(name, predictions=[0.5, float("nan")], references=[0, 1])


# offline, quiet, lazy


def test_nothing_is_written_to_disk_and_evaluate_is_imported_only_to_compute(tmp_path: Path) -> None:
    code = """
import sys
from mtl_transformers.metrics.named import compute, metric, per_label
metric("accuracy")
assert "evaluate" not in sys.modules and "sklearn" not in sys.modules
some = {"accuracy": [0, 1], "pearson": [0.5, 1.5], "span_f1": [["B-x"], ["O"]], "roc_auc": [0, 1]}
for name, data in some.items():
    assert compute(name, predictions=data, references=data) > 0.99, name
per_label(predictions=[0, 1], references=[0, 1], labels=["a", "b"])
"""
    home, here = tmp_path / "home", tmp_path / "here"
    here.mkdir()
    package = str(Path(__file__).parents[1])
    environment = {
        "HOME": str(home),
        "HF_HOME": str(home / "hf"),
        "HF_HUB_OFFLINE": "1",
        "PYTHONPATH": package,
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    run = subprocess.run(
        [sys.executable, "-c", code], cwd=here, env=environment, capture_output=True, text=True, check=False
    )
    assert (run.returncode, run.stdout, run.stderr) == (0, "", "")
    assert not home.exists()
    assert list(here.iterdir()) == []


# evaluate:<path>

SCRIPT = """
import datasets
import evaluate

class Toy(evaluate.Metric):
    def _info(self):
        integers = datasets.Value("int64")
        features = datasets.Features({{"predictions": integers, "references": integers}})
        return evaluate.MetricInfo(description="", citation="", inputs_description="", features=features)

    def _compute(self, predictions, references):
        return {result}
"""


@pytest.fixture
def script(tmp_path: Path, evaluate_cache: None) -> Path:
    """The path of a metric of the user's."""
    return tmp_path / f"{tmp_path.name}_toy.py"


@pytest.mark.parametrize(
    ("result", "value"),
    [('{"other": sum(predictions) / 10}', 0.3), ('{"noise": 9, __name__.split(".")[-1]: 0.5}', 0.5)],
)
def test_a_named_script_gives_the_value_of_its_own_name_or_the_only_one(
    script: Path, result: str, value: float
) -> None:
    script.write_text(SCRIPT.format(result=result))
    assert compute(f"evaluate:{script}", predictions=[1, 2], references=[1, 1]) == pytest.approx(value)


@pytest.mark.parametrize(
    ("result", "words"),
    [
        ('{"a": 1, "b": 2}', "gives a, b and no"),
        ('{"a": [1, 2]}', "needs one number"),
        ('{"a": "x"}', "one number"),
    ],
)
def test_a_script_without_one_number_is_refused(script: Path, result: str, words: str) -> None:
    script.write_text(SCRIPT.format(result=result))
    with pytest.raises(ConfigError, match=words):
        compute(f"evaluate:{script}", predictions=[1, 2], references=[1, 1])


def test_a_script_that_is_not_there_is_an_error(script: Path) -> None:
    with pytest.raises(ConfigError, match=r"cannot be computed: .*Check the id or path"):
        compute(f"evaluate:{script}", predictions=[1], references=[1])
