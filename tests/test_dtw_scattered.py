import numpy as np
import oracles
import pytest
from dtw_cases import assert_close, windowings
from hypothesis import given
from hypothesis import strategies as st


def pairs_of(sequences, first, second, **choices):
    from lib.dtw import _plan, _scattered, _windows

    options = _windows.check_options(**choices)
    sequences = [np.ascontiguousarray(x) for x in sequences]
    found = _scattered.ScatteredDistances(sequences, _plan.measure(sequences, "sequences", map), options)
    return found.pairs(np.array(first), np.array(second), map)


@given(
    seed=st.integers(0, 2**32),
    num_dims=st.sampled_from([1, 3, 4, 17, 63, 64, 150, 600]),
    windowing=windowings(),
    dtype=st.sampled_from([np.float32, np.float64]),
    whole=st.booleans(),
)
def test_pairs_are_those_of_the_oracle(seed, num_dims, windowing, dtype, whole):
    rng = np.random.default_rng(seed)
    sequences = [rng.normal(size=(length, num_dims)).cumsum(0) for length in rng.integers(1, 14, 6)]
    sequences = [(np.round(x) if whole else x).astype(dtype) for x in sequences]
    first, second = rng.integers(0, 6, size=(2, 40))
    found = pairs_of(sequences, first, second, **windowing)
    wanted = [
        oracles.dtw(sequences[i].astype(float), sequences[j].astype(float), **windowing)
        for i, j in zip(first, second, strict=True)
    ]
    assert_close(found, wanted)
    assert (found[first == second] == 0).all()


@pytest.mark.parametrize("unit", [1e-30, 1e-10, 1e10, 1e30])
def test_units_do_not_matter(rng, unit):
    sequences = [rng.normal(size=(8, 5)) for _ in range(4)]
    choices = {"window_size": 2, "stride": 1, "radius": None, "normalize": None}
    plain = pairs_of(sequences, [0, 1], [2, 3], **choices)
    scaled = pairs_of([x * unit for x in sequences], [0, 1], [2, 3], **choices)
    np.testing.assert_allclose(scaled, (plain * unit).astype(np.float32), rtol=1e-6)


def test_near_copies_beside_a_giant_keep_their_digits(rng):
    x = rng.normal(size=(9, 80)).astype(np.float32)
    near = x + np.float32(1e-6) * rng.normal(size=x.shape).astype(np.float32)
    giant = np.full((3, 80), 1e20, np.float32)
    choices = {"window_size": 1, "stride": 1, "radius": 2, "normalize": None}
    found = pairs_of([x, near, giant], [0], [1], **choices)
    np.testing.assert_allclose(found, oracles.dtw(x.astype(float), near.astype(float), **choices), rtol=1e-5)


def test_many_pairs_in_any_order(rng):
    sequences = [rng.normal(size=(length, 3)) for length in rng.integers(1, 30, 200)]
    first, second = rng.integers(0, 200, size=(2, 9001))
    choices = {"window_size": 1, "stride": 1, "radius": 0.2, "normalize": "path"}
    found = pairs_of(sequences, first, second, **choices)
    np.testing.assert_array_equal(found, pairs_of(sequences, first[::-1], second[::-1], **choices)[::-1])
