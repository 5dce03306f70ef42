"""Exponential maps: to rotations, across the jump at pi, and down the bones."""

import numpy as np
import oracles_cmu
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from lib import skeletons
from lib.datasets.expmaps import chain, continued, rotations

MAPS = arrays(np.float64, (5, 3), elements=st.floats(-7, 7))


@given(MAPS)
def test_rotations_match_scipy(expmaps):
    expected = [oracles_cmu.rotation(expmap) for expmap in expmaps]
    np.testing.assert_allclose(rotations(expmaps), expected, atol=1e-12)


@pytest.mark.parametrize("angle", [0.0, 1e-300, 1e-160, 1e-16, 1e-8, np.pi, 2 * np.pi])
def test_no_angle_is_too_small_or_too_large(angle):
    expmaps = angle * np.eye(3)
    np.testing.assert_allclose(rotations(expmaps), [oracles_cmu.rotation(e) for e in expmaps], atol=1e-15)
    if angle == 0:
        assert (rotations(expmaps) == np.eye(3)).all()


def test_rotations_keep_lengths_and_hands_and_any_shape(rng):
    turned = rotations(rng.normal(size=(2, 4, 5, 3)))
    assert turned.shape == (2, 4, 5, 3, 3)
    np.testing.assert_allclose(turned @ turned.swapaxes(-1, -2), np.broadcast_to(np.eye(3), turned.shape), atol=1e-12)
    np.testing.assert_allclose(np.linalg.det(turned), 1, atol=1e-12)


@given(MAPS)
def test_continuing_a_map_keeps_its_rotations_and_comes_as_near_as_can_be(expmaps):
    smooth = continued(expmaps)
    np.testing.assert_allclose(rotations(smooth), rotations(expmaps), atol=1e-9)
    np.testing.assert_array_equal(smooth[0], expmaps[0])
    lengths = np.linalg.norm(expmaps, axis=1)
    for t in range(1, len(expmaps)):
        if lengths[t] > 1e-6:
            turns = 2 * np.pi * np.arange(-4, 5)[:, None] * expmaps[t] / lengths[t]
            nearest = np.linalg.norm(expmaps[t] + turns - smooth[t - 1], axis=1).min()
            assert np.linalg.norm(smooth[t] - smooth[t - 1]) <= nearest + 1e-6


def test_a_body_that_turns_three_times_has_no_jump():
    turn = np.linspace(0, 6 * np.pi, 400)
    wrapped = np.zeros((400, 3))
    wrapped[:, 1] = (turn + np.pi) % (2 * np.pi) - np.pi
    assert np.abs(np.diff(wrapped, axis=0)).max() > 6
    np.testing.assert_allclose(continued(wrapped)[:, 1], turn, atol=1e-9)


def test_the_chain_matches_a_walk_from_each_joint_to_the_root(rng):
    parents = skeletons.get("cmu31").parents
    turned, offsets, root = rotations(rng.normal(size=(4, 31, 3))), rng.normal(size=(31, 3)), rng.normal(size=(4, 3))
    found = chain(root, turned, offsets, parents)
    expected = [oracles_cmu.positions(*frame, offsets, parents) for frame in zip(root, turned, strict=True)]
    np.testing.assert_allclose(found, expected, atol=1e-12)
    bones = np.linalg.norm(found - found[:, parents], axis=-1)[:, 1:]
    np.testing.assert_allclose(bones, np.broadcast_to(np.linalg.norm(offsets[1:], axis=1), bones.shape), rtol=1e-12)


def test_the_chain_wants_parents_first():
    with pytest.raises(ValueError, match="joint 1 stands before its parent 2"):
        chain(np.zeros((1, 3)), np.zeros((1, 3, 3, 3)), np.zeros((3, 3)), np.array([0, 2, 0]))
