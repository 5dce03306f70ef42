"""Non-negative kernel regression graphs: neighbours that say something the nearer ones did not."""

import warnings
from concurrent.futures import ThreadPoolExecutor

import numba
import numpy as np
from jaxtyping import Float
from threadpoolctl import threadpool_limits

from lib.dtw import Nearest
from lib.graphs._kernels import PSDChange, as_sigmas, default_bandwidth, gaussian_kernel, nearest_psd
from lib.graphs._neighbors import NeighborGraph, as_kernel
from lib.graphs._search import candidates
from lib.graphs._solver import solve_systems
from lib.graphs._systems import fill_systems, systems_of_nearest

_BLOCK = 64  # clips whose local systems one thread holds at a time: 1.3 MB at k = 50
_TOLERANCE = 1e-6  # KKT residual a row may have


def nnk(
    distances: np.ndarray | Nearest,
    k: int,
    *,
    kernel: str | np.ndarray = "gaussian",
    sigma: float | Float[np.ndarray, " N"] | None = None,
    solver: str = "exact",
    repair: str = "local",
    num_threads: int | None = None,
) -> NeighborGraph:
    """Link every clip to those of its `k` nearest that no nearer neighbours make redundant.

    For clip i with candidates S the weights θ minimise ½ θᵀ K_SS θ - θᵀ k_Si over θ >= 0; candidates with
    θ = 0 are no neighbours.

    Parameters
    ----------
    distances
        (N, N) symmetric, zero diagonal, finite; not modified. Says who the candidates are. Or what
        ``lib.dtw.nearest(..., between=True)`` found: a clip's system needs the distances among its candidates. That
        gives the same graph where the search was exact.
    k
        Candidates per clip, 1 to N - 1, or to as many as were searched for. Equal distances: the lower index wins.
    kernel
        ``"gaussian"``, exp(-d²/2σ²); or an (N, N) matrix of similarities (:func:`cosine_kernel`).
    sigma
        Width of the Gaussian: one number, or one per clip. Default: :func:`bandwidth`, mean distance to the k-th
        neighbour over 3; read there why a wider one may be wanted.
    solver
        ``"exact"``: active set with re-entry, optimal on every row. ``"pruning"``: the published heuristic, which
        drops candidates with negative weight and never takes one back; for comparison only.
    repair
        Where similarities are no kernel (DTW is not a metric): ``"local"`` sets the negative eigenvalues of a
        clip's own (k + 1, k + 1) system to 0, for those clips that have any. ``"global"`` does so once for the
        whole (N, N) matrix, O(N³), and needs one.
    num_threads
        Threads that share the rows; default: as many as this process may use. Results do not depend on it.

    Returns
    -------
    NeighborGraph
        With reconstruction errors, KKT residuals, the sigma used and the repair's size.

    Warns
    -----
    RuntimeWarning
        ``"exact"`` left a row with a KKT residual above 1e-6; no input we tried does that.

    Notes
    -----
    NNK is Shekkizhar & Ortega's (2020). Departures: the solver is exact, where theirs only removes
    neighbours; 1e-10 of the largest diagonal entry is added to the diagonal (theirs: 1e-6), which makes duplicates
    share their weight equally instead of being a special case. Local repair is the default because a row reads
    nothing of the kernel but its own system: a kernel that is indefinite as a whole while every local system is sound
    needs no change, and one clip's bad distances do not alter the rest. Time O(N² + N k³), memory O(k²) per thread
    beside the matrix.
    """
    found = candidates(distances, k)
    indices, n = found.indices, len(found.indices)
    if solver not in ("exact", "pruning"):
        raise ValueError(f"solver={solver!r}; choose 'exact' or 'pruning'")
    if repair not in ("local", "global"):
        raise ValueError(f"repair={repair!r}; choose 'local' or 'global'")
    if num_threads is not None and num_threads < 1:
        raise ValueError(f"num_threads={num_threads}; need at least 1")
    if isinstance(kernel, np.ndarray):
        if sigma is not None:
            raise ValueError("sigma was given, but a kernel matrix has no width; pass one of the two")
        values, sigmas = as_kernel(kernel, n), np.empty(0)
    elif kernel == "gaussian":
        sigma = default_bandwidth(found) if sigma is None else sigma
        values, sigmas = found.matrix, as_sigmas(sigma, n)
        if values is None and repair == "global":
            raise ValueError("repair='global' needs all (N, N) distances, not the nearest alone; use repair='local'")
        if values is None and found.between is None:
            raise ValueError("nearest has between=None, but a Gaussian needs it: dtw.nearest(..., between=True)")
    else:
        raise ValueError(f"kernel={kernel!r}; choose 'gaussian' or pass an (N, N) array")
    whole = None
    if repair == "global":
        whole_kernel = gaussian_kernel(values, sigmas) if sigmas.size else values
        values, whole = nearest_psd(whole_kernel)
        sigmas = np.empty(0)

    weights = np.empty((n, k))
    errors, residuals, norms = np.empty(n), np.empty(n), np.empty(n)

    def solve_block(start):
        rows = slice(start, min(start + _BLOCK, n))
        if values is None:
            systems = systems_of_nearest(found, sigmas, rows)
        else:
            systems = fill_systems(values, sigmas, indices, rows.start, rows.stop)
        indefinite = np.empty(len(systems), np.bool_)
        exact = solver == "exact"
        solve_systems(systems, exact, weights[rows], errors[rows], residuals[rows], norms[rows], indefinite)
        if not indefinite.any():
            return None
        repaired, change = nearest_psd(systems[indefinite])
        again = [np.empty((len(repaired), k)), *np.empty((3, len(repaired)))]
        solve_systems(repaired, exact, *again, np.empty(len(repaired), np.bool_))
        for whole_array, part in zip((weights, errors, residuals), again, strict=False):
            whole_array[rows][indefinite] = part
        return change, change.relative_change**2 * norms[rows][indefinite].sum()

    # BLAS threads slow the many small eigenproblems of a repair eightfold
    with threadpool_limits(1, user_api="blas"), ThreadPoolExecutor(num_threads or numba.get_num_threads()) as pool:
        changes = [change for change in pool.map(solve_block, range(0, n, _BLOCK)) if change is not None]
    if solver == "exact" and residuals.max() > _TOLERANCE:
        row = int(residuals.argmax())
        warnings.warn(
            f"NNK weights of clip {row} are off by {residuals[row]:.1e} (KKT residual; {_TOLERANCE} expected)",
            RuntimeWarning,
            stacklevel=2,
        )
    return NeighborGraph(indices, weights, errors, residuals, sigma, whole or _total(changes, norms))


def _total(changes, norms) -> PSDChange:
    """One report for all local systems, from those of the blocks that needed repair and every system's squared norm."""
    return PSDChange(
        num_negative=sum(change.num_negative for change, _ in changes),
        most_negative=min((change.most_negative for change, _ in changes), default=0.0),
        relative_change=float(np.sqrt(sum(squared for _, squared in changes) / norms.sum())),
        num_changed=sum(change.num_changed for change, _ in changes),
        num_matrices=len(norms),
    )


def kkt_residual(
    kernel: Float[np.ndarray, "k k"], target: Float[np.ndarray, " k"], weights: Float[np.ndarray, " k"]
) -> float:
    """How far weights are from minimising ½ θᵀKθ - θᵀt over θ >= 0; 0 exactly at an optimum.

    Every weight must be 0 with a gradient >= 0, or positive with gradient 0, so the residual is the largest
    |min(θ_j, g_j)|, g = Kθ - t, with g in units of K's largest diagonal entry (1 for a Gaussian).
    """
    gradient = (kernel @ weights - target) / np.diagonal(kernel).max()
    return float(np.abs(np.minimum(weights, gradient)).max())
