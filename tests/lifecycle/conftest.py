"""A tiny encoder without dropout, so that little trainings learn and repeat."""

from pathlib import Path

import pytest
from tiny import tiny_encoder_dir


@pytest.fixture(scope="session")
def steady_bert(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the directory of a tiny BERT without dropout; never write to it."""
    return tiny_encoder_dir("bert", tmp_path_factory.mktemp("steady"), dropout=0.0)
