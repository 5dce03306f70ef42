"""True distances of scattered pairs: nothing to share between them, so each is aligned by direct differences."""

from functools import partial
from itertools import pairwise
from typing import no_type_check

import numba
import numpy as np

from lib.dtw import _exact
from lib.dtw._plan import Scaling
from lib.dtw._windows import Options, band, divisor, extend, num_windows

LANES = 16  # pairs side by side
NARROW = 96  # dimensions below which lanes are the pairs; from there on they are the dimensions
RUN = 512  # float32 squares in a row; then the sum is carried on in float64
CHUNK = 4096  # pairs per call
ROUNDING = 3e-5  # two computed distances can stand in the wrong order only if they are this close (relative)
VANISHING = 1e-25  # sum in scaled units whose float32 squares may have lost digits to underflow


class ScatteredDistances:
    """Distances of any pairs of a list of sequences, one alignment each.

    Differences are taken in the sequences' own precision (float64 where the steps of a path count), so they cancel
    nothing; sums are carried in float64.
    """

    def __init__(self, sequences: list[np.ndarray], scaling: Scaling, options: Options):
        self.sequences, self.options, self.exponent = sequences, options, scaling.exponent
        self.counts = np.array([num_windows(len(x), options.window_size, options.stride) for x in sequences])
        sizes = [max(len(x), options.window_size) for x in sequences]
        self.starts = np.concatenate([[0], np.cumsum(sizes)])
        dtype = np.float64 if options.normalize == "path" else np.result_type(*{x.dtype for x in sequences})
        self.frames = np.empty((self.starts[-1], sequences[0].shape[1]), dtype)
        for start, stop, sequence in zip(self.starts, self.starts[1:], sequences, strict=False):
            np.ldexp(extend(sequence, options.window_size), -self.exponent, out=self.frames[start:stop])

    def pairs(self, first: np.ndarray, second: np.ndarray, run) -> np.ndarray:
        """Distances (P,) float32 of sequences `first` and `second` (P,); `run` maps a function over items."""
        order = np.lexsort((self.counts[second], self.counts[first]))  # lanes of like length waste little
        distances = np.empty(len(first), np.float32)
        chunks = [order[start : start + CHUNK] for start in range(0, len(order), CHUNK)]
        for chunk, values in zip(chunks, run(partial(self._chunk, first, second), chunks), strict=True):
            distances[chunk] = values
        return distances

    def _chunk(self, first, second, chunk):
        first, second = first[chunk], second[chunk]
        n, m = self.counts[first], self.counts[second]
        below, above = band(n, m, self.options.radius)
        total, steps = np.empty((2, len(first)))
        _align(
            self.frames, self.starts[first], self.starts[second], n, m, np.minimum(below, n - 1),
            np.minimum(above, m - 1), self.options.window_size, self.options.stride,
            self.options.normalize == "path", total, steps,
        )  # fmt: skip
        scale = self.options.window_size * divisor(self.options, n, m, steps)
        values = np.ldexp(np.sqrt(total / scale), self.exponent).astype(np.float32)
        for place in np.flatnonzero(total < VANISHING):
            values[place] = self.exactly(first[place], second[place])
        return values

    def exactly(self, i, j):
        """Distance in float64 by direct differences, rounded once."""
        return _exact.rounded_distance(self.sequences[i], self.sequences[j], self.options, self.exponent)

    def first_of(self, row, columns, distances, ranks, k):
        """Give the `k` nearest of some distinct columns and their distances, in order of (distance, rank).

        Where computed distances are so close that rounding may have swapped them, float64 decides.
        """
        order = np.lexsort((ranks, distances))
        columns, distances, ranks = columns[order], distances[order], ranks[order]
        apart = np.concatenate([[True], distances[1:] > distances[:-1] * np.float32(1 + ROUNDING), [True]])
        cuts = np.flatnonzero(apart)
        for start, stop in pairwise(cuts):
            if start >= k:
                break
            if stop - start > 1:
                values = np.array([self.exactly(row, j) for j in columns[start:stop]], np.float32)
                again = np.lexsort((ranks[start:stop], values))
                columns[start:stop], distances[start:stop] = columns[start:stop][again], values[again]
        return columns[:k], np.maximum.accumulate(distances[:k])


