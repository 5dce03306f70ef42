"""CMU motion capture: channels, segments, held-out recordings, and bodies that stand, walk and fall as bodies do."""

import numpy as np
import oracles_cmu
import pytest
from cmu_cases import SEGMENTS, TIPS, action_rows, mocap_files, subject86_files, text
from dataset_cases import read, write_zip
from scipy.spatial.transform import Rotation

from lib import skeletons
from lib.datasets import DatasetError, _cmu_bodies, _cmu_files, cmu
from lib.datasets.cmu import Recording, Segment, drop_constant, joint_positions

JOINT = skeletons.get("cmu31").joints.index


@pytest.fixture
def archives(tmp_path, rng):
    write_zip(tmp_path / "cmu_mocap_expmap_actions.zip", mocap_files(rng), "cmu_mocap/train/")
    write_zip(tmp_path / "cmu_mocap_subject86.zip", subject86_files(rng), "cmu_mocap/subject_86/")
    return tmp_path


def of(name, fps=120.0, num_frames=20, num_channels=3, segments=()):
    channels = np.arange(num_frames * num_channels, dtype=np.float32).reshape(num_frames, num_channels)
    return Recording("cmu_subject86", name, None, channels, tuple("abcdef"[:num_channels]), fps, segments)


# --- what the files say -------------------------------------------------------------------------------------------


def test_joint_positions_match_the_oracle(archives):
    """Both formats, a few frames, bone by bone."""
    degrees = []
    for joint in skeletons.get("cmu31").joints:
        x, y, z = _cmu_bodies._AXES.get(joint[1:], (0, 0, 0)) if joint[0] in "lr" else (0, 0, 0)
        degrees.append((x, y, z) if joint[0] == "l" else (x, -y, -z))
    ends = [node in TIPS for node in range(38)]
    parents = skeletons.get("cmu31").parents
    for name, offsets in (
        ("cmu_mocap", _cmu_bodies.ACTIONS_OFFSETS),
        ("cmu_subject86", _cmu_bodies.SUBJECT_86_OFFSETS),
    ):
        recording = cmu.recordings(name, archives)[1]
        found = joint_positions(recording)
        for row, positions in zip(recording.channels.astype(np.float64), found, strict=True):
            maps = row[3:].reshape(-1, 3)
            turned = (
                oracles_cmu.along_bones_of_bvh(maps, ends)
                if name == "cmu_mocap"
                else oracles_cmu.about_own_axes(maps, degrees)
            )
            expected = oracles_cmu.positions(row[:3] * 0.0254 / 0.45, turned, offsets, parents)
            np.testing.assert_allclose(positions, expected, atol=1e-6)


def test_columns_have_the_names_of_their_bones(archives):
    names = [cmu.recordings(name, archives)[0].channel_names for name in ("cmu_mocap", "cmu_subject86")]
    assert [len(set(n)) for n in names] == [117, 96]
    assert names[0][3 + 3 * 6] == "ltoes_end.x"
    assert [n for n in names[0] if "_end" not in n] == list(names[1])
    assert names[1][:7] == ("root.tx", "root.ty", "root.tz", "root.x", "root.y", "root.z", "lhipjoint.x")


@pytest.mark.parametrize(("heading", "turning"), [(0, 0), (-60.3, 3), (20.4, 5), (-20.4, -5), (170.3, 4), (-100.2, 9)])
def test_the_root_turns_as_its_angles_mean(rng, heading, turning):
    """Written about z, x, y, meant about z, y, x; also where a body turns past ±90 degrees, or begins beyond."""
    rows, meant = action_rows(rng, 60, heading, turning)
    meant_maps = Rotation.from_matrix(meant).as_euler("ZYX", degrees=True)
    assert np.abs(meant_maps[:, 1]).max() <= 90
    # A conversion writes headings within ±90 degrees, which flips the other two angles beyond.
    rows[1:, 3:6] = [oracles_cmu.as_written(degrees) for degrees in meant_maps]
    channels, rest = _cmu_files.action_channels(text(rows), "walking_1.txt")
    assert rest
    found = [oracles_cmu.rotation(-expmap) for expmap in channels[:, 3:6].astype(np.float64)]
    np.testing.assert_allclose(found, meant, atol=1e-5)


