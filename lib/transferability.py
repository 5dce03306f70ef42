"""How promising a network's features look for classes that it was not trained on, before any tuning."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from jaxtyping import Float, Int
from scipy.optimize import minimize_scalar
from scipy.spatial.distance import cdist
from scipy.stats import spearmanr
from sklearn.preprocessing import StandardScaler
from torch import nn

from lib import features, geometry, smoothness
from lib.clips import ClipSet

LOG_RATIOS = (-20.0, 20.0)  # of alpha / beta to the mean squared singular value, natural logarithm


SCORES = {"cross-class mass": -1, "linear probe": 1, "LogME": 1, "nearest neighbour": 1}
"""Columns of `by_layer`: 1 where higher is better, -1 where lower is."""


def by_layer(model: nn.Module, clips: ClipSet, *, num_neighbors: int = 5) -> pd.DataFrame:
    """Score every layer of `model` on labelled clips of new classes; the clips themselves come first, as ``clips``.

    Parameters
    ----------
    clips
        As prepared for the network.
    num_neighbors
        Candidates of each clip in the NNK graph of the layer.

    Returns
    -------
    A row per layer and the columns of `SCORES`: cross-class mass of the dataset graph over distances by window-based
    DTW between whole sequences (windows of four input frames, every four, a band of a fifth, divided by the path's
    length, as on the page on layer geometry); the others on features averaged over frames and joints, of the clips over
    frames alone: the mean place of all joints says nothing about a movement.
    """
    raw = [clip.x[: clip.length, clip.present].mean(axis=1).reshape(clip.length, -1) for clip in clips]
    sequences = {"clips": raw} | features.extract(model, clips)
    averaged = geometry.vectors({"clips": raw} | features.extract(model, clips, pool="joints"))
    setting = geometry.Setting(num_neighbors=min(num_neighbors, len(clips) - 1))
    found = {}
    for layer, graph in geometry.neighbors(sequences, {"clips": 1} | model.layer_strides, setting).items():
        vectors = averaged[layer]
        found[layer] = {
            "cross-class mass": smoothness.label_smoothness(graph, clips.labels).cross_class_mass,
            "linear probe": geometry.linear_probe(vectors, clips.labels).cross_validated,
            "LogME": logme(vectors, clips.labels),
            "nearest neighbour": nearest_neighbor(vectors, clips.labels),
        }
    return pd.DataFrame.from_dict(found, orient="index").rename_axis("layer")


def logme(features: Float[np.ndarray, "N D"], labels: Int[np.ndarray, " N"]) -> float:
    """Log evidence per clip, at its greatest, of linear models from features to one-hot labels, mean over classes.

    Notes
    -----
    You et al., LogME (ICML 2021). Weights have precision alpha, noise beta; given their ratio, the best beta has a
    closed form, so that one number is left to find. We search it on a grid and refine, where the paper iterates a fixed
    point, which may stop at a lesser maximum. A class that the features tell exactly has unbounded evidence: what is
    left unexplained is held above a millionth of the labels' variance.
    """
    features, labels = _checked(features, labels)
    num_clips = len(features)
    left, values, _ = np.linalg.svd(features, full_matrices=False)
    squares = values**2
    grid = np.linspace(*LOG_RATIOS, 121) + np.log(max(squares.mean(), np.finfo(float).tiny))
    found = []
    for index in np.unique(labels):
        target = (labels == index).astype(np.float64)
        along = (left.T @ target) ** 2
        beyond = max(target @ target - along.sum(), 0.0)
        least = 1e-6 * num_clips * target.var()

        def negative(log_ratio, along=along, beyond=beyond, least=least):
            ratio = np.exp(log_ratio)
            unexplained = max((ratio * along / (squares + ratio)).sum() + beyond, least)
            spread = num_clips * (1 + np.log(2 * np.pi * unexplained / num_clips))
            return 0.5 * (spread + np.log1p(squares / ratio).sum()) / num_clips

        best = int(np.argmin([negative(at) for at in grid]))
        ends = grid[max(best - 1, 0)], grid[min(best + 1, len(grid) - 1)]
        found.append(-minimize_scalar(negative, bounds=ends, method="bounded").fun)
    return float(np.mean(found))


def nearest_neighbor(features: Float[np.ndarray, "N D"], labels: Int[np.ndarray, " N"]) -> float:
    """Share of clips whose nearest other clip is of the same class; each dimension has unit spread."""
    features, labels = _checked(features, labels)
    scaled = StandardScaler().fit_transform(features)
    distances = cdist(scaled, scaled)
    np.fill_diagonal(distances, np.inf)
    return float((labels[distances.argmin(axis=1)] == labels).mean())


def agreement(rows: pd.DataFrame, predictors: Mapping[str, int]) -> pd.DataFrame:
    """How well each predictor orders the depths of one transfer, and what its choice costs.

    Parameters
    ----------
    rows
        One row per depth: ``accuracy`` and the predictors' columns; rows that lack one are left out.
    predictors
        {column: 1 where higher is better, -1 where lower is}.

    Returns
    -------
    A row per predictor: ``correlation`` (Spearman's, between predictor and accuracy; NaN where either is constant) and
    ``regret`` (accuracy of the best depth less that of the predictor's first choice; tied depths count alike).
    """
    rows = rows.dropna(subset=["accuracy", *predictors])
    if len(rows) < 2:
        raise ValueError(f"rows: {len(rows)} depths with all of {list(predictors)}; needed at least 2")
    found = {}
    for name, sign in predictors.items():
        values = sign * rows[name].to_numpy(dtype=float)
        constant = np.ptp(values) == 0 or np.ptp(rows["accuracy"]) == 0
        correlation = np.nan if constant else spearmanr(values, rows["accuracy"]).statistic
        chosen = rows["accuracy"][values == values.max()].mean()
        found[name] = {"correlation": correlation, "regret": rows["accuracy"].max() - chosen}
    return pd.DataFrame.from_dict(found, orient="index").rename_axis("predictor")


def judged(rows: pd.DataFrame) -> pd.DataFrame:
    """Put `SCORES`, and two rules that look at nothing, to every transfer of a study.

    Parameters
    ----------
    rows
        ``source, dataset, seed, num_tuned, accuracy`` and the columns of `SCORES`; networks that were trained before.

    Returns
    -------
    A row per source, dataset, seed and predictor: `agreement`'s ``correlation`` and ``regret``. The rules are called
    ``tune everything`` and ``tune the classifier``. Transfers of a single depth have nothing to order and are left out.
    """
    rows = rows.assign(**{"tune everything": rows["num_tuned"], "tune the classifier": -rows["num_tuned"]})
    predictors = SCORES | {"tune everything": 1, "tune the classifier": 1}
    keys = ["source", "dataset", "seed"]
    found = {key: agreement(part, predictors) for key, part in rows.groupby(keys) if len(part) > 1}
    if not found:
        return pd.DataFrame(columns=[*keys, "predictor", "correlation", "regret"])
    return pd.concat(found, names=keys).reset_index()


def _checked(features, labels):
    features, labels = np.asarray(features, dtype=np.float64), np.asarray(labels)
    if features.ndim != 2 or labels.shape != features.shape[:1] or len(labels) < 2:
        raise ValueError(f"features {features.shape}, labels {labels.shape}; needed (N, D) and (N,), N at least 2")
    if not np.isfinite(features).all():
        raise ValueError("features hold NaN or inf; needed numbers")
    if len(np.unique(labels)) < 2:
        raise ValueError("labels: a single class; needed at least two")
    return features, labels
