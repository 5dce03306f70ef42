"""The k nearest of every sequence, without the matrix of all pairs."""

import itertools
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float32, Int64
from tqdm.auto import tqdm

from lib.dtw import _bounds, _inputs, _plan, _vectors
from lib.dtw._known import Known
from lib.dtw._scattered import ROUNDING, ScatteredDistances
from lib.dtw._sparse import TOGETHER, SparseDistances
from lib.dtw._threads import blas, check_threads
from lib.dtw._vectors import ROWS
from lib.dtw._windows import Options, check_options

METHODS = ("exact", "approximate")
BATCH = 16  # such blocks between two updates of what is known; not the number of threads, which must change nothing
USELESS = 0.5  # share of pairs left by the bounds from which all rows of a block are computed together
LANES = 128  # candidates between two looks at the k-th best
PRODUCT = 48  # dimensions from which a warping of the sketches first saves more than it costs
INTRODUCED = 12  # nearest of a sequence are introduced to each other and to 1.5 times as many that it is nearest to
ROUNDS, SETTLED = 6, 0.002  # of refinement at most; share of changed neighbours below which it stops


class Nearest(NamedTuple):
    """The k nearest other sequences of each sequence; `graphs.knn` and `graphs.nnk` take it for a distance matrix.

    Attributes
    ----------
    indices
        (N, k), nearest first, never the sequence itself. Equal distances: the lower index first.
    distances
        (N, k), as `pairwise` gives them.
    num_pairs
        How many distances were computed to find them, those of `between` apart. A pair that comes up in two blocks
        counts twice.
    between
        (N, k, k) distances among the k neighbours of each sequence, in their order; None unless asked for.
    """

    indices: Int64[np.ndarray, "N k"]
    distances: Float32[np.ndarray, "N k"]
    num_pairs: int
    between: Float32[np.ndarray, "N k k"] | None = None


def nearest(
    sequences: Any,
    k: int,
    *,
    window_size: int = 1,
    stride: int = 1,
    radius: Any = None,
    normalize: Any = None,
    method: str = "exact",
    between: bool = False,
    num_threads: int | None = None,
    seed: int = 0,
    progress: bool = False,
) -> Nearest:
    """Find the `k` nearest others of every sequence by window-based DTW.

    Parameters
    ----------
    sequences
        As in `pairwise`: lists of (frames, D) arrays of any lengths, or one (N, T, D) array.
    k
        Neighbours per sequence, 1 to N - 1.
    window_size, stride, radius, normalize
        See `distance`.
    method
        ``"exact"``: the answer that sorting the distances of all pairs gives; pairs that a lower bound rules out are
        not computed. How many remain depends on the data: few where sequences form clusters, most where all are about
        equally far, and then `pairwise` is faster. ``"approximate"``: candidates whose time-averaged features are
        near, their neighbours' neighbours, and true distances among those alone; cost grows little faster than N, a
        few neighbours in a hundred may be missed.
    between
        Also return the distances among the neighbours of each sequence, which `graphs.nnk` needs: up to N k² / 2
        further pairs and 4 N k² bytes.
    num_threads
        Threads to use; None takes every CPU this process may use. The result does not depend on it.
    seed
        For ``"approximate"``: same sequences, choices and seed give the same result.
    progress
        Show a bar that counts pairs: decided (``"exact"``) or computed.

    Returns
    -------
    Nearest
        Distances are within 1e-5 of `distance`, relative to their value. The order is that of `distance` rounded to
        float32: where computed distances are closer than their own rounding, they are computed again in float64.

    Raises
    ------
    ValueError
        As `pairwise`; for a `k` that the sequences do not have, and for an unknown method.

    Notes
    -----
    :mod:`lib.dtw._bounds` states the bounds and why they hold. ``"exact"`` starts from the distances to the nearest
    in a space of time-averaged features, which leaves a k-th best close to the final one; then it computes each pair
    whose bound is below the k-th best of either side, in ascending order of the bounds. Frames with many dimensions are
    first warped in the few of their sketch, which is a bound as well. No single alignment is abandoned half-way: pairs
    run side by side, and a block ends early only if all of its pairs would.

    ``"approximate"`` takes candidates from NNDescent (Dong et al. 2011; pynndescent), or from all pairs of vectors
    where they are few, and refines them as that algorithm does, with true distances: the neighbours of a sequence and
    those whose neighbour it is are introduced to each other until hardly any list changes.

    Examples
    --------
    >>> found = nearest([[0.0, 0.0], [1.0, 1.0], [5.0, 5.0]], 1)
    >>> found.indices.tolist()
    [[1], [0], [1]]
    """
    options = check_options(window_size, stride, radius, normalize)
    num_threads = check_threads(num_threads)
    if method not in METHODS:
        raise ValueError(f"method={method!r} is unknown; choose one of {', '.join(map(repr, METHODS))}")
    if isinstance(seed, bool) or not isinstance(seed, int | np.integer) or not 0 <= seed < 2**32:
        raise ValueError(f"seed={seed!r} must be an int from 0 to 2**32 - 1")
    sequences = _inputs.check_sequences(sequences, "sequences")
    count = len(sequences)
    if isinstance(k, bool) or not isinstance(k, int | np.integer) or not 1 <= k < count:
        raise ValueError(f"k={k!r} neighbours asked of {count} sequences; needed an int from 1 to {count - 1}")
    with blas().limit(limits=1), ThreadPoolExecutor(num_threads) as pool:
        try:
            search = _Search(sequences, int(k), options, int(seed), pool.map)
            with tqdm(unit="pair", disable=not progress) as bar:
                search.exact(bar) if method == "exact" else search.approximate(bar)
            return search.result(between)
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


