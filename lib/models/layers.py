"""Pieces that the networks share. Feature maps are (P, C, T, V): P counts present persons over all clips of a batch."""

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event

import torch
from torch import nn
from torch.nn import functional as F


class Dropout(nn.Dropout):
    """Elementwise dropout that draws one random byte per element instead of one float (CPU), with p in steps of 1/256.

    Drawing the mask was two fifths of ST-GCN's training step in bfloat16 on a CPU; bytes make it eight times cheaper.
    """

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Zero a random share p of x in training and scale the rest by 1 / (1 - p)."""
        if not self.training or self.p == 0 or x.is_cuda:
            return super().forward(x)
        words = torch.empty(-(-x.numel() // 8), dtype=torch.int64).random_(-(2**63), None)
        noise = words.view(torch.int8)[: x.numel()].view(x.shape)
        dropped = min(round(256 * self.p), 255)
        return x * (noise >= dropped - 128).to(x.dtype).mul_(256 / (256 - dropped))


STREAMS = ("joint", "bone", "joint_motion", "bone_motion")


def as_stream(x: torch.Tensor, stream: str, parents: torch.Tensor, lengths: torch.Tensor | None) -> torch.Tensor:
    """Joints (N, C, T, V, M) as a network of one stream sees them (Shi et al., CVPR 2019; MS-G3D).

    Bones are offsets from the parent joint; motions are differences to the next frame, zero in the last true one. The
    same as `transforms.bones` and `transforms.motion`, but after augmentation, which a network's input has behind it.
    """
    if stream.startswith("bone"):
        x = x - x[:, :, :, parents]
    if not stream.endswith("motion"):
        return x
    steps = F.pad(x.diff(dim=2), (0, 0, 0, 0, 0, 1))
    if lengths is None:
        return steps
    return steps * (torch.arange(x.shape[2], device=x.device) < lengths[:, None] - 1)[:, None, :, None, None]


slopes_of_features = Event()  # seen by every thread: PyTorch takes slopes on a GPU in threads of its own


@contextmanager
def features_explained() -> Iterator[None]:
    """Within this, slopes taken through a network in training are those of a score with respect to features.

    Normalisations take the batch's mean and variance as given, as they do in evaluation. Otherwise a clip's slopes hang
    on the other clips of its batch, and their mean over the batch, which GradCAM's channel weights are made of, is zero
    in front of every normalisation. Slopes with respect to weights are left out, which PyTorch cannot know by itself.
    """
    within = slopes_of_features.is_set()  # of another such context
    slopes_of_features.set()
    try:
        yield
    finally:
        if not within:
            slopes_of_features.clear()


@contextmanager
def evaluation_mode(model: nn.Module) -> Iterator[None]:
    """Put a network into evaluation mode, and afterwards every module into the mode it was in."""
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        yield
    finally:
        for module, mode in modes:
            module.training = mode


def frame_mask(lengths: torch.Tensor, num_frames: int) -> torch.Tensor | None:
    """(P, 1, T, 1) ones on true frames, or None when every frame is true."""
    if bool((lengths >= num_frames).all()):
        return None
    frames = torch.arange(num_frames, device=lengths.device)
    return (frames < lengths[:, None]).float()[:, None, :, None]


def strided_lengths(lengths: torch.Tensor, stride: int) -> torch.Tensor:
    """Count true frames after temporal strides of product `stride`: ceil(length / stride)."""
    return (lengths + stride - 1) // stride


def pool(x: torch.Tensor, mask: torch.Tensor | None) -> torch.Tensor:
    """Mean over true frames and all joints: (P, C, T, V) -> (P, C)."""
    if mask is None:
        return x.mean(dim=(2, 3))
    return (x * mask).sum(dim=(2, 3)) / (mask.sum(dim=(2, 3)) * x.shape[3])


def average_persons(x: torch.Tensor, clip_of: torch.Tensor, num_clips: int) -> torch.Tensor:
    """Mean over the persons of each clip: (P, C) with clip index (P,) -> (N, C)."""
    total = x.new_zeros(num_clips, x.shape[1]).index_add(0, clip_of, x)
    return total / torch.bincount(clip_of, minlength=num_clips).clamp(min=1)[:, None].to(x.dtype)
