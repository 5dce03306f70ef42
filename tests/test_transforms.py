from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from clip_cases import KINECT, clips
from hypothesis import given
from hypothesis import strategies as st

from lib import transforms
from lib.clips import Clip
from lib.skeletons import Skeleton

EVERY = {
    "center": transforms.center,
    "align": transforms.align,
    "bones": transforms.bones,
    "motion": transforms.motion,
    "mirror": transforms.mirror,
    "rotate": partial(transforms.rotate, degrees=33.0),
    "scale": partial(transforms.scale, factor=2.0),
    "resample": partial(transforms.resample, num_frames=7),
    "pad": partial(transforms.pad, num_frames=30),
    "loop": partial(transforms.pad, num_frames=30, mode="loop"),
    "edge": partial(transforms.pad, num_frames=30, mode="edge"),
    "noise": lambda clip: transforms.random_noise(clip, np.random.default_rng(0), 0.1),
    "view": lambda clip: transforms.random_view(clip, np.random.default_rng(0), 40.0, 10.0),
    "crop": lambda clip: transforms.random_crop(clip, np.random.default_rng(0), 0.5),
    "stretch": lambda clip: transforms.random_scale(clip, np.random.default_rng(0), 0.2),
}


@pytest.mark.parametrize("name", EVERY)
@given(clip=clips())
def test_lengths_masks_and_input_survive_every_transform(name, clip):
    before = clip.x.copy()
    after = EVERY[name](clip)
    np.testing.assert_array_equal(clip.x, before)
    assert after.x.dtype == np.float32
    assert after.length <= len(after.x)
    assert after.truth.shape == after.x.shape[:3]
    assert not after.x[after.length :].any()
    assert not after.x[:, ~after.present].any()
    np.testing.assert_array_equal(after.present, clip.present)


@given(clips(), st.floats(-180, 180))
def test_aligned_clip_does_not_depend_on_the_view(clip, degrees):
    turned = transforms.align(transforms.rotate(clip, degrees))
    np.testing.assert_allclose(turned.x, transforms.align(clip).x, atol=2e-4)


@given(clips())
def test_aligned_body_faces_the_camera(clip):
    x = transforms.align(clip).x[: clip.length, np.argmax(clip.present)]
    left_hip, right_hip, left_shoulder, right_shoulder = KINECT.torso
    across = (x[:, left_hip] - x[:, right_hip] + x[:, left_shoulder] - x[:, right_shoulder]).mean(axis=0)
    assert across[0] <= 0
    assert abs(across[2]) < 1e-4


@given(clips(), st.floats(-360, 360), st.sampled_from("xyz"))
def test_rotation_keeps_distances_and_turns_back(clip, degrees, axis):
    there = transforms.rotate(clip, degrees, axis)
    np.testing.assert_allclose(np.linalg.norm(there.x, axis=-1), np.linalg.norm(clip.x, axis=-1), atol=1e-5, rtol=1e-5)
    np.testing.assert_allclose(transforms.rotate(there, -degrees, axis).x, clip.x, atol=1e-5)


@pytest.mark.parametrize(("axis", "start", "end"), [("x", "y", "z"), ("y", "z", "x"), ("z", "x", "y")])
def test_a_quarter_turn_goes_round_the_right_way(axis, start, end):
    unit = dict(zip("xyz", np.eye(3), strict=True))
    np.testing.assert_allclose(transforms.rotation(90, axis) @ unit[start], unit[end], atol=1e-12)


@given(clips())
def test_bones_add_up_to_joints(clip):
    bones = transforms.bones(clip).x
    from_center = np.zeros_like(clip.x)
    for v in range(20):
        joint = v
        while joint != KINECT.center:
            from_center[:, :, v] += bones[:, :, joint]
            joint = KINECT.parents[joint]
    np.testing.assert_allclose(from_center, clip.x - clip.x[:, :, [KINECT.center]], atol=1e-5)


@given(clips())
def test_motion_adds_up_to_the_way_from_first_to_last_frame(clip):
    moved = transforms.motion(clip).x.sum(axis=0)
    np.testing.assert_allclose(moved, clip.x[clip.length - 1] - clip.x[0], atol=1e-5)


