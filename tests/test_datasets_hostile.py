"""Readers on archives that are cut, strange or hostile: one clear error, never a crash."""

import io
import json

import numpy as np
import pytest
import scipy.io
from dataset_cases import read, same, ucla_files, write_zip

from lib.datasets import DatasetError, matlab


def test_a_damaged_archive_is_refused_or_read_rightly(genuine, rng):
    """160 archives with bytes flipped, cut off, inserted or overwritten."""
    name, path, _, _, clips = genuine
    whole = path.read_bytes()
    refused = 0
    for trial in range(160):
        data = bytearray(whole)
        at = int(rng.integers(len(data)))
        kind = trial % 4
        if kind == 0:
            data[at] ^= 1 << int(rng.integers(8))
        elif kind == 1:
            del data[at:]
        elif kind == 2:
            data[at:at] = rng.bytes(int(rng.integers(1, 40)))
        else:
            data[at : at + 64] = rng.bytes(64)
        path.write_bytes(data)
        try:
            assert same(read(name, path), clips)
        except DatasetError:
            refused += 1
    assert refused > 80


HOSTILE = {
    "empty": lambda b: b"",
    "one byte": lambda b: b"\x00",
    "zeros": lambda b: bytes(len(b)),
    "random": lambda b: np.random.default_rng(1).bytes(len(b)),
    "text": lambda b: b"hello " * 50,
    "html": lambda b: b"<html><body>404 Not Found</body></html>",
    "pickle": lambda b: b"\x80\x04\x95\x0b\x00\x00\x00\x00\x00\x00\x00\x8c\x02os\x94\x93\x94.",
    "zip": lambda b: b"PK\x03\x04" + b,
    "utf16": lambda b: "skeletons".encode("utf-16"),
    **{f"cut {k}": lambda b, k=k: b[: len(b) * k // 40] for k in range(40)},
}
UCLA = {
    "list": [],
    "null": None,
    "number": 7,
    "no skeletons": {"label": 5},
    "no label": {"skeletons": [[[0.0] * 3] * 20]},
    "label of another class": {"skeletons": [[[0.1] * 3] * 20], "label": 6},
    "label as text": {"skeletons": [[[0.1] * 3] * 20], "label": "5"},
    "label true": {"skeletons": [[[0.1] * 3] * 20], "label": True},
    "no frames": {"skeletons": [], "label": 5},
    "19 joints": {"skeletons": [[[0.1] * 3] * 19], "label": 5},
    "2 channels": {"skeletons": [[[0.1] * 2] * 20], "label": 5},
    "ragged": {"skeletons": [[[0.1] * 3] * 20, [[0.1] * 3] * 19], "label": 5},
    "text coordinate": {"skeletons": [[["0.1"] * 3] * 20], "label": 5},
    "null coordinate": {"skeletons": [[[None] * 3] * 20], "label": 5},
    "true coordinate": {"skeletons": [[[True, 0.1, 0.2]] * 20], "label": 5},
    "nan": {"skeletons": [[[float("nan")] * 3] * 20], "label": 5},
    "inf": {"skeletons": [[[float("inf")] * 3] * 20], "label": 5},
    "millimetres": {"skeletons": [[[812.0] * 3] * 20], "label": 5},
    "huge integer": {"skeletons": [[[10**400] * 3] * 20], "label": 5},
    "all zero": {"skeletons": [[[0.0] * 3] * 20], "label": 5},
    "object": {"skeletons": {"0": 1}, "label": 5},
    "nested": {"skeletons": [[[[0.1]] * 3] * 20], "label": 5},
}


def mat(**variables):
    stream = io.BytesIO()
    scipy.io.savemat(stream, variables)
    return stream.getvalue()


UTD = {
    "other variable": mat(x=np.ones((20, 3, 4))),
    "two dimensions": mat(d_skel=np.ones((20, 3))),
    "axes swapped": mat(d_skel=np.ones((4, 20, 3))),
    "19 joints": mat(d_skel=np.ones((19, 3, 4))),
    "no frames": mat(d_skel=np.ones((20, 3, 0))),
    "nan": mat(d_skel=np.full((20, 3, 4), np.nan)),
    "complex": mat(d_skel=np.ones((20, 3, 4)) + 1j),
    "most negative integer": mat(d_skel=np.full((20, 3, 4), -128, dtype=np.int8)),
    "text": mat(d_skel="twenty joints"),
    "cell": mat(d_skel=np.array([[1, "a"]], dtype=object)),
    "struct": mat(d_skel={"a": 1}),
    "sparse": mat(d_skel=scipy.sparse.eye_array(20)),
    "millimetres": mat(d_skel=np.full((20, 3, 4), 900.0)),
    "all zero": mat(d_skel=np.zeros((20, 3, 4))),
}
ROW = "0.1 0.2 2.5 1.0\n"
MSR = {
    "19 rows": ROW * 19,
    "21 rows": ROW * 21,
    "three columns": "0.1 0.2 2.5\n" * 20,
    "five columns": "0.1 0.2 2.5 1.0 3\n" * 20,
    "ragged": ROW * 19 + "0.1 0.2\n",
    "words": "a b c d\n" * 20,
    "commas": "0.1,0.2,2.5,1.0\n" * 20,
    "nan": "nan 0.2 2.5 1.0\n" * 20,
    "inf": "inf 0.2 2.5 1.0\n" * 20,
    "overflow": "1e999 0.2 2.5 1.0\n" * 20,
    "pixels": "120 80 2500 1.0\n" * 20,
    "confidence 7": "0.1 0.2 2.5 7\n" * 20,
    "all zero": "0 0 0 0\n" * 20,
    "binary inside": ROW * 10 + "\x00\x01\n" + ROW * 10,
}


def mocap(**changes):
    """Two rows of zeros but for the named columns (``c5="x"``), or other text altogether."""
    row = ["1", "17", "-3", *["0"] * 114]
    for column, value in changes.items():
        row[int(column[1:])] = value
    return f"{','.join(row)}\n" * 2


MOCAP = {
    "116 columns": mocap().replace("1,17,", "1,"),
    "118 columns": mocap().replace("1,17,", "1,17,17,"),
    "96 columns": "0," * 95 + "0\n",
    "one row": mocap().splitlines()[0],
    "ragged": mocap() + "1,2,3\n",
    "semicolons": mocap().replace(",", ";"),
    "spaces": mocap().replace(",", " "),
    "word": mocap(c7="left"),
    "empty field": mocap(c7=""),
    "comment": mocap(c7="# 0"),
    "nan": mocap(c7="nan"),
    "inf": mocap(c2="inf"),
    "overflow": mocap(c7="1e999"),
    "degrees": mocap(c7="45"),
    "millimetres": mocap(c1="960.5"),
    "an end that turns": mocap(c22="0.1"),
    "binary inside": mocap(c7="\x00"),
    "blank lines": "\n \n\n",
    "hexadecimal": mocap(c7="0x1"),
    "complex": mocap(c7="1+1j"),
}
ROWS = np.full((20, 96), 0.1)
TRIAL = {
    "other variable": mat(channels=ROWS),
    "95 columns": mat(expmapchannels=ROWS[:, :95]),
    "axes swapped": mat(expmapchannels=ROWS.T),
    "three dimensions": mat(expmapchannels=ROWS[None]),
    "one frame": mat(expmapchannels=ROWS[:1]),
    "no frames": mat(expmapchannels=ROWS[:0]),
    "nan": mat(expmapchannels=ROWS * np.nan),
    "inf": mat(expmapchannels=ROWS * np.inf),
    "complex": mat(expmapchannels=ROWS + 1j),
    "degrees": mat(expmapchannels=ROWS * 450),
    "millimetres": mat(expmapchannels=np.concatenate([ROWS[:, :3] * 9001, ROWS[:, 3:]], axis=1)),
    "text": mat(expmapchannels="channels"),
    "cell": mat(expmapchannels=np.array([[1, "a"]], dtype=object)),
    "struct": mat(expmapchannels={"a": 1}),
    "sparse": mat(expmapchannels=scipy.sparse.eye_array(96)),
    "fewer frames than segments": mat(expmapchannels=ROWS[:12]),
}
FOREIGN = {
    "cmu_mocap": {name: text.encode() for name, text in MOCAP.items()},
    "cmu_subject86": TRIAL,
    "nw_ucla": {name: json.dumps(value).encode() for name, value in UCLA.items()},
    "utd_mhad": UTD,
    "msr_action3d": {name: text.encode() for name, text in MSR.items()},
}


def test_a_hostile_member_gives_one_error_that_names_it(genuine):
    """80 and more files that are cut, empty, foreign or wrong in one field, each beside genuine ones."""
    name, path, files, victim, _ = genuine
    cases = {case: damage(files[victim]) for case, damage in HOSTILE.items()} | FOREIGN[name]
    if name == "msr_action3d":  # text cut after a whole frame, or inside the last number, is a shorter genuine file
        cases = {case: b for case, b in cases.items() if not case.startswith("cut") or len(b.split()) % 80}
    if name == "cmu_mocap":  # here too
        cases = {
            case: b
            for case, b in cases.items()
            if not case.startswith("cut") or b.rsplit(b"\n", 1)[-1].count(b",") < 116
        }
    if name == "nw_ucla":
        cases["deep"] = b'{"skeletons":' + b"[" * 200_000
    for case, contents in cases.items():
        write_zip(path, files | {victim: contents})
        with pytest.raises(DatasetError, match=victim.split("_skel")[0].rsplit(".")[0]) as caught:
            read(name, path)
        assert len(str(caught.value)) < 500, case


@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize("dtype", ["f8", "f4", "i2", "u1"])
def test_matlab_arrays_read_as_scipy_reads_them(rng, compressed, dtype):
    x = (100 * rng.random((20, 3, 4))).astype(dtype)
    stream = io.BytesIO()
    scipy.io.savemat(stream, {"note": "text", "d_skel": x, "z": 1.0}, do_compression=compressed)
    stream.seek(0)
    expected = scipy.io.loadmat(stream)["d_skel"]
    np.testing.assert_array_equal(matlab.read(stream.getvalue(), "d_skel"), expected)


def test_a_matlab_file_cut_or_flipped_anywhere_never_crashes(rng, tmp_path):
    contents = mat(d_skel=rng.normal(size=(20, 3, 5)))
    header = 200  # before the numbers: version, tags, sizes, name
    for trial in range(200):
        data = bytearray(contents)
        if trial % 2:
            data[int(rng.integers(header))] ^= 1 << int(rng.integers(8))
        else:
            del data[int(rng.integers(len(data))) :]
        write_zip(tmp_path / "Skeleton.zip", {"a1_s1_t1_skeleton.mat": bytes(data)})
        try:
            clips = read("utd_mhad", tmp_path)
        except DatasetError:
            continue
        assert clips.frames.shape == (5, 20, 3)


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({}, "no file is named like"),
        ({"readme.txt": b"hello"}, "no file is named like"),
        ({"a07_s01_e00_v01.json": b"{}"}, "a07_s01_e00_v01.json: needed action in"),
        ({"x/a05_s01_e00_v01.json": b"{}", "y/a05_s01_e00_v01.json": b"{}"}, "stands in it more than once"),
        ({"a05_s01_e00_v01.json": b"0" * 9_000_000}, "9000000 bytes, needed at most"),
    ],
)
def test_a_strange_archive_is_refused(tmp_path, files, message):
    write_zip(tmp_path / "all_sqe.zip", files)
    with pytest.raises(DatasetError, match=message):
        read("nw_ucla", tmp_path)


