"""Inner loops of `pairwise`: many pairs side by side, float32, the pairs' lanes innermost.

Row sequences are axis A, column sequences are the lanes B. `costs` (R, A, M, B) holds R consecutive windows of every
row sequence against all M windows of the lanes; only the band's part of it is ever written or read. Loops over lanes
are plain, so that the compiler turns each into a few vector instructions.
"""

from typing import no_type_check

import numba
import numpy as np

LARGE = np.float32(1e9)  # more steps than any path has

# `no_type_check` keeps the tests' typing hook off the kernels, which Numba could not compile through a wrapper.


@numba.njit(cache=True, nogil=True)
@no_type_check
def scan(frames, sums):
    """Add up every dimension into `sums` (D,), return the largest magnitude; NaN and infinity show in the sums."""
    largest = 0.0
    for t in range(frames.shape[0]):
        for d in range(frames.shape[1]):
            value = np.float64(frames[t, d])
            sums[d] += value
            largest = max(largest, abs(value))
    return largest


@numba.njit(cache=True, nogil=True)
@no_type_check
def pack(frames, centre, scale, step, offset, width, out):
    """Write superframes of one sequence, centred and scaled, as rows of `out` (Q, K) float32; return the largest norm.

    Row q holds frames q * step + offset and the `width - 1` after it. If `out` has two columns more than those need,
    they get 1 and the row's squared norm. Frames past the end are left as they are.
    """
    num_dims = frames.shape[1]
    largest = 0.0
    for q in range(out.shape[0]):
        if q * step + offset + width > frames.shape[0]:
            break
        norm = 0.0
        for f in range(width):
            for d in range(num_dims):
                value = np.float32((frames[q * step + offset + f, d] - centre[d]) * scale)
                out[q, f * num_dims + d] = value
                norm += np.float64(value) * np.float64(value)
        if out.shape[1] > width * num_dims:
            out[q, width * num_dims] = 1.0
            out[q, width * num_dims + 1] = norm
        largest = max(largest, norm)
    return largest


@numba.njit(cache=True, nogil=True)
@no_type_check
def difference_costs(x, y, first, row0, below, above, costs):
    """Squared distances by direct differences: x (K, R, A) of superframes `row0 + r` against y (K, Q, B), in the band.

    Row sequences before `first` have ended and are left out.
    """
    num_lanes = y.shape[2]
    columns = y.reshape(y.shape[0], -1)
    for r in range(x.shape[1]):
        start = max(0, row0 + r - below) * num_lanes
        stop = min(y.shape[1], row0 + r + above + 1) * num_lanes
        for a in range(first, costs.shape[1]):
            out = costs[r, a].reshape(-1)[start:stop]
            for d in range(x.shape[0]):
                value, column = x[d, r, a], columns[d, start:stop]
                if d == 0:
                    for k in range(out.size):
                        out[k] = (value - column[k]) * (value - column[k])
                else:
                    for k in range(out.size):
                        out[k] += (value - column[k]) * (value - column[k])


@numba.njit(cache=True, nogil=True)
@no_type_check
def box_sums(whole, heads, box, tail, row0, num_rows, counts_x, below, above, costs):
    """Windows out of superframes: `box` of them down the diagonal, and the head of the next where there is a tail.

    `whole` and `heads` are rings of superframe rows: row q stands at q modulo their length. A step down a diagonal is
    the same shift for a whole row of windows, so the sums run over long contiguous rows.
    """
    ring, num_lanes = whole.shape[0], costs.shape[3]
    for a in range(costs.shape[1]):
        for r in range(min(num_rows, counts_x[a] - row0)):
            row = row0 + r
            start, stop = max(0, row - below) * num_lanes, min(costs.shape[2], row + above + 1) * num_lanes
            out = costs[r, a].reshape(-1)[start:stop]
            out[:] = whole[row % ring, a].reshape(-1)[start:stop]
            for t in range(1, box + tail):
                source = whole if t < box else heads
                shifted = source[(row + t) % ring, a].reshape(-1)[start + t * num_lanes : stop + t * num_lanes]
                for k in range(out.size):
                    out[k] += shifted[k]


