from dataclasses import replace

import numpy as np
import pytest
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from synthetic_cases import ARM_JOINTS, ARMS, SIDES, STILL, V, in_body_axes, same_clip

from lib.datasets import synthetic


@pytest.fixture(scope="module")
def clips():
    return synthetic.make(200, seed=3)


def test_same_seed_same_clips_another_seed_others(clips):
    again = synthetic.make(200, seed=3)
    np.testing.assert_array_equal(again.frames, clips.frames)
    np.testing.assert_array_equal(again.truth, clips.truth)
    other = synthetic.make(1, seed=4)[0]
    assert other.x.shape != clips[0].x.shape or not np.array_equal(other.x, clips[0].x)


def test_small_set_is_the_beginning_of_a_large_one(clips):
    few = synthetic.make(37, seed=3)
    assert few.names == clips.names[:37]
    np.testing.assert_array_equal(few.frames, clips.frames[: len(few.frames)])
    for column in ("labels", "subjects", "views", "lengths", "starts", "num_persons"):
        np.testing.assert_array_equal(getattr(few, column), getattr(clips, column)[:37])


@pytest.mark.parametrize("num_clips", [1, 20, 37, 200])
def test_every_prefix_is_balanced(clips, num_clips):
    counts = np.bincount(clips.labels[:num_clips], minlength=20)
    assert counts.max() - counts.min() <= 1


def test_lengths_persons_and_columns(clips):
    assert len(set(clips.lengths.tolist())) > 40
    assert clips.lengths.min() >= 30
    assert clips.lengths.max() <= 120
    assert clips.fps == 30.0
    pairs = {synthetic.CLASSES.index(name) for name in synthetic.FAMILIES["two persons"][0]}
    np.testing.assert_array_equal(clips.num_persons == 2, np.isin(clips.labels, list(pairs)))
    assert set(clips.views.tolist()) == {0, 1, 2}
    assert len(set(clips.subjects.tolist())) == synthetic.NUM_SUBJECTS
    assert len(clips.class_names) >= 16


def test_splits_share_no_subject_view_or_clip():
    train, test = synthetic.make(100, split="train"), synthetic.make(100, split="test")
    assert set(train.subjects % 2) == {1}
    assert set(test.subjects % 2) == {0}
    assert set(train.views) == {0, 1}
    assert set(test.views) == {2}
    assert not set(train.names) & set(test.names)


def test_a_subject_is_the_same_body_in_every_split():
    train = synthetic.make(60, split="train", config=STILL)
    everyone = synthetic.make(60, config=STILL)
    size = {}
    for clip, subject in [*zip(train, train.subjects, strict=True), *zip(everyone, everyone.subjects, strict=True)]:
        if clip.x.shape[1] == 1:  # in pairs either slot may hold the actor
            shin = np.linalg.norm(clip.x[0, 0, V["left_knee"]] - clip.x[0, 0, V["left_ankle"]])
            assert size.setdefault(int(subject), shin) == pytest.approx(shin, abs=3e-4)
    assert len(size) > 10


def test_truth_is_what_the_action_moved():
    # Any two single-person actions at one position: coordinates, noise included, differ inside either truth only.
    for config in (STILL, synthetic.SyntheticConfig()):
        singles = [name for name in synthetic.CLASSES if name not in synthetic.FAMILIES["two persons"][0]]
        for names in (singles, synthetic.FAMILIES["two persons"][0]):
            performances = same_clip(*names, config=config, num_clips=4, seed=5)
            for a, b in zip(performances, performances[1:] + performances[:1], strict=True):
                either = a.truth | b.truth
                np.testing.assert_array_equal(a.frames[~either], b.frames[~either])
                only = a.truth & ~b.truth
                apart = np.abs(a.frames - b.frames).max(axis=-1)[only]
                assert only.sum() == 0 or np.mean(apart > 0.002) > 0.85  # an action starts slowly


def test_truth_names_the_joints_of_the_action():
    moved = {}
    for name in synthetic.CLASSES:
        clip = synthetic.make(1, actions=(name,), config=STILL)[0]
        assert clip.truth.shape == clip.x.shape[:3]
        moved[name] = [
            {clip.skeleton.joints[v] for v in np.flatnonzero(t.any(axis=0))} for t in clip.truth.swapaxes(0, 1)
        ]
    right = {f"right_{j}" for j in ("elbow", "wrist", "hand", "hand_tip", "thumb")}
    left = {name.replace("right", "left") for name in right}
    assert moved["wave_right"] == moved["drink_right"] == moved["swipe_outward_right"] == [right]
    assert moved["wave_left"] == [left]
    assert moved["clap"] == [left | right]
    assert moved["kick_left"] == [{"left_knee", "left_ankle", "left_foot"}]
    still = {f"{s}_{j}" for s in SIDES for j in ("ankle", "foot")}
    assert moved["sit_down"] == moved["pick_up"] == [set(V) - still]
    assert moved["handshake"] == moved["hand_over"] == [right, right]
    assert right in moved["punch"]
    assert left | right in moved["push"]


