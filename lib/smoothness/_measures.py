"""Label smoothness of one graph, and what chance would give."""

from typing import NamedTuple

import numpy as np

from lib.graphs import NeighborGraph


class Measures(NamedTuple):
    """One array per measure; its axes are said where it is used."""

    interpolation_error: np.ndarray
    cross_class_mass: np.ndarray
    laplacian: np.ndarray


class Smoothness(NamedTuple):
    """Label smoothness of a graph over N clips of C classes; lower is smoother."""

    interpolation_error: float  # mean over clips of sqrt(|y - yhat|² / C), in [0, sqrt(2 / C)]
    cross_class_mass: float  # mean over clips of the neighbour weight on other classes, in [0, 1]
    laplacian: float  # sum w_ij |y_i - y_j|² / sum w_ij, in [0, 2]: twice the share of link weight between classes
    per_clip: Measures  # (N,) each; their means are the three totals
    per_class: Measures  # (C,) each
    classes: np.ndarray  # (C,) labels that occur, sorted
    num_isolated: int  # clips without any neighbour
    degrees: np.ndarray  # (N,) link weight of each clip in the symmetrised graph ...
    crossing: np.ndarray  # (N,) ... and how much of it leads to other classes


class PermutationBaseline(NamedTuple):
    """Smoothness of P random relabellings."""

    total: Measures  # (P,) each
    per_class: Measures  # (P, C) each


class _Prepared(NamedTuple):
    """What of a graph and its labels does not change when labels are permuted."""

    indices: np.ndarray  # (N, k)
    weights: np.ndarray  # (N, k) rows sum to 1, or to 0
    isolated: np.ndarray  # (N,) bool
    rows: np.ndarray  # (E,) links of the symmetrised graph, both directions
    columns: np.ndarray
    link_weights: np.ndarray
    degrees: np.ndarray  # (N,)
    codes: np.ndarray  # (N,) labels as 0 .. C-1
    classes: np.ndarray
    num_classes: int  # C of the formulas


def label_smoothness(graph: NeighborGraph, labels: np.ndarray, *, num_classes: int | None = None) -> Smoothness:
    """How much each clip's label differs from those of its neighbours.

    With one-hot labels y and neighbour weights scaled to sum 1, ŷ_i = sum_j w_ij y_j interpolates clip i's label.

    Parameters
    ----------
    graph
        From :func:`lib.graphs.knn` or :func:`lib.graphs.nnk`, over N clips.
    labels
        (N,) class of each clip, any values that can be sorted.
    num_classes
        C in the interpolation error's 1/C, where the labels are a subset of a larger set (the paper's 60); default:
        the classes that occur.

    Returns
    -------
    Smoothness

    Raises
    ------
    ValueError
        Labels and graph differ in length, `num_classes` is too small, or the graph has no link at all.

    Notes
    -----
    The first two measures are the "err" and "erl" of the analysis released with Das et al.; its per-class averages
    index clips by label and never reset, which is not repeated here: ours are means over the clips of a class.

    The Laplacian form is the usual one of graph signals, on the symmetrised graph. Per class it is
    2 y_c' L y_c / y_c' D y_c, in [0, 2], with D the degrees: dividing by y_c' y_c, the class size, instead would
    call a class smooth whose clips merely have weak links, and could not be compared between layers. Its per-clip
    values are R + (2 crossing_i - R degree_i) / mean degree for a total R: they average to R, and resampling
    them is resampling the ratio, to first order.

    A clip without neighbours has nothing to interpolate from: its ŷ is the class frequencies of the other clips, the
    best guess of a graph that says nothing, so dropping links never looks like smoothness. The Laplacian weighs
    links, not clips, and does not see it.
    """
    prepared = _prepare(graph, labels, num_classes)
    error, mass, crossing = _per_clip(prepared, prepared.codes)
    total, per_class = _summarise(prepared, prepared.codes, error, mass, crossing)
    return Smoothness(
        *(float(value) for value in total),
        per_clip=Measures(error, mass, linearised_ratio(crossing, prepared.degrees)),
        per_class=per_class,
        classes=prepared.classes,
        num_isolated=int(prepared.isolated.sum()),
        degrees=prepared.degrees,
        crossing=crossing,
    )


def permutation_baseline(
    graph: NeighborGraph,
    labels: np.ndarray,
    *,
    rng: np.random.Generator,
    num_permutations: int = 200,
    groups: np.ndarray | None = None,
    num_classes: int | None = None,
) -> PermutationBaseline:
    """Smoothness of the same graph under labels dealt out at random: what no relation to the classes looks like.

    Parameters
    ----------
    groups
        (N,) subject (or view) of each clip. Labels then move only within a group, so the baseline keeps whatever
        the graph owes to neighbours being the same person. Default: labels move freely.

    Raises
    ------
    ValueError
        No group holds two different labels, so permuting changes nothing.
    """
    if num_permutations < 1:
        raise ValueError(f"num_permutations={num_permutations}; need at least 1")
    prepared = _prepare(graph, labels, num_classes)
    codes, num_codes = prepared.codes, len(prepared.classes)
    groups = np.zeros(len(codes), np.int64) if groups is None else group_codes(groups, len(codes))
    if num_codes > 1 and len(np.unique(groups * num_codes + codes)) == groups.max() + 1:
        raise ValueError("labels do not vary inside any group, so permuting them within groups changes nothing")
    slots = np.argsort(groups, kind="stable")
    totals = np.empty((3, num_permutations))
    per_class = np.empty((3, num_permutations, num_codes))
    permuted = np.empty_like(codes)
    for number in range(num_permutations):
        permuted[slots] = codes[np.lexsort((rng.random(len(codes)), groups))]
        summary = _summarise(prepared, permuted, *_per_clip(prepared, permuted))
        totals[:, number], per_class[:, number] = summary
    return PermutationBaseline(Measures(*totals), Measures(*per_class))


