"""Signals and the limit of time: the run saves, says so, and goes on later as if nothing had happened."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from launching import ROOT
from little import mixed_config
from resumed import kept_bytes, log_of

from mtl_transformers import MTLError, train
from mtl_transformers.config import Config
from mtl_transformers.errors import Interrupted
from mtl_transformers.inference.multitask import MultiTaskModel
from mtl_transformers.training import evaluation
from mtl_transformers.training.checkpoint import newest_valid
from mtl_transformers.training.loop import Result, Stopped, run
from mtl_transformers.training.stopping import Request, Stops, listening
from mtl_transformers.training.window import Logged

SETTINGS = {"evaluation.every_steps": 4, "tracking.every_steps": 1, "training.save_every_steps": None}


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory, tiny_bert: Path) -> Path:
    return train(mixed_config(tmp_path_factory.mktemp("undisturbed"), tiny_bert, SETTINGS)).output


def signalled_run(config: Config, *, number: int, after_step: int) -> list[Any]:
    """Train, and send this process a signal when a step was logged."""
    events = []
    for event in run(config):
        events.append(event)
        if isinstance(event, Logged) and event.step == after_step:
            os.kill(os.getpid(), number)
    return events


@pytest.mark.parametrize(
    ("number", "request_"), [(signal.SIGTERM, Request.TERMINATE), (signal.SIGINT, Request.INTERRUPT)]
)
def test_a_signal_saves_after_the_next_step_and_nothing_is_lost(number, request_, tmp_path, tiny_bert, undisturbed):
    config = mixed_config(tmp_path, tiny_bert, SETTINGS)
    before = signal.getsignal(number)
    *_, last = signalled_run(config, number=number, after_step=6)
    path = tmp_path / "run" / "checkpoints" / "step-000007"
    assert last == Stopped(7, path, request_)
    assert newest_valid(path.parent) == (path, [])
    assert signal.getsignal(number) is before
    train(config, resume=True)
    assert kept_bytes(tmp_path / "run") == kept_bytes(undisturbed)
    assert log_of(tmp_path / "run") == log_of(undisturbed)


def test_an_evaluation_that_was_due_is_made_up_for(tmp_path, tiny_bert, undisturbed):
    config = mixed_config(tmp_path, tiny_bert, SETTINGS)
    *_, last = signalled_run(config, number=signal.SIGTERM, after_step=7)
    assert last.step == 8
    assert not any("eval/mean" in line for line in log_of(tmp_path / "run") if line["step"] == 8)
    train(config, resume=True)
    assert log_of(tmp_path / "run") == log_of(undisturbed)
    assert kept_bytes(tmp_path / "run") == kept_bytes(undisturbed)


def test_an_evaluation_is_left_between_two_chunks(tmp_path, tiny_bert, undisturbed, monkeypatch):
    answer, answered = MultiTaskModel.answer, []

    def signalled(self: MultiTaskModel, *given: Any, **named: Any) -> Any:
        answered.append(1)
        if len(answered) == 2:
            os.kill(os.getpid(), signal.SIGTERM)
        return answer(self, *given, **named)

    config = mixed_config(tmp_path, tiny_bert, SETTINGS)
    with monkeypatch.context() as patch:
        patch.setattr(evaluation, "_CHUNK_ROWS", 4)
        patch.setattr(MultiTaskModel, "answer", signalled)
        *_, last = run(config)
    assert (last.step, len(answered)) == (4, 2)
    train(config, resume=True)
    assert log_of(tmp_path / "run") == log_of(undisturbed)


def test_a_limit_of_time_does_the_same(tmp_path, tiny_bert, undisturbed):
    config = mixed_config(tmp_path, tiny_bert, {**SETTINGS, "training.max_minutes": 1e-9})
    with pytest.raises(Interrupted, match=r"training\.max_minutes stopped the training after step 1; resume goes on"):
        train(config)
    assert issubclass(Interrupted, MTLError)
    rest = mixed_config(tmp_path, tiny_bert, SETTINGS)
    assert train(rest, resume=True).first_step == 1
    assert kept_bytes(tmp_path / "run") == kept_bytes(undisturbed)


def test_a_limit_that_is_not_reached_stops_nothing(tmp_path, tiny_bert):
    *_, last = run(mixed_config(tmp_path, tiny_bert, {**SETTINGS, "training.max_minutes": 60}))
    assert isinstance(last, Result)


def test_exit_codes_are_those_of_a_shell():
    assert [kind.exit_code for kind in Request] == [0, 124, 130, 143]


def test_of_several_requests_the_signal_comes_first():
    stops = Stops(max_minutes=1e-9)
    assert stops.request is Request.TIME
    stops.receive(signal.SIGINT)
    assert stops.request is Request.INTERRUPT


def test_in_another_thread_only_the_limit_of_time_holds():
    found = []

    def other() -> None:
        with listening(max_minutes=1e-9) as stops:
            found.append((stops.request, signal.getsignal(signal.SIGTERM)))

    thread = Thread(target=other)
    thread.start()
    thread.join()
    assert found == [(Request.TIME, signal.getsignal(signal.SIGTERM))]


def started(config: Config, place: Path, *options: str, **environment: str) -> subprocess.Popen[str]:
    """Start the command line on a config."""
    (place / "config.yaml").write_text(config.to_yaml())
    return subprocess.Popen(
        [sys.executable, "-m", "mtl_transformers", "train", str(place / "config.yaml"), *options],
        cwd=ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "1", **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def wait_for_steps(run: Path, number: int) -> None:
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        if (run / "metrics.jsonl").is_file() and len((run / "metrics.jsonl").read_text().splitlines()) >= number:
            return
        time.sleep(0.02)
    raise AssertionError("the training did not get that far")


LONG = {**SETTINGS, "training.epochs": 300, "evaluation.every_steps": None}


@pytest.mark.slow
@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_the_command_ends_with_the_code_of_the_signal(number, code, tmp_path, tiny_bert):
    process = started(mixed_config(tmp_path, tiny_bert, LONG), tmp_path)
    wait_for_steps(tmp_path / "run", 5)
    process.send_signal(number)
    _, err = process.communicate(timeout=60)
    assert process.returncode == code
    assert "Traceback" not in err
    assert f"stopped after step {newest_step(tmp_path)}; --resume goes on from" in err


def newest_step(place: Path) -> int:
    path, skipped = newest_valid(place / "run" / "checkpoints")
    assert path is not None
    assert skipped == []
    return int(path.name.removeprefix("step-"))


@pytest.mark.slow
def test_a_second_signal_ends_the_process_at_once(tmp_path, tiny_bert):
    slow = mixed_config(tmp_path, tiny_bert, {**LONG, "training.batch_size": 4000, "training.max_tokens": 16})
    process = started(slow, tmp_path)  # a step takes minutes
    deadline = time.monotonic() + 60
    while not (tmp_path / "run" / "metrics.jsonl").is_file() and time.monotonic() < deadline:
        time.sleep(0.02)
    time.sleep(0.5)
    process.send_signal(signal.SIGTERM)
    time.sleep(0.2)
    assert process.poll() is None
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=5)
    assert process.returncode == -signal.SIGTERM
