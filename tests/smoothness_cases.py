"""Clips and layers that the tests of smoothness share."""

import numpy as np
from scipy.spatial.distance import cdist

from lib import graphs


def clustered(rng, n=60, num_classes=4, apart=2.0, dimension=5):
    """Distances and labels of classes that overlap less the farther `apart` their centres are."""
    labels = rng.integers(num_classes, size=n)
    points = apart * np.eye(dimension)[labels] + rng.normal(size=(n, dimension))
    return cdist(points, points), labels


def with_isolated_clip():
    """Three near clips and one that sees nobody."""
    points = np.array([[0.0], [1.0], [2.5], [900.0]])
    return graphs.nnk(cdist(points, points), 2, sigma=1.0)


def separating_layers(rng):
    """Five layers that start to separate classes in the fourth, six subjects."""
    labels = rng.integers(4, size=160)
    points = rng.normal(size=(160, 6))
    built = {}
    for name, apart in {"l0": 0.0, "l1": 0.0, "l2": 0.0, "l3": 3.0, "l4": 4.0}.items():
        moved = points + apart * np.eye(6)[labels]
        built[name] = graphs.nnk(cdist(moved, moved), 8)
    return built, labels, rng.integers(6, size=160)