def test_a_member_that_inflates_beyond_its_stated_size_is_refused(tmp_path):
    path = tmp_path / "all_sqe.zip"
    write_zip(path, {"a05_s01_e00_v01.json": b"0" * 20_000_000})
    data = bytearray(path.read_bytes())
    central = data.index(b"PK\x01\x02")
    data[central + 24 : central + 28] = (1000).to_bytes(4, "little")  # uncompressed size in the index
    path.write_bytes(data)
    with pytest.raises(DatasetError, match="a05_s01_e00_v01"):
        read("nw_ucla", tmp_path)


def test_nothing_leaves_its_folder(tmp_path, rng):
    files = ucla_files(rng)
    folder = tmp_path / "all_sqe"
    folder.mkdir()
    for name, contents in files.items():
        (folder / name).write_bytes(contents)
    outside = tmp_path / "a05_s09_e00_v01.json"
    outside.write_bytes(files["a05_s01_e00_v01.json"])
    (folder / "a05_s08_e00_v01.json").symlink_to(outside)
    before = sorted(tmp_path.rglob("*"))
    assert len(read("nw_ucla", tmp_path)) == len(files)  # the link out of the folder is not followed
    write_zip(tmp_path / "all_sqe.zip", {f"../../{name}": contents for name, contents in files.items()})
    assert len(read("nw_ucla", tmp_path / "all_sqe.zip")) == len(files)
    assert sorted(tmp_path.rglob("*")) == sorted([*before, tmp_path / "all_sqe.zip"])


def test_a_split_without_clips_is_an_incomplete_archive(tmp_path, rng):
    some = {name: contents for name, contents in ucla_files(rng).items() if not name.endswith("v03.json")}
    write_zip(tmp_path / "all_sqe.zip", some)
    assert "archive: 1444 of the 1484 official clips are missing" in read("nw_ucla", tmp_path).report.notes
    with pytest.raises(DatasetError, match="none of its 40 clips is of split 'test'; is the archive complete"):
        read("nw_ucla", tmp_path, split="test")


def test_a_missing_dataset_says_where_to_get_it_and_put_it(tmp_path):
    with pytest.raises(DatasetError, match=r"neither all_sqe\.zip nor a folder all_sqe.*SKELETON_DATA"):
        read("nw_ucla", tmp_path)
    with pytest.raises(DatasetError, match="found neither"):
        read("nw_ucla", tmp_path / "nowhere")
    with pytest.raises(ValueError, match="no dataset 'ntu60'; choose one of"):
        read("ntu60", tmp_path)
