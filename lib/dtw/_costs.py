"""Window costs of a block, a tile of rows at a time: matrix products or differences, then box sums down diagonals."""

import math
import threading

import numpy as np

from lib.dtw import _kernel

QUERY_BUFFER = 2**17  # numbers in the left side of the products that are prepared at once


class Scratch(threading.local):
    """Buffers that a thread keeps from one block to the next; fresh memory for each would cost as much as the sums."""

    def __init__(self):
        self.buffers = {}

    def array(self, name, shape, dtype=np.float32):
        """Array of any finite content."""
        size = math.prod(shape)
        if len(self.buffers.get((name, dtype), ())) < size:
            self.buffers[name, dtype] = np.zeros(size, dtype)
        return self.buffers[name, dtype][:size].reshape(shape)


class WindowCosts:
    """Costs of window pairs, a tile of rows at a time."""

    def __init__(self, rows, y, shape, tile, reach, differences, scratch):
        self.rows, self.y, self.shape, self.tile, self.differences = rows, y, shape, tile, differences
        self.below, self.above = reach
        self.counts = np.concatenate([group.counts for group in rows])
        self.columns, self.num_lanes = y.parts[0].shape[1:] if differences else y.parts[0].shape[:2]
        sizes = (len(self.counts), int(y.counts.max()), self.num_lanes)
        self.out = scratch.array("windows", (tile, *sizes))
        self.plain = shape.box == 1 and not shape.tail
        if not self.plain:
            ring = tile * (-(-shape.count(0) // tile) + 1)
            sizes = (ring, sizes[0], self.columns, sizes[2])
            self.rings = [scratch.array(f"ring {part}", sizes) for part in range(len(y.parts))]
        self.num_rows, self.done = shape.count(int(self.counts.max())), 0
        # sequences by ascending number of superframes: those that ended drop out from the left
        ends = self.counts + shape.count(0)
        self.first = np.searchsorted(ends, np.arange(self.num_rows), side="right").tolist()
        if not differences:
            self.queries = [_Queries(rows, part, self.first, tile, scratch) for part in range(len(y.parts))]

    def windows(self, start, stop):
        """Costs (tile, A, M, B) of window rows `start` to `stop`; what lies off the band is not to be read."""
        if self.plain:
            self._superframes(0, start, stop, self.out)
            return self.out
        while self.done < stop + self.shape.count(0):
            until = min(self.done + self.tile, self.num_rows)
            slot = self.done % len(self.rings[0])
            for part, ring in enumerate(self.rings):
                filled = self._superframes(part, self.done, until, ring[slot:])
            if len(self.rings) == 2:
                self.rings[1][slot : slot + self.tile, :, filled] += self.rings[0][slot : slot + self.tile, :, filled]
            self.done = until
        _kernel.box_sums(
            self.rings[-1], self.rings[0], self.shape.box, self.shape.tail,
            start, stop - start, self.counts, self.below, self.above, self.out,
        )  # fmt: skip
        return self.out

    def _superframes(self, part, start, stop, out):
        """Fill `out` with superframe rows `start` to `stop`; return the columns that were touched."""
        low, high = max(0, start - self.below), min(self.columns, stop + self.above)
        first = self.first[start]
        if self.differences:
            at = 0
            for group in self.rows:
                x, size = group.parts[part][:, start:stop], len(group.indices)
                _kernel.difference_costs(
                    x, self.y.parts[part], max(first - at, 0), start, self.below, self.above, out[:, at : at + size]
                )
                at += size
            return slice(low, high)
        queries = self.queries[part].rows(start, stop)
        right = self.y.parts[part][low:high].reshape(-1, queries.shape[2])
        out = out[: stop - start].reshape(stop - start, len(self.counts), -1)[:, first:]
        out = out[:, :, low * self.num_lanes : high * self.num_lanes]
        if first == 0:  # one product for all rows of the tile, else one for each
            out, queries = out.reshape(1, -1, out.shape[2]), queries.reshape(1, -1, queries.shape[2])
        np.matmul(queries, right.T, out=out)
        return slice(low, high)


class _Queries:
    """Left sides (-2x, |x|², 1) of products with (y, 1, |y|²), which are squared distances without a second pass."""

    def __init__(self, groups, part, first, tile, scratch):
        self.parts, self.first = [group.parts[part][:, : len(group.indices)] for group in groups], first
        self.num_rows, self.width = sum(part.shape[1] for part in self.parts), self.parts[0].shape[2]
        size = self.num_rows * self.width * tile
        self.depth = tile * max(1, QUERY_BUFFER // size)
        self.buffer = scratch.array(f"queries {part}", (self.depth * self.num_rows * self.width,))
        self.start, self.until = 0, 0

    def rows(self, start, stop):
        """(rows, A, K + 2) for superframes `start` to `stop`, of the sequences that have not ended."""
        if start >= self.until:
            self._fill(start)
        return self.filled[start - self.start : stop - self.start, self.first[start] - self.first[self.start] :]

    def _fill(self, start):
        self.start, self.until, skip = start, start + self.depth, self.first[start]
        size = self.depth * (self.num_rows - skip) * self.width
        self.filled = self.buffer[:size].reshape(self.depth, self.num_rows - skip, self.width)
        at = 0
        for part in self.parts:
            left = part[start : self.until, skip:]
            skip = max(0, skip - part.shape[1])
            into = self.filled[: len(left), at : at + left.shape[1]]
            np.multiply(left, -2, out=into)
            into[..., -2] = left[..., -1]
            into[..., -1] = 1
            at += left.shape[1]
