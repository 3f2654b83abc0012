"""Model directories to push, and a hub on this machine to push them to."""

from collections.abc import Iterator
from pathlib import Path

import huggingface_hub.constants
import pytest
from local_hub import TOKEN, Hub, local_hub

from mtl_transformers.model.directory import FORMAT_VERSION, save
from mtl_transformers.model.encoder import load_encoder
from mtl_transformers.model.tokenizer import load_tokenizer


@pytest.fixture
def directory(tiny_bert: Path, tmp_path: Path) -> Path:
    """Return a model directory without tasks."""
    save(
        tmp_path / "best",
        encoder=load_encoder(str(tiny_bert)),
        tokenizer=load_tokenizer(str(tiny_bert)),
        heads={},
        tasks={"format_version": FORMAT_VERSION, "tasks": {}},
        metrics={},
        card="---\nlicense: mit\n---\n# card\n",
    )
    return tmp_path / "best"


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Hub]:
    """Return a hub, which is the only one that this process knows, with an empty cache beside it."""
    constants = huggingface_hub.constants
    with local_hub() as hub:
        settings = {
            "HF_HUB_OFFLINE": False,
            "HF_HUB_DISABLE_XET": True,
            "HUGGINGFACE_CO_URL_TEMPLATE": constants.HUGGINGFACE_CO_URL_TEMPLATE.replace(
                constants.ENDPOINT, hub.address
            ),
            "ENDPOINT": hub.address,
            "HF_HUB_CACHE": str(tmp_path / "cache"),
            "HF_TOKEN_PATH": str(tmp_path / "token"),
            "AGENT_HARNESSES_PATH": str(tmp_path / "harnesses.json"),
        }
        for name, value in settings.items():
            monkeypatch.setattr(constants, name, value)
        monkeypatch.setenv("HF_TOKEN", TOKEN)
        yield hub