@given(clips(), st.integers(1, 60))
def test_resample_keeps_ends_duration_and_range(clip, num_frames):
    after = transforms.resample(clip, num_frames)
    assert after.length == num_frames == len(after.x)
    np.testing.assert_allclose(after.x[0], clip.x[0], atol=1e-6)
    if num_frames > 1:
        np.testing.assert_allclose(after.x[-1], clip.x[clip.length - 1], atol=1e-6)
    assert after.x.max() <= clip.x[: clip.length].max() + 1e-6
    if min(num_frames, clip.length) > 1:
        assert (after.length - 1) / after.fps == pytest.approx((clip.length - 1) / clip.fps)


@given(clips())
def test_resampling_a_straight_motion_is_exact(clip):
    t = np.arange(len(clip.x), dtype=np.float32)
    line = replace(clip, x=np.broadcast_to(t[:, None, None, None], clip.x.shape) * clip.present[:, None, None])
    after = transforms.resample(line, 11)
    expected = np.linspace(0, clip.length - 1, 11)[:, None, None, None] * clip.present[:, None, None]
    np.testing.assert_allclose(after.x, np.broadcast_to(expected, after.x.shape), atol=1e-5)


@given(clips())
def test_mirror_twice_is_nothing(clip):
    twice = transforms.mirror(transforms.mirror(clip))
    np.testing.assert_array_equal(twice.x, clip.x)
    np.testing.assert_array_equal(twice.truth, clip.truth)


@given(clips(), st.data())
def test_crop_is_a_slice(clip, data):
    num_frames = data.draw(st.integers(1, clip.length))
    start = data.draw(st.integers(0, clip.length - num_frames))
    after = transforms.crop(clip, start, num_frames)
    np.testing.assert_array_equal(after.x, clip.x[start : start + num_frames])
    np.testing.assert_array_equal(after.truth, clip.truth[start : start + num_frames])


def test_loop_repeats_from_the_beginning_and_zero_does_not_count(rng):
    x = rng.normal(size=(3, 1, 20, 3)).astype(np.float32)
    clip = Clip(x, 3, np.array([True]), KINECT, 30.0, 0, "clip")
    looped, padded = transforms.pad(clip, 8, "loop"), transforms.pad(clip, 8)
    np.testing.assert_array_equal(looped.x, x[[0, 1, 2, 0, 1, 2, 0, 1]])
    assert (looped.length, padded.length, len(padded.x)) == (8, 3, 8)


def _clip(skeleton, channels=3):
    x = np.ones((4, 1, len(skeleton), channels), dtype=np.float32)
    return Clip(x, 4, np.array([True]), skeleton, 30.0, 0, "wave", None)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: transforms.align(_clip(Skeleton.from_edges([(0, 1)]))), "'custom' has no torso joints; give torso="),
        (lambda: transforms.align(_clip(KINECT, 2)), "clip 'wave' has C=2 channels"),
        (lambda: transforms.crop(_clip(KINECT), 2, 3), r"clip 'wave': frames 2\.\.5 asked for, it has 4"),
        (lambda: transforms.pad(_clip(KINECT), 3), "clip 'wave' has 4 frames, more than 3; crop or resample"),
        (lambda: transforms.pad(_clip(KINECT), 9, "mirror"), "'mirror'; choose 'zero', 'loop' or 'edge'"),
        (lambda: transforms.resample(_clip(KINECT), 0), "num_frames=0, needed at least 1"),
        (lambda: transforms.rotate(_clip(KINECT), 5.0, "t"), "axis='t'; choose"),
        (lambda: transforms.rotate(_clip(KINECT, 2), 5.0), r"a \(3, 3\) matrix cannot act on C=2"),
        (lambda: transforms.random_view(_clip(KINECT, 2), np.random.default_rng(0), 9, 9), "train with turn=0, tilt=0"),
    ],
)
def test_errors_say_what_was_found_and_needed(call, message):
    with pytest.raises(ValueError, match=message):
        call()
