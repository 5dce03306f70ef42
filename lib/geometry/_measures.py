"""Measures of one layer's clips, or of two layers', that know no labels."""

import numpy as np


def intrinsic_dimension(distances: np.ndarray, *, discard_fraction: float = 0.1) -> float:
    """Dimension of the surface that clips lie on, from each clip's two nearest others (TwoNN).

    Parameters
    ----------
    distances
        (N, N) symmetric, zero diagonal, finite.
    discard_fraction
        Share of clips left out, those whose second neighbour is farthest beyond the first.

    Raises
    ------
    ValueError
        Fewer than three clips are left without copies.

    Notes
    -----
    Facco et al. (2017), by scikit-dimension. Ratios of the distances to the second and first neighbour follow a law
    whose exponent is the dimension, as far as density is even over that short range. Of copies, at distance 0, one is
    kept.
    """
    from skdim.id import TwoNN  # seconds to import: only where it is used

    apart = _others(distances)
    alone = (apart == 0).argmax(axis=1) >= np.arange(len(apart)) * (apart == 0).any(axis=1)  # no copy comes before it
    near = np.sort(apart[np.ix_(alone, alone)], axis=1)[:, :2]
    if len(near) < 3:
        raise ValueError(f"{len(near)} clips without copies; needed at least 3")
    return float(TwoNN(discard_fraction=discard_fraction, dist=True).fit(near).dimension_)


def information_imbalance(distances: np.ndarray, others: np.ndarray) -> float:
    """How little nearest neighbours by `distances` tell about nearness by `others`: near 0 all, 1 nothing.

    Notes
    -----
    2 / N times the mean rank, by `others`, of each clip's nearest by `distances` (Glielmo et al. 2022); ranks start at
    1 and ties share theirs. Not symmetric: a layer may know another that does not know it. DADApy has it, too, but
    asks for a NumPy before 2.
    """
    first, second = _others(distances), _others(others)
    if len(first) != len(second):
        raise ValueError(f"{len(first)} and {len(second)} clips; needed the same clips in both")
    nearest = np.take_along_axis(second, first.argmin(axis=1)[:, None], axis=1)
    ranks = (second < nearest).sum(axis=1) + ((second == nearest).sum(axis=1) + 1) / 2
    return float(2 / len(first) * ranks.mean())


def cka(x: np.ndarray, y: np.ndarray) -> float:
    """Likeness of two layers' vectors of the same clips (N, D), (N, E): 1 if one is the other turned, 0 by chance.

    Notes
    -----
    Linear centred kernel alignment (Kornblith et al. 2019) with unbiased estimates of HSIC (Song et al. 2012): the
    usual one nears 1 by itself where there are more dimensions than clips, as there are here. Estimates can lie a
    little below 0.

    Raises
    ------
    ValueError
        Fewer than four clips, other clips in `y`, or vectors that are all the same.
    """
    if len(x) != len(y) or len(x) < 4:
        raise ValueError(f"{len(x)} and {len(y)} clips; needed the same clips in both, and at least 4")
    first, second = _u_centred(x), _u_centred(y)
    sizes = (first**2).sum() * (second**2).sum()
    if not sizes > 0:
        raise ValueError("vectors of a layer are all the same; there is nothing to align")
    return float((first * second).sum() / np.sqrt(sizes))


def _u_centred(x: np.ndarray) -> np.ndarray:
    """Inner products of all pairs, without what a clip has in common with all others; zero diagonal."""
    x = x.astype(np.float64)
    x = x - x.mean(axis=0)
    gram = x @ x.T
    np.fill_diagonal(gram, 0.0)
    n = len(gram)
    rows = gram.sum(axis=1) / (n - 2)
    gram += rows.sum() / (n - 1) - rows[:, None] - rows[None]
    np.fill_diagonal(gram, 0.0)
    return gram


def _others(distances: np.ndarray) -> np.ndarray:
    """Distances (N, N) in float64 with the diagonal infinite: nobody is its own neighbour."""
    distances = np.array(distances, dtype=np.float64)
    if distances.ndim != 2 or distances.shape[0] != distances.shape[1] or len(distances) < 3:
        raise ValueError(f"distances have shape {distances.shape}; needed (N, N) of at least 3 clips")
    if not np.isfinite(distances).all():
        raise ValueError("distances hold NaN or inf; needed numbers")
    np.fill_diagonal(distances, np.inf)
    return distances
