"""What a store of distances refuses, and that nothing is lost by it."""

import json

import numpy as np
import pytest
from store_cases import CHOICES, walks


@pytest.fixture(scope="module")
def internals():
    from lib.dtw import _store

    return {"store": _store}


@pytest.fixture
def small(dtw, tmp_path):
    """Finished store of a few sequences."""
    dtw.pairwise(walks(6), walks(5, seed=1), store=tmp_path / "small", **CHOICES)
    return tmp_path / "small"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"window_size": 2}, r"another call: window_size: 3 there, 2 here; choose another path, or delete it"),
        ({"stride": 1}, r"another call: stride: 2 there, 1 here; choose"),
        ({"radius": None}, r"another call: radius: 0.4 there, None here; choose"),
        ({"normalize": "path"}, r"another call: normalize: 'length' there, 'path' here; choose"),
        ({"stride": 3, "radius": 4}, r"another call: stride: 2 there, 3 here; radius: 0.4 there, 4 here; choose"),
        ({"sequences": walks(6, seed=2)}, r"another call: sequences: 'sha256 \w+' there, 'sha256 \w+' here; choose"),
        ({"sequences": walks(7)}, r"another call: sequences: 'sha256 \w+' there, 'sha256 \w+' here; choose"),
        ({"others": walks(5, seed=3)}, r"another call: others: 'sha256 \w+' there, 'sha256 \w+' here; choose"),
        ({"others": None}, r"another call: others: 'sha256 \w+' there, None here; choose"),
    ],
)
def test_a_store_of_other_data_or_choices_is_refused_by_name(dtw, small, change, message):
    call = {"sequences": walks(6), "others": walks(5, seed=1)} | CHOICES
    dtw.pairwise(store=small, **call)
    with pytest.raises(ValueError, match=message):
        dtw.pairwise(store=small, **call | change)


def test_one_window_is_not_all_windows(dtw, tmp_path):
    dtw.pairwise(walks(3), store=tmp_path, radius=1)
    with pytest.raises(ValueError, match=r"radius: 1 there, 1\.0 here"):
        dtw.pairwise(walks(3), store=tmp_path, radius=1.0)


def test_another_version_is_refused(dtw, internals, tmp_path, monkeypatch):
    dtw.pairwise(walks(3), store=tmp_path)
    monkeypatch.setattr(internals["store"], "VERSION", 2)
    with pytest.raises(ValueError, match=r"version: 1 there, 2 here"):
        dtw.pairwise(walks(3), store=tmp_path)


def test_shapes_count_as_data(dtw, tmp_path):
    dtw.pairwise([[1.0, 2.0, 3.0], [4.0]], store=tmp_path)
    with pytest.raises(ValueError, match=r"sequences: .* there, .* here"):
        dtw.pairwise([[1.0, 2.0], [3.0, 4.0]], store=tmp_path)


def test_a_folder_of_something_else_is_refused_and_left_alone(dtw, tmp_path):
    import zarr

    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "a.txt").write_text("mine")
    zarr.create_array(tmp_path / "array", shape=(3, 3), dtype="float32")
    zarr.create_group(tmp_path / "group")
    (tmp_path / "file").write_text("mine")
    before = sorted(tmp_path.rglob("*"))
    for name, message in {
        "notes": "'.*notes' holds other files and no zarr.json; choose a path where nothing is",
        "array": "'.*array' is a zarr folder that pairwise did not make; choose",
        "group": "'.*group' is a zarr folder that pairwise did not make; choose",
        "file": "'.*file' is a file; needed a folder made by pairwise, or a path where nothing is",
    }.items():
        with pytest.raises(ValueError, match=message):
            dtw.pairwise(walks(3), store=tmp_path / name)
    assert sorted(tmp_path.rglob("*")) == before
    with pytest.raises(ValueError, match="store=3 must be the path of a folder"):
        dtw.pairwise(walks(3), store=3)


@pytest.mark.parametrize("content", ["", "{", "[]", "3", '{"zarr_format": 3, "node_type": "array"}', "\x00" * 20])
def test_broken_metadata_is_refused(dtw, small, content):
    (small / "zarr.json").write_text(content)
    with pytest.raises(ValueError, match=r"'.*small' is damaged: its zarr\.json cannot be read"):
        dtw.pairwise(walks(6), walks(5, seed=1), store=small, **CHOICES)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("shape", [6, 10**9]),
        ("data_type", "float64"),
        ("fill_value", 0.0),
        ("chunk_grid", {"name": "regular", "configuration": {"chunk_shape": [1, 1]}}),
        ("chunk_grid", {"name": "regular", "configuration": {"chunk_shape": [64, 32]}}),
    ],
)
def test_changed_metadata_is_refused(dtw, small, field, value):
    metadata = json.loads((small / "zarr.json").read_text())
    assert metadata[field] != value
    (small / "zarr.json").write_text(json.dumps(metadata | {field: value}))
    with pytest.raises(ValueError, match=r"'.*small' is damaged: its zarr\.json was changed; delete the folder"):
        dtw.pairwise(walks(6), walks(5, seed=1), store=small, **CHOICES)


def test_a_chunk_cut_short_is_refused_by_name(dtw, tmp_path):
    whole = dtw.pairwise(walks(130), store=tmp_path)[:]
    (tmp_path / "c/1/0").write_bytes(b"short")
    for size in (5, 0):
        with pytest.raises(ValueError, match=rf"c/1/0 has {size} bytes, needed 16384; delete c/0/1 and its"):
            dtw.pairwise(walks(130), store=tmp_path)
        (tmp_path / "c/1/0").unlink(missing_ok=True)
    (tmp_path / "c/0/1").unlink()
    np.testing.assert_array_equal(dtw.pairwise(walks(130), store=tmp_path)[:], whole)


def test_a_folder_that_died_before_its_metadata_is_taken(dtw, tmp_path):
    (tmp_path / "zarr.0123.partial").write_text("{")
    assert dtw.pairwise(walks(3), store=tmp_path).shape == (3, 3)


def test_bad_sequences_are_named_before_anything_is_made(dtw, tmp_path):
    bad = [*walks(100), np.full((2, 24), np.nan)]
    with pytest.raises(ValueError, match=r"sequences\[100\] has nan at frame 0"):
        dtw.pairwise(bad, store=tmp_path / "store")
    with pytest.raises(ValueError, match=r"others\[100\] has nan at frame 0"):
        dtw.pairwise(walks(3), bad, store=tmp_path / "store")
    assert not (tmp_path / "store").exists()
