"""CMU motion capture: files that are not what they should be."""

import pytest
from cmu_cases import SEGMENTS, mocap_files, subject86_files
from dataset_cases import read, write_zip

from lib.datasets import DatasetError, cmu


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("3\n", "", "needed the number of segments"),
        ("3\n", "4\n", "needed the number of segments and two lines for each"),
        ("3\n", "three\n", "needed the number of segments"),
        ("1 walking", "2 walking", "segment 1 is headed '2 walking', needed `1 name`"),
        ("1 walking", "1", "segment 1 is headed '1'"),
        ("1 walking", "1 walk; rm", "segment 1 is headed"),
        ("1 walking", "1 " + "w" * 99, "segment 1 is headed"),
        ("4 6 7", "4 6", "segment 1 ends at '4 6', needed earliest, best and latest frame"),
        ("4 6 7", "4 6 7 8", "segment 1 ends at '4 6 7 8', needed earliest, best and latest frame"),
        ("4 6 7", "4.0 6 7", "segment 1 ends at '4.0 6 7', needed earliest, best and latest frame"),
        ("4 6 7", "4 -6 7", "segment 1 ends at '4 -6 7', needed earliest, best and latest frame"),
        ("4 6 7", "4 6 99999999999", "segment 1 ends at '4 6 99999999999', needed earliest, best and latest frame"),
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
    files, archive = subject86_files(rng), tmp_path / "cmu_mocap_subject86.zip"
    write_zip(archive, {name: contents for name, contents in files.items() if name != "09_ground_truth.txt"})
    with pytest.raises(DatasetError, match=r"09\.mat is there, but 09_ground_truth\.txt is missing"):
        cmu.recordings("cmu_subject86", tmp_path)
    write_zip(archive, {name: contents for name, contents in files.items() if name != "09.mat"})
    clips = read("cmu_subject86", tmp_path)
    assert clips.names == ("86_01", "86_10", "86_11")
    assert "86_09: segmented, but 09.mat is not there" in str(clips.report)
    write_zip(archive, {"09_ground_truth.txt": files["09_ground_truth.txt"]})
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


def test_what_is_in_the_zip_may_lie_unpacked(tmp_path, rng):
    for name, contents in mocap_files(rng).items():
        folder = tmp_path / "elsewhere" / "cmu_mocap" / "train" / name.rsplit("_", 1)[0]
        folder.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(contents)
    assert len(cmu.recordings("cmu_mocap", tmp_path / "elsewhere")) == 9
