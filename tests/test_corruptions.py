"""Spoiled clips: what is lost, what stays, and that higher levels only add."""

from dataclasses import replace

import numpy as np
import oracles_corruptions as oracles
import pytest
from clip_cases import KINECT, clips
from hypothesis import given
from hypothesis import strategies as st

from lib import corruptions, datasets, skeletons, transforms
from lib.clips import Clip
from lib.corruptions import CORRUPTIONS
from lib.skeletons import Skeleton

SHARES = ("joint_dropout", "frame_dropout", "limb_occlusion")


seeds = st.integers(0, 2**32 - 1)
steps = st.integers(0, 4)


def spoil(clip, name, level, seed):
    return CORRUPTIONS[name].apply(clip, np.random.default_rng(seed), level)


@pytest.mark.parametrize("name", CORRUPTIONS)
@given(clip=clips(), step=steps, seed=seeds)
def test_padding_absent_persons_and_input_stay(name, clip, step, seed):
    before, truth = clip.x.copy(), clip.truth.copy()
    after = spoil(clip, name, CORRUPTIONS[name].levels[step], seed)
    np.testing.assert_array_equal(clip.x, before)
    np.testing.assert_array_equal(clip.truth, truth)
    assert after.x.dtype == np.float32
    assert (after.x.shape, after.length, after.fps, after.label) == (clip.x.shape, clip.length, clip.fps, clip.label)
    assert not after.x[after.length :].any()
    assert not after.x[:, ~after.present].any()
    assert after.truth.shape == clip.truth.shape


@pytest.mark.parametrize("name", CORRUPTIONS)
@given(clip=clips(), seed=seeds)
def test_level_0_changes_nothing(name, clip, seed):
    after = spoil(clip, name, 0.0, seed)
    np.testing.assert_allclose(after.x, clip.x, atol=1e-7)
    np.testing.assert_array_equal(after.truth, clip.truth)


@pytest.mark.parametrize("name", CORRUPTIONS)
@given(clip=clips(), step=steps, seed=seeds, more=st.integers(1, 4))
def test_padding_changes_no_draw(name, clip, step, seed, more):
    level = CORRUPTIONS[name].levels[step]
    longer = transforms.pad(clip, len(clip.x) + more)
    after = spoil(longer, name, level, seed)
    np.testing.assert_array_equal(after.x[: len(clip.x)], spoil(clip, name, level, seed).x)


@pytest.mark.parametrize("name", SHARES)
@given(clip=clips(), seed=seeds, low=st.floats(0, 1), high=st.floats(0, 1))
def test_a_higher_share_spoils_all_that_a_lower_one_does(name, clip, seed, low, high):
    low, high = sorted((low, high))
    clip = replace(clip, truth=np.ones_like(clip.truth))
    if name == "frame_dropout":
        clip = replace(clip, x=np.arange(len(clip.x), dtype=np.float32)[:, None, None, None] + np.zeros_like(clip.x))
        clip = replace(clip, length=len(clip.x), present=np.ones_like(clip.present))
        moved = [(spoil(clip, name, share, seed).x != clip.x).any(axis=-1) for share in (low, high)]
    else:
        moved = [~spoil(clip, name, share, seed).truth for share in (low, high)]
    assert not (moved[0] & ~moved[1]).any()


@given(clips(), seeds)
def test_noise_grows_with_its_sigma_alone(clip, seed):
    one, two = (spoil(clip, "joint_noise", sigma, seed).x - clip.x for sigma in (0.01, 0.02))
    np.testing.assert_allclose(two, 2 * one, atol=1e-5)


def test_noise_has_the_standard_deviation_that_was_asked_for(rng):
    x = rng.normal(size=(400, 1, 20, 3)).astype(np.float32)
    clip = Clip(x, 400, np.array([True]), KINECT, 30.0, 0, "clip")
    added = spoil(clip, "joint_noise", 0.04, 1).x - x
    assert added.std() == pytest.approx(0.04, rel=0.02)  # 24,000 numbers: standard error 0.5 %
    assert abs(added.mean()) < 0.001


@given(clips(), st.floats(0, 1), seeds)
def test_lost_joints_match_the_oracle(clip, share, seed):
    lost = np.random.default_rng(seed).random(clip.x.shape[:3]) < share
    wanted = oracles.joint_dropout(clip.x.tolist(), lost, KINECT.center)
    np.testing.assert_allclose(spoil(clip, "joint_dropout", share, seed).x, wanted, rtol=1e-6)


@given(clips(), st.floats(0, 1), seeds)
def test_lost_frames_match_the_oracle(clip, share, seed):
    lost = np.random.default_rng(seed).random(clip.length) < share
    after = spoil(clip, "frame_dropout", share, seed)
    np.testing.assert_array_equal(after.x[: clip.length], oracles.frame_dropout(list(clip.x[: clip.length]), lost))


