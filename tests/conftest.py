"""Fixtures that every test may use: tiny real encoders, and no network."""

import os

os.environ["HF_HUB_OFFLINE"] = "1"  # read at import by huggingface_hub, so before any other import

from collections.abc import Callable
from pathlib import Path

import pytest
from tiny import tiny_encoder_dir

EncoderDir = Callable[[str], Path]


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
