import os
import subprocess
import sys

import numpy as np
import oracles
import pytest
from graph_cases import awkward_distances, euclidean
from hypothesis import given, settings
from hypothesis import strategies as st

from lib import graphs

# neighbours


@pytest.mark.parametrize("k", [1, 4, 11])
def test_knn_orders_by_distance_then_index(rng, k):
    distances = rng.integers(4, size=(12, 12))
    distances = np.triu(distances, 1) + np.triu(distances, 1).T
    graph = graphs.knn(distances, k)
    np.testing.assert_array_equal(graph.indices, oracles.nearest_neighbors(distances, k))
    np.testing.assert_array_equal(graph.num_neighbors, k)


def test_nobody_is_their_own_neighbor_even_among_duplicates(rng):
    graph = graphs.nnk(awkward_distances("all equal", rng), 5)
    assert not (graph.indices == np.arange(24)[:, None]).any()


def test_knn_weights_by_hand():
    distances = euclidean(np.array([[0.0], [1.0], [3.0], [7.0]]))
    np.testing.assert_array_equal(graphs.knn(distances, 2).weights, 1.0)
    inverse = graphs.knn(distances, 2, kernel="inverse")
    np.testing.assert_allclose(inverse.weights[0], [3 / 4, 1 / 4], rtol=1e-12)  # 1/1 and 1/3
    np.testing.assert_allclose(inverse.weights[3], [6 / 10, 4 / 10], rtol=1e-12)  # 1/4 and 1/6
    bell = graphs.knn(distances, 2, kernel="gaussian", sigma=2.0)
    np.testing.assert_allclose(bell.weights[0], np.exp([-1 / 8, -9 / 8]), rtol=1e-12)
    np.testing.assert_array_equal(graphs.knn(distances, 2, kernel=10.0 - distances).weights[0], [9.0, 7.0])


def test_inverse_weights_give_duplicates_nearly_everything():
    graph = graphs.knn(euclidean(np.array([[0.0], [0.0], [1.0]])), 2, kernel="inverse")
    np.testing.assert_allclose(graph.weights[0], [1.0, 0.0], atol=1e-5)
    assert np.all(graph.num_neighbors == 2)


# kernels


def test_bandwidth_is_a_third_of_the_mean_distance_to_the_kth_neighbor(rng):
    distances = euclidean(rng.normal(size=(20, 3)))
    kth = np.sort(distances, axis=1)[:, 5]
    assert graphs.bandwidth(distances, 5) == pytest.approx(kth.mean() / 3)
    np.testing.assert_allclose(graphs.bandwidth(distances, 5, scale=1.0, per_point=True), kth)
    assert graphs.nnk(distances, 5).sigma == pytest.approx(kth.mean() / 3)


def test_one_width_per_clip_means_the_geometric_mean_of_both(rng):
    distances = euclidean(rng.normal(size=(20, 3)))
    sigma = graphs.bandwidth(distances, 5, per_point=True)
    kernel = graphs.gaussian_kernel(distances, sigma)
    assert kernel[2, 7] == pytest.approx(np.exp(-(distances[2, 7] ** 2) / (2 * sigma[2] * sigma[7])))
    np.testing.assert_allclose(
        graphs.nnk(distances, 5, sigma=sigma).weights, graphs.nnk(distances, 5, kernel=kernel).weights, atol=1e-12
    )
    np.testing.assert_array_equal(
        graphs.nnk(distances, 5, sigma=np.full(20, 0.7)).weights, graphs.nnk(distances, 5, sigma=0.7).weights
    )


def test_cosine_kernel_runs_from_0_to_1_and_feeds_nnk(rng):
    kernel = graphs.cosine_kernel(np.array([[2.0, 0.0], [0.0, 3.0], [-1.0, 0.0], [4.0, 4.0]]))
    np.testing.assert_allclose(kernel[0], [1.0, 0.5, 0.0, 0.5 + 0.5 / np.sqrt(2)], atol=1e-15)
    kernel = graphs.cosine_kernel(rng.normal(size=(60, 16)))
    assert np.array_equal(kernel, kernel.T)
    graph = graphs.nnk(1 - kernel, 20, kernel=kernel)
    assert graph.psd_change.num_negative == 0
    assert graph.kkt_residuals.max() < 1e-6
    assert graph.sigma is None


