"""Promises 5 and 7: processes and micro-batches are mechanics; the learning is the same."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from launching import ROOT, torchrun
from little import mixed_config, tickets, write_rows
from observed import divide_by_own_micro_batch, largest_difference, observed_run, weights_of

from mtl_transformers.config import Config
from mtl_transformers.training.experiment import prepare

TWENTY_STEPS = {"training.epochs": None, "training.steps": 20, "training.learning_rate": 1.0e-4}
FEW_TOKENS = {"training.max_tokens": 40}  # two rows of about 16 tokens
SETTINGS: dict[str, dict[str, Any]] = {
    "one": {**TWENTY_STEPS, "mixing.datasets_per_step": "one"},
    "many": {**TWENTY_STEPS, "mixing.datasets_per_step": "many"},
    "two_rows": {**TWENTY_STEPS, "training.steps": 6, "training.batch_size": 2},  # the third process has none
    "one_row": {**TWENTY_STEPS, "training.steps": 6, "training.batch_size": 1},
    "sevens": {  # sizes that nothing divides; a second pass of which one row is left for a batch
        "training.epochs": 1.1,
        "training.batch_size": 7,
        "training.learning_rate": 1.0e-4,
        "data.tickets.limit": {"train": 40},
        "data.pairs.limit": {"train": 15},
        "data.news.limit": {"train": 22},
    },
    "early": {  # a task without labels in the second half; a dataset whose rows are used up and begin anew
        "training.batch_size": 5,
        "training.learning_rate": 1.0e-4,
        "mixing.strategy": "uniform",
        "data.pairs.limit": {"train": 9},
        "data.news.limit": {"train": 22},
    },
}
Row = tuple[str, int]
Seen = dict[str, Any]
Whole = Callable[[str], tuple[Seen, Path]]


def config_of(settings: str, place: Path, encoder: Path) -> Config:
    config = mixed_config(place, encoder, SETTINGS[settings])
    if settings == "early":
        label_early_rows_only(place / "tickets-train.jsonl", config)
    return config


def label_early_rows_only(path: Path, config: Config) -> None:
    """Leave a label of the first task to the rows of the first half of the steps, to a single one of the last step."""
    rows = tickets(30)
    write_rows(path, rows)
    planned = planned_rows(config)
    *first, last = [step for step in planned[: len(planned) // 2] if step[0][0] == "tickets"]
    labelled = {row for step in (*first, last[:1]) for _, row in step}
    write_rows(path, [row if number in labelled else {**row, "intent": None} for number, row in enumerate(rows)])


def planned_rows(config: Config) -> list[list[Row]]:
    """Return the rows of each step as the plan has them, sorted."""
    plan = prepare(config).plan
    steps = [plan.step(number) for number in range(plan.num_steps)]
    return [
        sorted(
            (plan.datasets[dataset].name, row)
            for dataset, row in zip(step.datasets.tolist(), step.rows.tolist(), strict=True)
        )
        for step in steps
    ]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, steady_bert: Path) -> Whole:
    """Return the run of one process with one micro-batch a step, by its settings, and its directory."""
    done: dict[str, tuple[Seen, Path]] = {}

    def run(settings: str) -> tuple[Seen, Path]:
        if settings not in done:
            place = tmp_path_factory.mktemp(settings)
            done[settings] = observed_run(config_of(settings, place, steady_bert)), place / "run"
        return done[settings]

    return run


def rows_by_step(*ranks: Seen) -> list[list[Row]]:
    """Return the rows of each step over all processes, sorted."""
    return [
        sorted((dataset, row) for parts in step for _, rows in parts for dataset, row in rows)
        for step in zip(*(seen["parts"] for seen in ranks), strict=True)
    ]


def assert_same_learning(one: Path, other: Path, scores: dict[str, Any], others: dict[str, Any]) -> None:
    assert largest_difference(weights_of(one / "last"), weights_of(other / "last")) < 1e-5
    assert scores.keys() == others.keys()
    for task, of_task in scores.items():
        assert of_task["num_rows"] == others[task]["num_rows"]
        assert of_task["metrics"] == pytest.approx(others[task]["metrics"], abs=1e-6)


@pytest.mark.parametrize("datasets_per_step", ["one", "many"])
def test_micro_batches_of_two_rows_train_like_one_of_eight(datasets_per_step, whole, tmp_path, steady_bert):
    seen, place = whole(datasets_per_step)
    cut = observed_run(mixed_config(tmp_path, steady_bert, {**SETTINGS[datasets_per_step], **FEW_TOKENS}))

    assert [len(parts) for parts in seen["parts"]] == [1] * 20
    assert sum(len(parts) for parts in cut["parts"]) >= 60
    assert rows_by_step(cut) == rows_by_step(seen)
    assert cut["items"] == seen["items"]
    assert_same_learning(tmp_path / "run", place, cut["scores"], seen["scores"])


@pytest.mark.parametrize("settings", ["many", "sevens", "early"])
def test_the_rows_of_a_step_are_those_of_the_plan(settings, whole, tmp_path, steady_bert):
    assert rows_by_step(whole(settings)[0]) == planned_rows(config_of(settings, tmp_path, steady_bert))


def test_the_sizes_of_the_steps_are_those_that_are_hard_to_divide(whole):
    assert {len(rows) for rows in rows_by_step(whole("sevens")[0])} >= {7, 5, 1}
    assert len(rows_by_step(whole("sevens")[0])[-1]) == 1


def test_a_task_may_end_early_and_a_dataset_begin_anew(whole):
    seen = whole("early")[0]
    intents = [items["intent"] for items in seen["items"]]
    assert sum(intents[: len(intents) // 2]) > 0
    assert sum(intents[len(intents) // 2 :]) == 0
    assert any(dataset == "tickets" for rows in rows_by_step(seen)[len(intents) // 2 :] for dataset, _ in rows)
    assert seen["coverage"]["relation"]["passes"] > 1


def test_a_step_holds_rows_of_one_dataset_or_of_many(whole):
    one, many = whole("one")[0], whole("many")[0]
    assert max(len({dataset for dataset, _ in rows}) for rows in rows_by_step(one)) == 1
    assert max(len({dataset for dataset, _ in rows}) for rows in rows_by_step(many)) == 3


def test_dividing_by_the_items_of_the_micro_batch_would_be_noticed(whole, tmp_path, steady_bert):
    _, place = whole("many")
    config = mixed_config(tmp_path, steady_bert, {**SETTINGS["many"], **FEW_TOKENS})
    observed_run(config, sabotage=divide_by_own_micro_batch)
    assert largest_difference(weights_of(tmp_path / "run" / "last"), weights_of(place / "last")) > 1e-4


@pytest.fixture(scope="module", params=[2, 3])
def processes(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, steady_bert: Path
) -> tuple[dict[str, list[Seen]], Path]:
    """Train on several gloo processes; return what each of them did, by job, and where the runs lie."""
    place = tmp_path_factory.mktemp(f"processes-{request.param}")
    jobs = {}
    for name, settings, sabotage in (*((name, name, None) for name in SETTINGS), ("wrong", "many", "own_process")):
        config = config_of(settings, place / name, steady_bert)
        jobs[name] = {"config": yaml.safe_load(config.to_yaml()), "sabotage": sabotage}
    (place / "jobs.json").write_text(json.dumps(jobs))
    done = torchrun(request.param, "tests/observed.py", str(place / "jobs.json"), str(place))
    assert done.returncode == 0, done.stderr[-3000:]
    seen = {
        name: [json.loads((place / f"{name}-{rank}.json").read_text()) for rank in range(request.param)]
        for name in jobs
    }
    return seen, place


@pytest.mark.slow
@pytest.mark.parametrize("settings", SETTINGS)
def test_several_processes_train_like_one(settings, processes, whole, tmp_path, steady_bert):
    ranks, place = processes[0][settings], processes[1] / settings / "run"
    seen, alone = whole(settings)

    assert rows_by_step(*ranks) == rows_by_step(seen) == planned_rows(config_of(settings, tmp_path, steady_bert))
    assert all(rank["items"] == seen["items"] for rank in ranks)
    assert all(rank["coverage"] == seen["coverage"] for rank in ranks)
    for rank in ranks:
        assert_same_learning(place, alone, rank["scores"], seen["scores"])


@pytest.mark.slow
def test_each_validation_row_is_answered_once_by_one_of_the_processes(processes, whole):
    ranks, seen = processes[0]["many"], whole("many")[0]
    assert len(seen["answered"]) == 13 + 10 + 11  # no split has rows in multiples of 3
    assert all(rank["answered"] for rank in ranks)
    assert sorted(row for rank in ranks for row in rank["answered"]) == sorted(seen["answered"])


@pytest.mark.slow
def test_a_process_without_rows_joins_in(processes):
    for settings, num_rows in (("two_rows", 2), ("one_row", 1)):
        ranks = processes[0][settings]
        idle = [number for number, rank in enumerate(ranks) if not any(rank["parts"])]
        assert idle == list(range(num_rows, len(ranks)))


@pytest.mark.slow
def test_a_process_may_have_rows_but_no_label_of_a_task(processes):
    ranks = processes[0]["early"]
    assert all(any(rank["parts"]) for rank in ranks)
    assert 1 in [items["intent"] for items in ranks[0]["items"]]


@pytest.mark.slow
def test_every_process_runs_the_micro_batches_of_its_number(processes):
    ranks = processes[0]["many"]
    for number, rank in enumerate(ranks):
        assert {part % len(ranks) for parts in rank["parts"] for part, _ in parts} == {number}


@pytest.mark.slow
def test_dividing_by_the_items_of_the_own_process_would_be_noticed(processes, whole):
    wrong = weights_of(processes[1] / "wrong" / "run" / "last")
    assert largest_difference(wrong, weights_of(whole("many")[1] / "last")) > 1e-4


@pytest.mark.slow
def test_torchrun_of_the_command_line_talks_once_and_gives_the_model_of_one_process(whole, tmp_path, steady_bert):
    config = mixed_config(tmp_path, steady_bert, SETTINGS["many"])
    (tmp_path / "config.yaml").write_text(config.to_yaml())
    done = torchrun(2, "-m", "mtl_transformers", "train", str(tmp_path / "config.yaml"))
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.count("plan: 20 steps") == done.stdout.count("20 steps in ") == 1
    assert "2 process" in done.stdout
    assert largest_difference(weights_of(tmp_path / "run" / "last"), weights_of(whole("many")[1] / "last")) < 1e-5
    lines = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == [10, 20, 20]


@pytest.mark.slow
def test_an_error_on_several_processes_ends_all_of_them_and_is_said_once(tmp_path, steady_bert):
    config = mixed_config(tmp_path, steady_bert, {"tasks.intent.label": "intention"})
    (tmp_path / "config.yaml").write_text(config.to_yaml())
    done = torchrun(2, "-m", "mtl_transformers", "train", str(tmp_path / "config.yaml"))
    assert done.returncode != 0
    assert done.stderr.count("error: tasks.intent: ") == 1
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("command", "processes"),
    [
        ([Path(sys.executable).with_name("accelerate"), "launch", "--num_processes", "1", "--cpu", "-m"], 1),
        (["bash", ROOT / "scripts" / "launch.sh", "cpu", "--processes", "2", "--"], 2),
    ],
    ids=["accelerate launch", "launch.sh"],
)
def test_the_other_launchers_give_the_same_model(command, processes, whole, tmp_path, steady_bert):
    config = mixed_config(tmp_path, steady_bert, SETTINGS["many"])
    (tmp_path / "config.yaml").write_text(config.to_yaml())
    module = [] if command[0] == "bash" else ["mtl_transformers"]
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "OMP_NUM_THREADS": "1"}
    environment |= {"PYTHONPATH": str(ROOT), "VIRTUAL_ENV": str(Path(sys.executable).parents[1])}
    done = subprocess.run(
        [*map(str, command), *module, "train", str(tmp_path / "config.yaml")],
        capture_output=True,
        text=True,
        env=environment,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert f"{processes} process" in done.stdout
    assert largest_difference(weights_of(tmp_path / "run" / "last"), weights_of(whole("many")[1] / "last")) < 1e-5
