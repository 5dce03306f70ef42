"""Checks on distance matrices, and the search for the k nearest clips in one."""

from concurrent.futures import ThreadPoolExecutor
from typing import no_type_check

import numba
import numpy as np
from numba import njit

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
