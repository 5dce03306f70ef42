"""A small STF, clips for it, and a pass that keeps what its modules saw."""

import numpy as np

from lib import focus, models
from lib.clips import ClipSet
from lib.focus import FocusLosses

ALL = FocusLosses(exploration=1.0, divergence=1.0, adjacency=1.0, consistency=1.0)


def network(**options):
    options = {"num_classes": 4, "skeleton": "kinect20", "width": 0.0625, "seed": 0} | options
    return models.build("stf", **options)


def three_clips(rng):
    arrays = [rng.normal(size=(T, M, 20, 3)).astype(np.float32) for T, M in ((12, 1), (9, 2), (5, 1))]
    return ClipSet.from_arrays(arrays, [0, 1, 2], "kinect20", class_names=["a", "b", "c", "d"])


def passed(model, batch):
    with focus.watch(model) as modules:
        logits = model(batch.x, batch.lengths, batch.present)
    return logits, modules
