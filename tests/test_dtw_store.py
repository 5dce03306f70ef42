"""Distances in a store: stopped, killed, and gone on with."""

import shutil
import signal
import subprocess
import sys
import threading
import time

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
    from lib.dtw import _chunked, _store

    return {"chunked": _chunked, "store": _store}


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
    monkeypatch.setattr(internals["chunked"], "matrix", None)
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
