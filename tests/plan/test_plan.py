from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mtl_transformers.errors import CheckpointError, ConfigError, DataError
from mtl_transformers.plan.plan import Plan, PlanDataset, Segment, make_plan

SIZES = (1000, 333, 50)
ONE_AND_MANY = pytest.mark.parametrize("datasets_per_step", ["one", "many"])
BATCHES = pytest.mark.parametrize("batch", [{"batch_size": 32}, {"batch_tokens": 700}])


def tables(*sizes):
    def lengths(number, size):
        return np.random.default_rng(number).integers(3, 60, size).astype(np.int32)

    return [PlanDataset(f"d{number}", lengths(number, size)) for number, size in enumerate(sizes)]


def steps(plan):
    return [plan.step(k) for k in range(plan.num_steps)]


def as_lists(plan):
    return [(step.datasets.tolist(), step.rows.tolist()) for step in steps(plan)]


def count_rows(some_steps):
    """Times that each (dataset, row) is trained on."""
    counts = Counter()
    for step in some_steps:
        counts.update(zip(step.datasets.tolist(), step.rows.tolist(), strict=True))
    return counts


@ONE_AND_MANY
@BATCHES
def test_proportional_over_three_epochs_gives_each_row_exactly_three_times(batch, datasets_per_step):
    plan = make_plan(tables(*SIZES), epochs=3, seed=1, datasets_per_step=datasets_per_step, **batch)
    assert count_rows(steps(plan)) == {(d, row): 3 for d, size in enumerate(SIZES) for row in range(size)}
    assert plan.rows_per_dataset == tuple(3 * size for size in SIZES)
    assert plan.passes_per_dataset == (3.0, 3.0, 3.0)


@ONE_AND_MANY
@BATCHES
@pytest.mark.parametrize(
    ("sizes", "mixing", "rows"),
    [
        # roots 50, 25, 10 of 85, and 1700 rows
        ((2500, 625, 100), {"strategy": "temperature", "temperature": 2.0}, (1000, 500, 200)),
        ((1250, 370, 80), {"strategy": "uniform"}, (567, 567, 566)),
        ((1250, 370, 80), {"strategy": "round_robin"}, (567, 567, 566)),
        ((1250, 370, 80), {"strategy": "weights", "weights": [1, 0, 4]}, (340, 0, 1360)),
        # 100, 100, 80 of 280: quotas 607.1, 607.1, 485.7
        ((1250, 370, 80), {"strategy": "capped", "cap": 100}, (607, 607, 486)),
    ],
)
def test_rows_of_each_strategy_by_hand(sizes, mixing, rows, batch, datasets_per_step):
    epochs = 1700 / sum(sizes)
    plan = make_plan(tables(*sizes), epochs=epochs, seed=1, datasets_per_step=datasets_per_step, **batch, **mixing)
    assert plan.rows_per_dataset == rows
    counts = count_rows(steps(plan))
    for dataset, size in enumerate(sizes):
        times = [counts[dataset, row] for row in range(size)]
        assert sum(times) == rows[dataset]
        assert max(times) - min(times) <= 1  # no row twice before all once


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.integers(1, 60), min_size=1, max_size=4),
    st.integers(1, 40),
    st.sampled_from(["one", "many"]),
    st.sampled_from(["proportional", "uniform", "round_robin"]),
    st.integers(1, 40),
)
def test_a_given_number_of_steps_is_exact(sizes, num_steps, datasets_per_step, strategy, batch_size):
    plan = make_plan(
        tables(*sizes),
        steps=num_steps,
        strategy=strategy,
        batch_size=batch_size,
        datasets_per_step=datasets_per_step,
        seed=1,
    )
    assert plan.num_steps == num_steps
    lengths = [len(step) for step in steps(plan)]
    assert sum(lengths) == sum(plan.rows_per_dataset)
    assert 1 <= min(lengths) <= max(lengths) <= batch_size
    if datasets_per_step == "many":
        assert set(lengths) == {batch_size}


def test_steps_of_one_dataset_do_not_repeat_a_row_within_a_step():
    plan = make_plan(tables(10, 70), steps=60, strategy="uniform", batch_size=32, seed=1)
    assert all(len(set(step.rows.tolist())) == len(step) for step in steps(plan))
    # 30 steps each; 10 rows: 30 passes of one step; 70 rows: 10 passes of 23 + 23 + 24
    assert plan.rows_per_dataset == (300, 700)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(2, 300), min_size=1, max_size=4), st.integers(1, 64), st.sampled_from([0.5, 1, 2]))
