import doctest
import inspect
import os
import subprocess
import sys
import warnings

import numba
import numpy as np
import oracles
import pytest
from dtw_cases import NORMALIZATIONS, layer_like, windowings
from hypothesis import given, settings
from hypothesis import strategies as st


@pytest.fixture(scope="module")
def graphs():
    from lib import graphs

    return graphs


@pytest.fixture(scope="module")
def internals():
    from lib.dtw import _bounds, _known, _nearest, _plan, _scattered, _sparse, _vectors, _windows

    modules = (_bounds, _known, _nearest, _plan, _scattered, _sparse, _vectors, _windows)
    return {module.__name__.rpartition("._")[2]: module for module in modules}


@st.composite
def datasets(draw, max_sequences=40, max_frames=16):
    """Walks: scattered, in clusters, with ties and copies, far from zero, tiny and huge, of one length or of many."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    num_dims = draw(st.sampled_from([1, 3, 9, 50, 70]))
    lengths = rng.integers(1, draw(st.integers(1, max_frames)) + 1, size=draw(st.integers(2, max_sequences)))
    if draw(st.booleans()):
        lengths = [lengths[0]] * len(lengths)
    sequences = [rng.normal(size=(length, num_dims)).cumsum(0) for length in lengths]
    kind = draw(st.sampled_from(["walks", "clusters", "whole", "copies", "offset", "units"]))
    if kind == "clusters":
        sequences = [x + 20 * rng.integers(4) for x in sequences]
    elif kind == "whole":
        sequences = [np.round(x / 3) for x in sequences]
    elif kind == "copies":
        sequences = [sequences[i // 2] for i in range(len(sequences))]
    elif kind == "offset":
        sequences = [x + 1e4 for x in sequences]
    elif kind == "units":
        unit = 10.0 ** draw(st.sampled_from([-15, 9]))
        sequences = [x * unit for x in sequences]
    return sequences


def true_distances(dtw, sequences, choices):
    """Every distance in float64; `distance` itself is tested against the oracle elsewhere."""
    return np.array([[dtw.distance(x, y, **choices) for y in sequences] for x in sequences])


def recall(found, expected):
    return np.mean([len(set(a) & set(b)) / len(b) for a, b in zip(found, expected, strict=True)])


# --- exact --------------------------------------------------------------------------------------------------------


@given(sequences=datasets(), choices=windowings(), k=st.integers(1, 8))
def test_exact_is_what_sorting_all_pairs_gives(dtw, sequences, choices, k):
    k = min(k, len(sequences) - 1)
    found = dtw.nearest(sequences, k, num_threads=1, between=True, **choices)
    distances = true_distances(dtw, sequences, choices)
    rounded = distances.astype(np.float32)
    np.testing.assert_array_equal(found.indices, oracles.nearest_neighbors(rounded, k))
    near = np.take_along_axis(distances, found.indices, axis=1)
    np.testing.assert_allclose(found.distances, near, rtol=1e-5, atol=0)
    among = distances[found.indices[:, :, None], found.indices[:, None, :]]
    np.testing.assert_allclose(found.between, among, rtol=1e-5, atol=0)


@settings(max_examples=15)
@given(sequences=datasets(max_sequences=8, max_frames=8), choices=windowings())
def test_exact_matches_the_oracle(dtw, sequences, choices):
    found = dtw.nearest(sequences, 1, num_threads=1, **choices)
    for i, (j, distance) in enumerate(zip(found.indices[:, 0], found.distances[:, 0], strict=True)):
        values = [oracles.dtw(sequences[i], y, **choices) for y in sequences]
        others = np.delete(values, i)
        np.testing.assert_allclose([values[j], distance], others.min(), rtol=1e-5, atol=0)


@pytest.mark.parametrize("normalize", NORMALIZATIONS)
@pytest.mark.parametrize("num_dims", [10, 60])
def test_exact_agrees_with_pairwise_on_many_and_prunes(dtw, num_dims, normalize):
    clips = layer_like(400, num_dims=num_dims)
    choices = {"radius": 2, "normalize": normalize}
    distances = dtw.pairwise(clips, num_threads=1, **choices)
    found = dtw.nearest(clips, 6, num_threads=1, **choices)
    assert recall(found.indices, oracles.nearest_neighbors(distances, 6)) > 0.999  # pairwise may swap near ties
    near = np.take_along_axis(distances, found.indices, axis=1)
    np.testing.assert_allclose(found.distances, near, rtol=2e-5)
    assert found.num_pairs < 0.5 * 400 * 399 / 2


def test_every_pair_may_be_asked_for(dtw, rng):
    clips = [rng.normal(size=(rng.integers(1, 9), 3)) for _ in range(30)]
    found = dtw.nearest(clips, 29, num_threads=1)
    np.testing.assert_array_equal(np.sort(found.indices), [np.delete(np.arange(30), i) for i in range(30)])


def test_ties_go_to_the_lower_index(dtw):
    found = dtw.nearest([[1.0], [0.0], [2.0], [1.0], [1.0]], 3, num_threads=1)
    assert found.indices.tolist() == [[3, 4, 1], [0, 3, 4], [0, 3, 4], [0, 4, 1], [0, 3, 1]]
    assert found.distances.tolist() == [[0, 0, 1], [1, 1, 1], [1, 1, 1], [0, 0, 1], [0, 0, 1]]


# --- bounds -------------------------------------------------------------------------------------------------------


@given(sequences=datasets(max_sequences=12), choices=windowings())
def test_no_bound_exceeds_the_distance(dtw, internals, sequences, choices):
    bounds_module, options = internals["bounds"], internals["windows"].check_options(*choices.values())
    scaling = internals["plan"].measure(sequences, "sequences", lambda function, items: list(map(function, items)))
    sketches = bounds_module.sketch(sequences, scaling, options)
    bounds = bounds_module.Bounds(sketches, options, scaling.exponent)
    distances = true_distances(dtw, sequences, choices)
    for n, rows in bounds.groups.items():
        bounds.prepare(n)
        for m, columns in bounds.groups.items():
            found = bounds.between(rows, n, m)
            assert (found <= distances[np.ix_(rows, columns)]).all()


@given(sequences=datasets(max_sequences=2), choices=windowings())
def test_sketches_never_enlarge_a_window_cost(internals, sequences, choices):
    bounds_module, options = internals["bounds"], internals["windows"].check_options(*choices.values())
    scaling = internals["plan"].measure(sequences, "sequences", lambda function, items: list(map(function, items)))
    x, y = bounds_module.sketch(sequences, scaling, options).values[:2]
    costs = oracles.dtw_costs(*sequences[:2], options.window_size, options.stride) / options.window_size
    costs = np.ldexp(costs, -2 * scaling.exponent)
    assert (((x[:, None] - y) ** 2).sum(axis=2) <= costs + 1e-9 * (1 + costs)).all()


def test_bounds_are_tight_where_classes_are_apart(dtw, internals):
    clips = [np.full((8, 3), 100.0 * i) for i in range(6)]
    options = internals["windows"].check_options(1, 1, None, None)
    scaling = internals["plan"].measure(clips, "clips", lambda function, items: list(map(function, items)))
    bounds = internals["bounds"].Bounds(internals["bounds"].sketch(clips, scaling, options), options, scaling.exponent)
    bounds.prepare(8)
    expected = true_distances(dtw, clips, {})
    np.testing.assert_allclose(bounds.between(np.arange(6), 8, 8), expected, rtol=1e-3)


# --- approximate --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("lengths", ["equal", "mixed"])
def test_approximate_finds_nearly_all(dtw, rng, lengths):
    sizes = None if lengths == "equal" else rng.integers(8, 20, size=600)
    clips = layer_like(600, lengths=sizes)
    choices = {"radius": 3, "normalize": "length", "num_threads": 1}
    found = dtw.nearest(clips, 10, method="approximate", **choices)
    exact = dtw.nearest(clips, 10, **choices)
    assert recall(found.indices, exact.indices) >= 0.97
    assert found.num_pairs < 0.35 * 600 * 599 / 2
    distances = dtw.pairwise(clips, **choices)
    np.testing.assert_allclose(found.distances, np.take_along_axis(distances, found.indices, axis=1), rtol=2e-5)


@pytest.mark.parametrize("method", ["exact", "approximate"])
def test_threads_and_repetition_change_nothing(dtw, internals, monkeypatch, method):
    monkeypatch.setattr(internals["scattered"], "CHUNK", 64)  # several for each thread
    clips = layer_like(150, num_dims=50)
    once, again, more = (dtw.nearest(clips, 5, method=method, num_threads=n) for n in (1, 1, 2))
    for a, b, c in zip(once[:3], again[:3], more[:3], strict=True):
        np.testing.assert_array_equal(a, b)
        np.testing.assert_array_equal(a, c)


def test_nndescent_gives_the_candidates_of_many(dtw, internals, monkeypatch):
    """Stands in for NNDescent, which takes longer to compile than all tests here; `benchmarks/nearest.py` runs it."""
    import pynndescent

    accepted = inspect.signature(pynndescent.NNDescent)

    class StandIn:
        def __init__(self, vectors, **options):
            accepted.bind(vectors, **options)
            assert options["random_state"] == 3
            warnings.warn("about its own affairs", UserWarning, stacklevel=1)
            distances = ((vectors[:, None] - vectors) ** 2).sum(axis=2)
            indices = distances.argsort(axis=1)[:, : options["n_neighbors"]].astype(np.int32)
            indices[::3, 1:] = -1  # what it says where it found nobody
            self.neighbor_graph = indices, np.take_along_axis(distances, indices, axis=1)
            numba.set_num_threads(1)

    monkeypatch.setattr(pynndescent, "NNDescent", StandIn)
    monkeypatch.setattr(internals["vectors"], "ALL_PAIRS", 0)
    clips = layer_like(140)
    threads = numba.get_num_threads()
    found = dtw.nearest(clips, 2, method="approximate", num_threads=1, seed=3)
    assert recall(found.indices, dtw.nearest(clips, 2, num_threads=1).indices) >= 0.95
    assert numba.get_num_threads() == threads


def test_nndescent_leaves_pytorchs_number_of_threads_as_it_was():
    code = (
        "import torch; torch.set_num_threads(1)\n"
        "import types, numpy as np, pynndescent; from lib.dtw import _vectors\n"
        "found = types.SimpleNamespace(neighbor_graph=(np.zeros((9, 3)), None))\n"
        "pynndescent.NNDescent = lambda vectors, **options: found  # the real one takes long to compile\n"
        "_vectors.ALL_PAIRS, before = 0, torch.get_num_threads()\n"
        "_vectors.candidates(np.zeros((9, 3)), 2, 0, None)\n"
        "print(before, torch.get_num_threads())"
    )
    environment = {name: value for name, value in os.environ.items() if not name.endswith("_NUM_THREADS")}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=True)
    assert done.stdout.split() == ["1", "1"]


def test_a_search_that_finds_too_few_is_filled_up(dtw, internals, rng, monkeypatch):
    monkeypatch.setattr(internals["vectors"], "candidates", lambda vectors, *_: np.full((len(vectors), 3), -1))
    clips = rng.normal(size=(12, 5, 2))
    found, exact = (dtw.nearest(clips, 4, method=method, num_threads=1) for method in ("approximate", "exact"))
    np.testing.assert_array_equal(found.indices, exact.indices)


# --- messages -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("k", "choices", "message"),
    [
        (0, {}, r"k=0 neighbours asked of 4 sequences; needed an int from 1 to 3"),
        (4, {}, r"k=4 neighbours asked of 4 sequences"),
        (True, {}, r"k=True neighbours"),
        (2, {"method": "quick"}, r"method='quick' is unknown; choose one of 'exact', 'approximate'"),
        (2, {"seed": -1}, r"seed=-1 must be an int from 0"),
        (2, {"num_threads": 0}, r"num_threads=0 must be"),
        (2, {"radius": -2}, r"radius=-2 must be None"),
        (2, {"normalize": "mean"}, r"normalize='mean' is unknown"),
    ],
)
def test_choices_without_meaning_are_refused(dtw, rng, k, choices, message):
    with pytest.raises(ValueError, match=message):
        dtw.nearest(rng.normal(size=(4, 5, 2)), k, **choices)


def test_bad_sequences_are_named(dtw):
    good = np.zeros((3, 2))
    with pytest.raises(ValueError, match=r"sequences\[1\] has nan at frame 0, dimension 1"):
        dtw.nearest([good, [[0.0, np.nan]], good], 1)
    with pytest.raises(ValueError, match=r"sequences\[2\] has D=3 dimensions per frame but sequences\[0\] has D=2"):
        dtw.nearest([good, good, np.zeros((2, 3))], 1)


def test_inputs_are_not_modified_and_progress_counts_pairs(dtw, rng, capsys):
    clips = [rng.normal(size=(length, 9)) for length in (3, 9, 9, 4, 7)]
    before = [x.copy() for x in clips]
    dtw.nearest(clips, 2, window_size=5, stride=2, progress=True, num_threads=1)
    assert "10/10" in capsys.readouterr().err
    for x, y in zip(clips, before, strict=True):
        np.testing.assert_array_equal(x, y)


def test_docstring_examples_hold(internals):
    failed, attempted = doctest.testmod(internals["nearest"])
    assert attempted > 0
    assert failed == 0


def test_acquaintances_are_the_nearest_and_those_they_are_nearest_to(internals, rng):
    distances = rng.uniform(size=(30, 30)).astype(np.float32)
    distances = np.minimum(distances, distances.T)
    known = internals["known"].Known(30, 4)
    rows, columns = np.triu_indices(30, 1)
    some = rng.uniform(size=len(rows)) < 0.2
    known.add(rows[some], columns[some], distances[rows[some], columns[some]])
    lists = [[j for j in row if j >= 0] for row in known.indices.tolist()]
    for i, met in enumerate(known.acquaintances(3, 3).tolist()):
        assert met[:3] == known.indices[i, :3].tolist()
        owners = sorted((j for j in range(30) if i in lists[j]), key=lambda j, i=i: distances[i, j])[:3]
        assert met[3:] == owners + [-1] * (3 - len(owners))
