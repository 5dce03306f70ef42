"""True distances of chosen rows and columns: gathered into the blocks that `pairwise` computes too."""

from typing import no_type_check

import numba
import numpy as np

from lib.dtw import _exact, _kernel
from lib.dtw._blocks import block_sums
from lib.dtw._costs import Scratch
from lib.dtw._plan import LANE_WIDTH, Group, Scaling, uses_differences
from lib.dtw._windows import Options, divisor, extend, num_windows, superframes

MAX_LANES = 256  # more side by side no longer make a pair cheaper
TOGETHER = 8  # rows that may share a block
CALL = 100  # what a block costs beside its pairs, in pairs (measured at 30 frames of 16 dimensions)


class SparseDistances:
    """Distances of some sequences of a list to others, from float32 copies that are packed once.

    Attributes
    ----------
    counts
        (N,) windows of each sequence.
    """

    def __init__(self, sequences: list[np.ndarray], scaling: Scaling, options: Options):
        self.sequences, self.scaling, self.options = sequences, scaling, options
        self.shape = superframes(options.window_size, options.stride)
        self.differences = uses_differences(sequences[0].shape[1], self.shape)
        self.counts = np.array([num_windows(len(x), options.window_size, options.stride) for x in sequences])
        self.scratch = Scratch()
        self._pack()

    def _pack(self):
        shape, num_dims = self.shape, self.sequences[0].shape[1]
        sizes = self.counts + shape.count(0)
        self.starts = np.concatenate([[0], np.cumsum(sizes)])
        self.norms, self.parts = np.zeros(len(sizes)), []
        for offset, width in ((0, shape.head), (shape.head, shape.rest))[: 2 if shape.rest else 1]:
            part = np.zeros((self.starts[-1], num_dims * width + (0 if self.differences else 2)), np.float32)
            for index, sequence in enumerate(self.sequences):
                frames = extend(sequence, self.options.window_size)
                self.norms[index] += _kernel.pack(
                    frames, self.scaling.centre, 2.0**-self.scaling.exponent, shape.step, offset, width,
                    part[self.starts[index] : self.starts[index + 1]],
                )  # fmt: skip
            self.parts.append(part)

    def block(self, rows: np.ndarray, columns: np.ndarray, *, floor: bool = False) -> np.ndarray:
        """Distances (rows, columns), float32, as accurate as those of `pairwise`; a sequence is at 0 from itself.

        With `floor`, pairs that need float64 for that get 0 instead.
        """
        distances = np.empty((len(rows), len(columns)), np.float32)
        row_places = np.argsort(self.counts[rows], kind="stable")
        group = self._group(rows[row_places])
        for start in range(0, len(columns), MAX_LANES):
            places = start + np.argsort(self.counts[columns[start : start + MAX_LANES]], kind="stable")
            lanes = self._group(columns[places])
            sums = block_sums([group], lanes, self.shape, self.options, self.differences, self.scratch, _go_on)
            scale = divisor(self.options, group.counts[:, None], lanes.counts, sums.steps) * self.options.window_size
            values = np.ldexp(np.sqrt(np.maximum(sums.total, 0) / scale), self.scaling.exponent).astype(np.float32)
            same = group.indices[:, None] == lanes.indices
            values[same | sums.doubtful if floor else same] = 0
            for i, j in np.argwhere(sums.doubtful & ~same) if not floor else ():
                values[i, j] = self.exactly(group.indices[i], lanes.indices[j])
            distances[np.ix_(row_places, places)] = values
        return distances

    def cover(self, rows: np.ndarray, wanted: np.ndarray) -> list[np.ndarray]:
        """Split rows into those that are computed together, given which columns (rows, columns) each of them wants.

        Together they meet the union of their columns, at half the time per pair and with fewer calls.
        """
        num_wanted = wanted.sum(axis=1)
        alone = (CALL + 2 * num_wanted[num_wanted > 0]).sum()
        together = CALL + np.count_nonzero(wanted.any(axis=0)) * len(rows)
        return [rows] if together < alone else [rows[i : i + 1] for i in np.flatnonzero(num_wanted)]

    def exactly(self, i, j):
        """Distance in float64 by direct differences, rounded once."""
        return _exact.rounded_distance(self.sequences[i], self.sequences[j], self.options, self.scaling.exponent)

    def _group(self, indices) -> Group:
        counts = self.counts[indices]
        lanes = -(-len(indices) // LANE_WIDTH) * LANE_WIDTH
        parts = []
        for part in self.parts:
            out = np.empty((self.shape.count(int(counts[-1])), lanes, part.shape[1]), np.float32)
            _gather(part, self.starts[indices], counts + self.shape.count(0), out)
            parts.append(np.ascontiguousarray(out.transpose(2, 0, 1)) if self.differences else out)
        return Group(indices, counts, parts, self.norms[indices])


def _go_on():
    """Nothing stops a block; the search stops between blocks."""


# `no_type_check` keeps the tests' typing hook off the kernel, which Numba could not compile through a wrapper.
@numba.njit(cache=True, nogil=True)
@no_type_check
def _gather(part, starts, sizes, out):
    """Copy rows `starts[b]` to `starts[b] + sizes[b]` of `part` into lane b of `out` (Q, B, K); zeros elsewhere."""
    for q in range(out.shape[0]):
        for b in range(out.shape[1]):
            if b < starts.size and q < sizes[b]:
                for k in range(out.shape[2]):
                    out[q, b, k] = part[starts[b] + q, k]
            else:
                for k in range(out.shape[2]):
                    out[q, b, k] = 0.0
