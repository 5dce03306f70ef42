"""Clips as hypothesis draws them, and a set to train on."""

import numpy as np
from hypothesis import strategies as st

from lib import skeletons
from lib.clips import Clip, ClipSet

KINECT = skeletons.get("kinect20")


@st.composite
def clips(draw, max_frames=20):
    """A clip of one to three persons, the first of which may be absent, padded by up to three frames."""
    length, persons, tail = draw(st.integers(1, max_frames)), draw(st.integers(1, 3)), draw(st.integers(0, 3))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    present = np.array([persons == 1 or draw(st.booleans()), *[True] * (persons - 1)])
    x = rng.normal(size=(length + tail, persons, 20, 3)).astype(np.float32) * present[:, None, None]
    x[length:] = 0
    return Clip(x, length, present, KINECT, 30.0, 0, "clip", truth=rng.random(x.shape[:3]) < 0.3)


def waving():
    """Two classes that differ in which hand waves; lengths and persons vary."""
    rng = np.random.default_rng(0)
    arrays, labels, pose = [], np.arange(24) % 2, rng.normal(size=(20, 3))
    for label in labels:
        frames = int(rng.integers(8, 20))
        persons = int(rng.integers(1, 3))
        x = pose + 0.1 * rng.normal(size=(1, persons, 20, 3)) + 0.01 * rng.normal(size=(frames, 1, 20, 3))
        x[:, :, 7 if label else 11, 1] += np.sin(np.arange(frames))[:, None]
        arrays.append(x)
    return ClipSet.from_arrays(arrays, labels, "kinect20")
