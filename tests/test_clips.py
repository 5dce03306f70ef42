import json

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lib import skeletons
from lib.clips import ClipSet, LoadReport
from lib.skeletons import Skeleton

CHAIN = Skeleton.from_edges([(0, 1), (1, 2)])


@st.composite
def raw_clips(draw):
    shapes = draw(st.lists(st.tuples(st.integers(1, 9), st.integers(1, 3)), min_size=1, max_size=6))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    return [rng.uniform(0.1, 1.0, size=(T, M, 3, 2)).astype(np.float32) for T, M in shapes]


@given(raw_clips())
def test_clips_come_back_as_they_went_in(arrays):
    clips = ClipSet.from_arrays(arrays, [0] * len(arrays), CHAIN)
    assert len(clips) == len(arrays)
    for clip, x in zip(clips, arrays, strict=True):
        np.testing.assert_array_equal(clip.x, x)
        assert clip.length == len(x)


@given(raw_clips(), st.data())
def test_batch_pads_with_zeros_and_says_what_is_true(arrays, data):
    clips = ClipSet.from_arrays(arrays, list(range(len(arrays))), CHAIN)
    picks = data.draw(st.lists(st.integers(0, len(arrays) - 1), min_size=1, max_size=8))
    batch = clips.batch(picks)
    N, C, T, V, M = batch.x.shape
    assert (len(picks), 2, 3) == (N, C, V)
    assert batch.x.dtype == torch.float32
    for n, i in enumerate(picks):
        frames, persons = arrays[i].shape[:2]
        np.testing.assert_array_equal(batch.x[n, :, :frames, :, :persons].numpy(), arrays[i].transpose(3, 0, 2, 1))
        assert batch.x[n, :, frames:].abs().sum() == batch.x[n, ..., persons:].abs().sum() == 0
        assert batch.present[n].tolist() == [True] * persons + [False] * (M - persons)
        assert (batch.lengths[n], batch.labels[n]) == (frames, i)
    assert max(batch.lengths) == T


@given(raw_clips(), st.data())
def test_subset_of_subset_is_a_subset_on_the_same_frames(arrays, data):
    clips = ClipSet.from_arrays(arrays, [0] * len(arrays), CHAIN)
    first = data.draw(st.permutations(range(len(arrays))))
    second = data.draw(st.permutations(range(len(arrays))))
    chained, direct = clips.subset(first).subset(second), clips.subset(np.array(first)[list(second)])
    assert chained.names == direct.names
    assert chained.frames is clips.frames
    for a, b in zip(chained, direct, strict=True):
        np.testing.assert_array_equal(a.x, b.x)


@settings(max_examples=20)
@given(raw_clips())
def test_saved_clips_load_memory_mapped_and_equal(tmp_path_factory, arrays):
    folder = tmp_path_factory.mktemp("clips") / "saved"
    clips = ClipSet.from_arrays(
        arrays, [0] * len(arrays), CHAIN, subjects=range(len(arrays)), truth=[x[..., 0] > 0.5 for x in arrays]
    ).subset(slice(None, None, -1))
    loaded = ClipSet.load(clips.save(folder))
    assert isinstance(loaded.frames, np.memmap)
    assert (loaded.names, loaded.skeleton, loaded.views) == (clips.names, clips.skeleton, None)
    np.testing.assert_array_equal(loaded.subjects, clips.subjects)
    for a, b in zip(loaded, clips, strict=True):
        np.testing.assert_array_equal(a.x, b.x)
        np.testing.assert_array_equal(a.truth, b.truth)
    assert [child.name for child in folder.parent.iterdir()] == ["saved"]


def test_save_leaves_an_existing_folder_alone(tmp_path, two_clips):
    (tmp_path / "kept").mkdir()
    with pytest.raises(FileExistsError, match="kept exists"):
        two_clips.save(tmp_path / "kept")


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda f: (f / "frames.npy").unlink(), "not a folder that ClipSet.save wrote"),
        (lambda f: (f / "clips.json").write_text("[]"), "not a folder"),
        (lambda f: (f / "clips.json").write_text("{"), "not a folder"),
        (lambda f: np.save(f / "frames.npy", np.zeros((3, 3, 2), np.float32)), "outside 3 rows"),
        (lambda f: np.save(f / "frames.npy", np.zeros((9, 3, 2))), "needed float32"),
        (lambda f: np.save(f / "frames.npy", np.array([{}], dtype=object)), "Python objects"),
        (lambda f: _tamper(f / "frames.npy", b"'descr'", b"'de(((("), "not a folder"),
        (lambda f: _tamper(f / "frames.npy", b"(9, 3, 2)", b"(9**9,3,)"), "not a folder"),
        (lambda f: (f / "clips.json").write_text("[" * 10**5), "not a folder"),
        (lambda f: _rewrite(f, class_names=[]), "class names"),
        (lambda f: _rewrite(f, names=["only one"]), "columns"),
        (lambda f: (f / "frames.npy").write_bytes(b""), "not a folder"),
        (lambda f: (f / "index.npz").write_bytes((f / "index.npz").read_bytes()[:300]), "not a folder"),
        (lambda f: _reindex(f, lengths=np.array([2**62, 5]), num_persons=np.array([4, 1])), "outside 9 rows"),
        (lambda f: _reindex(f, subjects=np.array([1])), "columns"),
        (lambda f: _reindex(f, present=np.ones((2, 0), dtype=bool)), "present is"),
        (lambda f: _reindex(f, truth=np.ones((3, 3), dtype=bool)), "truth is bool"),
        (lambda f: _reindex(f, labels=np.array([0.0, 1.0])), "does not hold integers"),
    ],
)
def test_load_refuses_what_save_did_not_write(tmp_path, two_clips, damage, message):
    folder = two_clips.save(tmp_path / "saved")
    damage(folder)
    with pytest.raises(ValueError, match=message):
        ClipSet.load(folder)