def test_truth_is_inside_and_around_idle_frames(clips):
    for clip in clips:
        frames = clip.truth.any(axis=(1, 2))
        assert 12 <= frames.sum() < clip.length
        assert clip.truth.any(axis=(0, 2)).sum() >= 1


def test_nothing_outside_the_truth_tells_the_class():
    # Arm actions of 300 + 300 clips: what legs, trunk and head do, and what all joints do before the action starts.
    rest = np.setdiff1d(np.arange(25), ARM_JOINTS)
    scores = []
    for part in ("other joints", "other frames"):
        features, labels = [], []
        for clips in (synthetic.make(300, actions=ARMS, seed=seed) for seed in (0, 1)):
            rows = []
            for clip in clips:
                x = in_body_axes(clip)[:, 0]
                first = np.flatnonzero(clip.truth.any(axis=(1, 2)))[0]
                x = x[:, rest] if part == "other joints" else x[:first]
                rows.append(np.concatenate([x.mean(axis=0).ravel(), x.std(axis=0).ravel(), [first]]))
            features.append(np.array(rows))
            labels.append(clips.labels)
        model = LinearDiscriminantAnalysis(solver="lsqr", shrinkage=0.1).fit(features[0], labels[0])
        scores.append(model.score(features[1], labels[1]))
    assert max(scores) < 0.16  # chance 0.10, standard error 0.017


def test_nearest_neighbour_is_not_enough():
    def features(clips, frames=20):
        rows = []
        for clip in clips:
            x = in_body_axes(clip)
            at = np.linspace(0, len(x) - 1, frames).round().astype(int)
            both = np.zeros((frames, 2, 25, 3))
            both[:, : x.shape[1]] = x[at]
            rows.append(both.ravel())
        return np.array(rows)

    train, test = synthetic.make(400, split="train"), synthetic.make(200, split="test")
    a, b = features(train), features(test)
    nearest = ((a**2).sum(axis=1) - 2 * b @ a.T).argmin(axis=1)
    accuracy = (train.labels[nearest] == test.labels).mean()
    assert 0.3 < accuracy < 0.75


def test_frozen_joints_show_the_truth_of_the_frame_they_froze_at():
    config = replace(synthetic.SyntheticConfig(), noise=0.0, dropouts=40.0)
    clip, calm = (
        synthetic.make(1, actions=("wave_right",), config=c)[0] for c in (config, replace(config, dropouts=0.0))
    )
    frozen = (np.diff(clip.x, axis=0) == 0).all(axis=-1)  # (T-1, M, V)
    assert frozen.any()
    np.testing.assert_array_equal(clip.truth[1:][frozen], clip.truth[:-1][frozen])
    assert not np.array_equal(clip.x, calm.x)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"split": "validation"}, "'train' or 'test'"),
        ({"actions": ("wave",)}, "wave_right"),
        ({"actions": ("clap", "clap")}, "each once"),
        ({"actions": ()}, "at least one"),
        ({"num_clips": 0}, "num_clips=0"),
        ({"seed": -1}, "seed=-1"),
    ],
)
def test_bad_arguments_say_what_was_needed(change, message):
    with pytest.raises(ValueError, match=message):
        synthetic.make(**({"num_clips": 2} | change))


@pytest.mark.parametrize(
    "change", [{"noise": -1.0}, {"sway": np.nan}, {"action_frames": (5, 20)}, {"distractors": 9.0}]
)
def test_bad_configurations_are_refused(change):
    with pytest.raises(ValueError, match=next(iter(change))):
        synthetic.SyntheticConfig(**change)


def test_values_are_the_ones_of_every_machine():
    # Stored at the set's making. A change here changes every published number on `synthetic`.
    clips = synthetic.make(40, seed=7)
    assert clips.frames.shape == (3690, 25, 3)
    assert clips.truth.sum() == 18245
    assert clips.labels[:5].tolist() == [9, 17, 15, 2, 6]
    assert clips.subjects[:5].tolist() == [13, 9, 18, 14, 6]
    assert clips.views[:5].tolist() == [0, 0, 2, 2, 2]
    assert clips.lengths[:5].tolist() == [80, 79, 80, 104, 59]
    last_bit = 1.5e-4  # coordinates are rounded to 1e-4; mathematical libraries may fall on either side
    np.testing.assert_allclose(clips[0].x[0, 0, V["right_hand"]], [0.1846, -0.1167, 2.5682], atol=last_bit)
    np.testing.assert_allclose(clips[39].x[-1, 0, V["head"]], [0.1116, 0.8671, 2.9728], atol=last_bit)
    mean = clips.frames.mean(axis=(0, 1), dtype=np.float64)
    np.testing.assert_allclose(mean, [-0.05330, -0.18626, 2.84495], atol=2e-5)
