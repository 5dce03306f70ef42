"""Cases that the tests of `lib.dtw` share."""

import numpy as np
from hypothesis import strategies as st

RADII = [None, 0, 1, 3, 0.0, 0.1, 0.5, 1.0]
NORMALIZATIONS = [None, "path", "length"]


@st.composite
def windowings(draw):
    return {
        "window_size": draw(st.integers(1, 6)),
        "stride": draw(st.integers(1, 4)),
        "radius": draw(st.sampled_from(RADII)),
        "normalize": draw(st.sampled_from(NORMALIZATIONS)),
    }


@st.composite
def datasets(draw, max_sequences=6, max_frames=20):
    """Sequences of awkward kinds: ties, common offsets, near copies, far clusters, tiny and huge units."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    num_dims = draw(st.sampled_from([1, 3, 8, 9, 40]))
    lengths = draw(st.lists(st.integers(1, max_frames), min_size=1, max_size=max_sequences))
    if draw(st.booleans()):
        lengths = [lengths[0]] * len(lengths)
    sequences = [rng.normal(size=(length, num_dims)).cumsum(0) for length in lengths]
    kind = draw(st.sampled_from(["walks", "whole", "offset", "copies", "clusters", "units"]))
    if kind == "whole":
        sequences = [np.round(x) for x in sequences]
    elif kind == "offset":
        sequences = [x + 1e6 for x in sequences]
    elif kind == "copies":
        sequences = [np.resize(sequences[0], x.shape) * (1 + 1e-4 * rng.normal(size=x.shape)) for x in sequences]
    elif kind == "clusters":
        sequences = [1e-3 * x + 10 * (i % 2) for i, x in enumerate(sequences)]
    elif kind == "units":
        sequences = [x * 10.0 ** rng.integers(-30, 30) for x in sequences]
    return sequences


def assert_close(found, expected, rtol=1e-5):
    """Relative error of every entry; what is zero must be zero."""
    np.testing.assert_allclose(found, expected, rtol=rtol, atol=0)


def layer_like(num_clips, num_frames=12, num_dims=10, seed=0, lengths=None):
    """Warped and bent copies of a few paths, through a random matrix and a ReLU."""
    rng = np.random.default_rng(seed)
    prototypes = rng.normal(size=(20, 3, 4))
    mix = rng.normal(size=(4, num_dims))
    clips = []
    for i in range(num_clips):
        t = np.linspace(0, 1, num_frames if lengths is None else lengths[i])
        t = 3 * (t + rng.normal(0, 0.1) * np.sin(np.pi * t))
        waves = np.stack([np.ones_like(t), np.sin(t), np.cos(2 * t)], axis=1)
        path = waves @ (prototypes[i % 20] + 0.2 * rng.normal(size=(3, 4)))
        clips.append(np.maximum(path @ mix, 0) + 0.02 * rng.normal(size=(len(t), num_dims)))
    return clips
