"""Distances in a store: stopped, killed, refused, and bounded in memory."""

import json
import shutil
import signal
import subprocess
import sys
import threading
import time
import tracemalloc

import numpy as np
import pytest
from store_cases import CHOICES, environment, num_files, wait_until, walks

KILLED = """
import sys
from store_cases import CHOICES, walks
from lib import dtw
print("ready", flush=True)
dtw.pairwise(walks(), store=sys.argv[1], num_threads=1, **CHOICES)
print("finished", flush=True)
"""


@pytest.fixture(scope="module")
def internals():
    from lib.dtw import _chunks, _cluster, _pairwise, _store, _windows

    return {"chunks": _chunks, "cluster": _cluster, "pairwise": _pairwise, "store": _store, "windows": _windows}


# --- stopped and killed ---------------------------------------------------------------------------------------------


def test_a_store_holds_what_pairwise_returns(dtw, expected):
    np.testing.assert_allclose(expected, dtw.pairwise(walks(), num_threads=1, **CHOICES), rtol=1e-5)
    np.testing.assert_array_equal(expected, expected.T)
    np.testing.assert_array_equal(np.diag(expected), 0)


@pytest.mark.parametrize(("num", "num_others"), [(1, None), (3, 1), (70, 150), (150, 70), (64, None), (65, None)])
def test_a_store_takes_any_shape(dtw, tmp_path, num, num_others):
    sequences, others = walks(num), None if num_others is None else walks(num_others, seed=1)
    stored = dtw.pairwise(sequences, others, store=str(tmp_path / "new" / "store"), num_threads=2)
    found = dtw.pairwise(sequences, others, num_threads=1)
    assert stored.shape == found.shape
    assert stored.dtype == np.float32
    np.testing.assert_allclose(stored[:], found, rtol=1e-5)


def test_the_returned_array_is_lazy_and_read_only(dtw, tmp_path):
    stored = dtw.pairwise(walks(5), store=tmp_path)
    assert not isinstance(stored, np.ndarray)
    with pytest.raises(ValueError, match="read-only"):
        stored[0, 0] = 1.0


def test_killed_at_random_moments_it_ends_bit_identical(dtw, expected, tmp_path, rng):
    store, found = tmp_path / "store", [0]
    for _ in range(3):
        process = subprocess.Popen([sys.executable, "-c", KILLED, store], env=environment(), stdout=subprocess.PIPE)
        with process:
            try:
                assert process.stdout.readline() == b"ready\n"
                wait_until(lambda: num_files(store) > found[-1])
                time.sleep(rng.uniform(0, 0.1))
            finally:
                process.kill()
        found.append(num_files(store))
        assert process.returncode == -signal.SIGKILL
    assert found == sorted(set(found)), "each run must add to the store"
    assert found[-1] < 81, "nothing was left to do"
    np.testing.assert_array_equal(dtw.pairwise(walks(), store=store, num_threads=2, **CHOICES)[:], expected)


def test_stopped_between_any_two_writes_it_ends_bit_identical(dtw, internals, tmp_path, monkeypatch):
    sequences = walks(150)
    whole = dtw.pairwise(sequences, store=tmp_path / "whole", num_threads=1)[:]
    writes = num_files(tmp_path / "whole")
    assert writes == 9
    for last in range(writes):
        store = tmp_path / f"stopped {last}"
        stop_after(last, internals["store"], monkeypatch)
        with pytest.raises(KeyboardInterrupt):
            dtw.pairwise(sequences, store=store, num_threads=2)
        monkeypatch.undo()
        assert num_files(store) == last
        np.testing.assert_array_equal(dtw.pairwise(sequences, store=store, num_threads=1)[:], whole)
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("ThreadPoolExecutor")]


def stop_after(last, module, monkeypatch):
    """Interrupt the call before the write that would follow `last` others."""
    create, written = module.create, []

    class Interrupting:
        def __init__(self, array):
            self.array = array

        def __setitem__(self, key, values):
            if len(written) == last:
                raise KeyboardInterrupt
            written.append(key)
            self.array[key] = values

    monkeypatch.setattr(module, "create", lambda *arguments: Interrupting(create(*arguments)))


def test_a_finished_store_is_only_opened(dtw, internals, tmp_path, monkeypatch):
    before = dtw.pairwise(walks(70), store=tmp_path)[:]
    monkeypatch.setattr(internals["pairwise"], "_matrix", None)
    np.testing.assert_array_equal(dtw.pairwise(walks(70), store=tmp_path, max_memory=2e9)[:], before)


