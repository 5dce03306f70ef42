"""Local systems of NNK: what the problem of each clip reads of the distances or of the kernel.

A system (k + 1, k + 1) is the kernel over a clip's k candidates, then the clip itself as last row and column.
`no_type_check` keeps the typing hook of the tests from wrapping functions before Numba sees them.
"""

from typing import no_type_check

import numpy as np
from numba import njit


def fill_systems(values, sigmas, indices, start, stop):
    """Local systems (stop - start, k + 1, k + 1); `values` are distances if `sigmas` (N,) is filled, else a kernel."""
    k = indices.shape[1]
    packed = np.empty((stop - start, (k + 1) * (k + 2) // 2))
    _gather(values, sigmas, indices[start:stop], start, packed)
    if sigmas.size:
        with np.errstate(under="ignore"):
            np.exp(packed, out=packed)  # NumPy's is several times faster than the one Numba calls
    systems = np.empty((stop - start, k + 1, k + 1))
    _unpack(packed, systems)
    return systems


def systems_of_nearest(found, sigmas, rows):
    """Local systems as `fill_systems` makes them, where no matrix holds the distances."""
    near = found.near[rows].astype(np.float64)
    count, k = near.shape
    systems = np.zeros((count, k + 1, k + 1))
    systems[:, :k, :k] = found.between[rows]
    systems[:, k, :k] = systems[:, :k, k] = near
    members = np.concatenate([found.indices[rows], np.arange(rows.start, rows.start + count)[:, None]], axis=1)
    inverse = np.sqrt(0.5) / sigmas[members]
    with np.errstate(under="ignore", over="ignore"):
        systems = np.exp(-(systems * inverse[:, :, None]) * (systems * inverse[:, None, :]))
    systems[:, np.arange(k + 1), np.arange(k + 1)] = 1.0
    return systems


@njit(cache=True, nogil=True)
@no_type_check
def _gather(values, sigmas, indices, start, packed):
    """Lower triangles of the local systems, one per row; exponents -d² / (2 σ σ) where there are `sigmas`."""
    k = indices.shape[1]
    members = np.empty(k + 1, np.int64)
    inverse = np.ones(k + 1)
    for row in range(len(indices)):
        members[:k] = indices[row]
        members[k] = start + row
        if sigmas.size > 0:
            for a in range(k + 1):
                inverse[a] = np.sqrt(0.5) / sigmas[members[a]]
        place = 0
        for a in range(k + 1):
            line = values[members[a]]
            for b in range(a + 1):
                value = np.float64(line[members[b]])
                if sigmas.size > 0:
                    value = 0.0 if a == b else -(value * inverse[a]) * (value * inverse[b])
                packed[row, place] = value
                place += 1


@njit(cache=True, nogil=True)
@no_type_check
def _unpack(packed, systems):
    size = systems.shape[1]
    for row in range(len(systems)):
        place = 0
        for a in range(size):
            for b in range(a + 1):
                systems[row, a, b] = packed[row, place]
                systems[row, b, a] = packed[row, place]
                place += 1
