import numpy as np
import pytest

from mtl_transformers.plan import batching
from mtl_transformers.plan.plan import PlanDataset, make_plan
from mtl_transformers.plan.table import PlanLine, fill, plan_lines
from mtl_transformers.text.padding import cut


def table(name, size):
    lengths = np.random.default_rng(size).lognormal(3.0, 0.7, size)
    return PlanDataset(name, np.clip(lengths, 3, 256).astype(np.int32))


def test_the_line_of_each_dataset_by_hand():
    data = [table("tickets", 100), table("rte", 20)]
    plan = make_plan(data, epochs=1, strategy="uniform", batch_size=8, seed=1)
    assert plan_lines(plan) == [
        # 60 rows in 8 steps; 3 passes of 7 + 7 + 6
        PlanLine(name="tickets", size=100, rows=60, share=0.5, steps=8, passes=0.6),
        PlanLine(name="rte", size=20, rows=60, share=0.5, steps=9, passes=3.0),
    ]


def test_steps_with_many_datasets_count_for_each_dataset_they_hold():
    data = [table("tickets", 100), table("rte", 20)]
    plan = make_plan(data, epochs=1, batch_size=8, datasets_per_step="many", seed=1)
    present = [set(plan.step(k).datasets.tolist()) for k in range(plan.num_steps)]
    expected = [sum(dataset in step for step in present) for dataset in (0, 1)]
    assert [line.steps for line in plan_lines(plan)] == expected
    assert sum(expected) > plan.num_steps


@pytest.mark.parametrize("datasets_per_step", ["one", "many"])
@pytest.mark.parametrize("max_tokens", [100, 700, 4096])
def test_fill_is_that_of_the_cut_that_training_makes(max_tokens, datasets_per_step):
    plan = make_plan(
        [table("tickets", 500), table("rte", 90)],
        epochs=1,
        batch_size=32,
        datasets_per_step=datasets_per_step,
        seed=1,
    )
    real = padded = 0
    for k in range(plan.num_steps):
        lengths = plan.step(k).lengths.tolist()
        for part in cut(lengths, num_sequences=[1] * len(lengths), max_tokens=max_tokens):
            real += sum(lengths[row] for row in part)
            padded += len(part) * max(lengths[row] for row in part)
    assert fill(plan, max_tokens=max_tokens) == real / padded


def test_buckets_fill_far_better_than_batches_of_unsorted_rows(monkeypatch):
    data = [table("tickets", 20_000)]
    bucketed = fill(make_plan(data, epochs=1, batch_size=32, seed=1), max_tokens=10**6)
    monkeypatch.setattr(batching, "BUCKET_ROWS", 32)  # one batch a bucket: nothing meets its like
    unsorted = fill(make_plan(data, epochs=1, batch_size=32, seed=1), max_tokens=10**6)
    assert bucketed > 0.95
    assert unsorted < 0.5


def test_fill_of_some_steps_is_near_that_of_all():
    plan = make_plan([table("tickets", 20_000)], epochs=1, batch_size=32, seed=1)
    assert fill(plan, max_tokens=4096, max_steps=100) == pytest.approx(fill(plan, max_tokens=4096), abs=0.02)
