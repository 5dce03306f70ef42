"""Measures of every layer, as the table that a page quotes."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from jaxtyping import Float
from tqdm.auto import tqdm

from lib.geometry._measures import cka, information_imbalance, intrinsic_dimension
from lib.geometry._probe import linear_probe


def vectors(sequences: Mapping[str, Sequence[np.ndarray]]) -> dict[str, Float[np.ndarray, "N D"]]:
    """Mean over each clip's frames at every layer, (N, D): order in time is lost."""
    return {layer: np.stack([part.mean(axis=0) for part in parts]) for layer, parts in sequences.items()}


def by_layer(
    distances: Mapping[str, np.ndarray],
    features: Mapping[str, np.ndarray],
    labels: np.ndarray,
    *,
    train: Mapping[str, np.ndarray],
    train_labels: np.ndarray,
    train_groups: np.ndarray | None = None,
    progress: bool = False,
) -> pd.DataFrame:
    """Measure every layer by what else the field uses, one row per layer.

    Parameters
    ----------
    distances, features
        {layer: (N, N)} and {layer: (N, D)} of the same clips, first layer first, as from `dtw.by_layer` and `vectors`.
    labels
        (N,) classes; they only score the probe.
    train, train_labels, train_groups
        {layer: (M, D)}, (M,) and (M,): clips that the probe is fitted to, and their subjects.

    Returns
    -------
    pandas.DataFrame
        ``layer, depth``; ``probe`` (accuracy on these clips), ``probe_train`` (cross-validated on the probe's own),
        ``penalty``; ``dimension``; ``imbalance_to_last`` and ``imbalance_from_last`` (what this layer's nearest tell
        about the last layer's distances, and the last's about these); ``cka_last``.
    """
    last, rows = list(distances)[-1], []
    for depth, layer in enumerate(tqdm(distances, desc="measures", unit="layer", disable=not progress)):
        probe = linear_probe(train[layer], train_labels, groups=train_groups)
        rows.append(
            {
                "layer": layer,
                "depth": depth,
                "probe": float((probe.classifier.predict(features[layer].astype(np.float64)) == labels).mean()),
                "probe_train": probe.cross_validated,
                "penalty": probe.penalty,
                "dimension": intrinsic_dimension(distances[layer]),
                "imbalance_to_last": information_imbalance(distances[layer], distances[last]),
                "imbalance_from_last": information_imbalance(distances[last], distances[layer]),
                "cka_last": cka(features[layer], features[last]),
            }
        )
    return pd.DataFrame(rows)


def between_layers(features: Mapping[str, np.ndarray]) -> pd.DataFrame:
    """`cka` of every pair of layers, rows and columns named by layer."""
    names = list(features)
    table = pd.DataFrame(np.eye(len(names)), index=names, columns=names)
    for i, first in enumerate(names):
        for second in names[i + 1 :]:
            table.loc[first, second] = table.loc[second, first] = cka(features[first], features[second])
    return table
