"""Cheap lower bounds of the windowed, banded, normalised distance, and a vector per sequence that resembles it.

Why the bounds hold. Write X_i for window i of a sequence, w frames of D dimensions, with the norm in which window costs
are squared distances: c(i, j) = |X_i - Y_j|² = mean over the frames of their squared distances.

1. *Sketch.* Let P have r orthonormal rows. The windows that are constant in time with a value in the span of P form a
   subspace; the projection of X_i onto it has coordinates P mean(X_i), and what is left over has norm
   rho_i = sqrt(|X_i|² - |P mean(X_i)|²). Norms of left-overs differ by at most the norm of their difference, so the map
   u_i = (P mean(X_i), rho_i) never enlarges a distance: |u_i - v_j|² <= c(i, j). P only decides how tight this is.
2. *Rows.* A path visits every window i of x, and there only windows j of y inside the band. So its sum is at least the
   sum over i of the squared distance from u_i to any box that contains those v_j (Keogh 2002). It starts at (0, 0) and
   ends at (n - 1, m - 1), which turns the first and last box into points (Kim 2001); with n = 1 only the first counts.
3. *Segments.* Squared distance to a box is convex. Hence rows of a segment, taken together, cost at least their number
   times the squared distance from their mean u to one box that contains the boxes of all (Jensen; Keogh's PAA bound).
4. *Both ways.* x and y may swap roles; the larger bound counts.
5. *Normalisation.* Without any, and by "length" (a division by n + m), the bound follows at once. By "path" the sum is
   divided by the steps L <= n + m - 1 (L = n where the band is the diagonal). Every step costs at least beta, the
   squared distance of the boxes around all of u and all of v. One visit to every row costs at least the sum S of 2 and
   3, the other L - n visits at least beta each, so the mean is at least beta + (S - n beta) / L; this is monotone in L
   and at least beta wherever S >= n beta, so max(beta, beta + (S - n beta) / (n + m - 1)) is a bound.

Everything is kept in float32; what its rounding could add to a bound is taken off again.
"""

from itertools import pairwise
from typing import NamedTuple, no_type_check

import numba
import numpy as np

from lib.dtw._plan import Scaling
from lib.dtw._windows import Options, band, extend, num_windows

NUM_SEGMENTS = 8  # between the first and the last window
MAX_COMPONENTS = 7  # and the norm of the rest makes 8
NUM_POINTS = 8  # averages over time in the vector of a sequence
SAMPLE = 512  # windows from which the components come
POSITION = 1e-6  # generous for what rounding to float32 does to a coordinate, relative to the largest


class Sketches(NamedTuple):
    """Sketches of all sequences, in scaled units.

    Attributes
    ----------
    values
        One (n, R) float64 array per sequence, a row per window: leading components of its mean, norm of the rest.
    counts
        (N,) windows of each.
    largest
        Largest magnitude in any of them.
    """

    values: list[np.ndarray]
    counts: np.ndarray
    largest: float

    def take(self, order: np.ndarray) -> "Sketches":
        """Sketches of sequences in another order."""
        return Sketches([self.values[index] for index in order], self.counts[order], self.largest)