def test_headings_beyond_a_right_angle_may_also_be_written_without_a_flip(rng):
    rows, meant = action_rows(rng, 60, -30, 5)  # -30 to 265 degrees, other angles small throughout
    channels, _ = _cmu_files.action_channels(text(rows), "walking_1.txt")
    found = [oracles_cmu.rotation(-expmap) for expmap in channels[:, 3:6].astype(np.float64)]
    np.testing.assert_allclose(found, meant, atol=1e-5)


def test_the_rest_pose_is_left_out_and_only_it(archives, rng):
    assert {len(recording) for recording in cmu.recordings("cmu_mocap", archives)} == {7}
    assert "9 recordings begin with a rest pose, left out" in str(read("cmu_mocap", archives).report)
    rows, _ = action_rows(rng)
    assert len(_cmu_files.action_channels(text(rows[1:]), "walking_1.txt")[0]) == 7
    rows[0, 1] += 0.1
    assert len(_cmu_files.action_channels(text(rows), "walking_1.txt")[0]) == 8


# --- held out, dropped, resampled ---------------------------------------------------------------------------------


def test_whole_recordings_are_held_out(archives):
    names = {}
    for name in ("cmu_mocap", "cmu_subject86"):
        for protocol in (None, "selection"):
            for split in ("train", "test"):
                found = cmu.recordings(name, archives, split=split, protocol=protocol)
                names[name, protocol, split] = [recording.name for recording in found]
                assert names[name, protocol, split] == list(read(name, archives, split=split, protocol=protocol).names)
    assert names["cmu_mocap", None, "test"] == ["basketball_3", "basketball_signal_3", "walking_3"]
    assert names["cmu_mocap", "selection", "test"] == ["basketball_2", "basketball_signal_2", "walking_2"]
    assert names["cmu_mocap", "selection", "train"] == ["basketball_1", "basketball_signal_1", "walking_1"]
    assert names["cmu_subject86", None, "test"] == ["86_10", "86_11"]
    assert names["cmu_subject86", "selection", "test"] == ["86_09"]
    assert names["cmu_subject86", "selection", "train"] == ["86_01"]
    for name in ("cmu_mocap", "cmu_subject86"):
        held_out = set(names[name, None, "test"])
        assert not held_out & set(names[name, None, "train"])
        assert not held_out & set(names[name, "selection", "train"] + names[name, "selection", "test"])


def test_an_action_with_one_recording_is_for_training(tmp_path, rng):
    files = mocap_files(rng)
    write_zip(tmp_path / "cmu_mocap_expmap_actions.zip", {k: v for k, v in files.items() if k != "walking_3.txt"})
    assert [r.name for r in cmu.recordings("cmu_mocap", tmp_path, split="test")][-1] == "walking_2"
    write_zip(tmp_path / "cmu_mocap_expmap_actions.zip", {"walking_2.txt": files["walking_2.txt"]})
    with pytest.raises(DatasetError, match="none of its 1 clips is of split 'test'"):
        cmu.recordings("cmu_mocap", tmp_path, split="test")


def test_a_channel_is_dropped_for_what_it_does_in_training_alone():
    train, test = of("one"), of("two")
    train.channels[:, 1] = 5
    train.channels[:, 2] = 5 + 1e-6 * np.arange(20)
    test.channels[:, 0] = 5
    (kept,) = drop_constant([test], [train])
    assert kept.channel_names == ("a",)
    np.testing.assert_array_equal(kept.channels, test.channels[:, :1])
    other = of("three", num_frames=9)
    other.channels[:, 1] = 7  # still within each recording, but not the same in both
    assert drop_constant([test], [train, other])[0].channel_names == ("a", "b", "c")
    with pytest.raises(ValueError, match="two: 2 channels, but one has 3"):
        drop_constant([of("two", num_channels=2)], [train])
    with pytest.raises(ValueError, match="train: no recordings"):
        drop_constant([test], [])


