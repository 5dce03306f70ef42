"""Bootstrap intervals of means over clips, resampling whole subjects where asked."""

from typing import NamedTuple

import numpy as np
from scipy.special import ndtr, ndtri, stdtrit

from lib.smoothness._measures import group_codes

_CHUNK = 4_000_000  # random indices held at a time


class Interval(NamedTuple):
    """A mean and the ends of its confidence interval."""

    value: float
    low: float
    high: float


def bootstrap_interval(
    values: np.ndarray,
    *,
    rng: np.random.Generator,
    level: float = 0.95,
    num_resamples: int = 2000,
    groups: np.ndarray | None = None,
    method: str = "percentile",
) -> Interval:
    """Interval of the mean of per-clip values.

    Parameters
    ----------
    values
        (N,) finite, for example ``label_smoothness(...).per_clip.laplacian``.
    level
        Coverage aimed at, between 0 and 1.
    groups
        (N,) subject of each clip: whole subjects are then drawn, so that many clips of few people do not pass for many
        independent ones. Default: clips are drawn.
    method
        ``"percentile"``, or ``"bca"``, which corrects bias and skewness.

    Notes
    -----
    The graph is held fixed: the interval says how the mean varies over clips like these given their neighbours,
    not what another data set's graph would be. A plain bootstrap of few groups is too narrow (covering 79 % for 4
    groups and 89 % for 10 where it says 95 %), so resampled deviations are widened by sqrt(G / (G - 1)) and by the
    ratio of Student's quantile at G - 1 degrees of freedom to the normal one (Hesterberg's expanded percentile
    interval, 2015).
    BCa after Efron (1987), acceleration from leaving out one group at a time; where a resampled mean is constant
    both give that constant.
    """
    values = _finite(values, "values")
    if method not in ("percentile", "bca"):
        raise ValueError(f"method={method!r}; choose 'percentile' or 'bca'")
    means = resampled_means(values[:, None], rng=rng, level=level, num_resamples=num_resamples, groups=groups)[:, 0]
    tails = tail_probabilities(level)
    if method == "bca":
        tails = _bca_tails(values, means, tails, groups)
    low, high = np.quantile(means, tails)
    return Interval(float(values.mean()), float(low), float(high))


def paired_difference(
    values: np.ndarray,
    reference: np.ndarray,
    *,
    rng: np.random.Generator,
    level: float = 0.95,
    num_resamples: int = 2000,
    groups: np.ndarray | None = None,
    method: str = "percentile",
) -> Interval:
    """Interval of the mean of ``values - reference`` over the same clips; below 0: `values` is smoother.

    For trained against untrained, or one layer against the one before. Far narrower than comparing two intervals,
    since a clip that is hard in one layer is hard in the other. Parameters as in :func:`bootstrap_interval`.
    """
    values, reference = _finite(values, "values"), _finite(reference, "reference")
    if values.shape != reference.shape:
        raise ValueError(f"{len(values)} values against {len(reference)} of the reference; need the same clips in both")
    return bootstrap_interval(
        values - reference, rng=rng, level=level, num_resamples=num_resamples, groups=groups, method=method
    )


def resampled_means(
    values: np.ndarray, *, rng: np.random.Generator, level: float, num_resamples: int, groups: np.ndarray | None
) -> np.ndarray:
    """Means (B, m) of the columns of `values` (N, m) in B resamples of clips or groups, the same for all columns.

    Deviations from the mean are widened for few groups, so that central quantiles at `level` cover as they say.
    """
    if num_resamples < 1:
        raise ValueError(f"num_resamples={num_resamples}; need at least 1")
    sums, sizes = _group_sums(values, groups)
    num_groups = len(sizes)
    means = np.empty((num_resamples, values.shape[1]))
    chunk = max(1, _CHUNK // num_groups)
    for start in range(0, num_resamples, chunk):
        size = min(chunk, num_resamples - start)
        drawn = rng.integers(num_groups, size=(size, num_groups)) + num_groups * np.arange(size)[:, None]
        counts = np.bincount(drawn.ravel(), minlength=size * num_groups).reshape(size, num_groups).astype(np.float64)
        means[start : start + size] = (counts @ sums) / (counts @ sizes)[:, None]
    observed = values.mean(axis=0)
    upper = tail_probabilities(level)[1]
    widening = np.sqrt(num_groups / (num_groups - 1)) * stdtrit(num_groups - 1, upper) / ndtri(upper)
    return observed + widening * (means - observed)


def tail_probabilities(level: float) -> np.ndarray:
    """Lower and upper tail of a central interval."""
    if not 0 < level < 1:
        raise ValueError(f"level={level}; need a coverage between 0 and 1, such as 0.95")
    return np.array([(1 - level) / 2, (1 + level) / 2])


def _group_sums(values, groups):
    if groups is None:
        sums, sizes = values, np.ones(len(values))
    else:
        codes = group_codes(groups, len(values))
        sizes = np.bincount(codes).astype(np.float64)
        sums = np.zeros((len(sizes), values.shape[1]))
        np.add.at(sums, codes, values)
    if len(sizes) < 2:
        raise ValueError(f"{len(sizes)} {'clip' if groups is None else 'group'} to resample; need at least 2")
    return sums, sizes


def _bca_tails(values, means, tails, groups):
    below = (means < values.mean()).mean() + 0.5 * (means == values.mean()).mean()
    if not 0 < below < 1:
        return tails
    sums, sizes = _group_sums(values[:, None], groups)
    left_out = (sums.sum() - sums[:, 0]) / (sizes.sum() - sizes)
    deviations = left_out.mean() - left_out
    spread = (deviations**2).sum()
    acceleration = (deviations**3).sum() / (6 * spread**1.5) if spread > 0 else 0.0
    bias = ndtri(below)
    shifted = bias + ndtri(tails)
    return ndtr(bias + shifted / (1 - acceleration * shifted))


def _finite(values: np.ndarray, name: str) -> np.ndarray:
    values = np.asarray(values, dtype=np.float64)
    if values.ndim != 1:
        raise ValueError(f"{name} have shape {values.shape}; need one number per clip (N,)")
    if not np.isfinite(values).all():
        raise ValueError(f"{name}: {np.count_nonzero(~np.isfinite(values))} of {len(values)} are not finite")
    return values
