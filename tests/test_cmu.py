"""CMU motion capture: channels, segments, held-out recordings and rates."""

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
        for t in ("stop", "earliest", "latest"):
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