def _tamper(path, old, new):
    contents = path.read_bytes()
    assert old in contents
    path.write_bytes(contents.replace(old, new))


def _rewrite(folder, **changes):
    text = json.loads((folder / "clips.json").read_text())
    (folder / "clips.json").write_text(json.dumps(text | changes))


def _reindex(folder, **changes):
    with np.load(folder / "index.npz") as index:
        arrays = dict(index) | changes
    np.savez(folder / "index.npz", **arrays)


def test_clips_resampled_to_rates_of_their_own_state_none(two_clips):
    from functools import partial

    from lib import transforms

    assert np.isnan(two_clips.map(partial(transforms.resample, num_frames=9)).fps)
    assert two_clips.map(partial(transforms.scale, factor=2.0)).fps == 30.0


def test_an_empty_subset_has_no_clips(two_clips):
    assert len(two_clips.subset([])) == 0
    assert "0 clips" in repr(two_clips.subset([]))


@pytest.fixture
def two_clips():
    return ClipSet.from_arrays([np.ones((4, 3, 2)), np.ones((5, 3, 2))], [0, 1], CHAIN)


def test_all_zero_person_is_absent_and_masked():
    x = np.ones((4, 2, 3, 2))
    x[:, 0] = 0
    clips = ClipSet.from_arrays([x], [0], CHAIN)
    assert clips.batch([0]).present.tolist() == [[False, True]]


def test_map_applies_in_order_and_drops_padding(two_clips):
    from functools import partial

    from lib import transforms

    mapped = two_clips.map(partial(transforms.scale, factor=3.0), partial(transforms.pad, num_frames=9))
    assert mapped.lengths.tolist() == [4, 5]
    assert (mapped.frames == 3).all()
    assert (two_clips.frames == 1).all()


def test_report_names_every_dropped_clip_with_its_reason():
    report = LoadReport(3, (("a01", "no body"),), ("2 frames mended",))
    assert str(report).splitlines() == ["3 clips kept, 1 dropped", "2 frames mended", "dropped a01: no body"]


GOOD = np.ones((4, 3, 2))


def _with(value):
    x = GOOD.copy()
    x[2, 1, 0] = value
    return x


@pytest.mark.parametrize(
    ("arrays", "options", "message"),
    [
        ([GOOD, _with(np.nan)], {}, r"clip 'clip_1': nan at frame 2, person 0, joint 'joint_1', channel 0"),
        ([_with(np.inf)], {}, "clip 'clip_0': inf"),
        ([_with(1e300)], {}, "clip 'clip_0': inf"),
        ([GOOD, np.ones((0, 3, 2))], {}, r"clip 'clip_1': empty, shape \(0, 3, 2\)"),
        ([np.ones((4, 5, 2))], {}, "clip 'clip_0': V=5 joints, but skeleton 'custom' has 3"),
        ([GOOD, np.ones((4, 3, 3))], {}, "clip 'clip_1': C=3 channels, but clip 'clip_0' has 2"),
        ([np.ones((3, 2))], {}, r"clip 'clip_0': shape \(3, 2\), needed \(T, V, C\)"),
        ([np.zeros((4, 3, 2))], {}, "clip 'clip_0': all coordinates are zero"),
        ([[["1.5"]]], {}, "clip 'clip_0': coordinates are <U3, needed real numbers"),
        ([GOOD * 1j], {}, "clip 'clip_0': coordinates are complex128"),
        ([[[1.0], [1.0, 2.0]]], {}, "clip 'clip_0': coordinates are not one rectangular array"),
        ([np.ma.masked_greater(GOOD * [1, 2], 1.5)], {}, "clip 'clip_0': some joints are masked"),
        ([], {"labels": []}, "no clips"),
        ([GOOD], {"labels": [0, 1]}, "labels: 2 entries for 1 clips"),
        ([GOOD], {"labels": [0.5]}, "labels: float64"),
        ([GOOD], {"labels": [-1]}, r"clip 'clip_0': label -1, needed 0\.\."),
        ([GOOD], {"labels": [2], "class_names": ["a", "b"]}, r"label 2, needed 0\.\.1"),
        ([GOOD, GOOD], {"names": ["same", "same"]}, "'same' stands for more than one clip"),
        ([GOOD], {"subjects": ["anna"]}, "subjects: <U4"),
        ([GOOD], {"fps": 0.0}, "fps=0.0"),
        ([GOOD], {"truth": [np.ones((4, 2), dtype=bool)]}, r"clip 'clip_0': truth is bool \(4, 1, 2\)"),
    ],
)
def test_from_arrays_names_the_clip_and_the_field(arrays, options, message):
    options = {"labels": [0] * len(arrays)} | options
    with pytest.raises(ValueError, match=message):
        ClipSet.from_arrays(arrays, skeleton=CHAIN, **options)


def test_layout_name_will_do_for_a_skeleton():
    clips = ClipSet.from_arrays([np.ones((2, 17, 2))], [0], "coco17")
    assert clips.skeleton is skeletons.get("coco17")