def sketch(
    sequences: list[np.ndarray], scaling: Scaling, options: Options, max_components: int = MAX_COMPONENTS
) -> Sketches:
    """Sketch every window; the components are the leading ones of evenly spread windows."""
    count = len(sequences)
    chosen = np.unique(np.linspace(0, count - 1, min(count, SAMPLE // 4)).astype(int))
    means = [_window_means(sequences[index], scaling, options)[0] for index in chosen]
    sample = np.concatenate([mean[np.linspace(0, len(mean) - 1, min(len(mean), 4)).astype(int)] for mean in means])
    components = np.linalg.svd(sample, full_matrices=False)[2][:max_components].T  # (D, r)
    values = []
    for sequence in sequences:
        mean, square = _window_means(sequence, scaling, options)
        projected = mean @ components
        rest = np.sqrt(np.maximum(square - np.einsum("ir,ir->i", projected, projected), 0.0))
        values.append(np.concatenate([projected, rest[:, None]], axis=1))
    largest = max(float(np.abs(value).max()) for value in values)
    return Sketches(values, np.array([len(value) for value in values]), largest)


def _window_means(sequence, scaling, options):
    """Mean frame of every window (n, D), and the mean of its frames' squared norms (n,)."""
    frames = extend((sequence - scaling.centre) * 2.0**-scaling.exponent, options.window_size)
    squares = np.einsum("td,td->t", frames, frames)
    starts = np.arange(num_windows(len(frames), options.window_size, options.stride)) * options.stride
    if options.window_size == 1:
        return frames[starts], squares[starts]
    windows = starts[:, None] + np.arange(options.window_size)
    mean = np.add.reduce([frames[windows[:, t]] for t in range(options.window_size)]) / options.window_size
    return mean, squares[windows].mean(axis=1)


def embed(sketches: Sketches, num_points: int = NUM_POINTS) -> np.ndarray:
    """(N, num_points * R) float32: every sketch averaged over `num_points` equal parts of its time.

    A guess at who is near whom, no bound: it does not warp.
    """
    out = np.empty((len(sketches.values), num_points, sketches.values[0].shape[1]), np.float32)
    for index, value in enumerate(sketches.values):
        total = np.concatenate([np.zeros((1, value.shape[1])), np.cumsum(value, axis=0)])
        edges = np.linspace(0, len(value), num_points + 1)
        low = np.minimum(edges.astype(int), len(value) - 1)
        at = total[low] + (edges - low)[:, None] * value[low]
        out[index] = np.diff(at, axis=0) * (num_points / len(value))
    return out.reshape(len(out), -1)


class Bounds:
    """Lower bounds between sequences, taken by groups of one length."""

    def __init__(self, sketches: Sketches, options: Options, exponent: int):
        self.options, self.exponent, self.largest = options, exponent, sketches.largest
        self.groups = {
            int(n): np.flatnonzero(sketches.counts == n) for n in np.unique(sketches.counts)
        }  # windows -> sequences
        self.values = {n: np.stack([sketches.values[i] for i in group]) for n, group in self.groups.items()}
        self.places = np.empty(len(sketches.counts), np.int64)
        for group in self.groups.values():
            self.places[group] = np.arange(len(group))
        self.points = {n: _segment_means(values) for n, values in self.values.items()}
        self.hulls = {n: (values.min(axis=1), values.max(axis=1)) for n, values in self.values.items()}
        self.prepared, self.boxes = None, {}

    def prepare(self, n: int) -> None:
        """Make the boxes of all sequences for partners of `n` windows, unless they are there."""
        if self.prepared != n:
            self.prepared = n
            self.boxes = {
                m: tuple(np.ascontiguousarray(_flat(side).T) for side in _boxes(values, n, self.options.radius))
                for m, values in self.values.items()
            }

    def between(self, rows: np.ndarray, n: int, m: int) -> np.ndarray:
        """Bounds (rows, group m) on distances of sequences `rows`, which all have the prepared `n` windows."""
        places = self.places[rows]
        points_x = _flat(self.points[n][places])
        points_y = np.ascontiguousarray(_flat(self.points[m]).T)
        sums = np.zeros((2, len(rows), points_y.shape[1]), np.float32)
        low, high = self.boxes[m]
        _add_gaps(points_x, points_x, low, high, _weights(n, self.num_dims), sums[0])
        low, high = _boxes(self.values[n][places], m, self.options.radius)
        _add_gaps(_flat(low), _flat(high), points_y, points_y, _weights(m, self.num_dims), sums[1])
        roots = _lowered(sums, np.array([[[n]], [[m]]]) * self.num_dims, self.largest)
        if self.options.normalize == "path":
            roots = self._per_step(roots, places, n, m)
        elif self.options.normalize == "length":
            roots = roots / np.sqrt(n + m)
        return np.ldexp(roots.max(axis=0), self.exponent)

    def after(self, rows: np.ndarray, n: int) -> tuple[np.ndarray, np.ndarray]:
        """All sequences after the first of consecutive `rows`, and bounds (rows, sequences); infinite up to the row.

        Sequences stand in order of their windows; the rows all have the prepared `n`.
        """
        later = np.concatenate([self.between(rows, n, m) for m in self.values if m >= n], axis=1)
        columns = np.arange(rows[0] + 1, len(self.places))
        lower = later[:, later.shape[1] - len(columns) :]
        lower[columns <= rows[:, None]] = np.inf
        return columns, lower

    @property
    def num_dims(self) -> int:
        """R."""
        return next(iter(self.values.values())).shape[2]

    def _per_step(self, roots, places, n, m):
        (low_x, high_x), (low_y, high_y) = self.hulls[n], self.hulls[m]
        hull = np.zeros(roots.shape[1:], np.float32)
        low_x, high_x, low_y, high_y = (
            np.ascontiguousarray(side, np.float32) for side in (low_x[places], high_x[places], low_y.T, high_y.T)
        )
        _add_gaps(low_x, high_x, low_y, high_y, np.ones(self.num_dims, np.float32), hull)
        beta = _lowered(hull, self.num_dims, self.largest) ** 2
        below, above = band(n, m, self.options.radius)
        most = n if below == above == 0 else n + m - 1
        lengths = np.array([[[n]], [[m]]])
        return np.sqrt(np.maximum(beta, beta + (roots**2 - lengths * beta) / most))


def _segments(n):
    """Edges of the segments between the first and the last of `n` windows."""
    return np.linspace(1, max(n - 1, 1), NUM_SEGMENTS + 1).astype(int)


def _weights(n, num_dims):
    """Rows in the first window, in each segment and in the last window, once per dimension."""
    rows = np.concatenate([[1], np.diff(_segments(n)), [n > 1]])
    return np.repeat(rows.astype(np.float32), num_dims)


def _segment_means(values):
    """(c, S, R) means of (c, n, R) over first window, segments, last window; an empty segment repeats a window."""
    edges = _segments(values.shape[1])
    inner = [
        values[:, start : max(stop, start + 1)].mean(axis=1) if start < values.shape[1] else values[:, 0]
        for start, stop in pairwise(edges)
    ]
    return np.stack([values[:, 0], *inner, values[:, -1]], axis=1)


def _boxes(values, partner, radius):
    """Lowest and highest (c, S, R) of what the segments of a partner with `partner` windows may meet in `values`."""
    m = values.shape[1]
    below, above = (int(side) for side in band(partner, m, radius))
    edges = _segments(partner)
    starts = np.concatenate([[0], np.clip(edges[:-1] - below, 0, m - 1), [m - 1]])
    stops = np.concatenate([[1], np.minimum(np.maximum(edges[1:], edges[:-1] + 1) + above, m), [m]])
    low, high = np.empty((2, len(values), len(starts), values.shape[2]))
    _span(values, starts, stops, low, high)
    return low, high


def _flat(values):
    return np.ascontiguousarray(values.reshape(len(values), -1), np.float32)


def _lowered(sums, total_weight, largest):
    """Roots of the sums, less what rounding may have added.

    The root is a norm of weighted gaps, so it moves by at most the norm of what moves the gaps.
    """
    return np.maximum(np.sqrt(sums, dtype=np.float64) * (1 - 1e-5) - POSITION * largest * np.sqrt(total_weight), 0.0)


# `no_type_check` keeps the tests' typing hook off the kernel, which Numba could not compile through a wrapper.
@numba.njit(cache=True, nogil=True, fastmath={"contract"})
@no_type_check
def _add_gaps(low_x, high_x, low_y, high_y, weights, out):
    """Add weighted squared gaps between intervals (I, F) and (F, J) to `out` (I, J); pieces of J stay in cache."""
    for start in range(0, out.shape[1], 512):
        stop = min(start + 512, out.shape[1])
        for i in range(out.shape[0]):
            line = out[i, start:stop]
            for f in range(weights.size):
                if weights[f] == 0:
                    continue
                low, high, weight = low_x[i, f], high_x[i, f], weights[f]
                lows, highs = low_y[f, start:stop], high_y[f, start:stop]
                for j in range(line.size):
                    gap = max(max(lows[j] - high, low - highs[j]), np.float32(0))
                    line[j] += weight * gap * gap


@numba.njit(cache=True, nogil=True)
@no_type_check
def _span(values, starts, stops, low, high):
    """Lowest and highest (c, S, R) of `values` (c, m, R) between each start and stop."""
    for c in range(values.shape[0]):
        for s in range(starts.size):
            for r in range(values.shape[2]):
                low[c, s, r] = high[c, s, r] = values[c, starts[s], r]
            for j in range(starts[s] + 1, stops[s]):
                for r in range(values.shape[2]):
                    low[c, s, r] = min(low[c, s, r], values[c, j, r])
                    high[c, s, r] = max(high[c, s, r], values[c, j, r])
