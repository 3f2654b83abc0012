"""Every config that we ship loads."""

from pathlib import Path

import pytest

from mtl_transformers.config import load_config

ROOT = Path(__file__).parents[2]
CONFIGS = [
    path.relative_to(ROOT).as_posix()
    for path in sorted((ROOT / "configs").rglob("*.yaml"))
    if "accelerate" not in path.relative_to(ROOT).parts
]


def test_there_are_configs():
    assert "configs/quickstart.yaml" in CONFIGS


@pytest.mark.parametrize("path", CONFIGS)
def test_a_config_that_we_ship_loads_and_says_how_to_launch_it(path):
    load_config(ROOT / path)
    header = (ROOT / path).read_text(encoding="utf-8").split("\noutput:")[0]
    assert "# launch: " in header.lower()
