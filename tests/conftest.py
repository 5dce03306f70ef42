"""Fixtures; they import lib inside, because the typing hook must come first."""

import matplotlib as mpl
import numpy as np
import pytest
from hypothesis import settings

mpl.use("Agg")
settings.register_profile("book", deadline=None, derandomize=True, max_examples=50)
settings.load_profile("book")


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.fixture(scope="session")
def dtw():
    from lib import dtw

    return dtw


@pytest.fixture(scope="session")
def downloads():
    """Folder of downloaded datasets, or a skip that says how to get one."""
    import os

    root = os.environ.get("SKELETON_DATA")
    if not root:
        pytest.skip("SKELETON_DATA is not set: no downloaded datasets to read")
    return root
