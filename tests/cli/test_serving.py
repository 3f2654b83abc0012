"""`mtl serve`: what it refuses before it listens, and a whole process from its first line to its exit code."""

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from terminal import Mtl, Trained

from mtl_transformers.inference.multitask import MultiTaskModel


@pytest.fixture(scope="session")
def best(trained: Trained) -> Path:
    """Return the model directory of the training; never write to it."""
    return trained.directory / "run" / "best"


# what is refused


def test_a_directory_with_a_flipped_bit_is_refused(mtl: Mtl, best: Path, tmp_path: Path):
    copy = shutil.copytree(best, tmp_path / "copy")
    weights = bytearray((copy / "heads.safetensors").read_bytes())
    weights[-1] ^= 1
    (copy / "heads.safetensors").write_bytes(weights)
    outcome = mtl("serve", copy, "--port", 0)
    assert outcome.code == 2
    assert "heads.safetensors" in outcome.err


def test_a_port_that_is_taken_is_told_before_the_model_is_loaded(mtl: Mtl, tmp_path: Path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        outcome = mtl("serve", tmp_path / "no_model", "--port", port)
    assert outcome.code == 2
    assert f"cannot listen at 127.0.0.1, port {port}" in outcome.err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--tasks", "intent,urgncy"], "unknown task 'urgncy'"),
        (["--host", "no.such.host.invalid"], "host 'no.such.host.invalid' is unknown"),
        (["--api-key-env", "NO_SUCH_KEY"], "NO_SUCH_KEY: the environment variable is not set"),
        (["--max-body", "many"], "expected bytes, or a size"),
        (["--max-body", "0"], "expected bytes, or a size"),
        (["--device", "tpu"], "device 'tpu' cannot be used"),
        (["--precision", "fp16", "--device", "cpu"], "fp16 needs a GPU"),
        (["--onnx"], "is no exported directory"),
        (["--onnx", "--precision", "bf16"], "--precision bf16: an exported graph is run as it was exported"),
    ],
)
def test_what_cannot_be_served_is_refused(mtl: Mtl, best: Path, arguments: list[str], said: str):
    outcome = mtl("serve", best, "--port", 0, *arguments)
    assert outcome.code == 2, outcome
    assert said in outcome.err


def test_what_is_no_model_is_refused(mtl: Mtl, tmp_path: Path):
    assert mtl("serve", tmp_path, "--port", 0).code == 2


# a process


@contextmanager
def process(*arguments: object, **environment: str) -> Iterator[tuple[subprocess.Popen[str], str, str]]:
    """Start a server; yield it, its address and its line, and end it if it still runs."""
    command = [sys.executable, "-m", "mtl_transformers", "serve", *map(str, arguments), "--port", "0"]
    everything = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "PYTHONWARNINGS": "", **environment}
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=everything) as server:
        try:
            assert server.stderr is not None
            line = server.stderr.readline()
            found = re.match(r"(http://127\.0\.0\.1:\d+): ", line)
            assert found, line + server.stderr.read()
            yield server, found[1], line
        finally:
            server.kill()


@contextmanager
def unfinished_request(url: str) -> Iterator[None]:
    """Begin a request whose body does not end."""
    where = httpx.URL(url)
    with socket.create_connection((where.host, where.port)) as connection:
        headers = "Host: x\r\nAuthorization: Bearer geheim\r\nContent-Type: application/json\r\nContent-Length: 100"
        connection.sendall(f"POST /predict HTTP/1.1\r\n{headers}\r\n\r\n{{".encode())
        httpx.get(f"{url}/health")
        yield


@pytest.mark.slow
def test_a_process_answers_as_predict_and_ends_with_0_when_it_is_told_to(best: Path):
    model = MultiTaskModel.from_pretrained(best, precision="fp32")
    with process(best, "--tasks", "intent,mood", "--precision", "fp32", "--threads", 1) as (server, url, line):
        assert line.endswith(": intent, mood (torch, fp32, cpu)\n")
        (answer,) = httpx.post(f"{url}/predict", json={"texts": ["the refund"]}).json()["answers"]
        (expected,) = model.predict(["the refund"], tasks=["intent", "mood"])
        assert answer["intent"]["score"] == pytest.approx(expected["intent"]["score"], abs=1e-5)
        server.send_signal(signal.SIGTERM)
        assert server.wait(20) == 0


@pytest.mark.slow
def test_the_second_signal_ends_a_process_at_once_and_the_key_comes_from_the_environment(best: Path):
    with process(best, "--api-key-env", "OUR_KEY", OUR_KEY="geheim") as (server, url, line):
        assert "geheim" not in line
        assert httpx.get(f"{url}/tasks").status_code == 401
        assert httpx.get(f"{url}/tasks", headers={"authorization": "Bearer geheim"}).status_code == 200
        with unfinished_request(url):
            server.send_signal(signal.SIGINT)
            assert server.stderr is not None
            assert "again ends at once" in server.stderr.readline()
            with pytest.raises(subprocess.TimeoutExpired):
                server.wait(1)
            server.send_signal(signal.SIGTERM)
            assert server.wait(2) == 128 + signal.SIGTERM


def encoder_of(server: subprocess.Popen[str]) -> int:
    """Return the number of the process that has the encoder: the one of our children that has loaded torch."""
    children = Path(f"/proc/{server.pid}/task/{server.pid}/children").read_text().split()
    (found,) = (int(child) for child in children if "libtorch" in Path(f"/proc/{child}/maps").read_text())
    return found


def is_running(pid: int) -> bool:
    """Return whether a process has memory, which one that has ended has not."""
    try:
        return bool(Path(f"/proc/{pid}/maps").read_text())
    except (FileNotFoundError, ProcessLookupError):
        return False


@pytest.mark.slow
def test_a_process_whose_encoder_is_killed_says_so_and_ends(best: Path):
    with process(best, "--precision", "fp32", "--threads", 1) as (server, _, _):
        assert "libtorch" not in Path(f"/proc/{server.pid}/maps").read_text()
        os.kill(encoder_of(server), signal.SIGKILL)
        assert server.wait(20) == 2
        assert server.stderr is not None
        assert "error: the encoder's process ended with exit code -9" in server.stderr.read()


@pytest.mark.slow
def test_the_encoder_ends_with_a_process_that_is_killed_and_outlives_the_signals_of_its_group(best: Path):
    with process(best, "--precision", "fp32", "--threads", 1) as (server, url, _):
        encoder = encoder_of(server)
        os.kill(encoder, signal.SIGTERM)
        os.kill(encoder, signal.SIGINT)
        assert httpx.post(f"{url}/predict", json={"texts": ["the refund"]}).status_code == 200
        server.kill()
        end = time.monotonic() + 10
        while is_running(encoder):
            assert time.monotonic() < end, "the encoder still runs"
            time.sleep(0.1)
