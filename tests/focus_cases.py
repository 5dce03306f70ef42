"""A small STF and clips for it."""

import numpy as np

from lib import models
from lib.clips import ClipSet


def network(**options):
    options = {"num_classes": 4, "skeleton": "kinect20", "width": 0.0625, "seed": 0} | options
    return models.build("stf", **options)


def three_clips(rng):
    arrays = [rng.normal(size=(T, M, 20, 3)).astype(np.float32) for T, M in ((12, 1), (9, 2), (5, 1))]
    return ClipSet.from_arrays(arrays, [0, 1, 2], "kinect20", class_names=["a", "b", "c", "d"])
