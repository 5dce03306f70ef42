"""Tables over layers and classes, and the layer in which classes come apart."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import pandas as pd

from lib.graphs import NeighborGraph
from lib.smoothness._intervals import bootstrap_interval, paired_difference, resampled_means, tail_probabilities
from lib.smoothness._measures import Measures, Smoothness, label_smoothness, linearised_ratio, permutation_baseline


class Appearance(NamedTuple):
    """Where class discrimination appears; see :func:`appears_at`."""

    layer: str | None  # None: no layer meets the rule
    low: str | None  # interval of the layer over resamples; None: not reached at that end
    high: str | None
    never: float  # share of resamples in which no layer is smoother than the reference
    table: pd.DataFrame  # per layer: value, drop and share of the largest drop, with intervals; `significant`


def by_layer(
    graphs: Mapping[str, NeighborGraph],
    labels: np.ndarray,
    *,
    rng: np.random.Generator,
    groups: np.ndarray | None = None,
    untrained: Mapping[str, NeighborGraph] | None = None,
    num_classes: int | None = None,
    level: float = 0.95,
    num_resamples: int = 2000,
    num_permutations: int = 200,
) -> pd.DataFrame:
    """Smoothness of every layer, one row per layer and measure: what a page quotes.

    Parameters
    ----------
    graphs
        {layer: graph} over the same clips, first layer first, as in
        ``{layer: graphs.nnk(d, 15) for layer, d in distances.items()}``.
    labels
        (N,) classes.
    groups
        (N,) subjects: bootstrap draws whole subjects, permutation stays within one. See
        :func:`bootstrap_interval` and :func:`permutation_baseline`.
    untrained
        Graphs of the same layers of a network with random weights.
    num_classes
        As in :func:`label_smoothness`.

    Returns
    -------
    pandas.DataFrame
        ``layer, depth`` (0 first) ``, measure, value, low, high``; ``permuted_low, permuted_mean, permuted_high,
        p_value`` (one-sided: permutations at least as smooth); ``change, change_low, change_high`` (paired, against
        the layer before; NaN in the first); with `untrained` also ``untrained, gain, gain_low, gain_high``
        (gain = trained - untrained, paired; below 0: training made it smoother); then the graph's ``num_nodes,
        num_candidates, num_neighbors_mean, num_isolated, kkt_residual, num_negative_eigenvalues,
        most_negative_eigenvalue, psd_relative_change`` (the last four NaN for graphs other than `nnk`).
    """
    _check_layers(graphs)
    if untrained is not None and list(untrained) != list(graphs):
        raise ValueError(f"untrained has layers {list(untrained)}; graphs has {list(graphs)}")
    options = {"rng": rng, "level": level, "num_resamples": num_resamples, "groups": groups}
    tails = tail_probabilities(level)
    rows, previous = [], None
    for depth, (layer, graph) in enumerate(graphs.items()):
        smooth = label_smoothness(graph, labels, num_classes=num_classes)
        chance = permutation_baseline(
            graph, labels, rng=rng, num_permutations=num_permutations, groups=groups, num_classes=num_classes
        ).total
        random = None if untrained is None else label_smoothness(untrained[layer], labels, num_classes=num_classes)
        for measure in Measures._fields:
            values, permuted = getattr(smooth.per_clip, measure), getattr(chance, measure)
            interval = bootstrap_interval(values, **options)
            row = {"layer": layer, "depth": depth, "measure": measure, **interval._asdict()}
            row["permuted_low"], row["permuted_high"] = np.quantile(permuted, tails)
            row["permuted_mean"] = permuted.mean()
            ties = interval.value + 1e-9 * max(1.0, abs(interval.value))  # equal sums round differently
            row["p_value"] = (1 + np.count_nonzero(permuted <= ties)) / (1 + num_permutations)
            row |= dict.fromkeys(("change", "change_low", "change_high"), np.nan)
            if previous is not None:
                change = paired_difference(values, getattr(previous.per_clip, measure), **options)
                row |= dict(zip(("change", "change_low", "change_high"), change, strict=True))
            if random is not None:
                gain = paired_difference(values, getattr(random.per_clip, measure), **options)
                row["untrained"] = getattr(random, measure)
                row |= dict(zip(("gain", "gain_low", "gain_high"), gain, strict=True))
            rows.append(row | _graph_report(graph, smooth))
        previous = smooth
    return pd.DataFrame(rows)


def by_class(
    graphs: Mapping[str, NeighborGraph],
    labels: np.ndarray,
    *,
    rng: np.random.Generator,
    groups: np.ndarray | None = None,
    num_classes: int | None = None,
    level: float = 0.95,
    num_resamples: int = 2000,
    num_permutations: int = 200,
) -> pd.DataFrame:
    """Smoothness of every class in every layer, one row per layer, class and measure.

    Returns
    -------
    pandas.DataFrame
        ``layer, depth, class, measure, value, low, high, permuted_low, permuted_mean, permuted_high, num_clips``.
        A class seen in a single clip (or of a single subject, with `groups`) has no interval: NaN. So has the Laplacian
        of a class without links.

    Notes
    -----
    A rare class scores worse by chance alone, as most clips are of other classes: compare with its own baseline.
    """
    _check_layers(graphs)
    tails = tail_probabilities(level)
    labels = np.asarray(labels)
    rows = []
    for depth, (layer, graph) in enumerate(graphs.items()):
        smooth = label_smoothness(graph, labels, num_classes=num_classes)
        chance = permutation_baseline(
            graph, labels, rng=rng, num_permutations=num_permutations, groups=groups, num_classes=num_classes
        ).per_class
        for code, name in enumerate(smooth.classes):
            members = labels == name
            subjects = None if groups is None else np.asarray(groups)[members]
            enough = len(np.unique(np.flatnonzero(members) if groups is None else subjects)) > 1
            per_clip = Measures(
                smooth.per_clip.interpolation_error[members],
                smooth.per_clip.cross_class_mass[members],
                linearised_ratio(smooth.crossing[members], smooth.degrees[members]),
            )
            for measure, values in per_clip._asdict().items():
                row = {"layer": layer, "depth": depth, "class": name, "measure": measure}
                row |= {"value": getattr(smooth.per_class, measure)[code], "low": np.nan, "high": np.nan}
                if enough and np.isfinite(values).all():
                    row |= bootstrap_interval(
                        values, rng=rng, level=level, num_resamples=num_resamples, groups=subjects
                    )._asdict()
                permuted = getattr(chance, measure)[:, code]
                permuted = permuted[np.isfinite(permuted)]  # a permutation may leave a class without links
                row |= dict.fromkeys(("permuted_low", "permuted_high", "permuted_mean"), np.nan)
                if len(permuted):
                    row["permuted_low"], row["permuted_high"] = np.quantile(permuted, tails)
                    row["permuted_mean"] = permuted.mean()
                rows.append(row | {"num_clips": int(members.sum())})
    return pd.DataFrame(rows)


def appears_at(
    scores: Mapping[str, Smoothness],
    *,
    rng: np.random.Generator,
    measure: str = "cross_class_mass",
    reference: float | None = None,
    half: float = 0.5,
    groups: np.ndarray | None = None,
    level: float = 0.95,
    num_resamples: int = 2000,
) -> Appearance:
    """Layer in which class discrimination appears, with an interval.

    The rule: the first layer that has made at least `half` of the largest drop any layer makes below the reference,
    and whose own drop has an interval above 0.

    Parameters
    ----------
    scores
        {layer: smoothness} over the same clips, first layer first.
    measure
        A field of :class:`Measures`.
    reference
        What a drop is measured from: a number, such as the mean of a permutation baseline; default: the first layer.
    groups
        (N,) subjects, drawn whole.

    Returns
    -------
    Appearance
        ``low`` and ``high`` are quantiles of the first layer to reach `half` over resamples (a resample in which
        nothing drops counts as later than the last layer).

    Notes
    -----
    Our rule; the paper reads the layer off a curve. Where the curve is not monotone "first" is what counts. The best
    layer is chosen on the same clips, which favours no layer in particular but makes the largest drop a little too
    large. All layers share the resamples.
    """
    _check_layers(scores)
    layers = list(scores)
    if measure not in Measures._fields:
        raise ValueError(f"measure={measure!r}; choose one of {Measures._fields}")
    if not 0 < half <= 1:
        raise ValueError(f"half={half}; need a share of the drop in (0, 1]")
    values = np.stack([getattr(score.per_clip, measure) for score in scores.values()], axis=1)  # (N, layers)
    tails = tail_probabilities(level)
    means = resampled_means(values, rng=rng, level=level, num_resamples=num_resamples, groups=groups)  # (B, layers)
    observed = values.mean(axis=0)
    drop, share, _ = _drops(observed[None], reference, half)
    drops, shares, firsts = _drops(means, reference, half)
    (drop_low, drop_high), (share_low, share_high) = (
        np.quantile(drops, tails, axis=0),
        np.quantile(shares, tails, axis=0),
    )
    significant = drop_low > 0
    meets = np.flatnonzero(significant & (share[0] >= half))
    low, high = np.quantile(firsts, tails, method="inverted_cdf")
    named = [*layers, None]
    table = pd.DataFrame(
        {"layer": layers, "value": observed, "drop": drop[0], "drop_low": drop_low, "drop_high": drop_high}
        | {"share": share[0], "share_low": share_low, "share_high": share_high, "significant": significant}
    )
    return Appearance(
        layer=layers[meets[0]] if meets.size else None,
        low=named[int(low)],
        high=named[int(high)],
        never=float((firsts == len(layers)).mean()),
        table=table,
    )


def _drops(means: np.ndarray, reference: float | None, half: float):
    """Drop below the reference and share of the largest drop, (B, layers); first layer to reach `half`, (B,)."""
    drops = (means[:, :1] if reference is None else reference) - means
    largest = drops.max(axis=1, keepdims=True)
    shares = np.where(largest > 0, drops / np.where(largest > 0, largest, 1.0), 0.0)
    reached = shares >= half
    return drops, shares, np.where(reached.any(axis=1), reached.argmax(axis=1), means.shape[1])


def _graph_report(graph: NeighborGraph, smooth: Smoothness) -> dict[str, float | int]:
    change = graph.psd_change
    return {
        "num_nodes": len(graph),
        "num_candidates": graph.indices.shape[1],
        "num_neighbors_mean": graph.num_neighbors.mean(),
        "num_isolated": smooth.num_isolated,
        "kkt_residual": np.nan if graph.kkt_residuals is None else graph.kkt_residuals.max(),
        "num_negative_eigenvalues": np.nan if change is None else change.num_negative,
        "most_negative_eigenvalue": np.nan if change is None else change.most_negative,
        "psd_relative_change": np.nan if change is None else change.relative_change,
    }


def _check_layers(layers: Mapping) -> None:
    if not layers:
        raise ValueError("no layers given; need {layer: ...} with at least one")
    sizes = {name: len(item if isinstance(item, NeighborGraph) else item.per_clip[0]) for name, item in layers.items()}
    if len(set(sizes.values())) > 1:
        raise ValueError(f"layers cover different numbers of clips: {sizes}; need the same clips in each")
