"""Dataset graphs: which clips are near which, at one layer of a network.

A graph here joins *clips*, not joints. It starts from an (N, N) matrix of distances (usually :func:`lib.dtw.pairwise`
on one layer's features), or from the nearest of each clip alone (:func:`lib.dtw.nearest`), and keeps for every clip at
most `k` neighbours: all of the nearest (:func:`knn`), or the non-redundant ones among them (:func:`nnk`).
:mod:`lib.smoothness` then asks how labels vary over it.
"""

from lib.graphs._kernels import PSDChange, bandwidth, cosine_kernel, gaussian_kernel, nearest_psd
from lib.graphs._neighbors import NeighborGraph, knn
from lib.graphs._nnk import kkt_residual, nnk

__all__ = [
    "NeighborGraph",
    "PSDChange",
    "bandwidth",
    "cosine_kernel",
    "gaussian_kernel",
    "kkt_residual",
    "knn",
    "nearest_psd",
    "nnk",
]
