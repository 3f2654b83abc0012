"""Whole runs share one cache of `datasets`, also with the processes that they start; it goes away with the session."""

import os
from collections.abc import Iterator
from pathlib import Path

import datasets
import pytest
from tiny import tiny_encoder_dir


@pytest.fixture(scope="session", autouse=True)
def datasets_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Let all tests here use one cache instead of one each: trainings that a module shares begin before its tests."""
    place = tmp_path_factory.mktemp("datasets_cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(datasets.config, "HF_DATASETS_CACHE", place)
        patch.setenv("HF_DATASETS_CACHE", str(place))
        patch.setenv("OMP_NUM_THREADS", os.environ.get("OMP_NUM_THREADS", "1"))
        yield place


@pytest.fixture(scope="session")
def steady_bert(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the directory of a tiny BERT without dropout; never write to it."""
    return tiny_encoder_dir("bert", tmp_path_factory.mktemp("steady"), dropout=0.0)
