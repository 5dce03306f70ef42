"""Bodies of the synthetic set move as bodies do, and actions as their names say."""

from dataclasses import replace

import numpy as np
import pytest
from synthetic_cases import SIDES, STILL, V, in_body_axes, same_clip, window

from lib import skeletons
from lib.datasets import _body, synthetic


def test_bones_keep_their_length_without_noise():
    clips = synthetic.make(60, config=STILL)
    ends = np.array(clips.skeleton.edges)
    for clip in clips:
        bones = np.linalg.norm(clip.x[:, :, ends[:, 0]] - clip.x[:, :, ends[:, 1]], axis=-1)
        np.testing.assert_allclose(bones, np.broadcast_to(bones[:1], bones.shape), atol=3e-4)  # rounded to 1e-4
        assert bones.min() > 0.02


@pytest.mark.parametrize("limb", [("shoulder", "elbow", "wrist"), ("hip", "knee", "ankle")])
def test_elbows_and_knees_fold_to_150_degrees_at_most(limb):
    for clip in synthetic.make(100, config=STILL):
        for side in SIDES:
            near, middle, far = (clip.x[:, :, V[f"{side}_{name}"]] for name in limb)
            a, b = near - middle, far - middle
            cosine = (a * b).sum(-1) / np.linalg.norm(a, axis=-1) / np.linalg.norm(b, axis=-1)
            assert cosine.max() < np.cos(np.deg2rad(29.5))


def test_knees_bend_forward():
    for clip in synthetic.make(100, config=STILL):
        for m in range(clip.x.shape[1]):
            for side in SIDES:
                hip, knee, ankle, foot = (clip.x[:, m, V[f"{side}_{j}"]] for j in ("hip", "knee", "ankle", "foot"))
                level = np.abs(foot[:, 1] - ankle[:, 1]) < 0.15  # not the kicking foot in the air
                toes = (foot - ankle) * np.array([1, 0, 1])
                outwards = ((knee - (hip + ankle) / 2) * toes).sum(-1)
                assert (outwards[level] > 0).all()


def test_one_foot_stands_on_the_floor_and_pelvis_stays_above_it():
    for clip in synthetic.make(100, config=STILL):
        ankles = clip.x[:, :, [V["left_ankle"], V["right_ankle"]], 1]
        floor = ankles.min(axis=(0, 2))
        assert (ankles.min(axis=2) - floor).max() < 2e-3
        assert (clip.x[:, :, V["spine_base"], 1] - floor).min() > 0.2


def test_sitting_lowers_the_pelvis_to_knee_height_and_stooping_brings_the_hand_down():
    sit, pick = same_clip("sit_down", "pick_up", num_clips=20)
    for clip in sit:
        drop = clip.x[-1, 0, V["left_hip"], 1] - clip.x[-1, 0, V["left_knee"], 1]
        assert abs(drop) < 0.12
    for clip in pick:
        hand = clip.x[:, 0, V["right_hand"], 1] - clip.x[:, 0, V["left_ankle"], 1].min()
        assert hand.min() < 0.45
        assert hand[-1] > 0.6


@pytest.mark.parametrize(("a", "b"), synthetic.FAMILIES["mirrored"])
def test_left_and_right_are_mirrors(a, b):
    left, right = (in_body_axes(clips[0]) for clips in same_clip(a, b, config=synthetic.QUIET))
    mirrored = right[:, :, skeletons.get("ntu25").mirror] * np.array([-1, 1, 1])
    np.testing.assert_allclose(left, mirrored, atol=1e-3)  # two roundings and a rotation


@pytest.mark.parametrize(("a", "b"), synthetic.FAMILIES["reversed"])
def test_reversed_actions_are_reversals(a, b):
    start, stop = window(a, synthetic.QUIET)
    forth, back = (clips[0].x[start:stop] for clips in same_clip(a, b, config=synthetic.QUIET))
    np.testing.assert_allclose(forth, back[::-1], atol=2e-4)
    assert np.abs(forth - back).max() > 0.2


@pytest.mark.parametrize(("fast", "slow"), synthetic.FAMILIES["same joints, another rhythm"])
def test_rhythms_differ_and_joints_do_not(fast, slow):
    config = replace(synthetic.QUIET, action_frames=(60, 60))
    turns = []
    for clips in same_clip(fast, slow, config=config, num_clips=10):
        wrist = [np.diff(clip.x[:, 0, V["right_wrist"], 0]) for clip in clips]
        turns.append(np.mean([(np.diff(np.sign(speed[np.abs(speed) > 2e-3])) != 0).sum() for speed in wrist]))
    assert turns[0] > turns[1] + 1.5
    a, b = (clips[0].truth for clips in same_clip(fast, slow, config=config))
    np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("sign", [-1, 1])
def test_two_bones_end_where_they_should(rng, sign):
    upper, lower = rng.uniform(0.2, 0.5, size=(2, 50))
    distance = (upper + lower) * rng.uniform(0.75, 0.99, size=50)
    reach = rng.normal(size=(50, 3))
    reach *= (distance / np.linalg.norm(reach, axis=1))[:, None]
    frame, angle = _body.two_bone(reach, rng.normal(size=(50, 3)), upper, lower, sign=sign)
    np.testing.assert_allclose(frame @ frame.transpose(0, 2, 1), np.tile(np.eye(3), (50, 1, 1)), atol=1e-12)
    np.testing.assert_allclose(np.linalg.det(frame), 1.0, atol=1e-12)
    down = np.array([0.0, -1.0, 0.0])
    end = upper[:, None] * (frame @ down) + lower[:, None] * (frame @ _body.turn(0, angle) @ down)
    np.testing.assert_allclose(end, reach, atol=1e-12)
    assert (sign * angle > 0).all()


def test_forward_kinematics_equals_a_walk_along_the_parents(rng):
    rows, joints = 3, len(_body.SKELETON)
    angles = rng.normal(size=(joints, rows))
    rotations = {v: _body.turn(v % 3, angles[v]) for v in range(1, joints)}
    offsets = rng.normal(size=(rows, joints, 3))
    positions, frames = np.zeros((rows, joints, 3)), np.tile(np.eye(3), (rows, joints, 1, 1))
    _body.forward_kinematics(positions, frames, rotations, offsets, _body.ORDER[1:])
    for v in range(1, joints):
        chain = [v]
        while (parent := _body.PARENTS[chain[0]]) != V["spine_base"]:
            chain.insert(0, int(parent))
        for row in range(rows):
            frame, position = np.eye(3), np.zeros(3)
            for joint in chain:
                frame = frame @ rotations[joint][row]
                position = position + frame @ offsets[row, joint]
            np.testing.assert_allclose(positions[row, v], position, atol=1e-12)


def test_the_loudest_configuration_is_still_a_body():
    config = synthetic.SyntheticConfig(noise=0.0, dropouts=0.0, distractors=2.0, sway=3.0, tilt=0.0)
    clips = synthetic.make(60, config=config)  # ClipSet refuses coordinates that are not finite
    for clip in clips:
        ankles = clip.x[:, :, [V["left_ankle"], V["right_ankle"]], 1]
        assert (ankles.min(axis=2) - ankles.min(axis=(0, 2))).max() < 2e-3
