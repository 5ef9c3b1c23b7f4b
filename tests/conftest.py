"""What tests of several rooms share."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import settings

# Triton reads this once, when it is first imported: without a GPU its kernels are run by its interpreter.
if not Path("/dev/nvidiactl").exists():
    os.environ.setdefault("TRITON_INTERPRET", "1")

PROJECT = Path(__file__).resolve().parents[1]
SHARED_DATA = PROJECT.parent / "shared" / "data"
#: The model that tests use: the shipped one, unless another is to be tried.
MODEL = os.environ.get("THRESHER_TEST_MODEL", "demo")

# a busy machine is slow now and then, which says nothing of the example that hypothesis was trying
settings.register_profile("thresher", deadline=None)
settings.load_profile("thresher")


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Real documents that are not part of the project; tests that need them skip where they are absent."""
    if not SHARED_DATA.is_dir():
        pytest.skip(f"the shared test data is not beside the project ({SHARED_DATA.parent.name}/data)")
    return SHARED_DATA


@pytest.fixture(scope="session")
def examples() -> Path:
    """The example documents."""
    return PROJECT / "examples"


@pytest.fixture(scope="session")
def model() -> str:
    """The reference of the shipped model."""
    return MODEL
