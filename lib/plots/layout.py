"""Where to put the dots of a graph."""

import numpy as np
from jaxtyping import Float
from scipy import sparse
from scipy.sparse.csgraph import connected_components
from scipy.sparse.linalg import eigsh
from scipy.spatial.distance import cdist

DENSE = 800  # up to this many nodes all eigenvectors are cheaper than a few
PUSHED = 1000  # every node pushes every other: more take too long


def edge_list(graph: sparse.sparray | sparse.spmatrix) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Each undirected link once: row, column, weight; from an adjacency or a Laplacian (the sign is dropped)."""
    links = sparse.triu(_links(graph), k=1).tocoo()
    return links.row, links.col, links.data


def _links(graph: sparse.sparray | sparse.spmatrix) -> sparse.csr_array:
    links = abs(sparse.csr_array(graph).astype(np.float64))
    links = sparse.csr_array(links - sparse.diags_array(links.diagonal()))
    links = sparse.csr_array(links.maximum(links.T))
    links.eliminate_zeros()
    return links


def spectral_layout(graph: sparse.sparray | sparse.spmatrix, *, relax: int = 60) -> Float[np.ndarray, "N 2"]:
    """Place nodes by the two smoothest eigenvectors of the normalised Laplacian, each connected part on its own.

    Eigenvectors alone draw a tight group of nodes as one dot, so links then pull and nodes push for a few rounds.

    Parameters
    ----------
    graph
        (N, N) sparse adjacency or Laplacian; only the sizes of its off-diagonal entries are read, a link that exists
        one way only counts.
    relax
        Rounds of pulling and pushing; 0 leaves the eigenvectors as they are, as do parts of more than 1000 nodes.

    Returns
    -------
    Coordinates without a unit, the same for the same graph. Parts are packed side by side, the largest first; the
    area of a part goes with its number of nodes, and the distance between parts means nothing.

    Notes
    -----
    Forces as in Fruchterman & Reingold (1991): links pull with the square of their length, nodes push with its inverse.
    """
    links = _links(graph)
    count, part_of = connected_components(links, directed=False)
    sizes = np.bincount(part_of, minlength=count)
    spots = np.zeros((links.shape[0], 2))
    left, bottom, shelf, width = 0.0, 0.0, 0.0, 1.15 * np.sqrt(sizes.sum()) if count else 1.0
    for part in np.argsort(-sizes, kind="stable"):
        members = np.flatnonzero(part_of == part)
        side = np.sqrt(len(members))
        if left > 0 and left + side > width:
            left, bottom, shelf = 0.0, bottom - shelf, 0.0
        spots[members] = _square(links[members][:, members], relax) * 0.86 * side + (left + side / 2, bottom - side / 2)
        left, shelf = left + side, max(shelf, side)
    return spots


def _square(links: sparse.csr_array, relax: int) -> np.ndarray:
    """Coordinates (n, 2) of a connected part within the unit square around 0."""
    n = links.shape[0]
    if n == 1:
        return np.zeros((1, 2))
    if n == 2:
        return np.array([[-0.35, 0.0], [0.35, 0.0]])
    root = np.sqrt(links.sum(axis=1))
    scaled = sparse.csr_array(sparse.diags_array(1 / root) @ links @ sparse.diags_array(1 / root))
    if n <= DENSE:
        vectors = np.linalg.eigh(scaled.toarray())[1][:, ::-1]
    else:
        values, vectors = eigsh(scaled, k=3, which="LA", v0=np.ones(n))
        vectors = vectors[:, np.argsort(-values)]
    spots = vectors[:, 1:3] / root[:, None]
    largest = np.take_along_axis(spots, np.abs(spots).argmax(axis=0)[None], axis=0)
    spots = spots * np.where(largest < 0, -1.0, 1.0)  # an eigenvector's sign is free: fix it
    spots = _unit(spots)
    return _unit(_relaxed(spots, scaled, relax), alike=True) if relax and n <= PUSHED else spots


def _unit(spots: np.ndarray, *, alike: bool = False) -> np.ndarray:
    low, high = spots.min(axis=0), spots.max(axis=0)
    span = np.maximum(high - low, 1e-12)
    return (spots - (low + high) / 2) / (span.max() if alike else span)


def _relaxed(spots: np.ndarray, links: sparse.csr_array, rounds: int) -> np.ndarray:
    n = len(spots)
    angles = np.arange(n) * 2.399963  # golden angle: nodes that share a place leave it in different directions
    spots = spots + 1e-3 * np.stack([np.cos(angles), np.sin(angles)], axis=1)
    near = 1 / np.sqrt(n)  # length at which a link of mean weight rests, for nodes that fill the unit square
    pull = sparse.coo_array(links)
    weight = np.minimum(pull.data / pull.data.mean(), 3.0)  # normalised, so weakly linked nodes do not fly off
    for heat in np.linspace(0.1, 0.005, rounds):
        push = near**2 / np.maximum(cdist(spots, spots, "sqeuclidean"), 1e-8)
        force = push.sum(axis=1, keepdims=True) * spots - push @ spots  # sum over j of push_ij (x_i - x_j)
        along = spots[pull.row] - spots[pull.col]
        tension = (weight * np.linalg.norm(along, axis=1) / near)[:, None] * along
        np.subtract.at(force, pull.row, tension)
        length = np.linalg.norm(force, axis=1, keepdims=True)
        spots = spots + force * np.minimum(heat, length) / np.maximum(length, 1e-12)
    return spots
