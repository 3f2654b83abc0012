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
from little import mixed_config
from observed import divide_by_own_micro_batch, largest_difference, observed_run, weights_of

ROOT = Path(__file__).parents[2]
TWENTY_STEPS = {"training.epochs": None, "training.steps": 20, "training.learning_rate": 1.0e-4}
FEW_TOKENS = {"training.max_tokens": 40}  # two rows of about 16 tokens
SETTINGS: dict[str, dict[str, Any]] = {
    "one": {**TWENTY_STEPS, "mixing.datasets_per_step": "one"},
    "many": {**TWENTY_STEPS, "mixing.datasets_per_step": "many"},
    "two_rows": {**TWENTY_STEPS, "training.steps": 6, "training.batch_size": 2},  # the third process has none
}
Seen = dict[str, Any]
Whole = Callable[[str], tuple[Seen, Path]]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, steady_bert: Path) -> Whole:
    """Return the run of one process with one micro-batch a step, by its settings, and its directory."""
    done: dict[str, tuple[Seen, Path]] = {}

    def run(settings: str) -> tuple[Seen, Path]:
        if settings not in done:
            place = tmp_path_factory.mktemp(settings)
            done[settings] = observed_run(mixed_config(place, steady_bert, SETTINGS[settings])), place / "run"
        return done[settings]

    return run


def rows_by_step(*ranks: Seen) -> list[list[tuple[str, int]]]:
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
        config = mixed_config(place / name, steady_bert, SETTINGS[settings])
        jobs[name] = {"config": yaml.safe_load(config.to_yaml()), "sabotage": sabotage}
    (place / "jobs.json").write_text(json.dumps(jobs))
    done = torchrun(request.param, "tests/observed.py", str(place / "jobs.json"), str(place))
    assert done.returncode == 0, done.stderr[-3000:]
    seen = {
        name: [json.loads((place / f"{name}-{rank}.json").read_text()) for rank in range(request.param)]
        for name in jobs
    }
    return seen, place


def torchrun(num_processes: int, *command: str) -> subprocess.CompletedProcess[str]:
    """Start a script on several processes of this machine."""
    return subprocess.run(
        [sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc_per_node={num_processes}", *command],
        cwd=ROOT,
        env={
            **os.environ,
            "PYTHONPATH": f"{ROOT}:{ROOT / 'tests'}",
            "ACCELERATE_USE_CPU": "true",
            "OMP_NUM_THREADS": "1",
        },
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )


@pytest.mark.slow
@pytest.mark.parametrize("settings", SETTINGS)
def test_several_processes_train_like_one(settings, processes, whole):
    ranks, place = processes[0][settings], processes[1] / settings / "run"
    seen, alone = whole(settings)

    assert rows_by_step(*ranks) == rows_by_step(seen)
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
    ranks = processes[0]["two_rows"]
    idle = [number for number, rank in enumerate(ranks) if not any(rank["parts"])]
    assert idle == list(range(2, len(ranks)))


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
