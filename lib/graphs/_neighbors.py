"""The graph itself, and its simplest builder."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float64, Int64
from scipy import sparse

from lib.dtw import Nearest
from lib.graphs._kernels import PSDChange, as_sigmas, default_bandwidth
from lib.graphs._search import as_symmetric, candidates

SYMMETRIZE = ("max", "mean", "smaller_error")


@dataclass(frozen=True, eq=False)
class NeighborGraph:
    """A weighted, directed graph over N clips with at most `k` neighbours per clip.

    Attributes
    ----------
    indices
        (N, k) candidates of each clip, nearest first; never the clip itself.
    weights
        (N, k) their weights, >= 0; 0 means not a neighbour.
    reconstruction_errors
        (N,) squared distance, in the kernel's feature space, from a clip to its weighted neighbours; only from `nnk`.
    kkt_residuals
        (N,) how far each clip's weights are from optimal (:func:`kkt_residual`); only from `nnk`.
    sigma
        Kernel width used: one number, (N,) numbers, or None for a kernel without.
    psd_change
        What it took to make the similarities a kernel; only from `nnk`.
    """

    indices: Int64[np.ndarray, "N k"]
    weights: Float64[np.ndarray, "N k"]
    reconstruction_errors: Float64[np.ndarray, " N"] | None = None
    kkt_residuals: Float64[np.ndarray, " N"] | None = None
    sigma: float | Float64[np.ndarray, " N"] | None = None
    psd_change: PSDChange | None = None

    def __len__(self) -> int:
        return len(self.indices)

    @property
    def num_neighbors(self) -> Int64[np.ndarray, " N"]:
        """(N,) neighbours each clip really has, 0 to k."""
        return np.count_nonzero(self.weights, axis=1)

    def normalized(self) -> Float64[np.ndarray, "N k"]:
        """(N, k) weights whose rows sum to 1; all zeros for a clip without neighbours."""
        largest = self.weights.max(axis=1, keepdims=True)
        scaled = self.weights / np.where(largest > 0, largest, 1.0)  # far clips' weights can be too small to add up
        total = scaled.sum(axis=1, keepdims=True)
        return scaled / np.where(total > 0, total, 1.0)

    def adjacency(self, symmetrize: str | None = "default") -> sparse.csr_array:
        """Weights as a sparse (N, N) matrix.

        Parameters
        ----------
        symmetrize
            How the weights i -> j and j -> i become one. ``"max"``: the larger. ``"mean"``: their mean, a missing
            one counting 0. ``"smaller_error"``: that of the clip with the smaller reconstruction error (the larger
            on a tie); a pair linked one way only keeps its link. ``None``: leave the matrix directed.
            ``"default"``: ``"smaller_error"`` where the graph has reconstruction errors (`nnk`), else ``"max"``.

        Notes
        -----
        The published NNK code keeps the direction with the smaller error, then takes the larger of both. What it
        does with links that exist one way only is not certain; dropping them would isolate clips, so we keep them.
        """
        if symmetrize == "default":
            symmetrize = "max" if self.reconstruction_errors is None else "smaller_error"
        if symmetrize not in (*SYMMETRIZE, None):
            raise ValueError(f"symmetrize={symmetrize!r}; choose one of {SYMMETRIZE}, 'default' or None")
        if symmetrize == "smaller_error" and self.reconstruction_errors is None:
            raise ValueError("this graph has no reconstruction errors; use symmetrize='max' or build it with nnk")
        n, k = self.indices.shape
        rows = np.repeat(np.arange(n), k)
        directed = sparse.csr_array((self.weights.ravel(), (rows, self.indices.ravel())), shape=(n, n))
        directed.eliminate_zeros()
        if symmetrize is None or directed.nnz == 0:
            return directed
        if symmetrize == "mean":
            return sparse.csr_array((directed + directed.T) / 2)
        if symmetrize == "smaller_error":
            edges = directed.tocoo()
            back = np.asarray(directed[edges.col, edges.row]).ravel()
            worse = (back > 0) & (self.reconstruction_errors[edges.row] > self.reconstruction_errors[edges.col])
            directed = sparse.csr_array((np.where(worse, 0.0, edges.data), (edges.row, edges.col)), shape=(n, n))
            directed.eliminate_zeros()
        return sparse.csr_array(directed.maximum(directed.T))

    def laplacian(self, kind: str = "combinatorial", *, symmetrize: str = "default") -> sparse.csr_array:
        """Sparse (N, N) Laplacian of the symmetrised graph; no eigenvalue is negative.

        Parameters
        ----------
        kind
            ``"combinatorial"``: L = D - W, D the diagonal of row sums. ``"normalized"``: I - D^-1/2 W D^-1/2, whose
            eigenvalues lie in [0, 2]; the row of a clip without links is 0.
        symmetrize
            As in :meth:`adjacency`.
        """
        if kind not in ("combinatorial", "normalized"):
            raise ValueError(f"kind={kind!r} of Laplacian; choose 'combinatorial' or 'normalized'")
        if symmetrize is None:
            raise ValueError("a Laplacian needs a symmetric graph; choose how to symmetrize")
        adjacency = self.adjacency(symmetrize)
        return sparse.csr_array(sparse.csgraph.laplacian(adjacency, normed=kind == "normalized"))


def knn(
    distances: np.ndarray | Nearest,
    k: int,
    *,
    kernel: str | np.ndarray | None = None,
    sigma: float | Float[np.ndarray, " N"] | None = None,
) -> NeighborGraph:
    """Link every clip to its `k` nearest.

    Parameters
    ----------
    distances
        (N, N) symmetric, zero diagonal, finite; not modified. Or what :func:`lib.dtw.nearest` found, which gives the
        same graph where that was exact.
    k
        Neighbours per clip, 1 to N - 1, or to as many as were searched for. Equal distances: the lower index wins.
    kernel
        Weight of a link. ``None``: 1, every neighbour alike. ``"inverse"``: 1/d, rows scaled to sum 1.
        ``"gaussian"``: exp(-d²/2σ²), where far neighbours may underflow to 0, no link. An (N, N) array of
        similarities >= 0: its values.
    sigma
        Width for ``"gaussian"``, one number or one per clip; default :func:`bandwidth` of `distances` and `k`.

    Notes
    -----
    ``"inverse"`` is what the analysis released with Das et al. weighs neighbours by. It leaves d = 0 open; we
    raise d to at least 1e-6 of the clip's largest neighbour distance, so duplicates take nearly all of the weight.
    """
    found = candidates(distances, k)
    indices, near = found.indices, found.near.astype(np.float64)
    if sigma is not None and not (isinstance(kernel, str) and kernel == "gaussian"):
        raise ValueError("sigma was given, but only kernel='gaussian' has a width")
    if kernel is None:
        weights = np.ones_like(near)
    elif isinstance(kernel, np.ndarray):
        kernel = as_kernel(kernel, len(indices))
        weights = np.take_along_axis(kernel, indices, axis=1).astype(np.float64)
        if weights.min() < 0:
            raise ValueError(f"kernel goes down to {weights.min():.3g} between neighbours; weights must be >= 0")
    elif kernel == "inverse":
        largest = near.max(axis=1, keepdims=True)
        scaled = near / np.where(largest > 0, largest, 1.0)
        weights = 1.0 / np.maximum(scaled, 1e-6)
        weights /= weights.sum(axis=1, keepdims=True)
    elif kernel == "gaussian":
        sigma = default_bandwidth(found) if sigma is None else sigma
        widths = as_sigmas(sigma, len(indices))
        with np.errstate(over="ignore", under="ignore"):
            weights = np.exp(-0.5 * (near / widths[:, None]) * (near / widths[indices]))
    else:
        raise ValueError(f"kernel={kernel!r}; choose None, 'inverse', 'gaussian' or an (N, N) array")
    return NeighborGraph(indices, weights, sigma=sigma)


def as_kernel(kernel: np.ndarray, n: int) -> np.ndarray:
    """Check a similarity matrix over `n` clips: symmetric, finite, positive on the diagonal."""
    kernel = as_symmetric(kernel, "kernel")
    if len(kernel) != n:
        raise ValueError(f"kernel covers {len(kernel)} clips, distances {n}; both must describe the same clips")
    if np.diagonal(kernel).min() <= 0:
        raise ValueError(f"kernel has {np.diagonal(kernel).min():.3g} on its diagonal; need positive values there")
    return kernel
