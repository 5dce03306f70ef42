"""CMU motion capture as downloaded: the recordings, and bodies that stand, walk and fall as bodies do."""

import numpy as np
import oracles_cmu
import pytest
from scipy.spatial.transform import Rotation

from lib import skeletons
from lib.datasets import _cmu_bodies, _cmu_files, cmu
from lib.datasets.cmu import drop_constant, joint_positions

JOINT = skeletons.get("cmu31").joints.index


@pytest.fixture(scope="module")
def actions(downloads):
    return cmu.recordings("cmu_mocap", downloads)


@pytest.fixture(scope="module")
def trials(downloads):
    return cmu.recordings("cmu_subject86", downloads)


@pytest.fixture(scope="module")
def bodies(actions, trials):
    return {recording.name: joint_positions(recording) for recording in (*actions, *trials)}


@pytest.mark.real_data
def test_real_archives_have_their_recordings_and_moving_channels(actions, trials):
    assert len(actions) == 32
    assert [len(trial) for trial in trials] == [4579, 8401, 8340, 8702, 4794, 7583, 5674]
    for found, moving in ((actions, 68), (trials, 62)):
        kept = drop_constant(found, found)
        assert kept[0].channels.shape[1] == moving
        assert all(np.abs(np.diff(recording.channels[:, 3:6], axis=0)).max() < 2 for recording in found)
    assert [len(trial.segments) for trial in trials] == [7, 9, 11, 10, 6, 6, 7]


@pytest.mark.real_data
def test_no_recording_shares_a_frame_with_another(actions, trials):
    seen = {}
    for recording in (*actions, *trials):
        for row in recording.channels:
            assert seen.setdefault(row.tobytes(), recording.name) == recording.name


@pytest.mark.real_data
def test_the_first_frame_of_trial_09_is_that_of_another_conversion(trials):
    """Angles about z, y, x of ``86_09.bvh``, frame 1 (B. Hahne's BVH conversion of the database)."""
    trial = next(trial for trial in trials if trial.name == "86_09")
    maps = trial.channels[0, 3:].astype(np.float64).reshape(31, 3)
    axes = _cmu_bodies.SUBJECT_86_AXES
    for bone, degrees in {
        "root": (-5.7295, 76.2319, 3.9438),
        "lfemur": (-19.4305, -6.6973, -9.0525),
        "rfoot": (0.2057, 8.0207, 3.3482),
        "lhumerus": (-85.4069, -1.8718, 27.8430),
        "lradius": (17.4554, -27.4542, -4.2952),
        "rthumb": (1.8579, 3.8635, 1.9799),
    }.items():
        own = axes[JOINT(bone)]
        found = Rotation.from_matrix(own @ oracles_cmu.rotation(-maps[JOINT(bone)]) @ own.T)
        np.testing.assert_allclose(found.as_euler("ZYX", degrees=True), degrees, atol=2e-4)


@pytest.mark.real_data
def test_walking_4_is_trial_07_01_of_another_conversion(actions):
    """Angles about z, y, x of ``07_01.bvh``, frame 1; the root's were put together in another order."""
    walk = next(recording for recording in actions if recording.name == "walking_4")
    maps = walk.channels[0, 3:].astype(np.float64).reshape(38, 3)
    np.testing.assert_allclose(walk.channels[0, :3], [8.8721, 15.7511, -31.7081], rtol=1e-6)
    for node, degrees in {"root": (3.7012, 4.9122, 5.5217), "lfemur": (-21.1091, 17.2139, 20.1408)}.items():
        found = Rotation.from_matrix(oracles_cmu.rotation(-maps[_cmu_files.NODES.index(node)]))
        np.testing.assert_allclose(found.as_euler("ZYX", degrees=True), degrees, atol=2e-4)


@pytest.mark.real_data
def test_bones_keep_their_lengths(bodies):
    parents = skeletons.get("cmu31").parents
    for name, x in bodies.items():
        bones = np.linalg.norm(x - x[:, parents], axis=-1)
        assert np.ptp(bones, axis=0).max() < 1e-5, name  # float32 at ten metres from the origin