@numba.njit(cache=True, nogil=True)
@no_type_check
def mask_band(costs, row0, num_rows, counts_x, below, above):
    """Make costs infinite where a lane's own band, `below` and `above` (A, B), is narrower than its row's widest."""
    for a in range(costs.shape[1]):
        if counts_x[a] <= row0:
            continue
        low, high = below[a].max(), above[a].max()
        inner_low, inner_high = below[a].min(), above[a].min()
        for r in range(min(num_rows, counts_x[a] - row0)):
            row = row0 + r
            for j in range(max(0, row - low), min(costs.shape[2], row + high + 1)):
                if row - inner_low <= j <= row + inner_high:
                    continue
                for b in range(costs.shape[3]):
                    if j < row - below[a, b] or j > row + above[a, b]:
                        costs[r, a, j, b] = np.inf


@numba.njit(cache=True, nogil=True)
@no_type_check
def accumulate(costs, row0, num_rows, counts_x, counts_y, below, above, state, saved, sums):
    """Carry the dynamic programme `num_rows` windows further; write `sums` (A, B) of row sequences that end there.

    `state` (A, M + 1, B) holds the last finished row, shifted by one column: column 0 stands before the first window.
    """
    for a in range(costs.shape[1]):
        total = state[a]
        for r in range(min(num_rows, counts_x[a] - row0)):
            low = max(0, row0 + r - below[a])
            for b in range(saved.size):
                saved[b] = total[low, b]
                total[low, b] = np.inf
            for j in range(low, min(costs.shape[2], row0 + r + above[a] + 1)):
                for b in range(saved.size):
                    up = total[j + 1, b]
                    best = up if up < saved[b] else saved[b]
                    left = total[j, b]
                    best = left if left < best else best
                    saved[b] = up
                    total[j + 1, b] = best + costs[r, a, j, b]
            if row0 + r + 1 == counts_x[a]:
                for b in range(counts_y.size):
                    sums[a, b] = total[counts_y[b], b]


@numba.njit(cache=True, nogil=True)
@no_type_check
def accumulate_steps(
    costs,
    row0,
    num_rows,
    counts_x,
    counts_y,
    below,
    above,
    state,
    fewest,
    most,
    relative,
    slack,
    sums,
    low_out,
    high_out,
):
    """As `accumulate`, with the fewest and the most steps among all paths that rounding cannot tell from the best.

    Predecessors within `best * relative + slack[a, b]` count as equally good. Where `fewest` and `most` agree at the
    end, the number of steps is certain.
    """
    num_lanes = costs.shape[3]
    saved = np.empty((3, num_lanes), np.float32)
    for a in range(costs.shape[1]):
        for r in range(min(num_rows, counts_x[a] - row0)):
            low = max(0, row0 + r - below[a])
            for b in range(num_lanes):
                saved[0, b], saved[1, b], saved[2, b] = state[a, low, b], fewest[a, low, b], most[a, low, b]
                state[a, low, b] = np.inf
            for j in range(low, min(costs.shape[2], row0 + r + above[a] + 1)):
                for b in range(num_lanes):
                    up, diagonal, left = state[a, j + 1, b], saved[0, b], state[a, j, b]
                    few_up, few_diagonal, few_left = fewest[a, j + 1, b], saved[1, b], fewest[a, j, b]
                    many_up, many_diagonal, many_left = most[a, j + 1, b], saved[2, b], most[a, j, b]
                    saved[0, b], saved[1, b], saved[2, b] = up, few_up, many_up
                    best = up if up < diagonal else diagonal
                    best = left if left < best else best
                    cut = best * relative + slack[a, b]
                    few = few_up if up <= cut else LARGE
                    few = few_diagonal if diagonal <= cut and few_diagonal < few else few
                    few = few_left if left <= cut and few_left < few else few
                    many = many_up if up <= cut else np.float32(0)
                    many = many_diagonal if diagonal <= cut and many_diagonal > many else many
                    many = many_left if left <= cut and many_left > many else many
                    state[a, j + 1, b] = best + costs[r, a, j, b]
                    fewest[a, j + 1, b], most[a, j + 1, b] = few + np.float32(1), many + np.float32(1)
            if row0 + r + 1 == counts_x[a]:
                for b in range(counts_y.size):
                    end = counts_y[b]
                    sums[a, b], low_out[a, b], high_out[a, b] = state[a, end, b], fewest[a, end, b], most[a, end, b]