def test_positions_need_all_channels(archives):
    everything = cmu.recordings("cmu_subject86", archives)
    with pytest.raises(ValueError, match="86_01: 93 channels, needed all 96"):
        joint_positions(drop_constant(everything, everything)[0])


SEGMENTED = (Segment("walk", 0, 6, 4, 7), Segment("jump_up", 6, 12, 10, 13), Segment("walk", 12, 20, 20, 20))


@pytest.mark.parametrize("fps", [120.0, 60.0, 40.0, 50.0, 33.3])
def test_resampling_interpolates_and_takes_segments_along(fps):
    whole = of("86_01", segments=SEGMENTED)
    few = whole.resampled(fps)
    times = np.arange(len(few)) / fps
    assert times[-1] <= 19 / 120 < times[-1] + 1 / fps
    for column, found in zip(whole.channels.T, few.channels.T, strict=True):
        np.testing.assert_allclose(found, np.interp(times, np.arange(20) / 120, column), rtol=1e-5)
    if 120 % fps == 0:
        np.testing.assert_array_equal(few.channels, whole.channels[:: int(120 / fps)])
    assert [segment.name for segment in few.segments] == ["walk", "jump_up", "walk"]
    assert few.segments[0].start == 0
    assert few.segments[-1].stop == len(few) == few.segments[-1].earliest
    for before, after, original in zip(few.segments, few.segments[1:], SEGMENTED, strict=False):
        assert before.stop == after.start
        for t in ("stop", "best", "earliest", "latest"):
            assert abs(getattr(before, t) / fps - getattr(original, t) / 120) <= 0.5 / fps + 1e-9
    assert len(few.frame_labels()) == len(few)


def test_frame_labels_name_the_segment_of_each_frame():
    recording = of("86_01", segments=SEGMENTED)
    assert recording.segment_names == ("walk", "jump_up")
    assert recording.frame_labels().tolist() == [0] * 6 + [1] * 6 + [0] * 8
    with pytest.raises(ValueError, match="walking_1: has no segments"):
        of("walking_1").frame_labels()


@pytest.mark.parametrize(
    ("fps", "message"),
    [(240.0, "needed above 0 and at most 120"), (0.0, "above 0"), (float("nan"), "above 0"), (6.0, "leaves no frame")],
)
def test_a_rate_that_cannot_be_is_refused(fps, message):
    with pytest.raises(ValueError, match=message):
        of("86_01", segments=SEGMENTED).resampled(fps)


def test_segments_are_read_as_the_key_says(archives):
    recording = cmu.recordings("cmu_subject86", archives)[0]
    assert recording.segments == SEGMENTED  # `walking` and `walk` are one action
    assert _cmu_files.transitions(SEGMENTS.replace("20", "21").encode(), "x", 20)[-1][2] == 20
    early = SEGMENTS.replace("4 6 7", "6 5 7")  # as once in trial 05: the best frame stands
    assert _cmu_files.transitions(early.encode(), "x", 20)[0] == ("walk", 5, 5, 7)


def test_unknown_names_list_the_known_ones(archives):
    with pytest.raises(ValueError, match=r"no recordings 'nw_ucla'; choose one of \['cmu_mocap', 'cmu_subject86'\]"):
        cmu.recordings("nw_ucla", archives)
    with pytest.raises(ValueError, match="split='dev'; cmu_mocap has"):
        cmu.recordings("cmu_mocap", archives, split="dev")
    with pytest.raises(ValueError, match="protocol='xsub'; cmu_subject86 has"):
        cmu.recordings("cmu_subject86", archives, protocol="xsub")


