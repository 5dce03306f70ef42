"""Several views of the same recordings, clustered alike, beside methods that find segments on their own."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from lib.clustering._baselines import change_points, hidden_markov
from lib.clustering._cluster import choose_number, cluster
from lib.clustering._frames import boundaries, merge_short
from lib.clustering._scores import boundary_scores, frame_scores


def segmentations(
    views: Mapping[str, Sequence[np.ndarray]],
    num_clusters: Sequence[int] | str,
    *,
    method: str = "kmeans",
    least: int = 1,
    sequential: str | None = "pose",
    seed: int = 0,
) -> dict[str, list[np.ndarray]]:
    """Cluster of every frame of every recording, each recording for itself.

    Parameters
    ----------
    views
        {name: per recording (T, D) vectors of frames}.
    num_clusters
        One per recording, for all alike, or a criterion (`choose_number`), which chooses for each view.
    method
        As in `cluster`.
    least
        Frames below which a run of a cluster joins its neighbours (`merge_short`), for all alike.
    sequential
        View that ``change_points`` and ``hidden_markov`` are made of; None for neither.

    Returns
    -------
    {name: per recording (T,) clusters}.
    """
    found = {name: [] for name in views}
    extra = {} if sequential is None else {"change_points": [], "hidden_markov": []}
    for name, vectors in views.items():
        for i, one in enumerate(vectors):
            count = num_clusters if isinstance(num_clusters, str) else int(num_clusters[i])
            found[name].append(merge_short(cluster(one, count, method=method, seed=seed), least))
            if extra and name == sequential:
                count = choose_number(one, criterion=count, seed=seed) if isinstance(count, str) else count
                extra["change_points"].append(change_points(one, count, least=max(least, 2)))
                extra["hidden_markov"].append(merge_short(hidden_markov(one, count, seed=seed), least))
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
