"""Distances of every pair at once; those of one pair are in test_dtw.py."""

import doctest
import threading

import numpy as np
import oracles
import pytest
from dtw_cases import NORMALIZATIONS, assert_close, datasets, windowings
from hypothesis import given
from hypothesis import strategies as st


@pytest.fixture(scope="module")
def dtw_internals():
    from lib.dtw import _blocks, _exact, _matrix, _pair, _pairwise, _windows

    return {
        "blocks": _blocks,
        "exact": _exact,
        "matrix": _matrix,
        "pair": _pair,
        "pairwise": _pairwise,
        "windows": _windows,
    }


@given(sequences=datasets(), choices=windowings(), threads=st.sampled_from([1, 2]))
def test_pairwise_matches_oracle(dtw, sequences, choices, threads):
    found = dtw.pairwise(sequences, num_threads=threads, **choices)
    expected = [[oracles.dtw(x, y, **choices) for y in sequences] for x in sequences]
    assert_close(found, expected)
    np.testing.assert_array_equal(found, found.T)
    np.testing.assert_array_equal(np.diag(found), 0)


@given(sequences=datasets(), choices=windowings(), cut=st.integers(1, 5))
def test_pairwise_against_others_matches_distance(dtw, sequences, choices, cut):
    sequences, others = sequences[:cut], sequences[cut - 1 :] or sequences
    found = dtw.pairwise(sequences, others, **choices)
    assert found.shape == (len(sequences), len(others))
    assert_close(found, [[dtw.distance(x, y, **choices) for y in others] for x in sequences])


@pytest.mark.parametrize("choices", [{}, {"radius": 4}, {"radius": 0.1, "normalize": "path"}, {"normalize": "path"}])
@pytest.mark.parametrize("window", [(1, 1), (4, 1), (5, 2), (6, 3), (3, 7)])
@pytest.mark.parametrize("dims", [2, 20])
def test_many_groups_of_mixed_lengths(dtw, rng, choices, window, dims):
    sequences = [rng.normal(size=(rng.integers(3, 60), dims)).cumsum(0) for _ in range(70)]
    choices = {"window_size": window[0], "stride": window[1]} | choices
    found = dtw.pairwise(sequences, **choices)
    np.testing.assert_array_equal(found, found.T)
    for i, j in rng.integers(70, size=(150, 2)):
        assert_close(found[i, j], dtw.distance(sequences[i], sequences[j], **choices))
    assert_close(dtw.pairwise(sequences[:3], sequences, **choices), found[:3], rtol=1e-5)
    assert_close(dtw.pairwise(sequences, sequences[:3], **choices), found[:, :3], rtol=1e-5)


@pytest.mark.parametrize("dims", [1, 40])
def test_long_sequences_keep_their_digits(dtw, dims):
    x = np.tile(np.float64([[0.0], [0.3]]), (700, dims))
    sequences = [x, x + 0.1, x[:900] + 0.4]
    expected = [[dtw.distance(a, b, radius=5) for b in sequences] for a in sequences]
    assert_close(dtw.pairwise(sequences, radius=5), expected)


@pytest.mark.parametrize("gap", [1e-1, 1e-2, 1e-3, 1e-5, 1e-7, 0.0])
@pytest.mark.parametrize("dims", [2, 30])
def test_nearly_equal_sequences_keep_their_digits(dtw, rng, gap, dims):
    base = 5.0 + rng.normal(size=(30, dims)).cumsum(0)
    sequences = [base + gap * rng.normal(size=base.shape) for _ in range(6)] + [base - 50, base * 3]
    expected = [[dtw.distance(a, b) for b in sequences] for a in sequences]
    assert_close(dtw.pairwise(sequences), expected)


@pytest.mark.parametrize("dims", [2, 30])
def test_small_sequences_survive_beside_huge_ones(dtw, rng, dims):
    huge = np.full((10, dims), 1e30)
    sequences = [huge, -huge, *rng.normal(size=(4, 10, dims))]
    expected = [[dtw.distance(a, b) for b in sequences] for a in sequences]
    assert_close(dtw.pairwise(sequences), expected)


def test_only_doubtful_pairs_are_done_again(dtw, dtw_internals, rng, monkeypatch):
    exact, again = dtw_internals["exact"], []
    align = exact.align
    monkeypatch.setattr(exact, "align", lambda x, y, options: again.append(1) or align(x, y, options))
    sequences = [rng.normal(size=(40, 25)).cumsum(0) for _ in range(40)]
    dtw.pairwise(sequences)
    dtw.pairwise(sequences, normalize="path")
    assert len(again) < 0.05 * 2 * 780
    again.clear()
    dtw.pairwise([*sequences, sequences[3].copy()])
    assert len(again) >= 1


def test_one_array_lists_orders_and_dtypes_agree(dtw, rng):
    x = rng.integers(-9, 9, size=(5, 12, 10))
    expected = dtw.pairwise([list(map(list, sequence)) for sequence in x])
    read_only = x.astype(np.float32)
    read_only.setflags(write=False)
    kinds = [x, x.astype(np.float64), read_only, x.astype(np.float16), x.astype(np.int8), tuple(x), iter(x)]
    for kind in [*kinds, np.asfortranarray(x.astype(float)), x[::-1][::-1], [sequence[::1, ::1] for sequence in x]]:
        np.testing.assert_array_equal(dtw.pairwise(kind), expected)
    np.testing.assert_array_equal(dtw.pairwise(x[..., 0]), dtw.pairwise(x[..., :1]))
    assert expected.dtype == np.float32


def test_one_frame_one_sequence_one_dimension(dtw):
    assert dtw.distance([3.0], [5.0]) == 2.0
    assert dtw.pairwise([[3.0]]).tolist() == [[0.0]]
    assert dtw.pairwise([[3.0], [5.0]], [[4.0]]).tolist() == [[1.0], [1.0]]


@pytest.mark.parametrize("normalize", NORMALIZATIONS)
def test_inputs_are_not_modified(dtw, rng, normalize):
    sequences = [rng.normal(size=(length, 9)) for length in (3, 9, 9)]
    before = [x.copy() for x in sequences]
    dtw.pairwise(sequences, window_size=5, stride=2, normalize=normalize)
    dtw.path(sequences[0], sequences[1], window_size=5, normalize=normalize)
    for x, y in zip(sequences, before, strict=True):
        np.testing.assert_array_equal(x, y)


def test_progress_counts_pairs(dtw, rng, capsys):
    dtw.pairwise(rng.normal(size=(20, 5, 2)), progress=True)
    assert "190/190" in capsys.readouterr().err
    dtw.pairwise(rng.normal(size=(20, 5, 2)))
    assert not capsys.readouterr().err


def test_an_interrupt_stops_the_workers(dtw, dtw_internals, rng, monkeypatch):
    def interrupted(futures):
        raise KeyboardInterrupt

    monkeypatch.setattr(dtw_internals["matrix"], "as_completed", interrupted)
    with pytest.raises(KeyboardInterrupt):
        dtw.pairwise(rng.normal(size=(300, 100, 60)))
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("ThreadPoolExecutor")]


def test_docstring_examples_hold(dtw_internals):
    failed, attempted = doctest.testmod(dtw_internals["pair"])
    assert attempted > 0
    assert failed == 0
