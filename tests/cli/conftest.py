"""A terminal of 80 columns in place of a stream, the command line called in this process, and one trained model."""

import logging
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml
from little import TICKET_TASKS, dataset, raw_config, tickets
from terminal import Mtl, Outcome, Terminal, Trained

from mtl_transformers.cli.main import main


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], Terminal]]:
    """Return what puts a terminal of 80 columns in place of ``stdout`` or ``stderr``."""
    made: list[Terminal] = []
    monkeypatch.setenv("TERM", "dumb")

    def put(stream: str, *, columns: int = 80) -> Terminal:
        made.append(Terminal(columns=columns))
        monkeypatch.setattr(sys, stream, made[-1])
        return made[-1]

    yield put
    monkeypatch.undo()
    for stream in made:
        stream.close()


@pytest.fixture
def mtl(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Iterator[Mtl]:
    """Return what calls the command line in this process, in an empty directory."""
    environment, level = dict(os.environ), logging.getLogger("mtl_transformers").level
    monkeypatch.chdir(tmp_path)

    def call(*arguments: object) -> Outcome:
        monkeypatch.setattr(sys, "argv", ["mtl", *map(str, arguments)])
        capsys.readouterr()
        with pytest.raises(SystemExit) as exit_:
            main()
        code = exit_.value.code
        return Outcome(code if isinstance(code, int) else int(code is not None), *capsys.readouterr())

    yield call
    logging.getLogger("mtl_transformers").setLevel(level)
    os.environ.clear()
    os.environ.update(environment)


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory, encoder_dir: Callable[[str], Path]) -> Trained:
    """Train four tasks as a user does who looks at a file and not at a terminal; never write to it."""
    place = tmp_path_factory.mktemp("trained")
    rows = {"train": tickets(64, holes=0.2), "validation": tickets(12, seed=1), "test": tickets(30, seed=2)}
    data = {"tickets": {**dataset(place, "tickets", text="body", **rows), "id": "id"}}
    raw = raw_config(place, encoder_dir("bert"), data=data, tasks=TICKET_TASKS)
    raw["encoder"]["max_length"] = 12
    raw["evaluation"]["every_steps"] = 4
    raw["tracking"] = {"every_steps": 1}
    config = place / "tickets.yaml"
    config.write_text(yaml.safe_dump(raw, sort_keys=False), encoding="utf-8")
    command = [sys.executable, "-m", "mtl_transformers", "train", config]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "PYTHONWARNINGS": ""}
    done = subprocess.run(command, cwd=place, env=environment, capture_output=True, text=True, check=False)
    return Trained(place, config, Outcome(done.returncode, done.stdout, done.stderr))
