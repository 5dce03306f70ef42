"""Slow and obvious twins of lib.clustering; nothing here imports lib."""

from itertools import combinations, permutations

import numpy as np


def over_frames(values, starts, num_frames, summary):
    """Average, frame by frame, over the windows that hold it; look for the nearest held frame where there is none."""
    rows = {}
    for t in range(num_frames):
        here = []
        for start, states in zip(starts, values, strict=True):
            if start <= t < start + len(states):
                mean = sum(states) / len(states)
                wide = np.sqrt(sum((state - mean) ** 2 for state in states) / len(states))
                here.append({"mean": mean, "moments": np.r_[mean, wide], "state": states[t - start]}[summary])
        if here:
            rows[t] = np.mean(here, axis=0)
    return np.stack([rows[min(rows, key=lambda held: (abs(held - t), held))] for t in range(num_frames)])


def accuracy(found, labels):
    """Try every way to give each cluster a label of its own; the largest share of frames that are then right."""
    clusters, names = sorted(set(found)), sorted(set(labels))
    slots = names + ["nothing"] * len(clusters)
    best = 0
    for chosen in set(permutations(slots, len(clusters))):
        name_of = dict(zip(clusters, chosen, strict=True))
        best = max(best, sum(name_of[c] == label for c, label in zip(found, labels, strict=True)))
    return best / len(labels)


def adjusted_rand(found, labels):
    """Count pairs of frames that both put together, either, and what chance would give (Hubert & Arabie 1985)."""
    pairs = list(combinations(range(len(labels)), 2))
    same = [(found[i] == found[j], labels[i] == labels[j]) for i, j in pairs]
    both = sum(a and b for a, b in same)
    one, other = sum(a for a, _ in same), sum(b for _, b in same)
    chance = one * other / len(pairs)
    most = (one + other) / 2
    return 1.0 if most == chance else (both - chance) / (most - chance)


def v_measure(found, labels):
    """Homogeneity, completeness and their harmonic mean from entropies."""

    def entropy(values):
        shares = [sum(v == one for v in values) / len(values) for one in set(values)]
        return -sum(p * np.log(p) for p in shares)

    def remaining(values, given):
        total = 0.0
        for one in set(given):
            part = [v for v, g in zip(values, given, strict=True) if g == one]
            total += len(part) / len(values) * entropy(part)
        return total

    homogeneity = 1.0 if entropy(labels) == 0 else 1 - remaining(labels, found) / entropy(labels)
    completeness = 1.0 if entropy(found) == 0 else 1 - remaining(found, labels) / entropy(found)
    total = homogeneity + completeness
    return homogeneity, completeness, 0.0 if total == 0 else 2 * homogeneity * completeness / total


def boundary_hits(found, intervals):
    """Try every subset of pairs: the most boundaries that answer for a transition each."""
    if not found or not intervals:
        return 0
    first, rest = found[0], found[1:]
    best = boundary_hits(rest, intervals)
    for i, (earliest, latest) in enumerate(intervals):
        if earliest <= first <= latest:
            best = max(best, 1 + boundary_hits(rest, intervals[:i] + intervals[i + 1 :]))
    return best


def merge_short(labels, least):
    """Take the shortest run away again and again, run by run."""
    runs = []
    for label in labels:
        if runs and runs[-1][0] == label:
            runs[-1][1] += 1
        else:
            runs.append([label, 1])
    while len(runs) > 1 and min(size for _, size in runs) < least:
        i = min(range(len(runs)), key=lambda k: (runs[k][1], k))
        around = [k for k in (i - 1, i + 1) if 0 <= k < len(runs)]
        into = max(around, key=lambda k: (runs[k][1], -k))
        runs[i][0] = runs[into][0]
        joined = []
        for label, size in runs:
            if joined and joined[-1][0] == label:
                joined[-1][1] += size
            else:
                joined.append([label, size])
        runs = joined
    return [label for label, size in runs for _ in range(size)]


def gru_step(x, h, w_ih, w_hh, b_ih, b_hh):
    """One step of a GRU cell (Cho et al. 2014, as PyTorch documents it): x (F,), h (D,)."""
    D = len(h)
    gates_x, gates_h = w_ih @ x + b_ih, w_hh @ h + b_hh
    sigmoid = lambda a: 1 / (1 + np.exp(-a))  # noqa: E731
    r = sigmoid(gates_x[:D] + gates_h[:D])
    z = sigmoid(gates_x[D : 2 * D] + gates_h[D : 2 * D])
    n = np.tanh(gates_x[2 * D :] + r * gates_h[2 * D :])
    return (1 - z) * n + z * h


def predicted(source, num_frames, weights, output):
    """Read frames (S, F) with one cell, then tell `num_frames` with the same cell, fed with what it told."""
    h = np.zeros(weights[1].shape[1])
    for frame in source:
        h = gru_step(frame, h, *weights)
    told, states, frame = [], [], source[-1]
    for _ in range(num_frames):
        h = gru_step(frame, h, *weights)
        frame = output[0] @ h + output[1]
        told.append(frame)
        states.append(h)
    return np.stack(told), np.stack(states)
