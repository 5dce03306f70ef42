"""Distances that a search has computed so far, and the nearest that they make."""

from typing import no_type_check

import numba
import numpy as np

from lib.dtw._scattered import ROUNDING


class Known:
    """Distances of unordered pairs (keys: lower index * N + higher index), and the k nearest they make."""

    def __init__(self, count, k):
        self.count = count
        self.keys, self.values = np.empty(0, np.int64), np.empty(0, np.float32)
        self.fresh = []
        self.best, self.indices = np.full((count, k), np.inf, np.float32), np.full((count, k), -1)

    def add(self, rows, columns, values, only_near=False):
        """Add pairs; with `only_near` just those that may be among the k nearest of either side."""
        apart = rows != columns
        if only_near:
            limits = self.limits() * (1 + ROUNDING)
            apart &= values <= np.maximum(limits[rows], limits[columns])
        rows, columns, values = rows[apart], columns[apart], values[apart]
        _insert(self.best, self.indices, rows, columns, values)
        self.fresh.append((self._keys_of(rows, columns), values))

    def limits(self):
        """(N,) distances above which nothing can be among the k nearest, rounding included."""
        return self.best[:, -1].astype(np.float64) * (1 + ROUNDING)

    def links(self):
        """(N k,) one number for each sequence and neighbour."""
        return (np.arange(self.count)[:, None] * self.count + self.indices).ravel()

    def acquaintances(self, near, far):
        """(N, near + far) nearest of each sequence, then nearest of those that count it among theirs; -1 for none."""
        owners, friends = np.nonzero(self.indices >= 0)[0], self.indices[self.indices >= 0]
        order = np.lexsort((self.best[self.indices >= 0], friends))
        owners, friends = owners[order], friends[order]
        place = np.arange(len(friends)) - np.searchsorted(friends, friends)
        others = np.full((self.count, far), -1)
        others[friends[place < far], place[place < far]] = owners[place < far]
        return np.concatenate([self.indices[:, :near], others], axis=1)

    def missing(self, rows, columns):
        """Sorted keys of pairs, each once, that are not known and not of a sequence with itself."""
        return self._unknown(self._keys_of(rows, columns)[rows != columns])

    def introductions(self, met, met_before):
        """Missing keys of sequences that met, (N, L), -1 for none, unless both had met at the same place before."""
        return self._unknown(_introduce(met, met_before))

    def _unknown(self, keys):
        self._merge()
        keys = np.sort(keys)
        keys = keys[np.diff(keys, prepend=-1) > 0]
        if not len(self.keys):
            return keys
        return keys[self.keys[np.minimum(np.searchsorted(self.keys, keys), len(self.keys) - 1)] != keys]

    def look_up(self, rows, columns):
        """Distances of known pairs; 0 of a sequence from itself."""
        self._merge()
        places = np.searchsorted(self.keys, self._keys_of(rows, columns))
        return np.where(rows == columns, np.float32(0), self.values[np.minimum(places, len(self.keys) - 1)])

    def that_matter(self):
        """(rows, columns, values) of pairs that may be among the k nearest of their row, by row."""
        self._merge()
        low, high = self.keys // self.count, self.keys % self.count
        rows, columns, values = (np.concatenate(pair) for pair in ((low, high), (high, low), (self.values,) * 2))
        near = values <= (self.limits() * (1 + ROUNDING))[rows]
        rows, columns, values = rows[near], columns[near], values[near]
        order = np.argsort(rows, kind="stable")
        return rows[order], columns[order], values[order]

    def partners(self):
        """Everybody known to each sequence."""
        self._merge()
        low, high = self.keys // self.count, self.keys % self.count
        rows, columns = np.concatenate([low, high]), np.concatenate([high, low])
        order = np.argsort(rows, kind="stable")
        return np.split(columns[order], np.searchsorted(rows[order], np.arange(1, self.count)))

    def _keys_of(self, rows, columns):
        return np.minimum(rows, columns).astype(np.int64) * self.count + np.maximum(rows, columns)

    def _merge(self):
        if self.fresh:
            keys = np.concatenate([self.keys, *(keys for keys, _ in self.fresh)])
            values = np.concatenate([self.values, *(values for _, values in self.fresh)])
            order = np.argsort(keys, kind="stable")
            order = order[np.diff(keys[order], prepend=-1) > 0]
            self.keys, self.values, self.fresh = keys[order], values[order], []


# `no_type_check` keeps the tests' typing hook off the kernel, which Numba could not compile through a wrapper.
@numba.njit(cache=True, nogil=True)
@no_type_check
def _insert(best, indices, rows, columns, values):
    """Enter pairs into the sorted lists (N, k) of both sides; nobody twice, else the k-th best would be too good."""
    k = best.shape[1]
    for p in range(values.size):
        for side in range(2):
            i, j = (rows[p], columns[p]) if side == 0 else (columns[p], rows[p])
            if values[p] >= best[i, k - 1]:
                continue
            there = False
            for place in range(k):
                there = there or indices[i, place] == j
            if there:
                continue
            place = k - 1
            while place > 0 and best[i, place - 1] > values[p]:
                best[i, place], indices[i, place] = best[i, place - 1], indices[i, place - 1]
                place -= 1
            best[i, place], indices[i, place] = values[p], j


@numba.njit(cache=True, nogil=True)
@no_type_check
def _introduce(met, met_before):
    """Keys of all pairs within a row of `met` (N, L), apart from those of two who both stood in it before."""
    count, limit = met.shape
    old = np.zeros(limit, np.bool_)
    keys, size = np.empty(count * limit * (limit - 1) // 2, np.int64), 0
    for row in range(count):
        for place in range(limit):
            old[place] = False
            for other in range(limit):
                old[place] |= met[row, place] == met_before[row, other]
        for place in range(limit):
            for other in range(place):
                i, j = met[row, place], met[row, other]
                if i >= 0 and j >= 0 and i != j and not (old[place] and old[other]):
                    keys[size] = min(i, j) * count + max(i, j)
                    size += 1
    return keys[:size]
