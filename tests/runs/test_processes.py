"""Several processes: trouble on one is agreed on by all, signals reach all, and their number may change on the way."""

import os
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from launching import ROOT, environment, torchrun
from little import mixed_config
from observed import largest_difference, weights_of
from troubled import TROUBLES

from mtl_transformers import train
from mtl_transformers.config import Config
from mtl_transformers.training.checkpoint import newest_valid, read_checkpoint
from mtl_transformers.training.loop import Stopped, run

pytestmark = pytest.mark.slow

SETTINGS: dict[str, Any] = {
    "training.batch_size": 16,
    "training.save_every_steps": 4,
    "evaluation.every_steps": 5,
    "tracking.every_steps": 1,
    "mixing.datasets_per_step": "many",
}


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory, steady_bert: Path) -> Path:
    """Return the run of one process."""
    return train(mixed_config(tmp_path_factory.mktemp("alone"), steady_bert, SETTINGS)).output


def written(config: Config, place: Path) -> str:
    (place / "config.yaml").write_text(config.to_yaml())
    return str(place / "config.yaml")


@pytest.fixture(scope="module")
def troubled(tmp_path_factory: pytest.TempPathFactory, steady_bert: Path) -> Path:
    """Train on two processes, each time with another trouble on the second one; return where all of it lies."""
    place = tmp_path_factory.mktemp("troubled")
    jobs = []
    for trouble in TROUBLES:
        (place / trouble).mkdir()
        settings = {"training.on_bad_numbers": "skip_step"} if trouble == "skipped" else {}
        config = mixed_config(place / trouble, steady_bert, {**SETTINGS, **settings})
        jobs.append(f"{trouble}={written(config, place / trouble)}")
    done = torchrun(2, "tests/troubled.py", str(place), *jobs)
    assert done.returncode == 0, done.stderr[-3000:]
    return place


def endings(place: Path, trouble: str) -> list[str]:
    """Return how each process ended."""
    return [(place / f"{trouble}-{rank}.txt").read_text() for rank in range(2)]


def test_memory_that_runs_out_on_one_process_makes_the_micro_batches_of_all_smaller(troubled, alone):
    assert endings(troubled, "memory") == ["done, 10 steps"] * 2
    path, _ = newest_valid(troubled / "memory" / "run" / "checkpoints")
    assert read_checkpoint(path).state["state"]["max_tokens"] == 64
    assert largest_difference(weights_of(troubled / "memory" / "run" / "last"), weights_of(alone / "last")) < 1e-5


@pytest.mark.parametrize(
    ("trouble", "message"),
    [("error", "a kernel of this process failed"), ("evaluation", "an answer of this process failed")],
)
def test_an_error_on_one_process_ends_all_and_none_waits_for_it(trouble, message, troubled):
    first, second = endings(troubled, trouble)
    assert first.startswith("OtherProcessError: 1 other process(es) failed")
    assert second == f"RuntimeError: {message}"


def test_an_infinite_loss_on_one_process_stops_all_with_one_message(troubled):
    first, second = endings(troubled, "stopped")
    assert first == second
    assert re.match(r"ModelError: step \d+, task '\w+': the loss is inf; the rows: \w+ \S+-train\.jsonl, line", first)


def test_an_infinite_loss_on_one_process_is_skipped_by_all(troubled):
    assert endings(troubled, "skipped") == ["done, 10 steps"] * 2


@pytest.mark.parametrize(("before", "after"), [(1, 2), (2, 1), (2, 3)])
def test_another_number_of_processes_goes_on_with_the_same_plan(before, after, tmp_path, steady_bert, alone):
    config = mixed_config(tmp_path, steady_bert, {**SETTINGS, "training.max_minutes": 1e-9})
    first = torchrun(before, "-m", "mtl_transformers", "train", written(config, tmp_path))
    assert "training.max_minutes: stopped after step 1; --resume goes on from" in first.stderr, first.stderr[-3000:]
    rest = written(mixed_config(tmp_path, steady_bert, SETTINGS), tmp_path)
    done = torchrun(after, "-m", "mtl_transformers", "train", rest, "--resume")
    assert done.returncode == 0, done.stderr[-3000:]
    assert f"processes {before}, now {after}" in done.stderr
    assert largest_difference(weights_of(tmp_path / "run" / "last"), weights_of(alone / "last")) < 1e-5


