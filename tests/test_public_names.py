"""The package's public names: each is there, listed, and loaded only when it is used."""

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import mtl_transformers


@pytest.mark.parametrize("name", mtl_transformers.__all__)
def test_every_public_name_is_there(name: str) -> None:
    assert getattr(mtl_transformers, name).__name__ == name


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="module 'mtl_transformers' has no attribute 'trane'"):
        mtl_transformers.trane  # noqa: B018


def test_dir_lists_the_public_names() -> None:
    assert set(mtl_transformers.__all__) <= set(dir(mtl_transformers))


def test_the_version_is_that_of_the_project() -> None:
    project = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert mtl_transformers.__version__ == project["version"]


def test_an_error_of_ours_can_be_caught_without_loading_torch() -> None:
    program = "import sys, mtl_transformers; mtl_transformers.MTLError; sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", program], check=True)
