"""Clips as hypothesis draws them."""

import numpy as np
from hypothesis import strategies as st

from lib import skeletons
from lib.clips import Clip

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
