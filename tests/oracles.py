"""Slow, plain reference versions of what lib computes; nothing here imports lib."""

import itertools
import math

import numpy as np
import torch
from scipy.optimize import nnls
from torch import nn


def dtw_windows(sequence, window_size, stride):
    """Every window of a sequence, one by one; a short sequence repeats its last frame."""
    frames = [np.atleast_1d(np.asarray(frame, dtype=np.float64)) for frame in sequence]
    while len(frames) < window_size:
        frames.append(frames[-1])
    return [frames[start : start + window_size] for start in range(0, len(frames) - window_size + 1, stride)]


def dtw_radius(radius, n, m):
    """Band half-width in windows; a fraction counts the longer list of windows, rounded up."""
    if radius is None:
        return n + m
    if isinstance(radius, float):
        return math.ceil(round(radius * max(n, m), 9))
    return radius


def dtw_costs(x, y, window_size=1, stride=1, radius=None):
    """Cost of every pair of windows, summed over their frames; infinite outside the band.

    The shorter side gets the radius, the longer side the difference of the lengths on top.
    """
    windows_x, windows_y = dtw_windows(x, window_size, stride), dtw_windows(y, window_size, stride)
    n, m = len(windows_x), len(windows_y)
    r = dtw_radius(radius, n, m)
    costs = np.full((n, m), np.inf)
    for i in range(n):
        for j in range(m):
            shorter, longer = (i, j) if n <= m else (j, i)
            if shorter - r <= longer <= shorter + r + abs(n - m):
                frames = zip(windows_x[i], windows_y[j], strict=True)
                costs[i, j] = sum(np.sum((a - b) ** 2) for a, b in frames)
    return costs


def dtw(x, y, window_size=1, stride=1, radius=None, normalize=None):
    """Window-based DTW by the textbook recurrence; among equally cheap paths the shortest counts."""
    costs = dtw_costs(x, y, window_size, stride, radius)
    n, m = costs.shape
    best = {(-1, -1): (0.0, 0)}
    for i in range(n):
        for j in range(m):
            before = [best[p] for p in ((i - 1, j - 1), (i - 1, j), (i, j - 1)) if p in best]
            if before and np.isfinite(costs[i, j]):
                total, steps = min(before)
                best[i, j] = (total + costs[i, j], steps + 1)
    total, steps = best[n - 1, m - 1]
    total /= window_size  # only now, so that sums of whole numbers tie exactly
    return math.sqrt(total / {None: 1, "path": steps, "length": n + m}[normalize])


def nearest_neighbors(distances, k):
    """For each point, the k other points in order of (distance, index)."""
    n = len(distances)
    return np.array([sorted((j for j in range(n) if j != i), key=lambda j: (distances[i][j], j))[:k] for i in range(n)])


def gaussian(distances, sigma):
    """exp(-d² / (2 σ²)), entry by entry."""
    return np.array([[math.exp(-(d**2) / (2 * sigma**2)) for d in row] for row in distances])


def nnk_objective(kernel, target, weights):
    """½ θᵀKθ - θᵀt."""
    return 0.5 * weights @ kernel @ weights - weights @ target


def nnk_by_supports(kernel, target):
    """Weights of least objective over θ >= 0: try every set of neighbours, solve without bounds, keep the best."""
    k = len(target)
    best, best_weights = 0.0, np.zeros(k)
    for size in range(1, k + 1):
        for support in itertools.combinations(range(k), size):
            weights = np.zeros(k)
            solution = np.linalg.lstsq(kernel[np.ix_(support, support)], target[list(support)], rcond=None)[0]
            weights[list(support)] = solution
            if solution.min() >= 0 and nnk_objective(kernel, target, weights) < best:
                best, best_weights = nnk_objective(kernel, target, weights), weights
    return best_weights


def nnk_by_nnls(kernel, target):
    """The same weights as a non-negative least squares problem: K = AᵀA, Aᵀb = t, min |Aθ - b|."""
    values, vectors = np.linalg.eigh(kernel)
    keep = values > 1e-13 * values.max()
    root = np.sqrt(values[keep])
    return nnls((vectors[:, keep] * root).T, vectors[:, keep].T @ target / root)[0]


