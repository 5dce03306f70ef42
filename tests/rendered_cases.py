"""A skeleton of four joints, left, right and middle, and random clips."""

import torch

from lib.skeletons import Skeleton

ARM = Skeleton("arm", ("spine", "left", "right", "head"), ((0, 1), (0, 2), (0, 3), (1, 2)), 0, ((1, 2),))


def clip(rng, *shape, dtype=torch.float64):
    return torch.as_tensor(rng.normal(size=shape), dtype=dtype)  # (N, C, T, V, M)
