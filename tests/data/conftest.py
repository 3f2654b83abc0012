"""The shared real data, and a cache of `datasets` that goes away."""

from pathlib import Path

import pytest

SHARED = Path(__file__).parents[3] / "shared" / "data"


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real data, or a skip that says why."""
    if not SHARED.is_dir():
        pytest.skip(f"the shared real data is not there: {SHARED}")
    return SHARED


@pytest.fixture
def cache(tmp_path: Path) -> str:
    return str(tmp_path / "cache")
