"""One pair of sequences in float64 by direct differences: `distance`, `path`, and the judge of doubtful pairs."""

from typing import NamedTuple, no_type_check

import numba
import numpy as np

from lib.dtw._windows import Options, band, divisor, extend, num_windows


class Alignment(NamedTuple):
    """Filled dynamic programme of one pair.

    Attributes
    ----------
    total
        (n, m) float64, cheapest summed cost of a path from (0, 0) to here, infinite outside the band. The mean over a
        window is still a sum: whole numbers then stay exact, and so do their ties.
    steps
        (n, m) int64, window pairs on the shortest of those paths.
    """

    total: np.ndarray
    steps: np.ndarray

    def distance(self, options: Options) -> float:
        """Root of the summed cost, normalised as asked."""
        n, m = self.total.shape
        scale = options.window_size * divisor(options, n, m, self.steps[-1, -1])
        return float(np.sqrt(self.total[-1, -1] / scale))


def align(x: np.ndarray, y: np.ndarray, options: Options) -> Alignment:
    """Fill the programme for two C-contiguous float64 sequences (frames, D)."""
    window_size, stride = options.window_size, options.stride
    n, m = num_windows(len(x), window_size, stride), num_windows(len(y), window_size, stride)
    below, above = band(n, m, options.radius)
    below, above = min(int(below), n - 1), min(int(above), m - 1)
    x, y = extend(x, window_size), extend(y, window_size)
    costs = _frame_costs(x, y, window_size, stride, (n - 1) * stride + window_size, below, above)
    return Alignment(*_accumulate(costs, window_size, stride, n, m, below, above))


def rounded_distance(x: np.ndarray, y: np.ndarray, options: Options, exponent: int) -> np.float32:
    """Distance in float64, rounded once; `exponent` tells the size of the data, whose squares may be out of range."""
    x, y = x.astype(np.float64, copy=False), y.astype(np.float64, copy=False)
    exponent = exponent if abs(exponent) > 400 else 0
    if exponent:
        x, y = np.ldexp(x, -exponent), np.ldexp(y, -exponent)
    return np.float32(np.ldexp(align(x, y, options).distance(options), exponent))


# `no_type_check` keeps the tests' typing hook off the kernels, which Numba could not compile through a wrapper.
@numba.njit(cache=True, nogil=True, fastmath={"reassoc", "contract"})
@no_type_check
def _squared_dist(a, b):
    total = 0.0
    for d in range(a.size):
        difference = a[d] - b[d]
        total += difference * difference
    return total


@numba.njit(cache=True, nogil=True)
@no_type_check
def _frame_costs(x, y, window_size, stride, num_frames, below, above):
    """Squared distances of frames that meet in a window: `[i, o]` has frame i of x and i + (o - below) stride of y."""
    costs = np.full((num_frames, below + above + 1), np.inf)
    for i in range(num_frames):
        if i % stride >= window_size:  # between two windows
            continue
        for o in range(below + above + 1):
            j = i + (o - below) * stride
            if 0 <= j < y.shape[0]:
                costs[i, o] = _squared_dist(x[i], y[j])
    return costs


@numba.njit(cache=True, nogil=True)
@no_type_check
def _accumulate(costs, window_size, stride, n, m, below, above):
    """Cheapest, then shortest, path to every window pair; sums over windows, as in `Alignment.total`."""
    total = np.full((n, m), np.inf)
    steps = np.zeros((n, m), np.int64)
    for k in range(n):
        for j in range(max(0, k - below), min(m, k + above + 1)):
            cost = 0.0
            for t in range(window_size):
                cost += costs[k * stride + t, j - k + below]
            if k == 0 and j == 0:
                total[0, 0], steps[0, 0] = cost, 1
                continue
            pk, pj = _before(total, steps, k, j)
            total[k, j] = total[pk, pj] + cost
            steps[k, j] = steps[pk, pj] + 1
    return total, steps


@numba.njit(cache=True, nogil=True)
@no_type_check
def _before(total, steps, k, j):
    """Predecessor with the least (cost, length); a tie goes to the diagonal, then to the step in x alone."""
    best_k, best_j = -1, -1
    best, length = np.inf, 0
    for dk, dj in ((1, 1), (1, 0), (0, 1)):
        pk, pj = k - dk, j - dj
        if pk < 0 or pj < 0:
            continue
        if best_k < 0 or total[pk, pj] < best or (total[pk, pj] == best and steps[pk, pj] < length):
            best_k, best_j, best, length = pk, pj, total[pk, pj], steps[pk, pj]
    return best_k, best_j


@numba.njit(cache=True, nogil=True)
@no_type_check
def trace_back(total, steps):
    """(L, 2) window pairs of the chosen path, from (0, 0) to the far corner."""
    k, j = total.shape[0] - 1, total.shape[1] - 1
    pairs = np.empty((steps[k, j], 2), np.int64)
    for at in range(len(pairs) - 1, -1, -1):
        pairs[at, 0], pairs[at, 1] = k, j
        if at:
            k, j = _before(total, steps, k, j)
    return pairs
