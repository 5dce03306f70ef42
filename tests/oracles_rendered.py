"""Stick figures, pixel by pixel and bone by bone."""

import math

import numpy as np


def places(x, present, *, num_frames, size, thickness):
    """(F, M, V, 2) column and row of joints of one clip x (T, M, V, C) without padding; absent persons are NaN."""
    T, M, V, C = x.shape
    across = [-1.0 if C == 3 else 1.0, -1.0]
    points = [
        [across[i] * x[t, m, v, i] for t in range(T) for m in range(M) if present[m] for v in range(V)] for i in (0, 1)
    ]
    low, high = [min(p) for p in points], [max(p) for p in points]
    longer = max(high[0] - low[0], high[1] - low[1])
    scale = (size - 2 - thickness) / longer if longer else 0.0
    found = np.full((num_frames, M, V, 2), np.nan)
    for f in range(num_frames):
        at = f * (T - 1) / (num_frames - 1) if num_frames > 1 else 0.0
        t = min(int(at), T - 1)
        later = min(t + 1, T - 1)
        for m in range(M):
            if not present[m]:
                continue
            for v in range(V):
                for i in (0, 1):
                    value = x[t, m, v, i] + (at - t) * (x[later, m, v, i] - x[t, m, v, i])
                    middle = (low[i] + high[i]) / 2
                    found[f, m, v, i] = (across[i] * value - middle) * scale + (size - 1) / 2
    return found


def distance(pixel, a, b):
    """Euclidean, from a point to the segment from a to b."""
    length = (b[0] - a[0]) ** 2 + (b[1] - a[1]) ** 2
    share = 0.0
    if length > 0:
        share = ((pixel[0] - a[0]) * (b[0] - a[0]) + (pixel[1] - a[1]) * (b[1] - a[1])) / length
        share = min(1.0, max(0.0, share))
    return math.hypot(a[0] + share * (b[0] - a[0]) - pixel[0], a[1] + share * (b[1] - a[1]) - pixel[1])


def nearest(frame, edges, size):
    """(size, size) distance of pixels' centres to the nearest bone of joints frame (V, 2); infinite without bones."""
    found = np.full((size, size), np.inf)
    for a, b in edges:
        for row in range(size):
            for column in range(size):
                found[row, column] = min(found[row, column], distance((column, row), frame[a], frame[b]))
    return found


def side(skeleton, edge):
    """0 for a bone of left joints, 1 for one of right joints, 2 for the middle and from one side to the other."""
    left, right = ({pair[i] for pair in skeleton.left_right} for i in (0, 1))
    touches_left, touches_right = bool(left & set(edge)), bool(right & set(edge))
    if touches_left == touches_right:
        return 2
    return 0 if touches_left else 1


def video(x, present, skeleton, *, num_frames, size, thickness):
    """(3, F, size, size) of one clip."""
    spots = places(x, present, num_frames=num_frames, size=size, thickness=thickness)
    drawn = np.zeros((3, num_frames, size, size))
    for channel in range(3):
        edges = [edge for edge in skeleton.edges if side(skeleton, edge) == channel]
        for f in range(num_frames):
            for m in np.flatnonzero(present):
                light = np.clip(thickness / 2 + 0.5 - nearest(spots[f, m], edges, size), 0, 1)
                drawn[channel, f] = np.maximum(drawn[channel, f], light)
    return drawn
