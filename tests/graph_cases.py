"""Distances that the tests of graphs share."""

import numpy as np
from scipy.spatial.distance import cdist

from lib import graphs


def euclidean(points):
    return cdist(points, points)


def awkward_distances(kind, rng, n=24):
    """Distance matrices that break a careless solver."""
    points = rng.normal(size=(n, 3))
    if kind == "duplicates":
        points = points[rng.integers(n // 4, size=n)]
    elif kind == "near duplicates":
        points = points[rng.integers(n // 4, size=n)] + 1e-9 * points
    elif kind == "line":
        points = np.arange(n)[:, None] * 1e-3
    elif kind == "all equal":
        points = np.zeros((n, 3))
    elif kind == "one outlier":
        points[0] = 1e6
    elif kind == "two scales":
        points[: n // 2] *= 1e-6
    elif kind == "equidistant":
        return 1.0 - np.eye(n)
    elif kind == "no metric":
        distances = np.triu(rng.uniform(size=(n, n)), 1)
        return distances + distances.T
    return euclidean(points)


AWKWARD = (
    "duplicates",
    "near duplicates",
    "line",
    "all equal",
    "one outlier",
    "two scales",
    "equidistant",
    "no metric",
)


def local_systems(graph, kernel):
    """(row, K_SS, k_Si, K_ii) of every clip, repaired as the graph says it repairs them."""
    for i, candidates in enumerate(graph.indices):
        members = [*candidates, i]
        system, _ = graphs.nearest_psd(kernel[np.ix_(members, members)])
        yield i, system[:-1, :-1], system[:-1, -1], system[-1, -1]
