"""What of a layer's graph, and of the curve over layers, hangs on how the graph was made."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
from jaxtyping import Float
from scipy.spatial.distance import pdist, squareform
from scipy.stats import spearmanr
from tqdm.auto import tqdm

from lib import dtw, graphs, smoothness

METRICS = ("windowed", "resampled", "pooled")


class Setting(NamedTuple):
    """How clips become neighbours; the defaults are those of page 05."""

    metric: str = "windowed"  # DTW over windows; "resampled": Euclidean, frame by frame; "pooled": of mean frames
    window_size: int = 4  # input frames, as for `dtw.by_layer`
    stride: int = 4
    radius: float | None = 0.2  # share of a sequence's windows; None: no band
    num_neighbors: int = 10  # candidates of NNK
    sigma_scale: float = 1 / 3  # of the mean distance to the last candidate


def variations(default: Setting) -> dict[str, Setting]:
    """Vary `default` in one respect at a time; settings by name, such as ``"window_size 8"``.

    ``"plain DTW"`` has windows of one frame, one frame apart; left out where it is no further setting.
    """
    tried = {
        "window_size": (1, 2, 8, 16),
        "stride": (1, 2, 8),
        "radius": (0.05, 0.1, 0.5, None),
        "num_neighbors": (5, 20, 40),
        "sigma_scale": (0.2, 1.0, 3.0),
        "metric": METRICS[1:],
    }
    found = {
        f"{name} {value}": default._replace(**{name: value})
        for name, values in tried.items()
        for value in values
        if value != getattr(default, name)
    }
    plain = default._replace(window_size=1, stride=1)
    return found if plain in {default, *found.values()} else found | {"plain DTW": plain}


def distances(
    sequences: Mapping[str, Sequence[np.ndarray]], layer_strides: Mapping[str, int], setting: Setting
) -> dict[str, Float[np.ndarray, "N N"]]:
    """Pairwise distances at every layer, by the metric of `setting`.

    ``"windowed"`` is `dtw.by_layer`, divided by the path's length. ``"resampled"`` stretches all sequences of a layer
    to the longest, linearly, and takes the root of the mean squared distance of frames at the same place. ``"pooled"``
    is the distance of mean frames.
    """
    if setting.metric not in METRICS:
        raise ValueError(f"metric={setting.metric!r}; choose one of {list(METRICS)}")
    if setting.metric == "windowed":
        options = {"window_size": setting.window_size, "stride": setting.stride, "radius": setting.radius}
        return dtw.by_layer(sequences, layer_strides, normalize="path", **options)
    found = {}
    for layer, parts in sequences.items():
        frames = max(map(len, parts)) if setting.metric == "resampled" else 1
        rows = [_stretched(part, frames) if frames > 1 else part.mean(axis=0) for part in parts]
        flat = np.stack(rows).reshape(len(parts), -1).astype(np.float64)
        found[layer] = squareform(pdist(flat)) / np.sqrt(frames)
    return found


def neighbors(
    sequences: Mapping[str, Sequence[np.ndarray]], layer_strides: Mapping[str, int], setting: Setting
) -> dict[str, graphs.NeighborGraph]:
    """NNK graph over the clips at every layer, from `distances`."""
    found = distances(sequences, layer_strides, setting)
    return {layer: _graph(matrix, setting) for layer, matrix in found.items()}


def jaccard(graph: graphs.NeighborGraph, other: graphs.NeighborGraph) -> Float[np.ndarray, " N"]:
    """Share of each clip's neighbours in either graph that it has in both; 1 for a clip without any."""
    if len(graph) != len(other):
        raise ValueError(f"graphs of {len(graph)} and {len(other)} clips; needed the same clips")
    first, second = ((g.adjacency(None) > 0).astype(np.int64) for g in (graph, other))
    both = np.asarray(first.multiply(second).sum(axis=1)).ravel()
    either = graph.num_neighbors + other.num_neighbors - both
    return np.where(either > 0, both / np.maximum(either, 1), 1.0)