def test_neither_threads_nor_memory_change_a_bit_of_a_store(dtw, tmp_path):
    whole = dtw.pairwise(walks(200), store=tmp_path / "a", num_threads=3, max_memory=2**34)
    for file in ["zarr.json", "c/0/0", "c/1/3", "c/3/1"]:  # the rest is done again under other circumstances
        (tmp_path / "b" / file).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(tmp_path / "a" / file, tmp_path / "b" / file)
    again = dtw.pairwise(walks(200), store=tmp_path / "b", num_threads=2, max_memory=2**26)
    np.testing.assert_array_equal(again[:], whole[:])


def test_the_bar_starts_at_what_was_done(dtw, tmp_path, capsys):
    dtw.pairwise(walks(130), store=tmp_path, progress=True)
    assert "8385/8385" in capsys.readouterr().err
    (tmp_path / "c/0/1").unlink()
    dtw.pairwise(walks(130), store=tmp_path, progress=True)
    first = capsys.readouterr().err.strip("\r").split("\r")[0]
    assert f"{8385 - 64 * 64}/8385" in first


# --- refused --------------------------------------------------------------------------------------------------------


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


# --- memory ---------------------------------------------------------------------------------------------------------


def traced_peak(call):
    tracemalloc.start()
    try:
        call()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_memory_is_bound_by_its_parameter_and_not_by_the_number_of_pairs(dtw, tmp_path, rng):
    sequences = list(rng.normal(size=(800, 3, 1)))
    dtw.pairwise(sequences[:150], store=tmp_path / "small", num_threads=2)  # what is loaded once
    limit = 1_500_000  # the matrix would take 2,560,000
    peak = traced_peak(lambda: dtw.pairwise(sequences, store=tmp_path / "large", max_memory=limit, num_threads=2))
    assert peak < limit


@pytest.mark.parametrize(
    "choices", [{}, CHOICES, {"normalize": "path", "window_size": 9}, {"window_size": 7, "stride": 3}]
)
@pytest.mark.parametrize(("num_dims", "length"), [(2, 150), (60, 40), (700, 9)])
def test_a_chunk_needs_no_more_than_was_said(internals, rng, choices, num_dims, length):
    options = internals["windows"].check_options(
        **{"window_size": 1, "stride": 1, "radius": None, "normalize": None} | choices
    )
    sequences = list(rng.normal(size=(128, length, num_dims)).astype(np.float32))
    sequences[70] = sequences[3].copy()  # a doubtful pair
    compute = internals["pairwise"]._matrix
    compute(sequences[:20], sequences[:20], options)
    said = internals["chunks"].working_memory(64, length, num_dims, options)
    peak = traced_peak(lambda: compute(sequences[:64], sequences[64:], options))
    assert said / 8 < peak < said


def test_twenty_thousand_clips_fit_by_plan(internals):
    chunks, options = internals["chunks"], internals["windows"].check_options(1, 1, 8, None)
    size = chunks.choose_size((20000, 20000), 75, 256, options, 2**30)
    assert size == 512
    assert 8 * chunks.working_memory(size, 75, 256, options) < 2**30


@pytest.mark.parametrize("size", [16, 64])
@pytest.mark.parametrize(("rows", "columns"), [(1, 1), (64, 64), (65, 130), (130, 65)])
def test_chunks_cover_every_pair_once(internals, size, rows, columns):
    for cut in (
        internals["chunks"].Cut((rows, columns), size, False),
        internals["chunks"].Cut((rows, rows), size, True),
    ):
        seen = np.zeros(cut.shape, int)
        for chunk in cut.chunks():
            seen[cut.slices(chunk)] += 1
            if cut.mirrored(chunk):
                seen[cut.slices(chunk)[::-1]] += 1
        assert (seen == 1).all()
        pairs = rows * (rows - 1) // 2 if cut.triangle else rows * columns
        assert sum(map(cut.num_pairs, cut.chunks())) == pairs


def test_too_little_memory_is_refused_with_what_is_needed(dtw, internals, tmp_path):
    with pytest.raises(
        ValueError, match=r"max_memory=1000 is too little for sequences of up to \d+ frames and D=24: the"
    ):
        dtw.pairwise(walks(20), store=tmp_path / "new", max_memory=1000)
    dtw.pairwise(walks(20), store=tmp_path / "store")
    with pytest.raises(ValueError, match=r"max_memory=1000 is too little: the store's chunks of 64 need \d+ bytes"):
        dtw.pairwise(walks(20), store=tmp_path / "store", max_memory=1000)
    for bad in (0, -1, float("nan")):
        with pytest.raises(ValueError, match=r"max_memory=.* must be a number of bytes, more than 0"):
            dtw.pairwise(walks(20), max_memory=bad)
