"""Graphs of clips made from nearest neighbours alone, beside those of the whole matrix."""

import numpy as np
import pytest
from dtw_cases import layer_like


@pytest.fixture(scope="module")
def graphs():
    from lib import graphs

    return graphs


@pytest.fixture(scope="module")
def both_kinds(dtw):
    clips = layer_like(120, num_frames=9)
    return dtw.pairwise(clips, num_threads=1), dtw.nearest(clips, 12, num_threads=1, between=True)


@pytest.mark.parametrize("k", [12, 5])
@pytest.mark.parametrize("kernel", [None, "inverse", "gaussian", "matrix"])
def test_knn_graph_is_that_of_the_matrix(graphs, both_kinds, k, kernel):
    distances, found = both_kinds
    kernel = np.exp(-distances.astype(np.float64)) if kernel == "matrix" else kernel
    expected, graph = (graphs.knn(given, k, kernel=kernel) for given in (distances, found))
    np.testing.assert_array_equal(graph.indices, expected.indices)
    np.testing.assert_allclose(graph.weights, expected.weights, rtol=1e-3)


@pytest.mark.parametrize("sigma", [None, 2.0, "per point"])
def test_nnk_graph_is_that_of_the_matrix(graphs, both_kinds, sigma):
    distances, found = both_kinds
    if sigma == "per point":
        sigmas = [graphs.bandwidth(given, 9, scale=1.0, per_point=True) for given in (distances, found)]
        np.testing.assert_allclose(*sigmas, rtol=1e-5)
        sigma = sigmas[0]
    expected, graph = (graphs.nnk(given, 10, sigma=sigma) for given in (distances, found))
    np.testing.assert_array_equal(graph.indices, expected.indices)
    np.testing.assert_allclose(graph.weights, expected.weights, atol=2e-3)
    np.testing.assert_allclose(graph.reconstruction_errors, expected.reconstruction_errors, atol=1e-3)
    np.testing.assert_allclose(graph.sigma, expected.sigma, rtol=1e-5)


def test_nnk_of_equal_distances_is_equal(dtw, graphs, both_kinds):
    distances, found = both_kinds
    indices = found.indices
    rows = np.arange(len(indices))[:, None]
    same = dtw.Nearest(indices, distances[rows, indices], 0, distances[indices[:, :, None], indices[:, None, :]])
    expected, graph = (graphs.nnk(given, 12, sigma=1.5) for given in (distances, same))
    np.testing.assert_allclose(graph.weights, expected.weights, rtol=1e-9, atol=1e-12)


def test_graphs_say_what_a_search_lacks(dtw, graphs, both_kinds):
    _, found = both_kinds
    with pytest.raises(ValueError, match=r"between=None, but a Gaussian needs it: dtw\.nearest\(\.\.\., between=True"):
        graphs.nnk(found._replace(between=None), 5)
    with pytest.raises(ValueError, match=r"repair='global' needs all \(N, N\) distances"):
        graphs.nnk(found, 5, repair="global")
    with pytest.raises(ValueError, match=r"k=13 neighbours asked, but the search kept 12; search with a larger k"):
        graphs.knn(found, 13)
    with pytest.raises(ValueError, match=r"indices that are no other clip; need 0 to 119"):
        graphs.knn(found._replace(indices=found.indices + 100), 5)
    with pytest.raises(ValueError, match=r"not finite, below 0 or not in ascending order"):
        graphs.knn(found._replace(distances=found.distances[:, ::-1]), 5)
    with pytest.raises(ValueError, match=r"kernel covers 3 clips"):
        graphs.knn(found, 5, kernel=np.eye(3))
