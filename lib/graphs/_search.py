"""Checks on distances, and the search for the k nearest clips in a matrix of them."""

from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple, no_type_check

import numba
import numpy as np
from numba import njit

from lib.dtw import Nearest

_TILE = 64  # clips per side of a tile, so that a tile and its mirror image share the cache


@njit(cache=True, nogil=True)
@no_type_check
def _scan(matrix):
    """Count of non-finite values with the first one's place, lowest and largest value, largest |m_ij - m_ji|."""
    n = matrix.shape[0]
    num_bad, bad_row, bad_column = 0, -1, -1
    lowest, largest, asymmetry = np.inf, -np.inf, 0.0
    for row_start in range(0, n, _TILE):
        for column_start in range(row_start, n, _TILE):
            for i in range(row_start, min(row_start + _TILE, n)):
                for j in range(max(i, column_start), min(column_start + _TILE, n)):
                    value, mirror = matrix[i, j], matrix[j, i]
                    if not (np.isfinite(value) and np.isfinite(mirror)):
                        if num_bad == 0:
                            bad_row, bad_column = i, j
                            if np.isfinite(value):
                                bad_row, bad_column = j, i
                        num_bad += 1
                        continue
                    lowest = min(lowest, value, mirror)
                    largest = max(largest, value, mirror)
                    asymmetry = max(asymmetry, abs(value - mirror))
    return num_bad, bad_row, bad_column, lowest, largest, asymmetry


@njit(cache=True, nogil=True)
@no_type_check
def _nearest(distances, start, stop, indices):
    """Fill rows of `indices` (N, k) with the nearest other clips, nearest first; on a tie the lower index first."""
    n, k = indices.shape
    best = np.empty(k)
    for i in range(start, stop):
        found = 0
        for j in range(n):
            if j == i or (found == k and distances[i, j] >= best[k - 1]):
                continue
            place = found if found < k else k - 1
            while place > 0 and best[place - 1] > distances[i, j]:
                best[place] = best[place - 1]
                indices[i, place] = indices[i, place - 1]
                place -= 1
            best[place] = distances[i, j]
            indices[i, place] = j
            found = min(found + 1, k)


def as_symmetric(matrix: np.ndarray, name: str) -> np.ndarray:
    """`matrix` as a finite, symmetric, square float array, or a ValueError that says what it is instead."""
    matrix = np.asarray(matrix)
    if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1]:
        raise ValueError(f"{name} has shape {matrix.shape}; need a square matrix (N, N), one row and column per clip")
    if matrix.dtype.kind not in "fiub":
        raise ValueError(f"{name} holds {matrix.dtype}; need real numbers")
    matrix = np.ascontiguousarray(matrix, dtype=None if matrix.dtype in (np.float32, np.float64) else np.float64)
    if matrix.shape[0] < 2:
        raise ValueError(f"{name} covers {matrix.shape[0]} clips; a graph needs at least 2")
    num_bad, row, column, lowest, largest, asymmetry = _scan(matrix)
    if num_bad:
        raise ValueError(
            f"{name} holds values that are not finite ({num_bad} pairs; first {name}[{row}, {column}] = "
            f"{matrix[row, column]}); drop those clips or compute the pairs again"
        )
    if asymmetry > 1e-5 * max(abs(lowest), abs(largest)):  # float32 distances computed twice differ less than this
        raise ValueError(
            f"{name} is not symmetric: entries differ from their mirror image by up to {asymmetry:.3g}, the largest "
            f"value is {largest:.3g}; average it with its transpose if that is meant"
        )
    return matrix


def as_distances(distances: np.ndarray, k: int) -> np.ndarray:
    """Distances fit for a search of `k` neighbours, or a ValueError."""
    distances = as_symmetric(distances, "distances")
    n = len(distances)
    lowest, largest = distances.min(), distances.max()
    if lowest < 0:
        raise ValueError(f"distances go down to {lowest:.3g}; need values >= 0")
    diagonal = np.abs(np.diagonal(distances)).max()
    if diagonal > 1e-6 * largest:
        raise ValueError(f"distances have up to {diagonal:.3g} on the diagonal; a clip is at distance 0 from itself")
    if not 1 <= k <= n - 1:
        raise ValueError(f"k={k} neighbours asked of {n} clips; need k between 1 and {n - 1}")
    return distances


def nearest(distances: np.ndarray, k: int) -> np.ndarray:
    """Find the `k` nearest other clips, (N, k), in checked distances."""
    n = len(distances)
    indices = np.empty((n, k), np.int64)
    with ThreadPoolExecutor(numba.get_num_threads()) as pool:
        list(pool.map(lambda start: _nearest(distances, start, min(start + 256, n), indices), range(0, n, 256)))
    return indices


class Candidates(NamedTuple):
    """The k nearest of each clip, from a matrix or from a search that left none behind.

    Attributes
    ----------
    indices, near
        (N, k) clips, nearest first, and (N, k) their distances.
    largest
        Largest distance known.
    matrix
        (N, N) distances, or None.
    between
        (N, k, k) distances among the candidates, or None.
    """

    indices: np.ndarray
    near: np.ndarray
    largest: float
    matrix: np.ndarray | None = None
    between: np.ndarray | None = None


def candidates(distances: np.ndarray | Nearest, k: int) -> Candidates:
    """Candidates of each clip from either kind of input, checked."""
    if not isinstance(distances, Nearest):
        matrix = as_distances(distances, k)
        indices = nearest(matrix, k)
        return Candidates(indices, np.take_along_axis(matrix, indices, axis=1), float(matrix.max()), matrix)
    indices, near, between = distances.indices, distances.distances, distances.between
    n = len(indices)
    if indices.ndim != 2 or indices.shape != near.shape:
        raise ValueError(f"nearest has indices {indices.shape} and distances {near.shape}; need both (N, k)")
    if not 1 <= k <= indices.shape[1]:
        raise ValueError(f"k={k} neighbours asked, but the search kept {indices.shape[1]}; search with a larger k")
    if indices.min() < 0 or indices.max() >= n or (indices == np.arange(n)[:, None]).any():
        raise ValueError(f"nearest has indices that are no other clip; need 0 to {n - 1}, never the row itself")
    if not (np.isfinite(near).all() and near.min() >= 0 and (np.diff(near, axis=1) >= 0).all()):
        raise ValueError("nearest has distances that are not finite, below 0 or not in ascending order")
    if between is not None:
        if between.shape != (*indices.shape, indices.shape[1]):
            raise ValueError(f"nearest has between {between.shape}; need (N, k, k) for indices {indices.shape}")
        if not (np.isfinite(between).all() and between.min() >= 0):
            raise ValueError("nearest has distances among neighbours that are not finite or below 0")
        between = between[:, :k, :k]
    largest = max(float(near.max()), 0.0 if between is None else float(between.max()))
    return Candidates(indices[:, :k].copy(), near[:, :k], largest, between=between)