# `no_type_check` keeps the tests' typing hook off the kernels, which Numba could not compile through a wrapper.
@numba.njit(cache=True, nogil=True)
@no_type_check
def _align(frames, at_x, at_y, n, m, below, above, window_size, stride, count_steps, total, steps):
    """Find summed costs of the best paths, and the fewest steps among equally good ones, of pairs of runs of `frames`.

    A row of the programme has one cell per diagonal o of the band: window k of x meets window k + o - low of y.
    """
    narrow = frames.shape[1] < NARROW
    for start in range(0, total.size, LANES):
        lanes = min(LANES, total.size - start)
        part = slice(start, start + lanes)
        rows, low, high = n[part].max(), below[part].max(), above[part].max()
        uniform = low == below[part].min() and high == above[part].min()
        frames_x, frames_y = (n[part] - 1) * stride + window_size, (m[part] - 1) * stride + window_size
        x = _side_by_side(frames, at_x[part], frames_x, narrow)
        y = _side_by_side(frames, at_y[part], frames_y, narrow)
        ring = np.empty((window_size, low + high + 1, LANES), frames.dtype)  # frame costs of the current window
        costs = np.empty((low + high + 1, LANES))
        best, fewest = np.full((low + high + 3, LANES), np.inf), np.zeros((low + high + 3, LANES))
        best[low + 1] = 0.0  # before the first window of both
        done = 0
        for k in range(rows):
            for i in range(max(done, k * stride), k * stride + window_size):
                if narrow:
                    _frame_costs(x[i], y, i - low * stride, stride, ring[i % window_size])
                    continue
                for b in range(lanes):
                    for o in range(low + high + 1):
                        j, cost = i + (o - low) * stride, np.inf
                        if (
                            -below[start + b] <= o - low <= above[start + b]
                            and i < frames_x[b]
                            and 0 <= j < frames_y[b]
                        ):
                            cost = _cost(frames[at_x[start + b] + i], frames[at_y[start + b] + j])
                        ring[i % window_size, o, b] = cost
            done = k * stride + window_size
            _window_costs(ring, k * stride, costs)
            if not uniform:
                for b in range(lanes):
                    costs[: low - below[start + b], b] = np.inf
                    costs[low + above[start + b] + 1 :, b] = np.inf
            if count_steps:
                _advance_counting(costs, best, fewest)
            else:
                _advance(costs, best)
            for b in range(lanes):
                if k + 1 == n[start + b]:
                    end = m[start + b] - n[start + b] + low + 1
                    total[start + b], steps[start + b] = best[end, b], fewest[end, b]


@numba.njit(cache=True, nogil=True)
@no_type_check
def _side_by_side(frames, starts, counts, narrow):
    """(frames, D, lanes), D filled up with zeros to a multiple of four; empty where sequences stay where they are."""
    num_dims = frames.shape[1]
    out = np.zeros((counts.max() if narrow else 0, -(-num_dims // 4) * 4, LANES), frames.dtype)
    for t in range(out.shape[0]):
        for b in range(counts.size):
            at = starts[b] + min(t, counts[b] - 1)  # beyond its end nothing is read from a lane
            for d in range(num_dims):
                out[t, d, b] = frames[at, d]
    return out


@numba.njit(cache=True, nogil=True)
@no_type_check
def _frame_costs(x, y, first, step, out):
    """Squared distances (diagonals, lanes) of a frame x (D, lanes) and every `step`-th frame of y, from `first` on."""
    for o in range(out.shape[0]):
        out[o] = 0.0 if 0 <= first + o * step < y.shape[0] else np.inf
    for d in range(0, x.shape[0], 4):
        x0, x1, x2, x3 = x[d], x[d + 1], x[d + 2], x[d + 3]
        for o in range(max(0, -(first // step)), out.shape[0]):
            j = first + o * step
            if j >= y.shape[0]:
                break
            y0, y1, y2, y3, line = y[j, d], y[j, d + 1], y[j, d + 2], y[j, d + 3], out[o]
            for b in range(LANES):  # four at a time: sums stay in registers
                d0, d1, d2, d3 = x0[b] - y0[b], x1[b] - y1[b], x2[b] - y2[b], x3[b] - y3[b]
                line[b] += (d0 * d0 + d1 * d1) + (d2 * d2 + d3 * d3)


@numba.njit(cache=True, nogil=True)
@no_type_check
def _window_costs(ring, first, costs):
    """Add up the frames of the window that begins at frame `first`."""
    for t in range(ring.shape[0]):
        line = ring[(first + t) % ring.shape[0]]
        for o in range(costs.shape[0]):
            for b in range(LANES):
                costs[o, b] = line[o, b] + (costs[o, b] if t else 0.0)


@numba.njit(cache=True, nogil=True)
@no_type_check
def _advance(costs, best):
    """Enter one row of the programme; cell o stands at o + 1 and still holds the row before."""
    for o in range(costs.shape[0]):
        left, cell, up = best[o], best[o + 1], best[o + 2]
        for b in range(LANES):
            cell[b] = min(min(cell[b], up[b]), left[b]) + costs[o, b]


@numba.njit(cache=True, nogil=True)
@no_type_check
def _advance_counting(costs, best, fewest):
    """As `_advance`, with the steps: of the cheapest ways to a cell, those of the shortest."""
    for o in range(costs.shape[0]):
        for b in range(LANES):
            least = min(min(best[o + 1, b], best[o + 2, b]), best[o, b])
            few = fewest[o + 1, b] if best[o + 1, b] == least else np.inf
            few = min(few, fewest[o + 2, b]) if best[o + 2, b] == least else few
            few = min(few, fewest[o, b]) if best[o, b] == least else few
            best[o + 1, b], fewest[o + 1, b] = least + costs[o, b], few + 1.0


@numba.njit(cache=True, nogil=True, fastmath={"reassoc", "contract"})
@no_type_check
def _cost(x, y):
    """Squared distance of two frames."""
    total = 0.0
    for start in range(0, x.size, RUN):
        total += _short_cost(x[start : start + RUN], y[start : start + RUN])
    return total


@numba.njit(cache=True, nogil=True, fastmath={"reassoc", "contract"})
@no_type_check
def _short_cost(x, y):
    total = np.float32(0)  # float64 where the frames are
    for d in range(x.size):
        difference = x[d] - y[d]
        total += difference * difference
    return total
