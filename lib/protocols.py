"""Which clips a study trains on: fewer labelled clips, the same ones for every network of a seed."""

import numpy as np

from lib.clips import ClipSet


def scarce(clips: ClipSet, share: float, seed: int) -> np.ndarray:
    """Positions of a stratified part of `clips`, in order; a smaller share of the same seed lies within a larger one.

    Every class gives ``share`` of its clips, rounded to whole ones, but at least one.
    """
    if not 0 < share <= 1:
        raise ValueError(f"share={share}; needed in (0, 1]")
    rng = np.random.default_rng([seed, 0])
    order = rng.permutation(len(clips))
    labels = clips.labels[order]
    parts = [order[labels == label] for label in np.unique(labels)]
    return np.sort(np.concatenate([part[: max(1, round(share * len(part)))] for part in parts]))