def interpolated_accuracy(graph: NeighborGraph, labels: np.ndarray) -> float:
    """Share of clips whose own class gets the most neighbour weight; on a tie the first class in sorted order wins."""
    prepared = _prepare(graph, labels, None)
    return float((_interpolate(prepared, prepared.codes).argmax(axis=1) == prepared.codes).mean())


def group_codes(groups: np.ndarray, n: int) -> np.ndarray:
    """(N,) groups as 0 .. G-1."""
    groups = np.asarray(groups)
    if groups.shape != (n,):
        raise ValueError(f"groups have shape {groups.shape}; need one per clip ({n},)")
    return np.unique(groups, return_inverse=True)[1]


def _prepare(graph: NeighborGraph, labels: np.ndarray, num_classes: int | None) -> _Prepared:
    labels = np.asarray(labels)
    if labels.shape != (len(graph),):
        raise ValueError(f"labels have shape {labels.shape}; the graph covers {len(graph)} clips")
    classes, codes = np.unique(labels, return_inverse=True)
    num_classes = len(classes) if num_classes is None else num_classes
    if num_classes < len(classes):
        raise ValueError(f"num_classes={num_classes}, but {len(classes)} classes occur in labels")
    links = graph.adjacency().tocoo()
    if not links.data.sum() > 0:
        raise ValueError("the graph has no links; use a wider kernel (sigma) or more neighbours")
    return _Prepared(
        indices=graph.indices,
        weights=graph.normalized(),
        isolated=graph.num_neighbors == 0,
        rows=links.row,
        columns=links.col,
        link_weights=links.data,
        degrees=np.bincount(links.row, links.data, len(graph)),
        codes=codes,
        classes=classes,
        num_classes=num_classes,
    )


def _interpolate(prepared: _Prepared, codes: np.ndarray) -> np.ndarray:
    """ŷ, (N, C)."""
    n, num_codes = len(codes), len(prepared.classes)
    cells = np.arange(n)[:, None] * num_codes + codes[prepared.indices]  # (N, k)
    votes = np.bincount(cells.ravel(), prepared.weights.ravel(), n * num_codes).reshape(n, num_codes)
    alone = np.flatnonzero(prepared.isolated)
    if alone.size:
        votes[alone] = np.bincount(codes, minlength=num_codes)
        votes[alone, codes[alone]] -= 1
        votes[alone] /= n - 1
    return votes


def _per_clip(prepared: _Prepared, codes: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Interpolation error, cross-class mass and link weight to other classes, (N,) each."""
    n = len(codes)
    votes = _interpolate(prepared, codes)
    own = votes[np.arange(n), codes]
    squared = np.maximum(1.0 - 2.0 * own + np.einsum("nc,nc->n", votes, votes), 0.0)  # |y - ŷ|²
    links = prepared.link_weights * (codes[prepared.rows] != codes[prepared.columns])
    crossing = np.bincount(prepared.rows, links, n)
    return np.sqrt(squared / prepared.num_classes), np.clip(1.0 - own, 0.0, 1.0), crossing


def _summarise(prepared: _Prepared, codes: np.ndarray, error, mass, crossing) -> tuple[Measures, Measures]:
    """Totals, and values per class (C,); the Laplacian of a class without links is NaN."""
    num_codes, degrees = len(prepared.classes), prepared.degrees
    sizes = np.bincount(codes, minlength=num_codes)
    volumes = np.bincount(codes, degrees, num_codes)
    cuts = np.bincount(codes, crossing, num_codes)
    laplacian = np.divide(2.0 * cuts, volumes, out=np.full(num_codes, np.nan), where=volumes > 0)
    total = Measures(error.mean(), mass.mean(), 2.0 * crossing.sum() / degrees.sum())
    class_means = [np.bincount(codes, values, num_codes) / sizes for values in (error, mass)]
    return total, Measures(*class_means, laplacian)


def linearised_ratio(crossing: np.ndarray, degrees: np.ndarray) -> np.ndarray:
    """Per-clip values whose mean is R = 2 sum crossing / sum degrees, and which vary as R does under resampling."""
    total = degrees.sum()
    if not total > 0:
        return np.full(len(degrees), np.nan)
    ratio = 2.0 * crossing.sum() / total
    return ratio + (2.0 * crossing - ratio * degrees) * (len(degrees) / total)
