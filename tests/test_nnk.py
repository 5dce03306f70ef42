"""NNK against every support, against nnls, and against its own conditions on awkward input."""

import numpy as np
import oracles
import pytest
from graph_cases import AWKWARD, awkward_distances, euclidean, local_systems
from hypothesis import given, settings
from hypothesis import strategies as st

from lib import graphs


def test_nnk_drops_whom_a_nearer_neighbor_hides():
    # on the line 0 1 2 5: clip 0 sees 1, and 2 and 5 only behind it; clip 1 has neighbours on both sides
    distances = euclidean(np.array([[0.0], [1.0], [2.0], [5.0]]))
    graph = graphs.nnk(distances, 3, sigma=1.0)
    np.testing.assert_array_equal(graph.num_neighbors, [1, 2, 2, 1])
    near, apart = np.exp(-1 / 2), np.exp(-4 / 2)
    np.testing.assert_allclose(graph.weights[0], [near, 0, 0], atol=1e-9)
    np.testing.assert_allclose(graph.weights[1], [near / (1 + apart)] * 2 + [0], atol=1e-9)
    np.testing.assert_allclose(graph.reconstruction_errors[0], 1 - near**2, atol=1e-9)


@pytest.mark.parametrize("dimension", [1, 2, 5, 20])
def test_nnk_matches_the_best_of_all_supports(rng, dimension):
    distances = euclidean(rng.normal(size=(15, dimension)))
    for scale in (1 / 3, 1.0):
        sigma = graphs.bandwidth(distances, 6, scale=scale)
        graph = graphs.nnk(distances, 6, sigma=sigma)
        for i, kernel, target, _ in local_systems(graph, oracles.gaussian(distances, sigma)):
            np.testing.assert_allclose(graph.weights[i], oracles.nnk_by_supports(kernel, target), atol=1e-7)


@pytest.mark.parametrize("dimension", [3, 16, 128])
def test_nnk_matches_nnls(rng, dimension):
    distances = euclidean(rng.normal(size=(60, dimension)))
    graph = graphs.nnk(distances, 40, sigma=graphs.bandwidth(distances, 40, scale=0.7))
    for i, kernel, target, own in local_systems(graph, oracles.gaussian(distances, graph.sigma)):
        expected = oracles.nnk_by_nnls(kernel, target)
        np.testing.assert_allclose(graph.weights[i], expected, atol=1e-7)
        error = own + 2 * oracles.nnk_objective(kernel, target, expected)
        np.testing.assert_allclose(graph.reconstruction_errors[i], error, atol=1e-8)


@pytest.mark.parametrize("scale", [1e-4, 1 / 3, 30.0])
@pytest.mark.parametrize("kind", AWKWARD)
@pytest.mark.parametrize("k", [1, 7, 23])
def test_every_row_is_optimal_on_awkward_input(rng, kind, k, scale):
    distances = awkward_distances(kind, rng)
    sigma = graphs.bandwidth(distances, k, scale=scale)
    graph = graphs.nnk(distances, k, sigma=sigma)
    assert graph.weights.min() >= 0
    for i, kernel, target, _ in local_systems(graph, graphs.gaussian_kernel(distances, sigma)):
        assert graphs.kkt_residual(kernel, target, graph.weights[i]) < 1e-6
        best = oracles.nnk_objective(kernel, target, oracles.nnk_by_nnls(kernel, target)) if target.any() else 0.0
        assert oracles.nnk_objective(kernel, target, graph.weights[i]) <= best + 1e-9
    assert graph.kkt_residuals.max() < 1e-6


@settings(deadline=None, max_examples=60)
@given(
    seed=st.integers(0, 2**32 - 1),
    n=st.integers(2, 30),
    rank=st.integers(1, 8),
    copies=st.booleans(),
    scale=st.sampled_from([1e-8, 1.0, 1e8]),
)
def test_every_row_is_optimal_for_rank_deficient_kernels_of_any_sign(seed, n, rank, copies, scale):
    rng = np.random.default_rng(seed)
    vectors = rng.normal(size=(n, rank))
    if copies:
        vectors = vectors[rng.integers(n, size=n)]
    kernel = scale * vectors @ vectors.T
    k = int(rng.integers(1, n))
    graph = graphs.nnk(euclidean(vectors), k, kernel=(kernel + kernel.T) / 2)
    pruned = graphs.nnk(euclidean(vectors), k, kernel=(kernel + kernel.T) / 2, solver="pruning")
    for i, system, target, own in local_systems(graph, kernel):
        assert graphs.kkt_residual(system, target, graph.weights[i]) < 1e-6
        objective = oracles.nnk_objective(system, target, graph.weights[i])
        assert objective <= oracles.nnk_objective(system, target, oracles.nnk_by_nnls(system, target)) + 1e-8 * own
        assert objective <= oracles.nnk_objective(system, target, pruned.weights[i]) + 1e-8 * own


@settings(deadline=None, max_examples=60)
@given(seed=st.integers(0, 2**32 - 1), n=st.integers(3, 40), scale=st.floats(0.05, 20))
def test_every_row_is_optimal_where_distances_are_no_metric(seed, n, scale):
    rng = np.random.default_rng(seed)
    distances = awkward_distances("no metric", rng, n) ** int(rng.integers(1, 4))
    k = int(rng.integers(1, n))
    graph = graphs.nnk(distances, k, sigma=graphs.bandwidth(distances, k, scale=scale))
    for i, kernel, target, _ in local_systems(graph, graphs.gaussian_kernel(distances, graph.sigma)):
        assert graphs.kkt_residual(kernel, target, graph.weights[i]) < 1e-6


