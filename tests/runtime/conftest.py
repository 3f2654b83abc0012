"""A model with a task of every kind that is exported, and its graph."""

from collections.abc import Callable
from pathlib import Path

import pytest
from every_kind import every_kind_dir
from mtl_transformers.lifecycle.exporting import export

from mtl_transformers.inference.multitask import MultiTaskModel
from mtl_transformers.runtime import OnnxModel


@pytest.fixture(scope="session")
def model_dir(tmp_path_factory: pytest.TempPathFactory, encoder_dir: Callable[[str], Path]) -> Path:
    """Return the directory of the model. Never write to it."""
    return every_kind_dir(tmp_path_factory.mktemp("every"), encoder_dir("bert"), clean=("lowercase", "strip_html"))


@pytest.fixture(scope="session")
def graph_dir(tmp_path_factory: pytest.TempPathFactory, model_dir: Path) -> Path:
    """Return the directory of its export in fp32. Never write to it."""
    return export(model_dir, tmp_path_factory.mktemp("exported") / "graph").path


@pytest.fixture(scope="session")
def torch_model(model_dir: Path) -> MultiTaskModel:
    """Return the model that torch runs."""
    return MultiTaskModel.from_pretrained(model_dir, device="cpu", precision="fp32")


@pytest.fixture(scope="session")
def onnx_model(graph_dir: Path) -> OnnxModel:
    """Return the model that onnxruntime runs."""
    return OnnxModel.from_pretrained(graph_dir)