def test_batches_are_near_equal_and_never_above_batch_size(sizes, batch_size, epochs):
    data = tables(*sizes)
    plan = make_plan(data, epochs=epochs, batch_size=batch_size, seed=1)
    for dataset, rows in enumerate(plan.rows_per_dataset):
        mine = sorted(len(step) for step in steps(plan) if step.datasets[0] == dataset)
        passes, rest = divmod(rows, sizes[dataset])
        expected = []
        for piece in [sizes[dataset]] * passes + [rest] * (rest > 0):
            num = -(-piece // batch_size)
            expected += [piece // num + (i < piece % num) for i in range(num)]
        assert mine == sorted(expected)
    many = make_plan(data, epochs=epochs, batch_size=batch_size, datasets_per_step="many", seed=1)
    lengths = [len(step) for step in steps(many)]
    assert len(lengths) == -(-sum(many.rows_per_dataset) // batch_size)
    assert max(lengths) <= batch_size
    assert max(lengths) - min(lengths) <= 1


@ONE_AND_MANY
def test_token_batches_keep_their_bound_except_for_a_single_longer_row(datasets_per_step):
    data = [*tables(400, 100), PlanDataset("long", np.asarray([500, 900], np.int32))]
    plan = make_plan(data, epochs=2, batch_tokens=600, datasets_per_step=datasets_per_step, seed=1)
    costs = [(len(step), len(step) * int(step.lengths.max())) for step in steps(plan)]
    assert [cost for size, cost in costs if cost > 600 and size > 1] == []
    assert sum(cost > 600 for _, cost in costs) == 2  # the row of 900 tokens, in each of two passes


def test_a_step_holds_one_dataset_or_many():
    one = make_plan(tables(*SIZES), epochs=1, batch_size=32, seed=1)
    many = make_plan(tables(*SIZES), epochs=1, batch_size=32, datasets_per_step="many", seed=1)
    assert {len(set(step.datasets.tolist())) for step in steps(one)} == {1}
    assert max(len(set(step.datasets.tolist())) for step in steps(many)) == 3


def test_any_window_of_steps_holds_each_datasets_share_of_steps():
    plan = make_plan(tables(3000, 1000, 200), epochs=2, batch_size=8, seed=1)
    order = np.asarray([step.datasets[0] for step in steps(plan)])
    counts = plan.steps_per_dataset()
    for dataset, count in enumerate(counts):
        share = count / plan.num_steps
        for width in (5, 40, 301):
            windows = np.convolve(order == dataset, np.ones(width), "valid")
            assert abs(windows - share * width).max() <= 2 * (1 + share * (len(counts) - 2))


def test_round_robin_takes_strict_turns_until_a_dataset_is_used_up():
    plan = make_plan(tables(60, 40, 20), epochs=1, strategy="round_robin", batch_size=8, seed=1)
    # 40 rows each: 5 steps, 5 steps, and two passes of 7 + 7 + 6
    assert [int(step.datasets[0]) for step in steps(plan)] == [0, 1, 2] * 5 + [2]


@ONE_AND_MANY
@BATCHES
def test_any_step_can_be_asked_for_first(batch, datasets_per_step):
    def build():
        return make_plan(tables(*SIZES), epochs=2.5, seed=1, datasets_per_step=datasets_per_step, **batch)

    expected, shuffled = as_lists(build()), build()
    for k in np.random.default_rng(0).permutation(shuffled.num_steps).tolist():
        step = shuffled.step(k)
        assert (step.datasets.tolist(), step.rows.tolist()) == expected[k]


@ONE_AND_MANY
@BATCHES
def test_the_plan_is_a_function_of_its_arguments_and_the_seed(batch, datasets_per_step):
    def build(seed):
        return as_lists(make_plan(tables(*SIZES), epochs=1, seed=seed, datasets_per_step=datasets_per_step, **batch))

    assert build(1) == build(1)
    assert build(1) != build(2)


def test_adding_a_dataset_leaves_the_steps_of_the_others_as_they_were():
    first, second, third = tables(*SIZES)
    alone = make_plan([first, second], epochs=2, batch_size=32, seed=1)
    joined = make_plan([third, first, second], epochs=2, batch_size=32, seed=1)

    def of(plan, dataset):
        return [step.rows.tolist() for step in steps(plan) if step.datasets[0] == dataset]

    assert of(alone, 0) == of(joined, 1)
    assert of(alone, 1) == of(joined, 2)


def two_segments(data, first, second, *, cursors=None, first_step=None, **rest):
    one = Segment(rows=first, cursors=(0,) * len(first), first_step=0)
    end = Plan(data, [one], **rest).num_steps if first_step is None else first_step
    return Plan(data, [one, Segment(rows=second, cursors=cursors or first, first_step=end)], **rest)


@ONE_AND_MANY
@BATCHES
def test_a_second_segment_goes_on_where_the_streams_stopped(batch, datasets_per_step):
    rest = {"datasets_per_step": datasets_per_step, "strategy": "proportional", "seed": 1}
    rest |= {"batch_size": None, "batch_tokens": None} | batch
    first, second = (400, 333, 20), (600, 333, 80)
    plan = two_segments(tables(*SIZES), first, second, **rest)
    counts = count_rows(steps(plan))
    for dataset, size in enumerate(SIZES):
        passes = (first[dataset] + second[dataset]) // size
        assert [counts[dataset, row] for row in range(size)] == [passes] * size
    start = plan.segments[1].first_step
    before = count_rows(steps(plan)[:start])
    assert {d: sum(n for (e, _), n in before.items() if e == d) for d in range(3)} == {0: 400, 1: 333, 2: 20}
    assert set(before.values()) == {1}


def test_splitting_rows_into_segments_leaves_the_first_segments_steps_alone():
    data = tables(*SIZES)
    rest = {
        "batch_size": 32,
        "batch_tokens": None,
        "datasets_per_step": "one",
        "strategy": "uniform",
        "seed": 1,
    }
    alone = Plan(data, [Segment((200, 100, 50), (0, 0, 0), 0)], **rest)
    joined = two_segments(data, (200, 100, 50), (0, 0, 500), **rest)
    assert as_lists(joined)[: alone.num_steps] == as_lists(alone)
    assert joined.rows_per_dataset == (200, 100, 550)
    assert joined.passes_per_dataset == (0.2, 100 / 333, 11.0)
    assert joined.num_steps == alone.num_steps + 10 * 2  # ten passes of 25 + 25 rows


def test_a_segment_that_does_not_follow_is_refused():
    rest = {
        "batch_size": 10,
        "batch_tokens": None,
        "datasets_per_step": "one",
        "strategy": "uniform",
        "seed": 1,
    }
    assert two_segments(tables(100), (50,), (50,), first_step=5, **rest).num_steps == 10
    with pytest.raises(CheckpointError, match=r"segment 1: begins at step 6 .* but step 5 with cursors"):
        two_segments(tables(100), (50,), (50,), first_step=6, **rest)
    with pytest.raises(CheckpointError, match=r"cursors \(40,\), but step 5 with cursors \(50,\)"):
        two_segments(tables(100), (50,), (50,), cursors=(40,), **rest)


@ONE_AND_MANY
def test_a_plan_of_a_million_rows_is_built_and_asked_anywhere(datasets_per_step):
    plan = make_plan(
        tables(700_000, 290_000, 10_000),
        epochs=1,
        strategy="temperature",
        temperature=2.0,
        batch_size=32,
        datasets_per_step=datasets_per_step,
        seed=1,
    )
    assert sum(plan.rows_per_dataset) == 1_000_000
    for k in (0, plan.num_steps // 2, plan.num_steps - 1):
        assert 31 <= len(plan.step(k)) <= 32


@pytest.mark.parametrize("k", [-1, 32])
def test_a_step_outside_the_plan_is_an_index_error(k):
    plan = make_plan(tables(1000), epochs=1, batch_size=32, seed=1)
    assert plan.num_steps == 32
    with pytest.raises(IndexError, match=f"step {k} of a plan with 32 steps"):
        plan.step(k)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"epochs": 1}, "expected one of batch_size"),
        ({"epochs": 1, "batch_size": 8, "batch_tokens": 100}, "expected one of batch_size"),
        ({"epochs": 1, "batch_size": 0}, "at least 1; got batch_size 0"),
        ({"batch_size": 8}, "expected one of epochs and steps"),
        ({"epochs": 1, "steps": 10, "batch_size": 8}, "expected one of epochs and steps"),
        ({"steps": 10, "batch_tokens": 100}, "training.steps: with batch_tokens .* give training.epochs"),
        ({"epochs": 0.001, "batch_size": 8}, "less than one row"),
    ],
)
def test_settings_that_make_no_plan_are_refused(arguments, message):
    with pytest.raises(ConfigError, match=message):
        make_plan(tables(100), seed=1, **arguments)


def test_a_dataset_without_rows_is_refused_by_name():
    with pytest.raises(DataError, match="dataset 'd1', split 'train': no rows"):
        make_plan(tables(10, 0), epochs=1, batch_size=8, seed=1)
    with pytest.raises(ConfigError, match="at least one dataset"):
        make_plan([], epochs=1, batch_size=8, seed=1)