def sensitivity(
    sequences: Mapping[str, Sequence[np.ndarray]],
    layer_strides: Mapping[str, int],
    labels: np.ndarray,
    default: Setting,
    *,
    settings: Mapping[str, Setting] | None = None,
    networks: Mapping[str, Mapping[str, Sequence[np.ndarray]]] | None = None,
    progress: bool = False,
) -> pd.DataFrame:
    """How far graphs and the smoothness curve move when a setting does, one row per setting; the first is `default`.

    Parameters
    ----------
    sequences
        {layer: list of (T_i, D)} of N clips, as `features.extract` returns them.
    settings
        By name; `variations` of `default` otherwise, those that ask for fewer neighbours than there are clips.
    networks
        The same clips in other networks, such as an untrained one: compared under `default`, to say what a difference
        looks like that is one.

    Returns
    -------
    pandas.DataFrame
        ``setting``; ``rank_correlation`` (Spearman's, of the curve of cross-class mass over layers with that of the
        default; NaN where a curve is flat); ``jaccard`` (mean over clips and layers); then for every layer
        ``jaccard_<layer>``, ``mass_<layer>`` (cross-class mass) and ``neighbors_<layer>`` (mean number kept).

    Notes
    -----
    Where clips keep different numbers of neighbours, overlap has a ceiling: at most the ratio of the numbers kept (4.5
    within 8: .56), which are not k. A correlation over ten layers is coarse; it knows the order of layers, not how far
    they are apart.
    """
    if settings is None:
        settings = {name: one for name, one in variations(default).items() if one.num_neighbors < len(labels)}
    cases = [("default", default, sequences), *((name, setting, sequences) for name, setting in settings.items())]
    cases += [(name, default, parts) for name, parts in (networks or {}).items()]
    known, rows, reference, curve = {}, [], None, None
    for name, setting, parts in tqdm(cases, desc="settings", unit="setting", disable=not progress):
        key = (id(parts), setting.metric)
        key += (setting.window_size, setting.stride, setting.radius) if setting.metric == "windowed" else ()
        if key not in known:
            known[key] = distances(parts, layer_strides, setting)
        built = {layer: _graph(matrix, setting) for layer, matrix in known[key].items()}
        mass = {layer: smoothness.label_smoothness(graph, labels).cross_class_mass for layer, graph in built.items()}
        if reference is None:
            reference, curve = built, list(mass.values())
        overlap = {layer: jaccard(reference[layer], graph).mean() for layer, graph in built.items()}
        flat = min(np.ptp(curve), np.ptp(list(mass.values()))) == 0
        row = {"setting": name, "rank_correlation": np.nan if flat else spearmanr(curve, list(mass.values())).statistic}
        row["jaccard"] = np.mean(list(overlap.values()))
        row |= {f"jaccard_{layer}": value for layer, value in overlap.items()}
        row |= {f"mass_{layer}": value for layer, value in mass.items()}
        row |= {f"neighbors_{layer}": graph.num_neighbors.mean() for layer, graph in built.items()}
        rows.append(row)
    return pd.DataFrame(rows)


def _graph(matrix: np.ndarray, setting: Setting) -> graphs.NeighborGraph:
    sigma = graphs.bandwidth(matrix, setting.num_neighbors, scale=setting.sigma_scale)
    return graphs.nnk(matrix, setting.num_neighbors, sigma=sigma)


def _stretched(part: np.ndarray, frames: int) -> np.ndarray:
    """(T, D) to (frames, D), linear between frames, ends kept."""
    place = np.linspace(0, len(part) - 1, frames)
    before = np.minimum(place.astype(int), max(len(part) - 2, 0))
    share = (place - before)[:, None]
    return part[before] * (1 - share) + part[np.minimum(before + 1, len(part) - 1)] * share
