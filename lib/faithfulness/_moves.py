"""Small moves of the body that keep every bone's length, and what they do to the score."""

from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float
from scipy.stats import rankdata
from torch import nn

from lib.clips import Batch
from lib.faithfulness._curves import probability
from lib.skeletons import Skeleton


class Gap(NamedTuple):
    """Mean change of the class probability (N,) when important joints move (`pgi`) and when the others do (`pgu`)."""

    pgi: np.ndarray
    pgu: np.ndarray


def prediction_gap(
    model: nn.Module,
    batch: Batch,
    importance: Float[np.ndarray, "N M T V"],
    target: torch.Tensor,
    skeleton: Skeleton,
    rng: np.random.Generator,
    *,
    degrees: float = 10.0,
    counts: tuple[int, ...] = (1, 2, 4, 8, 16),
    num_draws: int = 8,
) -> Gap:
    """Turn the bones that end in the k most important joints, or those that end in the others, and watch the score.

    PGI and PGU of Pellano et al. (2025), averaged over k with equal weight, with two of its defects mended: every draw
    is a new one, and bones keep their lengths (the joints beyond a turned bone are carried along). One turn of
    `degrees` about a random axis per bone and clip, the same in all frames, so that speeds hardly change.
    """
    rank = rankdata(-importance.sum(axis=2), axis=2, method="ordinal") - 1  # (N, M, V)
    before = probability(model, batch, target)
    gaps = np.zeros((2, len(before)))
    for count in counts:
        for _ in range(num_draws):
            for side, moved in enumerate((rank < count, rank >= count)):
                after = probability(model, turned(batch, skeleton, moved, rng, degrees), target)
                gaps[side] += np.abs(after - before)
    return Gap(*(gaps / (len(counts) * num_draws)))


def turned(
    batch: Batch, skeleton: Skeleton, joints: Bool[np.ndarray, "N M V"], rng: np.random.Generator, degrees: float
) -> Batch:
    """Turn the bones that end in `joints` by `degrees` about random axes; every bone keeps its length."""
    N, _, _, V, M = batch.x.shape
    axes = rng.normal(size=(N, M, V, 3))
    axes /= np.linalg.norm(axes, axis=-1, keepdims=True)
    turn = _rotations(axes, np.where(joints, np.radians(degrees), 0.0))  # (N, M, V, 3, 3)
    matrices = torch.as_tensor(turn, dtype=batch.x.dtype, device=batch.x.device)
    parents = skeleton.parents.tolist()
    bones = batch.x - batch.x[:, :, :, parents]  # (N, 3, T, V, M)
    bones = torch.einsum("nmvij,njtvm->nitvm", matrices, bones)
    x = batch.x.clone()
    for joint in _outwards(parents):
        x[:, :, :, joint] = x[:, :, :, parents[joint]] + bones[:, :, :, joint]
    return batch._replace(x=x)


def _rotations(axes: np.ndarray, angles: np.ndarray) -> np.ndarray:
    """Rodrigues' formula, (..., 3) unit axes and (...) radians to (..., 3, 3)."""
    cross = np.zeros((*axes.shape, 3))
    cross[..., [2, 0, 1], [1, 2, 0]] = axes
    cross[..., [1, 2, 0], [2, 0, 1]] = -axes
    sine, cosine = np.sin(angles)[..., None, None], np.cos(angles)[..., None, None]
    return np.eye(3) + sine * cross + (1 - cosine) * cross @ cross


def _outwards(parents: list[int]) -> list[int]:
    """Joints with a parent of their own, each after its parent."""
    order = [joint for joint, parent in enumerate(parents) if joint == parent]
    for joint in order:  # grows while it is read
        order += [child for child, parent in enumerate(parents) if parent == joint and child != joint]
    return [joint for joint in order if parents[joint] != joint]
