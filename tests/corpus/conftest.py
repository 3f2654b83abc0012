"""The command line called in this process on little projects, with one cache of `datasets` for all of them."""

import logging
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import datasets
import pytest
from corpus.project import Case, contents, copy_model, raw_config, write_project
from terminal import Outcome

from mtl_transformers.cli.main import main


class Run:
    """Writes a case into the working directory, calls its command, and looks at what the command left.

    Args:
        folder: the working directory.
        encoder: of the configs.
        model: gives the trained model.
        call: calls the command line.
    """

    def __init__(
        self, folder: Path, *, encoder: Path, model: Callable[[], Path], call: Callable[[list[str]], Outcome]
    ) -> None:
        self._folder, self._encoder, self._model, self._call = folder, encoder, model, call
        self._before: dict[str, bytes | None] = {}

    def __call__(self, case: Case) -> Outcome:
        write_project(case, self._folder, encoder=self._encoder)
        if case.model:
            copy_model(case, self._folder, model=self._model())
        self._before = contents(self._folder)
        return self._call([str(self._model()) if word == "{model}" else word for word in case.command])

    def assert_nothing_written(self) -> None:
        """Assert that each file and directory is as it was before the command."""
        assert contents(self._folder) == self._before


@pytest.fixture(scope="session")
def shared_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("datasets_cache")


@pytest.fixture(autouse=True)
def datasets_cache(shared_cache: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Share what was read and encoded between the cases: most of their files are equal."""
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", shared_cache)
    return shared_cache


@pytest.fixture(scope="session")
def model(tiny_bert: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a model of the good project; never write to it."""
    from mtl_transformers import load_config, train

    folder = tmp_path_factory.mktemp("good")
    write_project(Case("good", "", ""), folder, encoder=tiny_bert)
    raw = raw_config("tickets", {}, encoder=tiny_bert)
    raw["output"] = str(folder / "run")
    files = raw["data"]["tickets"]["files"]
    raw["data"]["tickets"]["files"] = {split: str(folder / name) for split, name in files.items()}
    train(load_config(raw))
    return folder / "run" / "best"


@pytest.fixture
def run(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    request: pytest.FixtureRequest,
    tiny_bert: Path,
    tmp_path: Path,
) -> Iterator[Run]:
    """Return what writes a case into the working directory and calls its command."""
    environment, level = dict(os.environ), logging.getLogger("mtl_transformers").level
    monkeypatch.chdir(tmp_path)

    def call(arguments: list[str]) -> Outcome:
        monkeypatch.setattr(sys, "argv", ["mtl", *arguments])
        capsys.readouterr()
        with pytest.raises(SystemExit) as exit_:
            main()
        code = exit_.value.code
        return Outcome(code if isinstance(code, int) else int(code is not None), *capsys.readouterr())

    yield Run(tmp_path, encoder=tiny_bert, model=lambda: request.getfixturevalue("model"), call=call)
    logging.getLogger("mtl_transformers").setLevel(level)
    os.environ.clear()
    os.environ.update(environment)
