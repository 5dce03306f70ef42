"""Exact nearest sequences: lower bounds rule pairs out."""

import itertools

import numpy as np

from lib.dtw import _bounds, _plan, _vectors
from lib.dtw._nearest_search import Search
from lib.dtw._scattered import ROUNDING
from lib.dtw._sparse import TOGETHER, SparseDistances
from lib.dtw._vectors import ROWS
from lib.dtw._windows import Options

BATCH = 16  # such blocks between two updates of what is known; not the number of threads, which must change nothing
USELESS = 0.5  # share of pairs left by the bounds from which all rows of a block are computed together
LANES = 128  # candidates between two looks at the k-th best
PRODUCT = 48  # dimensions from which a warping of the sketches first saves more than it costs


class ExactSearch(Search):
    """Every pair that could be among the k nearest of either side."""

    def find(self, bar):
        bar.reset(self.count * (self.count - 1) // 2)
        seeds = _vectors.closest(self.vectors, min(self.k + 6, self.count - 1), self.run)
        keys = self.known.missing(np.repeat(np.arange(self.count), seeds.shape[1]), seeds.ravel())
        self.compute(keys)
        self.num_pairs = len(keys)
        partners = self.known.partners()
        self.true = SparseDistances(self.sequences, self.scaling, self.options)
        bounds = _bounds.Bounds(self.sketches, self.options, self.exponent)
        coarse = None
        if self.sequences[0].shape[1] >= PRODUCT:  # else sketches are small already, and not to be moved
            scaling = _plan.Scaling(np.zeros(self.sketches.values[0].shape[1]), 0)
            coarse = SparseDistances(self.sketches.values, scaling, Options(1, 1, self.options.radius, None))
        for n, batch in _batches(self.sketches.counts):
            limits = self.known.limits()
            bounds.prepare(n)

            def look(rows, n=n, limits=limits):
                return self._look(rows, n, bounds, limits, partners, coarse)

            for found in self.run(look, batch):
                for rows, columns, values in found:
                    self.num_pairs += len(values)
                    self.known.add(rows, columns, values, only_near=True)
            bar.update(sum(len(rows) * (2 * self.count - 2 - rows[0] - rows[-1]) // 2 for rows in batch))

    def _look(self, rows, n, bounds, limits, partners, coarse):
        """Distances of rows to later sequences where the bounds do not rule them out."""
        columns, lower = bounds.after(rows, n)
        for line, row in zip(lower, rows, strict=True):
            there = partners[row][partners[row] > rows[0]]
            line[there - rows[0] - 1] = np.inf
        limit = np.maximum(limits[rows][:, None], limits[columns])
        found = []
        if np.count_nonzero(lower <= limit) > USELESS * lower.size:
            return self._sweep(rows, columns, lower, limits)
        for start in range(0, len(rows), TOGETHER):
            some, line, its_limit = (side[start : start + TOGETHER] for side in (rows, lower, limit))
            wanted = line <= its_limit
            if coarse is not None:
                for part in coarse.cover(some, wanted):
                    places = np.isin(some, part)
                    its = np.flatnonzero(wanted[places].any(axis=0))
                    finer = self._coarse_bounds(coarse, part, columns[its])
                    line[np.ix_(places, its)] = np.maximum(line[np.ix_(places, its)], finer)
                wanted = line <= its_limit
            for part in self.true.cover(some, wanted):
                found += self._sweep(part, columns, line[np.isin(some, part)], limits)
        return found

    def _sweep(self, rows, columns, lower, limits):
        """Distances of rows that are computed together, columns in order of their bounds, until none is left."""
        own, later = limits[rows], limits[columns]
        best = np.full((len(rows), self.k), np.inf, np.float32)
        candidates = np.flatnonzero((lower <= np.maximum(own[:, None], later)).any(axis=0))
        candidates = candidates[np.argsort(lower[:, candidates].min(axis=0), kind="stable")]
        found = []
        while len(candidates):
            now, candidates = candidates[:LANES], candidates[LANES:]
            values = self.true.block(rows, columns[now])
            found.append((np.repeat(rows, len(now)), np.tile(columns[now], len(rows)), values.ravel()))
            others = np.where(rows[:, None] == columns[now], np.float32(np.inf), values)
            best = np.sort(np.concatenate([best, others], axis=1), axis=1)[:, : self.k]
            own = np.minimum(own, best[:, -1].astype(np.float64) * (1 + ROUNDING))
            near = lower[:, candidates] <= np.maximum(own[:, None], later[candidates])
            candidates = candidates[near.any(axis=0)]
        return found

    def _coarse_bounds(self, coarse, rows, columns):
        """Bounds by warping sketches, point 1 of `_bounds`: the sum along their best path, on the scale of results."""
        roots = coarse.block(rows, columns, floor=True).astype(np.float64)
        n, m = self.sketches.counts[rows][:, None], self.sketches.counts[columns]
        sizes = {None: 1, "path": n + m - 1, "length": n + m}[self.options.normalize]
        slack = _bounds.POSITION * self.sketches.largest * np.sqrt((n + m) * self.sketches.values[0].shape[1])
        roots = np.maximum(roots * (1 - ROUNDING) - slack, 0) / np.sqrt(sizes)
        return np.ldexp(roots, self.exponent)


def _batches(counts):
    """Blocks of rows of one length, some at a time: (windows, blocks)."""
    edges = np.concatenate([[0], np.flatnonzero(np.diff(counts)) + 1, [len(counts)]])
    for first, stop in itertools.pairwise(edges):
        blocks = [np.arange(start, min(start + ROWS, stop)) for start in range(first, stop, ROWS)]
        for start in range(0, len(blocks), BATCH):
            yield int(counts[first]), blocks[start : start + BATCH]
