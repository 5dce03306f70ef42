import itertools

import numba
import numpy as np
import oracles
import pytest
from dtw_cases import assert_close, datasets, windowings
from hypothesis import given
from hypothesis import strategies as st


@pytest.fixture(scope="module")
def dtw_internals():
    from lib.dtw import _blocks, _exact, _pair, _pairwise, _windows

    return {"blocks": _blocks, "exact": _exact, "pair": _pair, "pairwise": _pairwise, "windows": _windows}


@pytest.fixture(scope="module")
def tslearn_dtw():
    """tslearn as plain Python, if nobody imported it before: compiling it takes longer than the tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(numba.config, "DISABLE_JIT", True)
        from tslearn.metrics import dtw

    return dtw


# --- one pair -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("radius", [None, 0, 1, 2, 5, 99])
@pytest.mark.parametrize(("n", "m"), [(1, 1), (1, 6), (7, 7), (12, 8), (8, 12), (20, 19)])
def test_distance_is_tslearns_with_windows_of_one_frame(dtw, tslearn_dtw, rng, n, m, radius):
    x, y = rng.normal(size=(n, 3)), rng.normal(size=(m, 3))
    found = dtw.distance(x, y, radius=radius)
    assert_close(found, tslearn_dtw(x, y, sakoe_chiba_radius=radius), rtol=1e-12)
    assert_close(dtw.pairwise([x], [y], radius=radius)[0, 0], found)


@given(sequences=datasets(max_sequences=2), choices=windowings())
def test_distance_matches_oracle(dtw, sequences, choices):
    x, y = sequences[0], sequences[-1]
    assert_close(dtw.distance(x, y, **choices), oracles.dtw(x, y, **choices), rtol=1e-11)


def test_golden_case_written_by_hand(dtw, dtw_internals):
    x, y = [1.0, 3.0, 4.0, 2.0], [1.0, 4.0, 2.0]
    costs = [[0, 9, 1], [4, 1, 1], [9, 0, 4], [1, 4, 0]]
    total = [[0, 9, 10], [4, 1, 2], [13, 1, 5], [14, 5, 1]]
    np.testing.assert_array_equal(oracles.dtw_costs(x, y), costs)
    options = dtw_internals["windows"].check_options(1, 1, None, None)
    filled = dtw_internals["exact"].align(np.array(x)[:, None], np.array(y)[:, None], options)
    np.testing.assert_array_equal(filled.total, total)
    found = dtw.path(x, y)
    assert found.pairs.tolist() == [[0, 0], [1, 1], [2, 1], [3, 2]]
    assert found.distance == dtw.distance(x, y) == 1.0
    assert dtw.distance(x, y, normalize="path") == pytest.approx(np.sqrt(1 / 4))
    assert dtw.distance(x, y, normalize="length") == pytest.approx(np.sqrt(1 / 7))


def test_windows_of_the_golden_case(dtw):
    # windows of two frames every frame: (1,3) (3,4) (4,2) against (1,4) (4,2); mean squared differences
    # [[(0+1)/2, (9+1)/2], [(4+0)/2, (1+4)/2], [(9+4)/2, 0]]: cheapest 0.5 + 2 + 0
    assert dtw.distance([1.0, 3.0, 4.0, 2.0], [1.0, 4.0, 2.0], window_size=2) == pytest.approx(np.sqrt(2.5))


def test_frames_that_fill_no_window_are_dropped(dtw, rng):
    x, y = rng.normal(size=(11, 2)), rng.normal(size=(9, 2))
    assert dtw.distance(x, y, window_size=4, stride=3) == dtw.distance(x[:10], y[:7], window_size=4, stride=3)


def test_a_sequence_shorter_than_one_window_repeats_its_last_frame(dtw, rng):
    x, y = rng.normal(size=(2, 2)), rng.normal(size=(9, 2))
    longer = np.concatenate([x, x[-1:], x[-1:]])
    assert dtw.distance(x, y, window_size=4) == dtw.distance(longer, y, window_size=4)


@pytest.mark.parametrize(("radius", "windows"), [(0.1, 3), (0.11, 4), (0.0, 0), (1.0, 30), (1.0, 10**30)])
def test_a_fraction_of_the_longer_sequence_is_rounded_up(dtw, rng, radius, windows):
    x, y = rng.normal(size=(30, 2)), rng.normal(size=(25, 2))
    assert dtw.distance(x, y, radius=radius) == dtw.distance(x, y, radius=windows)


@given(sequences=datasets(max_sequences=2), choices=windowings())
def test_path_is_legal_and_costs_what_it_says(dtw, sequences, choices):
    x, y = sequences[0], sequences[-1]
    pairs, distance = dtw.path(x, y, **choices)
    costs = oracles.dtw_costs(x, y, choices["window_size"], choices["stride"], choices["radius"])
    n, m = costs.shape
    assert pairs[0].tolist() == [0, 0]
    assert pairs[-1].tolist() == [n - 1, m - 1]
    assert {tuple(step) for step in np.diff(pairs, axis=0).tolist()} <= {(1, 0), (0, 1), (1, 1)}
    total = costs[tuple(pairs.T)].sum() / choices["window_size"]
    parts = {None: 1, "path": len(pairs), "length": n + m}[choices["normalize"]]
    assert_close(distance, np.sqrt(total / parts), rtol=1e-11)
    assert distance == dtw.distance(x, y, **choices)


@given(sequences=datasets(max_sequences=2), choices=windowings())
def test_swapping_changes_nothing_and_identical_is_zero(dtw, sequences, choices):
    x, y = sequences[0], sequences[-1]
    assert dtw.distance(x, y, **choices) == dtw.distance(y, x, **choices)
    assert dtw.distance(x, x.copy(), **choices) == 0.0


@given(sequences=datasets(max_sequences=2), choices=windowings())
def test_reversed_time_gives_the_same(dtw, sequences, choices):
    span = choices["window_size"] + 3 * choices["stride"]  # whole windows, so that none is dropped
    x, y = (np.resize(side, (span, side.shape[1])) for side in (sequences[0], sequences[-1]))
    assert_close(dtw.distance(x[::-1], y[::-1], **choices), dtw.distance(x, y, **choices), rtol=1e-9)


@given(sequences=datasets(max_sequences=2), choices=windowings(), seed=st.integers(0, 99))
def test_dimensions_may_be_permuted_and_both_moved(dtw, sequences, choices, seed):
    x, y = (np.round(side, 3) for side in (sequences[0], sequences[-1]))
    order = np.random.default_rng(seed).permutation(x.shape[1])
    expected = dtw.distance(x, y, **choices)
    assert_close(dtw.distance(x[:, order], y[:, order], **choices), expected, rtol=1e-9)
    size = np.abs(x).max() or 1.0
    moved = dtw.distance(x + size, y + size, **choices | {"normalize": None})
    np.testing.assert_allclose(moved, dtw.distance(x, y, **choices | {"normalize": None}), rtol=1e-6, atol=1e-9 * size)


@given(sequences=datasets(max_sequences=2), choices=windowings())
def test_a_wider_band_is_never_farther(dtw, sequences, choices):
    x, y = sequences[0], sequences[-1]
    choices |= {"normalize": None}
    found = [dtw.distance(x, y, **choices | {"radius": radius}) for radius in (0, 1, 2, 5, 20, None)]
    assert all(wide <= narrow for narrow, wide in itertools.pairwise(found))


@pytest.mark.parametrize("dims", [1, 4, 30])
def test_radius_zero_on_equal_lengths_is_the_frobenius_distance(dtw, rng, dims):
    x, y = rng.normal(size=(2, 25, dims))
    assert_close(dtw.distance(x, y, radius=0), np.linalg.norm(x - y), rtol=1e-12)
    assert_close(dtw.pairwise([x, y], radius=0)[0, 1], np.linalg.norm(x - y))


# --- messages -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("choices", "message"),
    [
        ({"window_size": 0}, r"window_size=0 must be a whole number of frames, at least 1"),
        ({"stride": 0}, r"stride=0 must be a whole number of frames, at least 1"),
        ({"radius": -1}, r"radius=-1 must be None \(no band\), an int >= 0 \(windows\) or a float from 0\.0 to 1\.0"),
        ({"radius": 1.5}, r"radius=1\.5 must be None"),
        ({"radius": float("nan")}, r"radius=nan must be None"),
        ({"radius": True}, r"radius=True must be None"),
        ({"radius": "10%"}, r"radius='10%' must be None"),
        ({"normalize": "mean"}, r"normalize='mean' is unknown; choose one of None, 'path', 'length'"),
    ],
)
def test_choices_without_meaning_are_refused(dtw, choices, message):
    for call in (dtw.distance, dtw.path, lambda x, y, **kw: dtw.pairwise([x, y], **kw)):
        with pytest.raises(ValueError, match=message):
            call([1.0, 2.0], [1.0], **choices)


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ([], r"has shape \(0,\); needed at least one frame and one dimension"),
        (np.zeros((0, 2)), r"has shape \(0, 2\); needed at least one frame"),
        (np.zeros((3, 0)), r"has shape \(3, 0\); needed at least one frame"),
        (np.zeros((2, 2, 2)), r"has shape \(2, 2, 2\); needed \(frames, dimensions\) or \(frames,\)"),
        (1.0, r"has shape \(\); needed \(frames, dimensions\)"),
        (np.zeros((2, 2), complex), r"has dtype complex128; needed real numbers"),
        ([["a", "b"]], r"has dtype <U1; needed real numbers"),
        ([[1.0, 2.0], [3.0]], r"cannot be read as an array of frames by dimensions"),
        (np.zeros((2, 3)), r"has D=3 dimensions per frame but .* has D=2"),
        ([[0.0, 1.0], [0.0, np.nan]], r"has nan at frame 1, dimension 1 \(1 such values\); .* cut padding"),
        ([[-np.inf, 1.0], [0.0, np.nan]], r"has -inf at frame 0, dimension 0 \(2 such values\)"),
    ],
)
def test_bad_sequences_are_named(dtw, bad, message):
    good = np.zeros((3, 2))
    for dtype in (np.float32, np.float64):
        good = good.astype(dtype)
        with pytest.raises(ValueError, match="y " + message):
            dtw.distance(good, bad)
        with pytest.raises(ValueError, match=r"sequences\[1\] " + message):
            dtw.pairwise([good, bad, good])
        with pytest.raises(ValueError, match=r"others\[2\] " + message):
            dtw.pairwise([good], [good, good, bad])
        with pytest.raises(ValueError, match=r"others\[0\] " + message):
            dtw.pairwise([good, good], [bad])


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ([], r"sequences is empty; needed at least one sequence"),
        ("walks", r"sequences is of type str; needed a list of arrays or one \(N, T, D\) array"),
        (3, r"sequences is of type int; needed a list of arrays"),
        (np.float64(3), r"sequences .*; needed a list of arrays"),
        (np.array(3.0), r"sequences cannot be iterated: .*; needed a list of arrays"),
        (np.arange(3.0), r"sequences\[0\] has shape \(\)"),
    ],
)
def test_lists_that_are_none_are_refused(dtw, bad, message):
    with pytest.raises(ValueError, match=message):
        dtw.pairwise(bad)


@pytest.mark.parametrize("num_threads", [0, -1, True])
def test_thread_counts_are_checked(dtw, num_threads):
    with pytest.raises(ValueError, match=r"num_threads=.* must be None \(every CPU\) or an int, at least 1"):
        dtw.pairwise([[1.0]], num_threads=num_threads)


def test_without_a_number_of_threads_numbas_own_counts(monkeypatch):
    import numba

    from lib.dtw import _threads

    monkeypatch.setattr(numba.config, "NUMBA_NUM_THREADS", 7)
    assert _threads.check_threads(None) == 7