def test_nearest_psd_by_hand():
    # eigenvalues 3 and -1
    repaired, change = graphs.nearest_psd(np.array([[1.0, 2.0], [2.0, 1.0]]))
    np.testing.assert_allclose(repaired, 1.5)
    assert change == pytest.approx((1, -1 / 3, 1 / np.sqrt(10), 1, 1))


def test_nearest_psd_leaves_kernels_alone(rng):
    kernel = graphs.gaussian_kernel(euclidean(rng.normal(size=(30, 3))), 0.5)
    repaired, change = graphs.nearest_psd(kernel)
    np.testing.assert_array_equal(repaired, kernel)
    assert change == (0, 0.0, 0.0, 0, 1)
    stack, change = graphs.nearest_psd(np.stack([kernel, kernel - 2 * np.eye(30)]))
    np.testing.assert_array_equal(stack[0], kernel)
    assert np.linalg.eigvalsh(stack[1]).min() > -1e-12
    assert (change.num_changed, change.num_matrices) == (1, 2)


# matrices


@pytest.mark.parametrize("rule", ["max", "mean", "smaller_error"])
def test_adjacency_matches_pair_by_pair(rng, rule):
    graph = graphs.nnk(euclidean(rng.normal(size=(40, 3))), 9)
    expected = oracles.symmetric_adjacency(graph.weights, graph.indices, rule, graph.reconstruction_errors)
    np.testing.assert_allclose(graph.adjacency(rule).toarray(), expected, rtol=1e-15)


def test_adjacency_defaults(rng):
    distances = euclidean(rng.normal(size=(40, 3)))
    for graph, rule in ((graphs.nnk(distances, 9), "smaller_error"), (graphs.knn(distances, 9), "max")):
        assert (graph.adjacency() != graph.adjacency(rule)).nnz == 0
        directed = graph.adjacency(None)
        assert directed.nnz == graph.num_neighbors.sum()
        assert directed[3, graph.indices[3, 0]] == graph.weights[3, 0]


@settings(deadline=None, max_examples=40)
@given(seed=st.integers(0, 2**32 - 1), n=st.integers(2, 25), exact=st.booleans())
def test_laplacian_has_no_negative_eigenvalue_and_keeps_constants(seed, n, exact):
    rng = np.random.default_rng(seed)
    distances = awkward_distances("no metric", rng, n)
    graph = (graphs.nnk if exact else graphs.knn)(distances, int(rng.integers(1, n)))
    laplacian = graph.laplacian().toarray()
    assert np.linalg.eigvalsh(laplacian).min() > -1e-10
    np.testing.assert_allclose(laplacian @ np.ones(n), 0, atol=1e-12)
    values = np.linalg.eigvalsh(graph.laplacian("normalized").toarray())
    assert values.min() > -1e-10
    assert values.max() < 2 + 1e-10


def test_clip_without_links_has_empty_laplacian_rows():
    graph = graphs.nnk(euclidean(np.array([[0.0], [1.0], [500.0]])), 1, sigma=1.0)
    for kind in ("combinatorial", "normalized"):
        laplacian = graph.laplacian(kind).toarray()
        np.testing.assert_array_equal(laplacian[2], 0.0)
        assert np.isfinite(laplacian).all()


# refusals and side effects


def broken(change):
    distances = euclidean(np.arange(5.0)[:, None])
    change(distances)
    return distances


