"""Fixtures that every test may use: tiny real encoders, no network, and a cache of `datasets` that goes away."""

import atexit
import os
import shutil
import sys
import tempfile

os.environ["HF_HUB_OFFLINE"] = "1"  # both are read at import, so they stand before any other import
os.environ["HF_DATASETS_CACHE"] = tempfile.mkdtemp(prefix="mtl_datasets_")  # of fixtures and processes that tests start

from collections.abc import Callable, Iterator
from pathlib import Path

import datasets
import pytest
from tiny import tiny_encoder_dir

EncoderDir = Callable[[str], Path]

atexit.register(shutil.rmtree, os.environ["HF_DATASETS_CACHE"], ignore_errors=True)


@pytest.fixture(autouse=True)
def datasets_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Let no test write into the user's cache, or read what another test left in it."""
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "datasets_cache")
    return tmp_path / "datasets_cache"


@pytest.fixture(scope="session")
def evaluate_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Use folders that go away for the code of metrics, which `evaluate` copies and imports: one set for all tests."""
    import evaluate

    folder = tmp_path_factory.mktemp("evaluate")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(evaluate.config, "HF_MODULES_CACHE", str(folder / "modules"))
        patch.setattr(evaluate.config, "HF_METRICS_CACHE", str(folder / "metrics"))
        patch.setattr(sys, "path", list(sys.path))
        yield


@pytest.fixture(scope="session")
def encoder_dir(tmp_path_factory: pytest.TempPathFactory) -> EncoderDir:
    """Return the directory of a family's tiny encoder, written once a session; never write to it."""
    written: dict[str, Path] = {}

    def directory(family: str) -> Path:
        if family not in written:
            written[family] = tiny_encoder_dir(family, tmp_path_factory.mktemp(family))
        return written[family]

    return directory


@pytest.fixture(scope="session")
def tiny_bert(encoder_dir: EncoderDir) -> Path:
    """Return the directory of the tiny BERT; never write to it."""
    return encoder_dir("bert")