def test_pruning_is_worse_where_a_dropped_candidate_should_return(rng):
    distances = euclidean(rng.normal(size=(300, 3)))
    exact, pruned = (graphs.nnk(distances, 30, solver=solver) for solver in ("exact", "pruning"))
    assert np.all(exact.reconstruction_errors <= pruned.reconstruction_errors + 1e-9)
    assert (exact.reconstruction_errors < pruned.reconstruction_errors - 1e-4).any()
    assert exact.kkt_residuals.max() < 1e-6 < pruned.kkt_residuals.max()


def test_duplicates_share_their_weight():
    distances = euclidean(np.array([[0.0], [1.0], [1.0], [-3.0]]))
    weights = graphs.nnk(distances, 2, sigma=1.0).weights[0]
    np.testing.assert_allclose(weights, np.exp(-1 / 2) / 2, atol=1e-6)


@pytest.mark.parametrize("factor", [1e-3, 7.0, 1e6])
def test_weights_do_not_depend_on_the_unit_of_distance(rng, factor):
    distances = euclidean(rng.normal(size=(30, 4)))
    for sigma in (None, 0.8):
        there = graphs.nnk(distances, 8, sigma=sigma)
        here = graphs.nnk(factor * distances, 8, sigma=None if sigma is None else factor * sigma)
        np.testing.assert_allclose(here.weights, there.weights, atol=1e-9)


@pytest.mark.parametrize("kind", ["plain", "no metric", "duplicates"])
def test_reordering_clips_reorders_the_graph(rng, kind):
    distances = awkward_distances(kind, rng)
    order = rng.permutation(len(distances))
    k = len(distances) - 1  # with fewer, ties between duplicates choose candidates by index
    there = graphs.nnk(distances, k).adjacency().toarray()
    here = graphs.nnk(distances[np.ix_(order, order)], k).adjacency().toarray()
    np.testing.assert_allclose(here, there[np.ix_(order, order)], atol=1e-6)  # 1e-10 on the diagonal settles ties


def test_a_clip_far_from_all_keeps_neighbors_until_its_similarities_underflow():
    distances = euclidean(np.array([[0.0], [1.0], [2.0], [12.0]]))
    near = graphs.nnk(distances, 2, sigma=1.0)
    assert near.num_neighbors[3] == 1  # exp(-50)
    np.testing.assert_allclose(near.normalized()[3], [1.0, 0.0])
    far = graphs.nnk(distances * 10, 2, sigma=1.0)
    assert far.num_neighbors[3] == 0  # exp(-5000)
    np.testing.assert_array_equal(far.normalized()[3], 0.0)


def test_threads_types_and_layouts_give_the_same_graph(rng):
    distances = euclidean(rng.normal(size=(150, 5)))
    expected = graphs.nnk(distances, 12, num_threads=1)
    frozen = np.asfortranarray(distances)
    frozen.flags.writeable = False
    for same in (graphs.nnk(distances, 12, num_threads=5), graphs.nnk(frozen, 12)):
        np.testing.assert_array_equal(same.weights, expected.weights)
    single = graphs.nnk(distances.astype(np.float32), 12)
    np.testing.assert_allclose(single.weights, expected.weights, atol=1e-5)


@pytest.mark.parametrize("repair", ["local", "global"])
def test_repair_is_reported_and_only_where_needed(rng, repair):
    sound = graphs.nnk(euclidean(rng.normal(size=(70, 6))), 10, repair=repair)
    assert sound.psd_change[:4] == (0, 0.0, 0.0, 0)
    distances = awkward_distances("no metric", rng, 70)
    graph = graphs.nnk(distances, 10, sigma=1.0, repair=repair)
    kernel = oracles.gaussian(distances, 1.0)
    members = [[*row, i] for i, row in enumerate(graph.indices)] if repair == "local" else [range(70)]
    systems = [kernel[np.ix_(m, m)] for m in members]
    values = np.linalg.eigvalsh(systems)
    removed = np.minimum(values, 0)
    assert graph.psd_change.num_negative == np.count_nonzero(values < -1e-10)
    assert graph.psd_change.most_negative == pytest.approx((values[:, 0] / values[:, -1]).min())
    assert graph.psd_change.relative_change == pytest.approx(np.linalg.norm(removed) / np.linalg.norm(systems))
    assert graph.psd_change.num_changed == np.count_nonzero(values[:, 0] < -1e-10)
    assert graph.psd_change.num_matrices == len(systems)
    assert graph.kkt_residuals.max() < 1e-6


def test_kkt_residual_sees_wrong_weights():
    kernel, target = np.array([[1.0, 0.5], [0.5, 1.0]]), np.array([0.8, 0.1])
    assert graphs.kkt_residual(kernel, target, np.array([0.8, 0.0])) == pytest.approx(0)
    assert graphs.kkt_residual(kernel, target, np.array([0.7, 0.0])) == pytest.approx(0.1)  # too little
    assert graphs.kkt_residual(kernel, target, np.array([0.0, 0.0])) == pytest.approx(0.8)  # descent left
    assert graphs.kkt_residual(kernel, target, np.array([1.0, -0.4])) == pytest.approx(0.4)  # not allowed
