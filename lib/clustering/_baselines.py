"""What needs no network: poses and their velocity, change points (ruptures), hidden Markov models (hmmlearn)."""

import logging

import numpy as np
from jaxtyping import Float, Int

from lib.clustering._cluster import cluster, principal

COMPONENTS = 10  # principal components of change points and hidden states: covariances of more are not determined


def pose_velocity(frames: Float[np.ndarray, "T F"], *, every: int = 1) -> Float[np.ndarray, "T F2"]:
    """Poses beside how fast each channel changes over `every` frames, either half with a total variance of 1.

    Velocities have no sign: over a window of a movement to and fro, signed ones would cancel out. The first frames
    take the first change.
    """
    lag = min(every, len(frames) - 1)
    change = np.abs(frames[lag:] - frames[: len(frames) - lag])
    change = np.concatenate([np.repeat(change[:1], lag, axis=0), change])
    return np.concatenate(
        [part / max(float(np.sqrt(part.var(axis=0).sum())), 1e-12) for part in (frames, change)], axis=1
    )


def change_points(vectors: Float[np.ndarray, "T D"], num_clusters: int, *, least: int = 2) -> Int[np.ndarray, " T"]:
    """Segments of constant mean, then clusters of their means (Ward's).

    Segments by ``ruptures.KernelCPD`` with a linear kernel (PELT) on the 10 largest principal components, scaled to a
    total variance of 1: the sum of squares within segments, plus log T for each change, is least. That is the Bayesian
    information criterion for noise as large as all variance there is, 1 / K in each of K components, and so a
    reluctant choice: K numbers per segment cost K (1 / K) log T. A segment has at least `least` frames. The number of
    segments is not given.
    """
    if len(vectors) < 2 * least:
        raise ValueError(f"vectors: {len(vectors)} frames, needed at least two segments of least={least}")
    import ruptures

    scores = principal(vectors, COMPONENTS)
    scores = scores / max(float(np.sqrt(scores.var(axis=0).sum())), 1e-12)
    ends = ruptures.KernelCPD(kernel="linear", min_size=least).fit(scores).predict(pen=np.log(len(scores)))
    ids = np.repeat(np.arange(len(ends)), np.diff([0, *ends]))
    means = np.stack([scores[ids == i].mean(axis=0) for i in range(len(ends))])
    return cluster(means, min(num_clusters, len(means)))[ids]


def hidden_markov(vectors: Float[np.ndarray, "T D"], num_states: int, *, seed: int = 0) -> Int[np.ndarray, " T"]:
    """Most likely states of a Gaussian hidden Markov model with diagonal covariances (``hmmlearn``, Viterbi).

    Fitted to the 10 largest principal components of the recording itself, each with variance 1, from k-means' means.
    """
    from hmmlearn.hmm import GaussianHMM

    scores = principal(vectors, COMPONENTS)
    scores = scores / np.maximum(scores.std(axis=0), 1e-12)
    model = GaussianHMM(num_states, covariance_type="diag", n_iter=50, random_state=seed, min_covar=1e-2)
    log = logging.getLogger("hmmlearn.base")
    quiet, log.disabled = log.disabled, True  # a last step that gains nothing is no news
    try:
        return model.fit(scores).predict(scores).astype(np.int64)
    finally:
        log.disabled = quiet