@pytest.mark.real_data
def test_bodies_stand_on_the_floor_and_have_the_size_of_people(bodies):
    feet = [JOINT(joint) for joint in ("lfoot", "rfoot", "ltoes", "rtoes")]
    for name, x in bodies.items():
        lowest = x[:, feet, 1].min(axis=1)
        assert -0.1 < np.percentile(lowest, 1) < 0.12, name
        assert 1.45 < np.median(x[:, JOINT("head"), 1]) < 1.8, name
        order = [JOINT(joint) for joint in ("head", "upperneck", "thorax", "lowerback", "ltibia")]
        assert (np.diff(np.median(x[:, order, 1], axis=0)) < 0).all(), name


# Share of a body's mass, the joints it lies between, and how far from the first (Winter 2009, table 4.1).
MASSES = [(0.497, "root", "lowerneck", 0.5), (0.081, "lowerneck", "head", 0.5)]
for side in "lr":
    MASSES += [
        (0.1, f"{side}hipjoint", f"{side}femur", 0.433),
        (0.0465, f"{side}femur", f"{side}tibia", 0.433),
        (0.0145, f"{side}tibia", f"{side}foot", 0.5),
        (0.028, f"{side}clavicle", f"{side}humerus", 0.436),
        (0.016, f"{side}humerus", f"{side}wrist", 0.43),
        (0.006, f"{side}wrist", f"{side}fingers", 0.506),
    ]


@pytest.mark.real_data
def test_a_jumping_body_falls_as_things_fall(bodies):
    """Settles unit and rate at once: the centre of mass falls at 9.81 metres per second squared."""
    feet = [JOINT(joint) for joint in ("lfoot", "rfoot", "ltoes", "rtoes")]
    for number in (1, 3, 4, 5):  # one flight each
        x = bodies[f"jumping_{number}"].astype(np.float64)
        center = sum(m * ((1 - share) * x[:, JOINT(a)] + share * x[:, JOINT(b)]) for m, a, b, share in MASSES)
        height = x[:, feet, 1].min(axis=1)
        aloft = np.flatnonzero(height > np.percentile(height, 10) + 0.06)
        assert len(aloft) > 40
        assert (np.diff(aloft) == 1).all()
        g = 2 * np.polyfit(np.arange(len(aloft)) / 120, center[aloft, 1], 2)[0]
        assert abs(g + 9.81) < 0.2


@pytest.mark.real_data
def test_walking_bodies_face_where_they_go_with_their_left_on_the_left(bodies):
    for number in range(1, 6):
        x = bodies[f"walking_{number}"].astype(np.float64)
        velocity = np.gradient(x[:, 0], axis=0)[:, [0, 2]]
        toes = (x[:, JOINT("ltoes")] - x[:, JOINT("lfoot")] + x[:, JOINT("rtoes")] - x[:, JOINT("rfoot")])[:, [0, 2]]
        assert np.median((velocity * toes).sum(axis=1)) > 0
        left = (x[:, JOINT("lhipjoint")] - x[:, JOINT("rhipjoint")])[:, [0, 2]]
        to_the_left = np.stack([velocity[:, 1], -velocity[:, 0]], axis=1)  # y up times forward
        assert ((left * to_the_left).sum(axis=1) > 0).mean() > 0.95
        ankles = np.linalg.norm(x[:, JOINT("ltibia")] - x[:, JOINT("rtibia")], axis=-1)
        assert ankles.max() > 0.4 > 0.25 > ankles.min()  # legs swing


@pytest.mark.real_data
def test_a_body_that_jumps_on_its_left_leg_has_the_right_one_up(bodies, trials):
    trial = next(trial for trial in trials if trial.name == "86_03")
    for segment in trial.segments:
        if segment.name.startswith("jump_on_"):
            x = bodies["86_03"][segment.start + 60 : segment.stop - 60]
            lead = np.median(x[:, JOINT("rfoot"), 1] - x[:, JOINT("lfoot"), 1])
            assert lead > 0.1 if segment.name == "jump_on_left_leg" else lead < -0.1
