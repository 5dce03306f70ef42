"""Who is near whom by one vector per sequence, and an order that puts near ones side by side: guesses, no bounds."""

import warnings

import numba
import numpy as np
from threadpoolctl import threadpool_limits

ALL_PAIRS = 4096  # up to so many vectors, comparing all of them takes less time than NNDescent needs to compile
ROWS = 32  # sequences whose bounds are looked at together


def closest(vectors, k, run):
    """(N, k) nearest others by Euclidean distance, from all pairs of vectors; in no order."""
    norms = np.einsum("nd,nd->n", vectors, vectors)

    def chunk(start):
        distances = norms - 2 * (vectors[start : start + 256] @ vectors.T)
        distances[np.arange(len(distances)), start + np.arange(len(distances))] = np.inf
        return np.argpartition(distances, k - 1, axis=1)[:, :k]

    return np.concatenate(list(run(chunk, range(0, len(vectors), 256))))


def candidates(vectors, k, seed, run):
    """(N, k) near others by Euclidean distance; -1 where none was found."""
    if len(vectors) <= max(ALL_PAIRS, 4 * k):
        return closest(vectors, k, run)
    with threadpool_limits(1, user_api="openmp"):  # as Numba starts, its number becomes PyTorch's: put back at the end
        threads = numba.get_num_threads()
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                from pynndescent import NNDescent  # seconds to import: only where it is used

                # one thread, whatever the caller's number, so that the result cannot depend on it
                index = NNDescent(vectors, n_neighbors=k + 1, random_state=int(seed), n_jobs=1)
                found = index.neighbor_graph[0].astype(np.int64)
        finally:
            numba.set_num_threads(threads)
    found[found == np.arange(len(vectors))[:, None]] = -1
    return found


def by_locality(vectors, counts):
    """Order of all sequences: by windows, then so that neighbours in the order are near each other."""
    parts = []
    for n in np.unique(counts):
        stack = [np.flatnonzero(counts == n)]
        while stack:
            part = stack.pop()
            if len(part) <= ROWS:
                parts.append(part)
                continue
            axis = vectors[part].var(axis=0).argmax()
            part = part[np.argsort(vectors[part, axis], kind="stable")]
            half = ROWS * -(-len(part) // (2 * ROWS))
            stack += [part[half:], part[:half]]
    return np.concatenate(parts)
