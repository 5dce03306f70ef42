"""Deletion and insertion: what the score does while important joints or frames hold still, or begin to move."""

from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from scipy.stats import rankdata
from torch import nn

from lib.attribution import still
from lib.clips import Batch
from lib.models.layers import evaluation_mode

UNITS = ("joints", "frames")


class Curve(NamedTuple):
    """Score of the target class while more and more of a clip is deleted, or inserted.

    Attributes
    ----------
    share
        (S + 1,) share of the units that were touched, 0 to 1.
    score
        (N, S + 1) probability of the class.
    """

    share: np.ndarray
    score: np.ndarray

    @property
    def area(self) -> np.ndarray:
        """(N,) mean height of each curve: low is good for deletion, high for insertion."""
        return np.trapezoid(self.score, self.share, axis=1)


def curve(
    model: nn.Module,
    batch: Batch,
    importance: Float[np.ndarray, "N M T V"],
    target: torch.Tensor,
    *,
    by: str = "joints",
    insert: bool = False,
    num_steps: int = 10,
) -> Curve:
    """Delete the most important joints (or frames) first, or insert them first into a body that holds still.

    A deleted joint of a person, or a deleted frame, is where it is on average over the clip (`attribution.still`):
    the pose stays a body's, its movement goes. Only true frames and present persons count as units. Scores are NaN for
    clips whose units all are equally important: there is no order to follow.
    """
    if num_steps < 2:
        raise ValueError(f"num_steps={num_steps}; needed at least 2: all methods share the two ends of a curve")
    place, sizes = _places(batch, importance, by)
    share = np.linspace(0, 1, num_steps + 1)
    calm, scores = still(batch), []
    for part in share:
        first = place < np.rint(part * sizes)[:, None, None, None]
        first = torch.as_tensor(first, device=batch.x.device)[:, None]  # (N, 1, T, V, M)
        x = torch.where(first != insert, calm, batch.x)
        scores.append(probability(model, batch._replace(x=x), target))
    return Curve(share, np.where(sizes > 0, np.stack(scores), np.nan).T)


def _places(batch: Batch, importance: np.ndarray, by: str) -> tuple[np.ndarray, np.ndarray]:
    """(N, T, V, M) place of each cell's unit, 0 for the most important, and (N,) units of each clip.

    A clip without an order among its units has 0 of them; cells that are no unit come last.
    """
    if by not in UNITS:
        raise ValueError(f"by={by!r}; choose one of {list(UNITS)}")
    N, _, T, V, M = batch.x.shape
    if importance.shape != (N, M, T, V):
        raise ValueError(f"importance: shape {importance.shape}; needed (N, M, T, V) = {(N, M, T, V)}")
    out, sizes = np.full((N, T, V, M), T * V * M), np.zeros(N, int)
    for n in range(N):
        length, present = int(batch.lengths[n]), batch.present[n].cpu().numpy()
        own = importance[n][present][:, :length]  # (persons, frames, V)
        values = own.sum(axis=1) if by == "joints" else own.sum(axis=(0, 2))
        if np.ptp(values) == 0:
            continue
        sizes[n] = values.size
        place = rankdata(-values, method="ordinal").reshape(values.shape) - 1
        if by == "joints":
            out[n, :length, :, present] = place[:, None]
        else:
            out[n, :length] = place[:, None, None]
    return out, sizes


def probability(model: nn.Module, batch: Batch, target: torch.Tensor) -> np.ndarray:
    """(N,) probability of the target class."""
    with torch.inference_mode(), evaluation_mode(model):
        scores = model(batch.x, batch.lengths, batch.present).float().softmax(dim=1)
    return scores.gather(1, target[:, None])[:, 0].cpu().numpy()
