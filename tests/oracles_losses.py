"""Slow, plain reference versions of loss terms; nothing here imports lib."""

import math


def batch_smoothness(features, labels, num_neighbors, sigma_scale=1.0):
    """Twice the share of link weight between classes, pair by pair, in the graph of Gaussian nearest neighbours."""
    n = len(features)

    def distance(i, j):
        return math.dist(features[i], features[j])

    k = min(num_neighbors, n - 1)
    near = [sorted((j for j in range(n) if j != i), key=lambda j: distance(i, j))[:k] for i in range(n)]
    width = sigma_scale * sum(distance(i, near[i][-1]) for i in range(n)) / n
    within = between = 0.0
    for i in range(n):
        for j in range(n):
            if j in near[i] or i in near[j]:
                weight = math.exp(-(distance(i, j) ** 2) / (2 * width**2))
                if labels[i] == labels[j]:
                    within += weight
                else:
                    between += weight
    return 2 * between / (within + between)