class _Search:
    """One call of `nearest`; inside, sequences stand in an order that puts similar ones side by side."""

    def __init__(self, sequences, k, options: Options, seed, run):
        self.k, self.options, self.seed, self.run, self.count = k, options, seed, run, len(sequences)
        scaling = _plan.measure(sequences, "sequences", run)
        self.exponent, self.wide = scaling.exponent, sequences[0].shape[1] >= PRODUCT
        sketches = _bounds.sketch(sequences, scaling, options)
        vectors = _bounds.embed(sketches)
        self.order = _vectors.by_locality(vectors, sketches.counts)
        self.vectors, self.sketches = vectors[self.order], sketches.take(self.order)
        self.sequences, self.scaling = [sequences[index] for index in self.order], scaling
        self.scattered = ScatteredDistances(self.sequences, scaling, options)
        self.known = Known(self.count, k)
        self.num_pairs = 0

    def compute(self, keys):
        """Add the distances of pairs to those known."""
        rows, columns = keys // self.count, keys % self.count
        self.known.add(rows, columns, self.scattered.pairs(rows, columns, self.run))

    def result(self, between) -> Nearest:
        """Put the nearest among all known pairs into order."""
        rows, columns, values = self.known.that_matter()
        starts = np.searchsorted(rows, np.arange(self.count + 1))
        found = np.empty((self.count, self.k), np.int64)
        distances = np.empty((self.count, self.k), np.float32)

        def finish(chunk):
            for row in chunk:
                own = slice(starts[row], starts[row + 1])
                ranks = self.order[columns[own]]
                found[row], distances[row] = self.scattered.first_of(row, columns[own], values[own], ranks, self.k)

        list(self.run(finish, np.array_split(np.arange(self.count), min(self.count, 64))))
        back = np.argsort(self.order)
        among = self._between(found)[back] if between else None
        return Nearest(self.order[found][back], distances[back], self.num_pairs, among)

    def _between(self, indices):
        distances = np.empty((self.count, self.k, self.k), np.float32)
        first, second = np.triu_indices(self.k, 1)
        size = max(1, 2**22 // self.k**2)
        for start in range(0, self.count, size):
            near = indices[start : start + size]
            self.compute(self.known.missing(near[:, first].ravel(), near[:, second].ravel()))
        for start in range(0, self.count, size):
            near = indices[start : start + size]
            distances[start : start + size] = self.known.look_up(near[:, :, None], near[:, None, :])
        return distances

    # --- exact -------------------------------------------------------------------------------------------------------

    def exact(self, bar):
        """Make every pair known that could be among the k nearest of either side."""
        bar.reset(self.count * (self.count - 1) // 2)
        seeds = _vectors.closest(self.vectors, min(self.k + 6, self.count - 1), self.run)
        keys = self.known.missing(np.repeat(np.arange(self.count), seeds.shape[1]), seeds.ravel())
        self.compute(keys)
        self.num_pairs = len(keys)
        partners = self.known.partners()
        self.true = SparseDistances(self.sequences, self.scaling, self.options)
        bounds = _bounds.Bounds(self.sketches, self.options, self.exponent)
        coarse = None
        if self.wide:  # sketches are small already, and not to be moved
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

    # --- approximate -------------------------------------------------------------------------------------------------

    def approximate(self, bar):
        """Make candidates' distances known, then those of candidates' candidates."""
        wanted = min(max(2 * self.k, self.k + 20), self.count - 1)
        candidates = _vectors.candidates(self.vectors, wanted, self.seed, self.run)
        rows, columns = np.nonzero(candidates >= 0)[0], candidates[candidates >= 0]
        self._add(self.known.missing(rows, columns), bar)
        for row in np.flatnonzero(self.known.indices[:, -1] < 0):  # the search gave it too few
            self._add(self.known.missing(np.full(self.count, row), np.arange(self.count)), bar)
        near = min(self.k, INTRODUCED)
        before, met_before = self.known.links(), np.full((self.count, near + 3 * near // 2), -1)
        for _ in range(ROUNDS):
            met = self.known.acquaintances(near, 3 * near // 2)
            self._add(self.known.introductions(met, met_before), bar)
            now = self.known.links()
            if np.isin(now, before, invert=True).mean() < SETTLED:
                break
            before, met_before = now, met

    def _add(self, keys, bar):
        self.compute(keys)
        self.num_pairs += len(keys)
        bar.update(len(keys))


def _batches(counts):
    """Blocks of rows of one length, some at a time: (windows, blocks)."""
    edges = np.concatenate([[0], np.flatnonzero(np.diff(counts)) + 1, [len(counts)]])
    for first, stop in itertools.pairwise(edges):
        blocks = [np.arange(start, min(start + ROWS, stop)) for start in range(first, stop, ROWS)]
        for start in range(0, len(blocks), BATCH):
            yield int(counts[first]), blocks[start : start + BATCH]
