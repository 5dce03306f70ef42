"""The batches of an epoch: order, padding, and chance."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from clip_cases import waving

from lib import transforms
from lib._epochs import augmented, epoch_batches
from lib.training import TrainConfig

PLAIN = TrainConfig(batch_size=8, crop=1.0, noise=0.0, stretch=0.0, turn=0.0, tilt=0.0)


@pytest.fixture(scope="module")
def clips():
    return waving()


def test_an_epoch_visits_every_clip_once(clips):
    seen = [x.sum().item() for batch in epoch_batches(clips, PLAIN, 0) for x in batch.x]
    assert sorted(seen) == pytest.approx(sorted(clip.x.sum() for clip in clips), rel=1e-4)


def test_epochs_mix_clips_anew_and_batches_hold_clips_of_like_length(clips):
    epochs = [[batch.lengths.tolist() for batch in epoch_batches(clips, PLAIN, epoch)] for epoch in (0, 1)]
    assert epochs[0] != epochs[1]
    for epoch in epochs:
        batches = sorted(sorted(lengths) for lengths in epoch)
        assert all(one[-1] <= other[0] for one, other in pairwise(batches))


def test_about_half_of_the_clips_are_mirrored_where_asked(clips):
    plain = replace(PLAIN, mirror=True)
    found = [augmented(clip, plain, np.random.default_rng(seed)).x for seed, clip in enumerate(clips)]
    same = [np.array_equal(x, clip.x) for x, clip in zip(found, clips, strict=True)]
    swapped = [np.array_equal(x, transforms.mirror(clip).x) for x, clip in zip(found, clips, strict=True)]
    assert all(a != b for a, b in zip(same, swapped, strict=True))
    assert 6 < sum(swapped) < 18
    assert all(np.array_equal(augmented(c, PLAIN, np.random.default_rng(0)).x, c.x) for c in clips)
