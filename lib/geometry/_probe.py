"""A linear classifier on a layer's vectors: what a layer already tells apart."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int
from sklearn.linear_model import RidgeClassifier
from sklearn.model_selection import GroupKFold, StratifiedKFold, cross_val_score
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

PENALTIES = (1.0, 100.0, 10_000.0)  # of squared weights over standardised dimensions


class Probe(NamedTuple):
    """A probe's accuracy on clips held out in turn, the penalty chosen there, and the probe of all clips."""

    cross_validated: float
    penalty: float
    classifier: Pipeline  # takes (M, D), see its `predict`


def linear_probe(
    vectors: Float[np.ndarray, "N D"],
    labels: Int[np.ndarray, " N"],
    *,
    groups: Int[np.ndarray, " N"] | None = None,
    num_folds: int = 5,
) -> Probe:
    """Fit a linear classifier to clips' vectors, its penalty chosen by cross-validation among the same clips.

    Parameters
    ----------
    groups
        (N,) subjects: whole subjects are held out, so that nobody is recognised by how they move. Default: clips are,
        a like share of every class in each fold.
    num_folds
        At most this many; as many as there are groups, or clips of the smallest class, where those are fewer.

    Notes
    -----
    Ridge regression on classes as +-1 (scikit-learn's RidgeClassifier) over standardised dimensions; penalties
    `PENALTIES`. Clips that the network was trained on carry what it was told of their labels, so that accuracy among
    them can flatter late layers; only other clips, given to the classifier, say what a layer knows. The best of three
    penalties is a little lucky, too.
    """
    classes, sizes = np.unique(labels, return_counts=True)
    most = sizes.min() if groups is None else len(np.unique(groups))
    if len(classes) < 2 or most < 2:
        found = f"{most} clips of class {classes[sizes.argmin()]}" if groups is None else f"{most} groups"
        raise ValueError(f"{len(classes)} classes, {found}; needed at least 2 of each")
    folds = (StratifiedKFold if groups is None else GroupKFold)(min(num_folds, int(most)))
    vectors = np.asarray(vectors, dtype=np.float64)
    probes = {p: make_pipeline(StandardScaler(), RidgeClassifier(p)) for p in PENALTIES}
    scores = {p: cross_val_score(probe, vectors, labels, groups=groups, cv=folds) for p, probe in probes.items()}
    best = max(PENALTIES, key=lambda penalty: scores[penalty].mean())
    return Probe(float(scores[best].mean()), best, probes[best].fit(vectors, labels))
