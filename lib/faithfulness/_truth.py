"""Explanations of clips whose decisive joints and frames are known."""

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float
from sklearn.metrics import average_precision_score

from lib.clips import Batch


def planted_truth(
    importance: Float[np.ndarray, "N M T V"], truth: Bool[np.ndarray, "N M T V"], batch: Batch
) -> pd.DataFrame:
    """Compare importance with the joints and frames that are known to decide; a row per clip.

    Columns ``joints`` and ``frames``: average precision of joints of persons, importance and truth added up over time,
    and of frames, added up over bodies; ``pointing``: 1 where the most important cell is decisive (of several that are
    equally important, the share that is); ``joints_chance``, ``frames_chance`` and ``pointing_chance``: shares of
    decisive units, which random pointing gets in the mean; the average precision of a random order exceeds them where
    units are few. NaN where all units or none are decisive. Negative importance counts as such: it speaks against.
    """
    rows = []
    for n, cells in enumerate(own_cells(batch, importance.shape[2])):
        length, present = int(batch.lengths[n]), batch.present[n].cpu().numpy()
        value, wanted = (side[n][present][:, :length] for side in (importance, truth))
        row = {}
        for name, axes in (("joints", 1), ("frames", (0, 2))):
            decisive = wanted.any(axis=axes).ravel()
            clear = decisive.any() and not decisive.all()
            summed = value.sum(axis=axes).ravel()
            row[name] = average_precision_score(decisive, summed) if clear else np.nan
            row[f"{name}_chance"] = decisive.mean() if clear else np.nan
        top = importance[n][cells] == importance[n][cells].max()
        row["pointing"] = truth[n][cells][top].mean() if wanted.any() else np.nan
        row["pointing_chance"] = wanted.mean() if wanted.any() else np.nan
        rows.append(row)
    return pd.DataFrame(rows)


def own_cells(batch: Batch, num_frames: int) -> Bool[np.ndarray, "N M T"]:
    """Mark true frames of present persons."""
    frames = np.arange(num_frames) < batch.lengths.cpu().numpy()[:, None]
    return batch.present.cpu().numpy()[:, :, None] & frames[:, None]
