"""From distances to similarities, and what to do when those similarities are no kernel."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from lib.dtw import Nearest
from lib.graphs._search import Candidates, as_symmetric, candidates

# Relative to the largest diagonal entry. Added to every local system, so its solution is unique and independent of
# the order of clips (duplicates share their weight); an eigenvalue above -RIDGE therefore needs no repair.
RIDGE = 1e-10


class PSDChange(NamedTuple):
    """How much similarities had to change to become a kernel (positive semi-definite)."""

    num_negative: int  # negative eigenvalues, over all matrices looked at
    most_negative: float  # lowest eigenvalue / largest eigenvalue of the same matrix, the worst found; 0 if none
    relative_change: float  # Frobenius norm of the change / Frobenius norm of what was changed or kept
    num_changed: int  # matrices that were changed ...
    num_matrices: int  # ... out of these: 1 for a whole kernel, N for the clips' local systems


def bandwidth(
    distances: np.ndarray | Nearest, k: int, *, scale: float = 1 / 3, per_point: bool = False
) -> float | Float[np.ndarray, " N"]:
    """Width sigma of a Gaussian kernel, from the distance to the `k`-th neighbour.

    Parameters
    ----------
    distances
        (N, N) symmetric, zero diagonal; or what :func:`lib.dtw.nearest` found.
    k
        Which neighbour to measure to, 1 to N - 1, or to as many as were searched for.
    scale
        Factor on that distance. 1/3 leaves the k-th neighbour three sigma away, which in many dimensions, where
        all neighbours are about equally far, makes them all nearly orthogonal to each other: NNK then drops nobody.
        Compare `num_neighbors` with larger scales before reading anything into such a graph.
    per_point
        One sigma per clip (a "self-tuning" kernel) instead of their mean.

    Returns
    -------
    sigma in units of the distances: a float, or (N,) with `per_point`. Where it would be 0 (a clip with `k`
    duplicates) it is 1e-12 of the largest distance, so that only duplicates are similar; 1 if all distances are 0.

    Notes
    -----
    Mean distance to the k-th neighbour over 3 is the rule of the published NNK code (its MATLAB version; the Python
    demo measures to arbitrary clips). One sigma per clip follows Zelnik-Manor & Perona (2004).
    """
    found = candidates(distances, k)
    if not (np.isfinite(scale) and scale > 0):
        raise ValueError(f"scale={scale} for the bandwidth; need a positive number")
    widths = scale * found.near[:, -1].astype(np.float64)
    floor = 1e-12 * found.largest or 1.0
    return np.maximum(widths, floor) if per_point else max(float(widths.mean()), floor)


def default_bandwidth(found: Candidates) -> float:
    """Give `bandwidth` of default scale where the neighbours are known already."""
    return max(float(found.near[:, -1].astype(np.float64).mean()) / 3, 1e-12 * found.largest or 1.0)


def gaussian_kernel(distances: np.ndarray, sigma: float | np.ndarray) -> Float[np.ndarray, "N N"]:
    """exp(-d² / (2 σ²)), or exp(-d_ij² / (2 σ_i σ_j)) where `sigma` holds one width per clip.

    Positive semi-definite for Euclidean distances and one sigma; DTW promises nothing (see :func:`nearest_psd`).
    """
    distances = as_symmetric(distances, "distances").astype(np.float64)
    sigma = as_sigmas(sigma, len(distances))
    with np.errstate(over="ignore", under="ignore"):
        return np.exp(-0.5 * (distances / sigma[:, None]) * (distances / sigma))


def cosine_kernel(vectors: Float[np.ndarray, "N D"]) -> Float[np.ndarray, "N N"]:
    """0.5 + 0.5 cos(x_i, x_j): in [0, 1], 1 on the diagonal; the published NNK code's choice for deep features.

    For a graph: ``K = cosine_kernel(x); nnk(1 - K, k, kernel=K)``.

    Raises
    ------
    ValueError
        A vector is not finite or has length 0, so it has no direction.
    """
    vectors = np.asarray(vectors, dtype=np.float64)
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    bad = np.flatnonzero(~(np.isfinite(lengths[:, 0]) & (lengths[:, 0] > 0)))
    if bad.size:
        raise ValueError(f"{bad.size} vectors have length 0 or are not finite (first: row {bad[0]}); drop them")
    unit = vectors / lengths
    cosine = np.clip(unit @ unit.T, -1.0, 1.0)
    np.fill_diagonal(cosine, 1.0)
    return 0.25 * (2.0 + cosine + cosine.T)


def nearest_psd(kernel: np.ndarray) -> tuple[Float[np.ndarray, "*batch N N"], PSDChange]:
    """Nearest positive semi-definite matrix (Frobenius), by setting negative eigenvalues to 0.

    Parameters
    ----------
    kernel
        Symmetric (N, N), or a stack of such matrices (..., N, N). Not modified.

    Returns
    -------
    The repaired matrices, and what it took. A matrix whose eigenvalues all exceed -1e-10 times its largest diagonal
    entry is returned as it was: rounding alone goes that far.

    Notes
    -----
    Projection as in Higham (1988). The diagonal can grow above 1; it is not scaled back, since that would no
    longer be the nearest matrix, and NNK needs no unit diagonal.
    """
    stack = np.asarray(kernel, dtype=np.float64)
    if stack.ndim < 2 or stack.shape[-1] != stack.shape[-2]:
        raise ValueError(f"kernel has shape {stack.shape}; need (..., N, N)")
    shape, stack = stack.shape, stack.reshape(-1, *stack.shape[-2:])
    values, vectors = np.linalg.eigh(stack)
    tolerance = RIDGE * np.abs(np.diagonal(stack, axis1=1, axis2=2)).max(axis=1, initial=0.0)
    negative = values < -tolerance[:, None]
    changed = negative.any(axis=1)
    repaired = stack.copy()
    kept = np.maximum(values[changed], 0.0)
    repaired[changed] = (vectors[changed] * kept[:, None, :]) @ vectors[changed].transpose(0, 2, 1)
    norm = np.linalg.norm(stack)
    change = PSDChange(
        num_negative=int(negative.sum()),
        most_negative=float((values[changed, 0] / np.abs(values[changed]).max(axis=1)).min(initial=0.0)),
        relative_change=float(np.linalg.norm(repaired - stack) / norm) if norm > 0 else 0.0,
        num_changed=int(changed.sum()),
        num_matrices=len(stack),
    )
    return repaired.reshape(shape), change


def as_sigmas(sigma: float | np.ndarray, n: int) -> np.ndarray:
    """One positive kernel width per clip, (N,), from a number or from N of them."""
    sigmas = np.asarray(sigma, dtype=np.float64)
    if sigmas.shape not in ((), (n,)):
        raise ValueError(f"sigma has shape {sigmas.shape}; need one number, or one per clip ({n},)")
    if not (np.isfinite(sigmas).all() and (sigmas > 0).all()):
        raise ValueError(f"sigma={sigmas.min():.3g} at its lowest; need positive, finite widths")
    return np.broadcast_to(sigmas, (n,)).copy()