@given(clips(), st.floats(0, 1), seeds)
def test_hidden_limb_is_one_run_of_one_limb_at_its_root(clip, share, seed):
    clip = replace(clip, truth=np.ones_like(clip.truth))
    after = spoil(clip, "limb_occlusion", share, seed)
    hidden = ~after.truth
    frames, joints = (np.flatnonzero(hidden.any(axis=axes)) for axes in ((1, 2), (0, 1)))
    assert len(frames) == round(share * clip.length)
    if len(frames):
        assert frames[-1] - frames[0] + 1 == len(frames)
        roots = [
            r for r in KINECT.torso if oracles.hanging_from(KINECT.edges, KINECT.center, KINECT.torso, r) == set(joints)
        ]
        assert len(roots) == 1
        assert hidden.sum() == len(frames) * clip.x.shape[1] * len(joints)
        at_root = np.broadcast_to(clip.x[frames][:, :, roots], (len(frames), clip.x.shape[1], len(joints), 3))
        np.testing.assert_array_equal(after.x[frames][:, :, joints], at_root)


@pytest.mark.parametrize("name", [name for name, layout in skeletons.LAYOUTS.items() if layout.torso is not None])
def test_limbs_are_what_hangs_from_hips_and_shoulders(name):
    skeleton = skeletons.get(name)
    found = corruptions.limbs(skeleton)
    assert [root for root, _ in found] == list(skeleton.torso)
    for root, hidden in found:
        assert set(hidden) == oracles.hanging_from(skeleton.edges, skeleton.center, skeleton.torso, root)
    assert len({v for _, hidden in found for v in hidden}) == sum(len(hidden) for _, hidden in found)


@given(clips(), st.floats(0, 180), seeds)
def test_view_turns_match_the_oracle_to_one_side(clip, degrees, seed):
    after = spoil(clip, "view_turn", degrees, seed).x
    sides = [[[oracles.turned(p, s * degrees) for p in person] for person in clip.x[0].tolist()] for s in (1, -1)]
    assert min(np.abs(after[0] - np.array(side)).max() for side in sides) < 1e-5


def test_both_sides_occur():
    x = np.ones((1, 1, 20, 3), np.float32)
    clip = Clip(x, 1, np.array([True]), KINECT, 30.0, 0, "clip")
    assert len({spoil(clip, "view_turn", 30.0, seed).x[0, 0, 0, 2].item() for seed in range(20)}) == 2


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_a_clip_is_spoiled_alike_whatever_stands_beside_it(name):
    whole = datasets.load("synthetic", limit=6, split="test")
    level = CORRUPTIONS[name].levels[2]
    spoiled = corruptions.corrupt(whole, name, level, seed=3)
    alone = corruptions.corrupt(whole.subset([4]), name, level, seed=3)
    np.testing.assert_array_equal(spoiled[4].x, alone[0].x)
    assert not np.array_equal(spoiled[4].x, whole[4].x)
    assert not np.array_equal(corruptions.corrupt(whole, name, level, seed=4).frames, spoiled.frames)
    np.testing.assert_array_equal(spoiled.lengths, whole.lengths)


def test_conditions_are_read_from_text():
    found = corruptions.conditions("view_turn, joint_noise", "5 1")
    assert [(c.corruption, c.step, c.level) for c in found] == [
        ("view_turn", 1, 15.0),
        ("view_turn", 5, 90.0),
        ("joint_noise", 1, 0.01),
        ("joint_noise", 5, 0.16),
    ]
    assert found[0].unit == "degrees"
    assert all(len(set(c.levels)) == 5 and sorted(c.levels) == list(c.levels) for c in CORRUPTIONS.values())


def _clip(skeleton=KINECT, channels=3):
    x = np.ones((4, 1, len(skeleton), channels), dtype=np.float32)
    return Clip(x, 4, np.array([True]), skeleton, 30.0, 0, "wave", None)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: spoil(_clip(), "joint_noise", -0.1, 0), r"clip 'wave': sigma=-0\.1; needed metres, at least 0"),
        (lambda: spoil(_clip(), "joint_noise", float("nan"), 0), "clip 'wave': sigma=nan"),
        *((lambda n=name: spoil(_clip(), n, 1.2, 0), r"'wave': share=1\.2; needed between 0 and 1") for name in SHARES),
        (lambda: spoil(_clip(channels=2), "view_turn", 5.0, 0), r"a \(3, 3\) matrix cannot act on C=2"),
        (lambda: spoil(_clip(Skeleton.from_edges([(0, 1)])), "limb_occlusion", 0.5, 0), "'custom' has no limbs; give"),
        (lambda: corruptions.conditions("fog", "1"), r"corruptions='fog'; needed names from \['joint_noise'"),
        (lambda: corruptions.conditions("joint_noise joint_noise", "1"), "each once"),
        (lambda: corruptions.conditions("joint_noise", "0 1"), "levels='0 1'; needed numbers from 1"),
        (lambda: corruptions.conditions("joint_noise", ""), "levels=''"),
        (lambda: corruptions.corrupt(datasets.load("synthetic", limit=1), "fog", 1.0), "no corruption 'fog'; choose"),
        *(
            (lambda n=name, v=value: corruptions.corrupt(datasets.load("synthetic", limit=1), n, v), f"{name}: level=")
            for name, value in (("view_turn", float("nan")), ("joint_noise", float("inf")))
        ),
    ],
)
def test_errors_say_what_was_found_and_needed(call, message):
    with pytest.raises(ValueError, match=message):
        call()