LONG = {**SETTINGS, "training.epochs": 400, "evaluation.every_steps": None, "training.save_every_steps": None}


def wait_for_steps(place: Path, number: int) -> None:
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        log = place / "run" / "metrics.jsonl"
        if log.is_file() and len(log.read_text().splitlines()) >= number:
            return
        time.sleep(0.05)
    raise AssertionError("the training did not get that far")


def workers_of(launcher: subprocess.Popen[str]) -> list[int]:
    """Return the processes that a launcher started."""
    children = Path(f"/proc/{launcher.pid}/task/{launcher.pid}/children").read_text().split()
    named = {int(child): Path(f"/proc/{child}/cmdline").read_bytes() for child in children}
    return [child for child, command in named.items() if b"mtl_transformers" in command]


@pytest.mark.parametrize(
    ("to", "name"), [("one process", "SIGTERM"), ("the launcher", "SIGTERM"), ("all", "SIGTERM"), ("all", "SIGINT")]
)
def test_a_signal_saves_on_all(to, name, tmp_path, steady_bert):
    path = written(mixed_config(tmp_path, steady_bert, LONG), tmp_path)
    torchrun = ["-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2"]
    launcher = subprocess.Popen(
        [sys.executable, *torchrun, "-m", "mtl_transformers", "train", path],
        cwd=ROOT,
        env=environment(),
        stdout=-1,
        stderr=-1,
        text=True,
    )
    wait_for_steps(tmp_path, 3)
    workers = workers_of(launcher)
    assert len(workers) == 2
    number = signal.Signals[name]
    if to == "all":  # as Ctrl-C does; the launcher then tells its processes once more
        os.kill(launcher.pid, number)
        for worker in workers:
            os.kill(worker, number)
    else:
        os.kill(workers[1] if to == "one process" else launcher.pid, number)
    _, err = launcher.communicate(timeout=60)
    assert launcher.returncode != 0
    found, skipped = newest_valid(tmp_path / "run" / "checkpoints")
    assert skipped == []
    assert f"{name}: stopped after step {int(found.name[5:])}; --resume goes on from {found}" in err, err[-3000:]
    if to == "one process":
        assert err.count("exitcode  : 143") >= 1, err[-3000:]


def test_two_machines_meet_and_give_the_same_model(tmp_path, steady_bert, alone):
    path = written(mixed_config(tmp_path, steady_bert, SETTINGS), tmp_path)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    machines = [
        subprocess.Popen(
            ["bash", "scripts/launch.sh", "multi_node", "--processes", "1", "--", "train", path],
            cwd=ROOT,
            env=environment()
            | {
                "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
                "VIRTUAL_ENV": str(Path(sys.executable).parents[1]),
                "MACHINE_RANK": str(rank),
                "NUM_MACHINES": "2",
                "MAIN_PROCESS_IP": "127.0.0.1",
                "MAIN_PROCESS_PORT": str(port),
            },
            stdout=-1,
            stderr=-1,
            text=True,
        )
        for rank in range(2)
    ]
    outputs = [machine.communicate(timeout=180) for machine in machines]
    assert [machine.returncode for machine in machines] == [0, 0], outputs[0][1][-3000:]
    assert "2 processes" in outputs[0][0]
    assert outputs[1][0] == ""
    assert largest_difference(weights_of(tmp_path / "run" / "last"), weights_of(alone / "last")) < 1e-5


def test_two_trainings_follow_each_other_in_one_process(tmp_path, steady_bert):
    config = mixed_config(tmp_path, steady_bert, {**SETTINGS, "training.max_minutes": 1e-9})
    *_, stopped = run(config)
    assert isinstance(stopped, Stopped)
    assert train(mixed_config(tmp_path, steady_bert, SETTINGS), resume=True).num_steps == 10
