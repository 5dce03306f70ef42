"""Approximate nearest sequences: candidates, and candidates' candidates."""

import numpy as np

from lib.dtw import _vectors
from lib.dtw._nearest_search import Search

INTRODUCED = 12  # nearest of a sequence are introduced to each other and to 1.5 times as many that it is nearest to
ROUNDS, SETTLED = 6, 0.002  # of refinement at most; share of changed neighbours below which it stops


class ApproximateSearch(Search):
    """Pairs near in a space of vectors, then the neighbours of neighbours."""

    def find(self, bar):
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
