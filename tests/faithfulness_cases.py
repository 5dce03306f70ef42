"""Clips, and a network that looks at one joint, which tests of explanations share."""

import numpy as np
import torch
from torch import nn

from lib import skeletons
from lib.clips import ClipSet

SKELETON = skeletons.get("kinect20")
WRIST = SKELETON.joints.index("right_wrist")


def batch_of(rng, shapes=((12, 1), (7, 2), (9, -2))):
    """Random walks of (frames, persons); a second person with a negative count is absent."""
    arrays = []
    for frames, persons in shapes:
        x = rng.normal(size=(frames, abs(persons), 20, 3)).cumsum(axis=0)
        if persons < 0:
            x[:, -1] = 0
        arrays.append(x)
    clips = ClipSet.from_arrays(arrays, [0] * len(arrays), SKELETON, class_names=["still", "moving"])
    return clips.batch(np.arange(len(clips)))


class Watcher(nn.Module):
    """Sees how far one bone of the first person points from its mean direction, and nothing else."""

    layer_names, layer_strides = ("see",), {"see": 1}

    def __init__(self, joint=WRIST):
        super().__init__()
        self.joint, self.parent = joint, int(SKELETON.parents[joint])
        self.see = nn.Identity()
        self.weight = nn.Parameter(torch.ones(1))

    def forward(self, x, lengths, present):
        bone = x[..., self.joint, 0] - x[..., self.parent, 0]  # (N, C, T)
        true = torch.arange(x.shape[2]) < lengths[:, None]
        mean = (bone * true[:, None]).sum(dim=2, keepdim=True) / lengths[:, None, None]
        moved = ((bone - mean) * true[:, None]).square().sum(dim=(1, 2))
        self.see(moved[:, None, None, None].expand(-1, 2, 1, 1))
        return torch.stack([torch.zeros_like(moved), self.weight * (moved - 50) * 0.02], dim=1)


def only(batch, joint):
    """Importance that is one at a joint of the first person and small noise elsewhere."""
    N, _, T, V, M = batch.x.shape
    importance = 1e-3 * np.random.default_rng(5).uniform(size=(N, M, T, V))
    importance[:, 0, :, joint] = 1.0
    return importance