@pytest.mark.parametrize("build", [graphs.knn, graphs.nnk])
@pytest.mark.parametrize(
    ("distances", "k", "message"),
    [
        (np.zeros((4, 3)), 1, r"shape \(4, 3\); need a square matrix"),
        (np.zeros(4), 1, r"shape \(4,\)"),
        (np.zeros((1, 1)), 1, "covers 1 clips; a graph needs at least 2"),
        (np.full((3, 3), "a"), 1, "need real numbers"),
        (broken(lambda d: d.__setitem__((1, 3), np.nan)), 2, r"not finite \(1 pairs; first distances\[1, 3\] = nan\)"),
        (broken(lambda d: d.__setitem__((3, 1), np.inf)), 2, r"first distances\[3, 1\] = inf"),
        (broken(lambda d: d.__setitem__((0, 1), 2.0)), 2, "not symmetric: .* by up to 1, the largest"),
        (broken(lambda d: d.__imul__(-1)), 2, "go down to -4; need values >= 0"),
        (broken(lambda d: d.__iadd__(1)), 2, "up to 1 on the diagonal"),
        (broken(lambda d: None), 5, "k=5 neighbours asked of 5 clips; need k between 1 and 4"),
        (broken(lambda d: None), 0, "k=0"),
    ],
)
def test_bad_distances_are_refused(build, distances, k, message):
    with pytest.raises(ValueError, match=message):
        build(distances, k)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"solver": "fast"}, "solver='fast'; choose 'exact' or 'pruning'"),
        ({"repair": "none"}, "repair='none'; choose 'local' or 'global'"),
        ({"kernel": "cosine"}, r"kernel='cosine'; choose 'gaussian' or pass an \(N, N\) array"),
        ({"kernel": np.eye(4)}, "kernel covers 4 clips, distances 5"),
        ({"kernel": np.eye(5) - np.eye(5)[:, :1]}, "kernel is not symmetric"),
        ({"kernel": np.zeros((5, 5))}, "kernel has 0 on its diagonal"),
        ({"kernel": np.eye(5), "sigma": 1.0}, "a kernel matrix has no width"),
        ({"sigma": 0.0}, "sigma=0 at its lowest; need positive"),
        ({"sigma": np.ones(4)}, r"sigma has shape \(4,\); need one number, or one per clip \(5,\)"),
        ({"num_threads": 0}, "num_threads=0; need at least 1"),
    ],
)
def test_bad_options_of_nnk_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        graphs.nnk(euclidean(np.arange(5.0)[:, None]), 2, **options)


def test_other_bad_options_are_refused():
    distances = euclidean(np.arange(5.0)[:, None])
    with pytest.raises(ValueError, match="kernel='linear'; choose None, 'inverse', 'gaussian'"):
        graphs.knn(distances, 2, kernel="linear")
    with pytest.raises(ValueError, match="only kernel='gaussian' has a width"):
        graphs.knn(distances, 2, sigma=1.0)
    with pytest.raises(ValueError, match="kernel goes down to -1 between neighbours"):
        graphs.knn(distances, 2, kernel=2 * np.eye(5) - 1)
    with pytest.raises(ValueError, match="scale=-1"):
        graphs.bandwidth(distances, 2, scale=-1.0)
    with pytest.raises(ValueError, match="1 vectors have length 0 or are not finite"):
        graphs.cosine_kernel(np.array([[1.0, 0.0], [0.0, 0.0]]))
    with pytest.raises(ValueError, match="symmetrize='min'; choose one of"):
        graphs.knn(distances, 2).adjacency("min")
    with pytest.raises(ValueError, match="has no reconstruction errors"):
        graphs.knn(distances, 2).adjacency("smaller_error")
    with pytest.raises(ValueError, match="kind='random walk' of Laplacian"):
        graphs.knn(distances, 2).laplacian("random walk")
    with pytest.raises(ValueError, match=r"kernel has shape \(2, 3\)"):
        graphs.nearest_psd(np.zeros((2, 3)))


def test_inputs_are_not_modified(rng):
    distances = awkward_distances("no metric", rng)
    kernel = oracles.gaussian(distances, 1.0)
    before = distances.copy(), kernel.copy()
    for repair in ("local", "global"):
        graphs.nnk(distances, 5, repair=repair)
        graphs.nnk(distances, 5, kernel=kernel, repair=repair)
    graphs.knn(distances, 5, kernel="inverse")
    graphs.nearest_psd(kernel)
    np.testing.assert_array_equal(distances, before[0])
    np.testing.assert_array_equal(kernel, before[1])


def test_graphs_and_smoothness_do_not_import_torch():
    code = "import sys, lib.graphs, lib.smoothness; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_graphs_leave_the_number_of_threads_as_it_was_asked_for():
    code = (
        "import numpy as np, torch; from lib import graphs; before = torch.get_num_threads()\n"
        "graphs.knn(np.abs(np.subtract.outer(range(6), range(6))).astype(float), 2)\n"
        "print(before, torch.get_num_threads())"
    )
    environment = {name: value for name, value in os.environ.items() if name != "NUMBA_NUM_THREADS"}
    environment["OMP_NUM_THREADS"] = "1"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=True)
    assert done.stdout.split() == ["1", "1"]
