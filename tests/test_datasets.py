"""Readers on archives in their owners' layout, made here with random motion; on the real ones where there are any."""

import shutil

import numpy as np
import pytest
from dataset_cases import msr_files, read, same, ucla_files, write_zip

from lib import datasets
from lib.datasets import msr_action3d, utd_mhad


def test_folder_and_zip_read_the_same(genuine, tmp_path):
    name, path, files, _, clips = genuine
    unpacked = tmp_path / "elsewhere" / path.stem
    unpacked.mkdir(parents=True)
    for file, contents in files.items():
        (unpacked / file).write_bytes(contents)
    nested = tmp_path / "twice" / path.stem / path.stem  # what "extract all" makes
    nested.parent.mkdir(parents=True)
    shutil.copytree(unpacked, nested)
    for root in (path, unpacked, unpacked.parent, tmp_path / "twice"):
        assert same(read(name, root), clips)


def test_splits_part_the_clips(genuine, tmp_path):
    name, _, _, _, clips = genuine
    train, test = (read(name, tmp_path, split=split) for split in ("train", "test"))
    assert sorted(train.names + test.names) == sorted(clips.names)
    assert train.report.kept == len(train)
    with pytest.raises(ValueError, match=f"split='dev'; {name} has .*'test'"):
        read(name, tmp_path, split="dev")
    with pytest.raises(ValueError, match=f"protocol='xset'; {name} has"):
        read(name, tmp_path, protocol="xset")


def test_limit_draws_classes_evenly_and_by_seed(genuine, tmp_path):
    name, _, _, _, clips = genuine
    num_classes = len(np.unique(clips.labels))
    some = read(name, tmp_path, limit=num_classes, seed=3)
    assert len(np.unique(some.labels)) == num_classes
    assert same(some, read(name, tmp_path, limit=num_classes, seed=3))
    assert same(clips, read(name, tmp_path, limit=10_000))


def test_ucla_twins_are_found_by_content(tmp_path, rng):
    write_zip(tmp_path / "all_sqe.zip", ucla_files(rng))
    test, clean = (read("nw_ucla", tmp_path, split=split) for split in ("test", "test_clean"))
    assert set(test.names) - set(clean.names) == {"a02_s01_e00_v03", "a02_s02_e00_v03"}
    assert "2 of 20 test clips equal a training clip" in str(test.report)


def test_selection_keeps_to_the_training_clips(genuine, tmp_path):
    name = genuine[0]
    official = read(name, tmp_path, split="train")
    train, test = (read(name, tmp_path, split=split, protocol="selection") for split in ("train", "test"))
    assert sorted(train.names + test.names) == sorted(official.names)
    whole = read(name, tmp_path, protocol="selection")
    assert whole.report.kept == len(whole) == len(official)
    column = {"nw_ucla": "views", "utd_mhad": "subjects", "msr_action3d": "subjects"}.get(name)
    assert column is None or max(getattr(train, column)) < min(getattr(test, column))


def test_msr_interpolates_lost_frames_and_reports_what_it_leaves_out(tmp_path, rng):
    write_zip(tmp_path / "MSRAction3DSkeletonReal3D.zip", msr_files(rng))
    clips = read("msr_action3d", tmp_path)
    clip = clips[clips.names.index("a09_s01_e01")].x[:, 0]
    np.testing.assert_allclose(clip[1], (clip[0] + clip[2]) / 2, rtol=1e-6)
    assert "archive: 1 lost frames in 1 clips interpolated" in clips.report.notes
    assert [name for name, _ in clips.report.dropped] == ["a13_s09_e03"]
    assert len(read("msr_action3d", tmp_path, protocol="cross_subject_567")) == len(clips) + 1


def test_synthetic_needs_no_download_and_limits_by_prefix():
    whole, some = (datasets.load("synthetic", split="train", limit=limit, seed=3) for limit in (30, 10))
    assert some.names == whole.names[:10]
    assert len(datasets.load("synthetic")) == 1000
    with pytest.raises(ValueError, match="protocol='xsub'; synthetic has"):
        datasets.load("synthetic", protocol="xsub")


# --- the real archives --------------------------------------------------------------------------------------------


@pytest.mark.real_data
@pytest.mark.parametrize(
    ("name", "split", "count"),
    [
        ("nw_ucla", "train", 1020),
        ("nw_ucla", "test", 464),
        ("nw_ucla", "test_clean", 369),
        ("utd_mhad", "train", 431),
        ("utd_mhad", "test", 430),
        ("msr_action3d", "train", 284),
        ("msr_action3d", "test", 273),
        ("cmu_mocap", "test", 7),
        ("cmu_subject86", "test", 2),
    ],
)
def test_official_splits_have_their_published_sizes(downloads, name, split, count):
    assert len(read(name, downloads, split=split)) == count


@pytest.mark.real_data
def test_left_out_msr_clips_are_the_ten(downloads):
    clips = read("msr_action3d", downloads)
    assert len(clips.report.dropped) == 10
    everything = read("msr_action3d", downloads, protocol="cross_subject_567")
    assert everything.report.dropped == (("a13_s09_e02", "every frame is zero"),)


@pytest.mark.real_data
@pytest.mark.parametrize("name", ["nw_ucla", "utd_mhad", "msr_action3d"])
def test_real_bodies_stand_upright_with_limbs_in_order(downloads, name):
    """Joint order and axes: bones keep their length, the head is above the feet, right-armed waves move the right."""
    clips = read(name, downloads, limit=200)
    x = clips.frames
    bone = np.linalg.norm(x - x[:, clips.skeleton.parents], axis=-1)
    assert (np.median(bone, axis=0) < 0.6).all()
    joint = clips.skeleton.joints.index
    height = np.median(x[..., 1], axis=0)
    order = ["head", "shoulder_center", "spine", "left_knee", "left_ankle"]
    assert (np.diff([height[joint(j)] for j in order]) < 0).all()
    assert np.median(x[:, joint("left_shoulder"), 0] - x[:, joint("right_shoulder"), 0]) < 0


@pytest.mark.real_data
@pytest.mark.parametrize("name", ["utd_mhad", "msr_action3d"])
def test_one_armed_waves_are_the_right_arm(downloads, name):
    clips = read(name, downloads)
    wave = {"utd_mhad": utd_mhad.CLASSES.index("wave"), "msr_action3d": msr_action3d.CLASSES.index("high arm wave")}
    joint = clips.skeleton.joints.index
    moved = np.median([clip.x[:, 0].std(axis=0).sum(axis=-1) for clip in clips if clip.label == wave[name]], axis=0)
    assert moved[joint("right_hand")] > 4 * moved[joint("left_hand")]