def symmetric_adjacency(weights, indices, rule, errors=None):
    """Dense adjacency of a directed neighbour list, made symmetric pair by pair."""
    n = len(indices)
    directed = np.zeros((n, n))
    for i in range(n):
        for j, weight in zip(indices[i], weights[i], strict=True):
            directed[i, j] = weight
    result = np.zeros((n, n))
    for i, j in itertools.product(range(n), repeat=2):
        there, back = directed[i, j], directed[j, i]
        if rule == "mean":
            result[i, j] = (there + back) / 2
        elif rule == "smaller_error" and there > 0 and back > 0 and errors[i] != errors[j]:
            result[i, j] = there if errors[i] < errors[j] else back
        else:
            result[i, j] = max(there, back)
    return result


def label_smoothness(weights, indices, labels, adjacency):
    """Interpolation error and cross-class mass per clip, Laplacian form in all and per class, by loops."""
    classes = sorted(set(labels))
    errors, masses = [], []
    for i, label in enumerate(labels):
        guess = dict.fromkeys(classes, 0.0)
        if sum(weights[i]) > 0:
            for j, weight in zip(indices[i], weights[i], strict=True):
                guess[labels[j]] += weight / sum(weights[i])
        else:
            others = [labels[j] for j in range(len(labels)) if j != i]
            guess = {name: others.count(name) / len(others) for name in classes}
        errors.append(math.sqrt(sum((guess[name] - (name == label)) ** 2 for name in classes) / len(classes)))
        masses.append(1 - guess[label])
    pairs = list(itertools.product(range(len(labels)), repeat=2))
    crossing = sum(adjacency[i, j] * 2 * (labels[i] != labels[j]) for i, j in pairs)
    laplacian = np.diag(adjacency.sum(axis=1)) - adjacency
    per_class = []
    for name in classes:
        y = np.array([float(label == name) for label in labels])
        per_class.append(2 * (y @ laplacian @ y) / (y @ np.diag(adjacency.sum(axis=1)) @ y))
    return np.array(errors), np.array(masses), crossing / adjacency.sum(), np.array(per_class)


# --- networks, module by module under the names of the published code -------------------------------------------------


class PublishedSTGCN(nn.Module):
    """ST-GCN as in the released ``net/st_gcn.py``: same computation, same weight names, nothing shared with lib."""

    CHANNELS = (64, 64, 64, 64, 128, 128, 128, 256, 256, 256)
    STRIDES = (1, 1, 1, 1, 2, 1, 1, 2, 1, 1)

    def __init__(self, in_channels, num_classes, A):
        super().__init__()
        self.register_buffer("A", A)
        self.data_bn = nn.BatchNorm1d(in_channels * A.shape[1])
        blocks, channels = [], in_channels
        for i, (out, stride) in enumerate(zip(self.CHANNELS, self.STRIDES, strict=True)):
            blocks.append(_PublishedBlock(channels, out, len(A), stride, residual=i > 0))
            channels = out
        self.st_gcn_networks = nn.ModuleList(blocks)
        self.edge_importance = nn.ParameterList([nn.Parameter(torch.ones_like(A)) for _ in blocks])
        self.fcn = nn.Conv2d(channels, num_classes, 1)

    def forward(self, x):
        N, C, T, V, M = x.shape
        x = x.permute(0, 4, 3, 1, 2).reshape(N * M, V * C, T)
        x = self.data_bn(x).reshape(N, M, V, C, T).permute(0, 1, 3, 4, 2).reshape(N * M, C, T, V)
        for block, importance in zip(self.st_gcn_networks, self.edge_importance, strict=True):
            x = block(x, self.A * importance)
        x = x.mean(dim=(2, 3)).reshape(N, M, -1, 1, 1).mean(dim=1)
        return self.fcn(x).reshape(N, -1)


class _PublishedBlock(nn.Module):
    def __init__(self, channels, out, num_partitions, stride, residual):
        super().__init__()
        self.gcn = nn.Module()
        self.gcn.conv = nn.Conv2d(channels, out * num_partitions, 1)
        conv = nn.Conv2d(out, out, (9, 1), (stride, 1), (4, 0))
        self.tcn = nn.Sequential(nn.BatchNorm2d(out), nn.ReLU(), conv, nn.BatchNorm2d(out), nn.Dropout(0.5))
        self.has_residual = residual
        if residual and (channels != out or stride != 1):
            self.residual = nn.Sequential(nn.Conv2d(channels, out, 1, (stride, 1)), nn.BatchNorm2d(out))

    def forward(self, x, A):
        skip = self.residual(x) if hasattr(self, "residual") else x if self.has_residual else 0
        y = self.gcn.conv(x)
        y = y.reshape(len(y), len(A), -1, *y.shape[2:])
        y = torch.einsum("nkctv,kvw->nctw", y, A)
        return torch.relu(self.tcn(y) + skip)
