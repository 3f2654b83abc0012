"""Plots of whatever decisions come out: without a warning, of a size that a person can read."""

import struct
from pathlib import Path

import numpy as np
import pytest

from mtl_transformers.lifecycle.abstaining import rule_of
from mtl_transformers.lifecycle.decisions import Decidable, Wanted, decide
from mtl_transformers.lifecycle.plots import MOST_LABELS, draw
from mtl_transformers.lifecycle.scored_rows import ScoredRows
from mtl_transformers.lifecycle.thresholds import F1
from mtl_transformers.tasks.classification import Classification, ClassificationOptions
from mtl_transformers.tasks.multi_label import MultiLabel, MultiLabelOptions

LABELS = ("a", "b")


def classification() -> Classification:
    options = ClassificationOptions(label="y")
    return Classification(name="t", metrics=("accuracy",), options=options, labels=LABELS, counts=(1, 1), named=False)


def multi_label(num_labels: int) -> MultiLabel:
    return MultiLabel(
        name="t",
        metrics=("f1_micro",),
        options=MultiLabelOptions(label="y"),
        labels=tuple(f"label {number} $\\x$ 標籤 {'x' * number}" for number in range(num_labels)),
        counts=(1,) * num_labels,
        num_rows=1,
        named=False,
        thresholds=(0.5,) * num_labels,
    )


def size(task: Decidable, rows: ScoredRows, path: Path, *, rule: str | None = None) -> tuple[int, int]:
    """Width and height of the plot of a task that was decided on some rows."""
    decided = decide(task, rows, Wanted(F1, None if rule is None else rule_of(rule)))
    draw("intent", decided, path, measured="validation")
    width, height = struct.unpack(">II", path.read_bytes()[16:24])
    return width, height


@pytest.mark.parametrize(("num_rows", "rule"), [(1, "coverage=0.5"), (40, None), (40, "1")])
def test_a_classification_is_drawn_with_few_rows_and_with_no_answer_at_all(
    tmp_path: Path, num_rows: int, rule: str | None
):
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(num_rows, 2)).astype(np.float32)
    rows = ScoredRows(logits, rng.integers(0, 2, num_rows).tolist(), np.arange(num_rows) % 5)
    assert size(classification(), rows, tmp_path / "intent.png", rule=rule) == (1650, 690)


@pytest.mark.parametrize("num_labels", [1, MOST_LABELS + 20])
def test_labels_beyond_a_number_are_left_out(tmp_path: Path, num_labels: int):
    rng = np.random.default_rng(0)
    gold = rng.integers(0, 2, size=(20, num_labels)).astype(float).tolist()
    rows = ScoredRows(rng.normal(size=(20, num_labels)).astype(np.float32), gold, np.arange(20) % 5)
    width, height = size(multi_label(num_labels), rows, tmp_path / "topics.png")
    assert width == 1350
    assert height == round(150 * (1.6 + 0.26 * min(num_labels, MOST_LABELS)))
