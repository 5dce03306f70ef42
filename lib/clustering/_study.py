"""Several views of the same recordings, clustered alike, beside methods that find segments on their own."""

from collections.abc import Mapping, Sequence
from itertools import pairwise

import numpy as np
import pandas as pd

from lib.clustering._baselines import change_points, hidden_markov
from lib.clustering._cluster import choose_number, cluster
from lib.clustering._frames import boundaries, merge_short
from lib.clustering._scores import boundary_scores, frame_scores, matched


def segmentations(
    views: Mapping[str, Sequence[np.ndarray]],
    num_clusters: Sequence[int] | str,
    *,
    method: str = "kmeans",
    least: int = 1,
    sequential: Sequence[str] = ("pose", "pose_velocity"),
    seed: int = 0,
) -> dict[str, list[np.ndarray]]:
    """Cluster of every frame of every recording, each recording for itself.

    Parameters
    ----------
    views
        {name: per recording (T, D) vectors of frames}.
    num_clusters
        One per recording, for all alike, or a criterion (`choose_number`), which chooses for each view by clusters of
        `method`, in the place of HDBSCAN's by agglomerative ones.
    method
        As in `cluster`.
    least
        Frames below which a run of a cluster joins its neighbours (`merge_short`), for all alike.
    sequential
        Views that ``change_points_<view>`` and ``hidden_markov_<view>`` are made of as well; () for none.

    Returns
    -------
    {name: per recording (T,) clusters}, those of the views first.
    """
    if missing := [name for name in sequential if name not in views]:
        raise ValueError(f"sequential: no views {missing}; there are {list(views)}")
    if not isinstance(num_clusters, str):
        sizes = {name: len(vectors) for name, vectors in views.items()}
        if np.ndim(num_clusters) == 0 or set(sizes.values()) - {len(num_clusters)}:
            raise ValueError(f"num_clusters={num_clusters}; needed one for each recording of {sizes}, or a criterion")
    by = "agglomerative" if method == "hdbscan" else method
    found = {name: [] for name in views}
    extra = {f"{way}_{name}": [] for name in sequential for way in ("change_points", "hidden_markov")}
    for name, vectors in views.items():
        for i, one in enumerate(vectors):
            count = num_clusters if isinstance(num_clusters, str) else int(num_clusters[i])
            found[name].append(merge_short(cluster(one, count, method=method, seed=seed), least))
            if name in sequential:
                count = choose_number(one, criterion=count, method=by, seed=seed) if isinstance(count, str) else count
                extra[f"change_points_{name}"].append(change_points(one, count, least=max(least, 2)))
                extra[f"hidden_markov_{name}"].append(merge_short(hidden_markov(one, count, seed=seed), least))
    return found | extra


def score_table(
    found: Mapping[str, Sequence[np.ndarray]],
    labels: Sequence[np.ndarray],
    transitions: Sequence[np.ndarray],
    names: Sequence[str],
) -> pd.DataFrame:
    """Score clusters against annotations: a row per method and recording.

    Columns are those of `FrameScores`, of `BoundaryScores` behind ``boundary_``, and ``found``, the number of clusters.
    `labels` (T,) and `transitions` (B, 3: earliest, best, latest) are per recording.
    """
    rows = []
    for method, parts in found.items():
        for name, one, truth, edges in zip(names, parts, labels, transitions, strict=True):
            frames = frame_scores(one, truth)._asdict()
            edge_scores = boundary_scores(boundaries(one), edges[:, 0], edges[:, 2])._asdict()
            edge_scores = {f"boundary_{kind}": value for kind, value in edge_scores.items()}
            rows.append({"method": method, "recording": name, "found": len(np.unique(one)), **frames, **edge_scores})
    return pd.DataFrame(rows)


def spans(
    found: Mapping[str, Sequence[np.ndarray]],
    labels: Sequence[np.ndarray],
    class_names: Sequence[Sequence[str]],
    names: Sequence[str],
) -> pd.DataFrame:
    """Write clusters down as runs of frames: method, recording, start, stop and ``movement``.

    That is the name of the label that the cluster is matched to, empty where it got none. The annotation comes first,
    as method ``annotated``.
    """
    rows = []
    for method, parts in {"annotated": labels, **found}.items():
        for name, one, truth, movements in zip(names, parts, labels, class_names, strict=True):
            renamed = matched(one, truth)
            edges = np.r_[0, boundaries(renamed), len(renamed)]
            for start, stop in pairwise(edges.tolist()):
                label = renamed[start]
                movement = movements[label] if label < len(movements) else ""
                rows.append({"method": method, "recording": name, "start": start, "stop": stop, "movement": movement})
    return pd.DataFrame(rows)


def from_spans(rows: pd.DataFrame, class_names: Sequence[str]) -> dict[str, np.ndarray]:
    """Labels (T,) of one recording by method, from what `spans` wrote; a run without a name is ``len(class_names)``."""
    number = {name: i for i, name in enumerate(class_names)}
    return {
        method: np.repeat([number.get(name, len(number)) for name in part["movement"]], part["stop"] - part["start"])
        for method, part in rows.groupby("method", sort=False)
    }
