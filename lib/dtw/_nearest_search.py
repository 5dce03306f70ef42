"""What the ways to find nearest sequences share: what is known of their distances, and how it becomes an answer."""

from abc import ABC, abstractmethod
from typing import NamedTuple

import numpy as np
from jaxtyping import Float32, Int64

from lib.dtw import _bounds, _plan, _vectors
from lib.dtw._known import Known
from lib.dtw._scattered import ScatteredDistances
from lib.dtw._windows import Options


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


class Search(ABC):
    """One call of `nearest`; inside, sequences stand in an order that puts similar ones side by side."""

    def __init__(self, sequences, k, options: Options, seed, run):
        self.k, self.options, self.seed, self.run, self.count = k, options, seed, run, len(sequences)
        scaling = _plan.measure(sequences, "sequences", run)
        self.exponent = scaling.exponent
        sketches = _bounds.sketch(sequences, scaling, options)
        vectors = _bounds.embed(sketches)
        self.order = _vectors.by_locality(vectors, sketches.counts)
        self.vectors, self.sketches = vectors[self.order], sketches.take(self.order)
        self.sequences, self.scaling = [sequences[index] for index in self.order], scaling
        self.scattered = ScatteredDistances(self.sequences, scaling, options)
        self.known = Known(self.count, k)
        self.num_pairs = 0

    @abstractmethod
    def find(self, bar):
        """Make known every pair that this way needs; `bar` counts pairs."""

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
