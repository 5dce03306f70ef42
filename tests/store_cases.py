"""Sequences, settings and waiting that the tests of stores and of clusters share."""

import os
import time
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
CHOICES = {"window_size": 3, "stride": 2, "radius": 0.4, "normalize": "length"}
PATIENCE = 240  # seconds; only a machine with other work to do comes near it


def walks(num=520, num_dims=24, seed=0):
    """Sequences of 40 to 80 frames."""
    rng = np.random.default_rng(seed)
    return [rng.normal(size=(rng.integers(40, 80), num_dims)).cumsum(0) for _ in range(num)]


def environment():
    """Variables of subprocesses: one thread, this checkout and these tests importable."""
    return os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "tests")])}


def num_files(store):
    """Chunks on disk, mirrored ones included."""
    return sum(1 for file in Path(store).glob("c/*/*") if file.suffix != ".partial")


def wait_until(condition):
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, "waited too long"
        time.sleep(0.005)