# --- files that are not what they should be -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("3\n", "", "needed the number of segments"),
        ("3\n", "4\n", "needed the number of segments and two lines for each"),
        ("3\n", "three\n", "needed the number of segments"),
        ("3\n", "-3\n", "needed the number of segments"),
        ("3\n", "99999999999\n", "needed the number of segments"),
        ("1 walking", "2 walking", "segment 1 is headed '2 walking', needed `1 name`"),
        ("1 walking", "1", "segment 1 is headed '1'"),
        ("1 walking", "1 walk; rm", "segment 1 is headed"),
        ("1 walking", "1 " + "w" * 99, "segment 1 is headed"),
        ("4 6 7", "4 6", "segment 1 ends at '4 6', needed earliest, best and latest frame"),
        ("4 6 7", "4 6 7 8", "segment 1 ends at"),
        ("4 6 7", "4.0 6 7", "segment 1 ends at"),
        ("4 6 7", "4 -6 7", "segment 1 ends at"),
        ("4 6 7", "4 6 99999999999", "segment 1 ends at"),
        ("4 6 7", "8 6 7", "segment 1 ends at '8 6 7'; needed earliest <= best <= latest"),
        ("4 6 7", "4 8 7", "segment 1 ends at '4 8 7'"),
        ("4 6 7", "0 0 7", "segment 1 ends at '0 0 7'; needed .* after frame 0"),
        ("4 6 7", "4 6 11", "segment 2 ends at '10 12 13'; needed .* after frame 11"),  # tolerances overlap
        ("10 12 13", "3 5 13", "segment 2 ends at '3 5 13'; needed .* after frame 7"),
        ("10 12 13", "10 12 23", "segment 2 ends at .* within 20 frames"),
        ("\n20\n", "\n30\n", "segment 3 runs from 12 to 30, needed 20 frames"),
        ("\n20\n", "\n18\n", "segment 3 runs from 12 to 18, needed 20 frames"),
        ("\n20\n", "\n18 19 20\n", "segment 3 ends at '18 19 20', needed the last frame"),
    ],
)
def test_segments_that_cannot_be_are_refused(tmp_path, rng, old, new, message):
    files = subject86_files(rng)
    files["09_ground_truth.txt"] = SEGMENTS.replace(old, new, 1).encode()
    write_zip(tmp_path / "cmu_mocap_subject86.zip", files)
    with pytest.raises(DatasetError, match="09_ground_truth.txt.*" + message):
        cmu.recordings("cmu_subject86", tmp_path)


def test_a_trial_needs_both_of_its_files(tmp_path, rng):
    files = subject86_files(rng)
    without = {name: contents for name, contents in files.items() if name != "09_ground_truth.txt"}
    write_zip(tmp_path / "cmu_mocap_subject86.zip", without)
    with pytest.raises(DatasetError, match=r"09\.mat is there, but 09_ground_truth\.txt is missing"):
        cmu.recordings("cmu_subject86", tmp_path)
    without = {name: contents for name, contents in files.items() if name != "09.mat"}
    write_zip(tmp_path / "cmu_mocap_subject86.zip", without)
    clips = read("cmu_subject86", tmp_path)
    assert clips.names == ("86_01", "86_10", "86_11")
    assert "86_09: segmented, but 09.mat is not there" in str(clips.report)
    write_zip(tmp_path / "cmu_mocap_subject86.zip", {"09_ground_truth.txt": files["09_ground_truth.txt"]})
    with pytest.raises(DatasetError, match=r"1 segmented trials and none of their \.mat files"):
        cmu.recordings("cmu_subject86", tmp_path)


def test_other_files_of_the_repository_are_not_taken_for_recordings(tmp_path, rng):
    files = mocap_files(rng)
    others = {"walking_extra/walking_13.txt": b"", "washwindow/washwindow_1.txt": files["walking_1.txt"]}
    write_zip(tmp_path / "cmu_mocap_expmap_actions.zip", files | others)
    assert len(cmu.recordings("cmu_mocap", tmp_path)) == 9
    write_zip(tmp_path / "cmu_mocap_expmap_actions.zip", files | {"test/walking_1.txt": files["walking_2.txt"]})
    with pytest.raises(DatasetError, match=r"walking_1\.txt stands in it more than once"):
        cmu.recordings("cmu_mocap", tmp_path)


def test_what_is_in_the_zip_may_lie_unpacked(archives, tmp_path, rng):
    for name, contents in mocap_files(rng).items():
        folder = tmp_path / "elsewhere" / "cmu_mocap" / "train" / name.rsplit("_", 1)[0]
        folder.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(contents)
    assert len(cmu.recordings("cmu_mocap", tmp_path / "elsewhere")) == 9


# --- the real archives --------------------------------------------------------------------------------------------


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
