"""Slow, plain reference versions of what lib.geometry measures; nothing here imports lib."""

import math


def information_imbalance(distances, others):
    """Glielmo et al. 2022, clip by clip; ties share their rank."""
    n, total = len(distances), 0.0
    for i in range(n):
        rest = [j for j in range(n) if j != i]
        nearest = min(rest, key=lambda j: (distances[i][j], j))
        before = sum(others[i][j] < others[i][nearest] for j in rest)
        tied = sum(others[i][j] == others[i][nearest] for j in rest)
        total += before + (tied + 1) / 2
    return 2 / n * total / n


def hsic(k, m):
    """Unbiased HSIC of two Gram matrices (Song et al. 2012, equation 5): sums over clips that differ, written out."""
    n = len(k)
    pairs = [(i, j) for i in range(n) for j in range(n) if i != j]
    trace = sum(k[i][j] * m[j][i] for i, j in pairs)
    sums = sum(k[i][j] for i, j in pairs) * sum(m[i][j] for i, j in pairs)
    chains = sum(k[i][j] * m[j][q] for j in range(n) for i in range(n) if i != j for q in range(n) if q != j)
    return (trace + sums / ((n - 1) * (n - 2)) - 2 * chains / (n - 2)) / (n * (n - 3))


def cka(x, y):
    """Linear CKA of unbiased HSIC."""

    def gram(rows):
        return [[sum(a * b for a, b in zip(p, q, strict=True)) for q in rows] for p in rows]

    k, m = gram(x), gram(y)
    return hsic(k, m) / math.sqrt(hsic(k, k) * hsic(m, m))


def jaccard(first, second):
    """Of two sets per clip."""
    return [len(a & b) / len(a | b) if a | b else 1.0 for a, b in zip(first, second, strict=True)]


def resampled_distance(x, y, frames):
    """Root mean squared distance of two sequences, each read at `frames` places, linear in between."""
    total = 0.0
    for i in range(frames):
        total += math.dist(*(_at(seq, i * (len(seq) - 1) / (frames - 1)) for seq in (x, y))) ** 2
    return math.sqrt(total / frames)


def _at(sequence, place):
    before = min(int(place), len(sequence) - 1)
    after = min(before + 1, len(sequence) - 1)
    return [a + (b - a) * (place - before) for a, b in zip(sequence[before], sequence[after], strict=True)]
