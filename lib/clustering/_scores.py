"""How well clusters and segments agree with annotations."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Int, Shaped
from scipy.optimize import linear_sum_assignment
from scipy.sparse import csr_array
from scipy.sparse.csgraph import maximum_bipartite_matching
from sklearn import metrics


class FrameScores(NamedTuple):
    """Agreement of clusters with labels, frame by frame; 1 is perfect, and `ari` and `ami` of chance are 0.

    accuracy: share of frames whose cluster stands for their label, clusters matched to labels one to one so that it is
    largest (Hungarian); clusters or labels too many stay alone. ari, ami: adjusted Rand index and mutual information.
    homogeneity, completeness, v_measure: Rosenberg & Hirschberg (2007).
    """

    accuracy: float
    ari: float
    ami: float
    homogeneity: float
    completeness: float
    v_measure: float


class BoundaryScores(NamedTuple):
    """Found boundaries that an annotator would accept: shares of those found and of those annotated, and their F1.

    Without found boundaries precision is NaN, without annotated ones recall is; F1 is 2 hits / (found + annotated).
    """

    precision: float
    recall: float
    f1: float


def frame_scores(found: Shaped[np.ndarray, " T"], labels: Shaped[np.ndarray, " T2"]) -> FrameScores:
    """Compare clusters (T,) with labels (T,)."""
    if len(found) != len(labels) or len(found) == 0:
        raise ValueError(f"found: {len(found)} frames for {len(labels)} labels; needed as many, at least one")
    parts = metrics.homogeneity_completeness_v_measure(labels, found)
    return FrameScores(
        float((matched(found, labels) == np.unique(labels, return_inverse=True)[1]).mean()),
        float(metrics.adjusted_rand_score(labels, found)),
        float(metrics.adjusted_mutual_info_score(labels, found)),
        *map(float, parts),
    )


def matched(found: Shaped[np.ndarray, " T"], labels: Shaped[np.ndarray, " T"]) -> Int[np.ndarray, " T"]:
    """Rename clusters to the labels that they share most frames with, one to one and best in all.

    Returns
    -------
    Places in ``np.unique(labels)``; clusters that got none are numbered on behind them.
    """
    names, truth = np.unique(labels, return_inverse=True)
    clusters, place = np.unique(found, return_inverse=True)
    shared = np.zeros((len(clusters), len(names)))
    np.add.at(shared, (place, truth), 1)
    name_of = np.full(len(clusters), -1)
    rows, columns = linear_sum_assignment(-shared)
    name_of[rows] = columns
    alone = name_of < 0
    name_of[alone] = len(names) + np.arange(alone.sum())
    return name_of[place]


def boundary_scores(found: Int[np.ndarray, " B"], earliest: np.ndarray, latest: np.ndarray) -> BoundaryScores:
    """Score boundaries against intervals in which an annotator would accept a transition, both ends included.

    One boundary answers for one transition at most, and one transition for one boundary; pairs are chosen so that there
    are as many as possible.
    """
    if len(earliest) != len(latest) or (np.asarray(earliest) > latest).any():
        raise ValueError("earliest, latest: needed one interval per transition, earliest first")
    inside = (found[:, None] >= np.asarray(earliest)) & (found[:, None] <= np.asarray(latest))
    hits = int((maximum_bipartite_matching(csr_array(inside.astype(np.int8))) >= 0).sum()) if inside.any() else 0
    total = len(found) + len(earliest)
    return BoundaryScores(
        hits / len(found) if len(found) else float("nan"),
        hits / len(earliest) if len(earliest) else float("nan"),
        2 * hits / total if total else float("nan"),
    )
